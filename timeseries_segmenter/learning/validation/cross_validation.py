"""Predictions for every example by a network that has never seen it.

The examples are shared out among folds; beside the model of all examples, each fold has a fold network,
learned from the examples outside it (Stone 1974, doi 10.1111/j.2517-6161.1974.tb00994.x). It learns for
fewer steps than the model does, and from fewer examples: what it reaches is a careful estimate of what
the model does on series that it has not seen.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.calibration import Calibration, expected_calibration_error
from timeseries_segmenter.learning.device import choose_device, fork_random
from timeseries_segmenter.learning.observer import NOBODY, Epoch, Observer, Step
from timeseries_segmenter.learning.opinions.pool import Pool
from timeseries_segmenter.learning.segmenter import FullTraining, Segmentation, Segmenter
from timeseries_segmenter.learning.training import warm_start
from timeseries_segmenter.learning.training.decoding_fit import fit_decoding
from timeseries_segmenter.learning.training.fit import Fitted
from timeseries_segmenter.learning.training.optimisation import optimise
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.schedule import LEARNING_RATE, WARMUP, PlannedSchedule
from timeseries_segmenter.learning.validation.held_out import learn_from_held_out

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Task = TypeVar("Task", bound=Hashable)

MOST_FOLDS = 3
STEPS_SHARE = 1 / 4  # of the steps of the model's last training from scratch


def assign_folds(
    tasks: Sequence[Task], earlier: Mapping[Task, int], most: int = MOST_FOLDS
) -> dict[Task, int]:
    """The fold of each task, at most `most` folds; those of `earlier` stay, and are kept forever.

    A task never comes into a fold whose network may have learned from it: a new one gets the
    emptiest fold, and if all tasks would be in one, some go to a fold of a new number.
    """
    folds = dict(earlier)
    sizes = Counter(folds[task] for task in tasks if task in folds)
    for task in tasks:
        if task not in folds:
            unused = next(fold for fold in range(len(sizes) + 1) if fold not in sizes)
            folds[task] = unused if len(sizes) < most else min(sizes, key=lambda fold: (sizes[fold], fold))
            sizes[folds[task]] += 1
    if len(tasks) > 1 and len(sizes) == 1:
        folds |= dict.fromkeys(tasks[1::2], max(folds.values()) + 1)
    return folds


def leave_out(prepared: Prepared, folds: Sequence[int]) -> Iterator[tuple[int, Prepared]]:
    """Each fold with the examples outside it; `folds` are one per example."""
    for fold in sorted(set(folds)):
        rest = prepared.without({place for place, other in enumerate(folds) if other == fold})
        if rest.remembered:
            rest = replace(rest, remembered=rest.remembered.outside(fold))
        yield fold, rest


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What fold networks, by the fold they have not seen, say about each example.

    `pool`, `price_factors`, `adapts` and `calibration` are for the model, learned from all examples; pool and
    calibration of a fold are learned from the examples of the other folds. Per example there are the
    calibrated `probabilities`, `(T, classes)` float32, the class of each row in training, `targets` `(T,)`,
    and the `segmentations`, all of the file's rows.
    """

    segmenters: dict[int, Segmenter]
    pool: Pool
    price_factors: tuple[float, ...]
    adapts: bool
    calibration: Calibration
    probabilities: list[FloatArray]
    targets: Sequence[IntArray]
    segmentations: list[Segmentation]

    def improve(self, segmenter: Segmenter) -> Segmenter:
        """The model with what held-out predictions say about pooling, decoding and calibrating its own."""
        return replace(
            segmenter.with_pool(self.pool, adapts=self.adapts),
            decoding=segmenter.decoding.at_prices(self.price_factors),
            calibration=self.calibration,
        )

    @property
    def calibration_error(self) -> float:
        """Expected calibration error of all rows, held out."""
        return expected_calibration_error(self.probabilities, self.targets)


def cross_validate(
    fitted: Fitted,
    folds: Sequence[int],
    earlier: Mapping[int, Segmenter] | None = None,
    observer: Observer = NOBODY,
) -> CrossValidation | None:
    """Held-out predictions for the examples of `fitted`, `folds` in their order; None for a single fold.

    Fold networks begin with the weights of `earlier` ones if the model itself was warm-started.
    """
    names = sorted(set(folds))
    if len(names) < 2:
        return None
    observer.on_step(Step.CHECKING)
    prepared = fitted.prepared
    if not earlier or not fitted.warm_started:
        earlier = {}
    most = max(WARMUP, round(fitted.segmenter.full_training.steps * STEPS_SHARE))
    segmenters = {}
    with fork_random(choose_device(prepared.recipe.device)):
        for place, (fold, rest) in enumerate(leave_out(prepared, folds)):
            start = earlier.get(fold)
            if start and warm_start.suit(rest, start):
                schedule = warm_start.plan(start)
            else:
                start, schedule = None, PlannedSchedule(LEARNING_RATE, most)
            part = _Part(observer, place, len(names), schedule)
            network, history = optimise(rest, start, schedule, part)
            # nobody asks how good a fold network is on what it was trained on
            full = FullTraining(history[-1].steps, len(rest.examples), 0.0, 0.0)
            segmenters[fold] = replace(
                fit_decoding(network, rest), full_training=start.full_training if start else full
            )
    learned = learn_from_held_out(prepared, folds, segmenters)
    for fold in names:
        others = [place for place, other in enumerate(folds) if other != fold]
        segmenters[fold] = replace(
            segmenters[fold].with_pool(learned.pool, adapts=learned.adapts),
            pool=learned.pools[fold],
            decoding=segmenters[fold].decoding.at_prices(learned.price_factors),
            calibration=Calibration.fit(
                [learned.probabilities[place] for place in others],
                [prepared.targets[place] for place in others],
            ),
        )
    said = list(zip(prepared.examples, folds, learned.probabilities, prepared.resamplings, strict=True))
    return CrossValidation(
        segmenters,
        learned.pool,
        learned.price_factors,
        learned.adapts,
        Calibration.fit(learned.probabilities, prepared.targets),
        [
            resampling.file_probabilities(segmenters[fold].calibration.apply(each))
            for _, fold, each, resampling in said
        ],
        [
            resampling.file_classes(targets)
            for resampling, targets in zip(prepared.resamplings, prepared.targets, strict=True)
        ],
        [
            segmenters[fold].segmentation(each, example.values, resampling)
            for example, fold, each, resampling in said
        ],
    )


@dataclass(frozen=True, slots=True)
class _Part(Observer):
    """Passes on how much of the whole is done with an epoch of the network in `place` of `networks`."""

    observer: Observer
    place: int
    networks: int
    schedule: PlannedSchedule

    def on_epoch(self, epoch: Epoch) -> None:
        share = epoch.steps / self.schedule.ends_at
        self.observer.on_cross_validation((self.place + share) / self.networks)
