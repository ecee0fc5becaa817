"""A model and its cross-validation, and what people likely forgot to annotate left out of it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.observer import NOBODY, Observer
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.fit import Fitted, fit
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.training.remembered import Sample
from timeseries_segmenter.learning.validation.cross_validation import CrossValidation, cross_validate
from timeseries_segmenter.learning.validation.held_out import LEAST_EXAMPLES
from timeseries_segmenter.segment import UNKNOWN, LabelSet

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Rows = NDArray[np.bool_]

MOST_BACKGROUND = 0.6  # its held-out probability on rows that are likely an event which nobody annotated
MOST_SHARE = 2 / 3  # of the background rows: networks that find less of it don't know what it is
LEAST_SHARE = 0.1  # of the annotated rows: fewer are what a model gets wrong with complete annotations


@dataclass(frozen=True, slots=True)
class Validated:
    """A fitted model and what networks that never saw a series say about it; None for a single fold.

    `doubtful` are the rows of each example, `(T,)` bool, that taught the model nothing: they were annotated
    as background, and networks that never saw them find an event there. The cross-validation took
    `check_seconds`.
    """

    fitted: Fitted
    validation: CrossValidation | None
    doubtful: Sequence[Rows]
    check_seconds: float

    @property
    def segmenter(self) -> Segmenter:
        """The model, improved by what its cross-validation says, if there is one."""
        segmenter = self.fitted.segmenter
        return (
            self.validation.improve(segmenter) if self.validation else replace(segmenter, convolutions=None)
        )


def fit_and_validate(
    examples: Sequence[Example],
    label_sets: Sequence[LabelSet],
    channels: Sequence[str],
    recipe: Recipe,
    folds: Sequence[int],
    observer: Observer = NOBODY,
    start: Segmenter | None = None,
    earlier: Mapping[int, Segmenter] | None = None,
    sample: Sample | None = None,
) -> Validated:
    """`fit` and `cross_validate`; and `fit` once more if annotations are likely missing, without those rows.

    The cross-validation is of all rows as they were annotated.
    """
    fitted = fit(examples, label_sets, channels, recipe, observer, start, sample)
    began = time.monotonic()
    validation = cross_validate(fitted, folds, earlier, observer)
    seconds = time.monotonic() - began
    doubtful = [np.zeros(len(each.classes), np.bool_) for each in examples]
    if validation is None or len(examples) < LEAST_EXAMPLES:
        return Validated(fitted, validation, doubtful, seconds)
    found = find_doubtful(validation.targets, validation.probabilities)
    if not any(rows.any() for rows in found):
        return Validated(fitted, validation, doubtful, seconds)
    without = [
        replace(each, classes=np.where(rows & (each.classes == 0), UNKNOWN, each.classes))
        for each, rows in zip(examples, found, strict=True)
    ]
    again = fit(without, label_sets, channels, recipe, observer, start, sample)
    return Validated(again, validation, found, seconds)


def find_doubtful(targets: Sequence[IntArray], probabilities: Sequence[FloatArray]) -> list[Rows]:
    """The rows, `(T,)` bool for each series, that are background by their `targets` `(T,)`, and an event by
    the held-out `probabilities` `(T, classes)`; none if there are too few or too many of them to be believed.
    """
    found = [
        (classes == 0) & (each[:, 0] < MOST_BACKGROUND)
        for classes, each in zip(targets, probabilities, strict=True)
    ]
    annotated = sum(int((classes > 0).sum()) for classes in targets)
    background = sum(int((classes == 0).sum()) for classes in targets)
    if LEAST_SHARE * annotated <= sum(int(rows.sum()) for rows in found) <= MOST_SHARE * background:
        return found
    return [np.zeros(len(classes), np.bool_) for classes in targets]
