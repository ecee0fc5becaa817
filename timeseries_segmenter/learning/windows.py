"""Overlapping windows of one series, and the average of what a network says about them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

WINDOWS_IN_BATCH = 128  # larger batches are no faster on one thread, and take more memory
OVERLAP = 1 / 4  # of a window with the next

FloatArray = NDArray[np.float32]


def window_starts(length: int, size: int) -> NDArray[np.int64]:
    """First rows of windows of `size` rows that overlap by a quarter and cover rows 0 to `length`.

    Windows never reach past the end: the last one ends with the series, and a series
    shorter than a window gives the one start 0.
    """
    last = length - size
    if last <= 0:
        return np.zeros(1, np.int64)
    return np.append(np.arange(0, last, max(1, size - round(size * OVERLAP)), dtype=np.int64), last)


def average_over_windows(
    values: FloatArray, size: int, classes: int, predict: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """Mean of what `predict` gives for each row over all windows that hold the row.

    `values` is `(T, C)`; `predict` takes `(N, size, C)` windows to `(N, size, classes)`; the result
    is `(T, classes)`. A series shorter than a window is filled up with zeros, as in training.
    Memory does not grow with the number of windows.
    """
    if len(values) < size:
        filled = np.pad(values, ((0, size - len(values)), (0, 0)))
        return predict(filled[None])[0, : len(values)]
    length = len(values)
    starts = window_starts(length, size)
    rows = np.arange(size)
    totals = np.zeros((length, classes), np.float32)
    counts = np.zeros((length, 1), np.float32)
    for first in range(0, len(starts), WINDOWS_IN_BATCH):
        batch = starts[first : first + WINDOWS_IN_BATCH]
        outputs = predict(values[batch[:, None] + rows])
        for start, output in zip(batch, outputs, strict=True):
            totals[start : start + size] += output
            counts[start : start + size] += 1
    totals /= counts
    return totals
