"""How good predicted classes are, row by row. Class 0 is background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.segment import UNKNOWN

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Metrics over the classes that occur in the truth; the others have F1 NaN.

    A class that occurs but is never predicted has F1 0, in the minimum and the mean as well.
    """

    accuracy: float
    balanced_accuracy: float
    f1: tuple[float, ...]
    macro_f1: float
    min_f1: float


def confusion_matrix(truth: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """`(classes, classes)` counts of rows: true class down, predicted class across.

    Rows whose true class is UNKNOWN don't count.
    """
    known = truth != UNKNOWN
    pairs = np.bincount(truth[known] * classes + predicted[known], minlength=classes * classes)
    return pairs.reshape(classes, classes).astype(np.int64)


def scores_of(confusion: IntArray) -> Scores:
    """Scores of a confusion matrix that holds at least one row of truth."""
    hits = np.diag(confusion).astype(float)
    support = confusion.sum(axis=1)
    predicted = confusion.sum(axis=0)
    occurs = support > 0
    f1 = np.full(len(hits), np.nan)
    f1[occurs] = 2 * hits[occurs] / (support + predicted)[occurs]
    return Scores(
        accuracy=float(hits.sum() / support.sum()),
        balanced_accuracy=float((hits[occurs] / support[occurs]).mean()),
        f1=tuple(float(score) for score in f1),
        macro_f1=float(f1[occurs].mean()),
        min_f1=float(f1[occurs].min()),
    )
