"""Overlapping windows of a series, over which what a network says is averaged."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.dimensions import Dimensions

WINDOWS_IN_BATCH = 128  # larger batches are no faster on one thread, and take more memory
OVERLAP = 1 / 4  # of a window with the next

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
# inputs `(inputs, rows)` and, if there are any, rolling features `(features, timesteps)` of some rows
Stretch = tuple[FloatArray, FloatArray | None]


def window_starts(length: int, size: int, step: int = 1) -> NDArray[np.int64]:
    """First rows of windows of `size` rows that overlap by a quarter and cover rows 0 to `length`.

    Windows never reach past the end: the last one ends with the series, and a series
    shorter than a window gives the one start 0. They start at multiples of `step`, as `length` and `size`
    are.
    """
    last = length - size
    if last <= 0:
        return np.zeros(1, np.int64)
    hop = max(step, (size - round(size * OVERLAP)) // step * step)
    return np.append(np.arange(0, last, hop, dtype=np.int64), last)


def average_over_windows(
    length: int,
    size: int,
    classes: int,
    predict: Callable[[IntArray], FloatArray],
    step: int = 1,
    most: int = WINDOWS_IN_BATCH,
) -> Iterator[FloatArray]:
    """Mean of what `predict` gives for each row over all windows that hold the row.

    `predict` takes the first rows `(N,)` of windows of `size` rows, multiples of `step` and at most `most` at
    a time, to `(N, classes, size)`; what comes of it are `(classes, rows)` of one stretch after the other,
    from row 0 to `length`, at least a window. Memory does not grow with the length.
    """
    starts = window_starts(length, size, step)
    rest: FloatArray = np.zeros((classes, 0), np.float32)
    times: FloatArray = np.zeros(0, np.float32)
    for first in range(0, len(starts), most):
        batch = starts[first : first + most]
        rows = int(batch[-1] - batch[0]) + size
        totals = np.pad(rest, ((0, 0), (0, rows - len(times))))
        counts = np.pad(times, (0, rows - len(times)))
        for start, output in zip(batch - batch[0], predict(batch), strict=True):
            totals[:, start : start + size] += output
            counts[start : start + size] += 1
        following = starts[first + most : first + most + 1]
        done = int(following[0] - batch[0]) if len(following) else rows
        yield totals[:, :done] / counts[:done]
        rest, times = totals[:, done:], counts[done:]


def average_of_stretches(
    length: int,
    window: int,
    dimensions: Dimensions,
    stretch: Callable[[int, int], Stretch],
    predict: Callable[[FloatArray, FloatArray | None, IntArray], FloatArray],
    most: int = WINDOWS_IN_BATCH,
) -> Iterator[FloatArray]:
    """Class probabilities `(classes, rows)` of one stretch of a series of `length` rows after the other.

    `stretch` gives what the network sees of the rows from a first one, at the start of a timestep, to an
    end; `predict` takes it, filled up with zeros, and the first rows in it of windows `(N,)` to their
    probabilities `(N, classes, window)`, at most `most` at a time.
    """
    stride = dimensions.stride
    filled = -(-max(length, window) // stride) * stride

    def predict_windows(starts: IntArray) -> FloatArray:
        first, end = int(starts[0]), int(starts[-1]) + window
        inputs, rolling = stretch(first, min(end, length))
        if rolling is not None:
            rolling = _filled(rolling, (end - first) // stride)
        return predict(_filled(inputs, end - first), rolling, starts - first)

    done = 0
    for average in average_over_windows(filled, window, dimensions.classes, predict_windows, stride, most):
        yield average[:, : length - done]
        done += average.shape[1]


def _filled(columns: FloatArray, length: int) -> FloatArray:
    """`(C, T)` with zeros behind it, `(C, length)`."""
    return np.pad(columns, ((0, 0), (0, length - columns.shape[1])))
