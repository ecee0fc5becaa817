"""What held-out predictions say about the prices of a decoding.

Lengths of segments say what a change of class may cost, but not how sure a network is of series that it has
not seen. Where it misses short segments, a change is too dear; where it finds too many, too cheap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.learning.segment_metrics import Matches, paired_difference
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.validation.matching import find, is_better, match

FloatArray = NDArray[np.float32]

FACTORS = (1 / 8, 1 / 4, 1 / 2, 1, 2)  # of all prices, as lengths say
CHEAPER, DEARER = (1 / 2, 1 / 4), (2, 4)  # of the price of one label, after that
TOO_FEW, TOO_MANY = 0.8, 1.25  # segments of a label that are found, by those that there are


@dataclass(frozen=True, slots=True)
class _Trial:
    """The factors of the prices, one a class, what is found at them, and how much of it is right."""

    factors: tuple[float, ...]
    found: Sequence[Example]
    matches: Sequence[Matches]

    @property
    def f1(self) -> float:
        return sum(self.matches, Matches()).f1

    def beats(self, other: "_Trial") -> bool:
        return is_better(*paired_difference(self.matches, other.matches))


def fit_price_factors(
    prepared: Prepared, decodings: Sequence[Decoding], probabilities: Sequence[FloatArray]
) -> tuple[float, ...]:
    """By what to multiply the prices, `(classes,)`, to find more segments; 1 where nothing is better by
    more than its noise.

    First one factor for all classes; then another for each label of which far too few or too many segments
    are found. `decodings` and held-out `probabilities` `(T, classes)` are one per example.
    """

    def attempt(factors: tuple[float, ...]) -> _Trial:
        found = find(prepared, [each.at_prices(factors) for each in decodings], probabilities)
        return _Trial(factors, found, match(prepared, found))

    classes = prepared.dimensions.classes
    best = _better([attempt((factor,) * classes) for factor in FACTORS], attempt((1.0,) * classes))
    for number in range(1, classes):
        own = [_scaled(best.factors, number, factor) for factor in _own_factors(prepared, best.found, number)]
        best = _better([attempt(factors) for factors in own], best)
    return best.factors


def _better(trials: Sequence[_Trial], best: _Trial) -> _Trial:
    """The trial that finds the most, if that is more than `best` does."""
    highest = max(trials, key=lambda trial: trial.f1, default=best)
    return highest if highest.beats(best) else best


def _own_factors(prepared: Prepared, found: Sequence[Example], number: int) -> tuple[float, ...]:
    """Those worth a trial for a class."""
    true, predicted = (_count_ranges(each, number) for each in (prepared.examples, found))
    if predicted < TOO_FEW * true:
        return CHEAPER
    return DEARER if predicted > TOO_MANY * true > 0 else ()


def _count_ranges(examples: Sequence[Example], number: int) -> int:
    return sum(own == number for example in examples for own, _, _ in runs_of(example.classes))


def _scaled(factors: tuple[float, ...], number: int, factor: float) -> tuple[float, ...]:
    return (*factors[:number], factors[number] * factor, *factors[number + 1 :])
