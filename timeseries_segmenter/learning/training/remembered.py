"""What training runs remember of series that a run has no room for: some timesteps of each.

Forest and convolutions learn from single timesteps, of which some thousands are enough if they are of many
series. So they learn from remembered ones alone, to which each run adds those of its own series. Timesteps
are drawn at a rate for each class, the same for all series, as in reservoir sampling (Vitter 1985,
doi 10.1145/3147.3165).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.examples import LearnedClass
from timeseries_segmenter.learning.opinions.convolutions import Convolutions
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.segment import LabelSet

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

MOST_TIMESTEPS = 8_000  # of all series and classes together
LARGEST_SHARE = 255  # of a convolution, as it is kept


@dataclass(frozen=True, slots=True)
class OfSeries:
    """The timesteps of one series of the task `name`, whose held-out predictions are of the network of its
    `fold`: rolling `features` `(N, F)`, the inputs' `means` `(inputs, N)`, and the class of each, UNKNOWN if
    it teaches nothing.
    """

    name: str
    fold: int
    features: FloatArray
    means: FloatArray
    classes: IntArray


@dataclass(frozen=True, slots=True)
class Remembered:
    """Timesteps with rolling `features` `(N, F)` float16, what the `kernels` of the convolutions counted
    there, `shares` `(N, S)` uint8, and `classes` `(N,)`, of which those from 1 on are of `label_sets`.

    The timestep is of the task `names[series]`, `series` `(N,)`, and held out by `folds[series]`. Of all
    timesteps of a class, it holds the share `rates` `(classes,)`.
    """

    kernels: Convolutions
    label_sets: tuple[LabelSet, ...]
    names: tuple[str, ...]
    folds: IntArray
    series: IntArray
    classes: IntArray
    features: NDArray[np.float16]
    shares: NDArray[np.uint8]
    rates: NDArray[np.float64]

    @classmethod
    def nothing(cls, kernels: Convolutions, label_sets: Sequence[LabelSet], features: int) -> "Remembered":
        """As the first run begins that remembers."""
        none = np.zeros(0, np.int64)
        counted = np.zeros((0, kernels.biases.size), np.uint8)
        rates = np.ones(1 + len(label_sets))
        of_features = np.zeros((0, features), np.float16)
        return cls(kernels, tuple(label_sets), (), none, none, none, of_features, counted, rates)

    @property
    def known(self) -> list[LabelSet]:
        """The label sets of which there are timesteps."""
        return [self.label_sets[number - 1] for number in np.unique(self.classes).tolist() if number]

    def of_tasks(self, names: Collection[str]) -> "Remembered":
        """What is remembered of these tasks."""
        kept = np.array([name in names for name in self.names], np.bool_)
        return self._part(kept[self.series] if len(self.series) else np.zeros(0, np.bool_))

    def outside(self, fold: int) -> "Remembered":
        """What is remembered of the tasks outside a fold."""
        return self._part(self.folds[self.series] != fold)

    def relabelled(self, label_sets: Sequence[LabelSet]) -> "Remembered":
        """The same with the classes of `label_sets`, without those that are not among them."""
        numbers = [
            0,
            *(list(label_sets).index(each) + 1 if each in label_sets else -1 for each in self.label_sets),
        ]
        rates = np.ones(1 + len(label_sets))
        for number, rate in zip(numbers, self.rates, strict=True):
            if number >= 0:
                rates[number] = rate
        classes = np.array(numbers)[self.classes]
        same = replace(self, label_sets=tuple(label_sets), classes=classes, rates=rates)
        return same._part(classes >= 0)

    def with_series(self, series: Sequence[OfSeries], seed: int) -> "Remembered":
        """What is remembered after a run that learned from these series; of their tasks, nothing else is."""
        read = {each.name for each in series}
        rest = self.of_tasks(set(self.names) - read)
        classes = len(self.rates)
        here = sum(_counts(each.classes, classes) for each in series)
        there = _counts(rest.classes, classes) / self.rates
        rates = np.minimum(self.rates, MOST_TIMESTEPS / classes / np.maximum(here + there, 1))
        random = np.random.default_rng((seed, len(self.names), len(self.classes)))
        rest = rest._part(random.random(len(rest.classes)) < (rates / self.rates)[rest.classes])
        parts = [rest, *(self._drawn(each, rates, random) for each in series)]
        firsts = np.cumsum([0, *(len(each.names) for each in parts)])
        return replace(
            self,
            names=tuple(name for each in parts for name in each.names),
            folds=np.concatenate([each.folds for each in parts]),
            series=np.concatenate([each.series + first for each, first in zip(parts, firsts, strict=False)]),
            classes=np.concatenate([each.classes for each in parts]),
            features=np.concatenate([each.features for each in parts]),
            shares=np.concatenate([each.shares for each in parts]),
            rates=rates,
        )

    def inputs_of_convolutions(self) -> FloatArray:
        """Of their linear layer, `(N, S + F)`."""
        shares = self.shares.astype(np.float32) / LARGEST_SHARE
        return np.concatenate([shares, self.features.astype(np.float32)], axis=1)

    def _drawn(
        self, series: OfSeries, rates: NDArray[np.float64], random: np.random.Generator
    ) -> "Remembered":
        drawn = np.flatnonzero(
            (series.classes >= 0) & (random.random(len(series.classes)) < rates[series.classes])
        )
        shares = self.kernels.shares(series.means, drawn)
        return replace(
            self,
            names=(series.name,),
            folds=np.array([series.fold]),
            series=np.zeros(len(drawn), np.int64),
            classes=series.classes[drawn],
            features=series.features[drawn].astype(np.float16),
            shares=np.rint(shares * LARGEST_SHARE).astype(np.uint8),
        )

    def _part(self, kept: NDArray[np.bool_]) -> "Remembered":
        used, series = np.unique(self.series[kept], return_inverse=True)
        return replace(
            self,
            names=tuple(self.names[number] for number in used.tolist()),
            folds=self.folds[used],
            series=series.astype(np.int64),
            classes=self.classes[kept],
            features=self.features[kept],
            shares=self.shares[kept],
        )


def _counts(classes: IntArray, number: int) -> IntArray:
    return np.bincount(classes[classes >= 0], minlength=number)


@dataclass(frozen=True, slots=True)
class Sample:
    """That a run's examples are a part of a project's: the `names` of their tasks and their `folds`, one an
    example, the model `before`, and what is `remembered` of the other tasks.
    """

    names: Sequence[str]
    folds: Sequence[int]
    before: Segmenter | None = None
    remembered: Remembered | None = None

    def with_remembered(
        self, classes: Sequence[LearnedClass], label_sets: Sequence[LabelSet]
    ) -> tuple[LearnedClass, ...]:
        """The classes that the examples teach, and those that only other tasks do; all are ranges."""
        if self.remembered is None or any(each.instant for each in classes):
            return tuple(classes)
        known = {*classes, *(LearnedClass(labels, instant=False) for labels in self.remembered.known)}
        ranges = (LearnedClass(labels, instant=False) for labels in label_sets)
        return tuple(each for each in ranges if each in known)
