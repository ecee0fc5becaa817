"""Overlapping windows of one series, and the average of what a network says about them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

WINDOWS_IN_BATCH = 128  # larger batches are no faster on one thread, and take more memory

FloatArray = NDArray[np.float32]


def window_starts(length: int, size: int) -> NDArray[np.int64]:
    """First rows of windows of `size` rows that overlap by half and cover rows 0 to `length`.

    Windows never reach past the end: the last one ends with the series, and a series
    shorter than a window gives the one start 0.
    """
    last = length - size
    if last <= 0:
        return np.zeros(1, np.int64)
    return np.append(np.arange(0, last, max(1, size // 2), dtype=np.int64), last)


def average_over_windows(
    values: FloatArray, size: int, classes: int, predict: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """Mean of what `predict` gives for each row over all windows that hold the row.

    `values` is `(T, C)`; `predict` takes `(N, S, C)` windows to `(N, S, classes)`; the result
    is `(T, classes)`. Memory does not grow with the number of windows.
    """
    length = len(values)
    size = min(size, length)
    starts = window_starts(length, size)
    totals = np.zeros((length, classes), np.float32)
    counts = np.zeros((length, 1), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(values, size, axis=0)
    for first in range(0, len(starts), WINDOWS_IN_BATCH):
        batch = starts[first : first + WINDOWS_IN_BATCH]
        outputs = predict(np.ascontiguousarray(windows[batch].transpose(0, 2, 1)))
        for start, output in zip(batch, outputs, strict=True):
            totals[start : start + size] += output
            counts[start : start + size] += 1
    totals /= counts
    return totals
