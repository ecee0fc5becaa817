"""An order of series in which the first ones hold most of what all of them hold. It needs no labels.

The next series is the one whose windows bring the windows of all series nearest to one that was chosen
(facility location; Wei, Iyer and Bilmes 2015, proceedings.mlr.press/v37/wei15). So typical series come
first, and then those that are unlike all before them, as far as many are so (as Hacohen et al. 2022, arXiv
2202.02794, want it while few are annotated).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Described = Mapping[str, FloatArray]  # the windows of each of a task's series, by its name

COLD_WINDOW = 50  # rows, while no annotation says how long segments are
LARGEST_SHARE = 1 / 2  # of a series that a window is, at most: all of them would be the same
WIDTHS = (1 / 16, 1 / 4, 1)  # of a window, as those of the rolling features
LEAST_WIDTH = 4  # rows
KINDS = 5  # of statistics: level, level in the series, slope, spread, steps
MOST_WINDOWS, LEAST_WINDOWS = 64, 16  # of a series, spread over it evenly
MOST_STATISTICS = 1 << 14  # of a series: one of many channels has fewer windows
MOST_PLACES = 1024  # windows of all series to which the chosen ones are to be near
LEAST_SPREAD = 1e-3  # deviations; the logarithm of less says nothing
LARGEST = 5.0  # deviations
DIMENSIONS = 16  # in which windows are compared: those in which they vary most


def describe(values: FloatArray, window: int) -> FloatArray:
    """Statistics of windows of so many rows of a series `(T, C)`, `(windows, KINDS, widths, C)`.

    They are in the units of the channels, so that series can be described one by one. A missing value counts
    as its channel's mean.
    """
    rows, channels = values.shape
    window = min(window, int(rows * LARGEST_SHARE))
    widths = [max(LEAST_WIDTH, int(window * share)) for share in WIDTHS]
    most = max(LEAST_WINDOWS, MOST_STATISTICS // (KINDS * len(widths) * channels))
    count = min(rows, most, MOST_WINDOWS)
    firsts = np.clip(middles(count, rows) - widths[-1] / 2, 0, max(0, rows - widths[-1])).astype(np.int64)
    windows = values[np.minimum(firsts[:, None] + np.arange(widths[-1]), rows - 1)]
    known = np.isfinite(windows)
    mean = windows.sum(axis=(0, 1), where=known) / np.maximum(known.sum(axis=(0, 1)), 1)
    windows = np.where(known, windows, mean)
    statistics = np.empty((count, KINDS, len(widths), channels), np.float32)
    for number, width in enumerate(widths):
        first = (widths[-1] - width) // 2
        part = windows[:, first : first + width]
        early, late = part[:, : width // 2], part[:, width // 2 :]
        level = part.mean(axis=1)
        steps = np.abs(np.diff(part, axis=1)).mean(axis=1)
        slope = late.mean(axis=1) - early.mean(axis=1)
        statistics[:, :, number] = np.stack([level, level - mean, slope, part.std(axis=1), steps], axis=1)
    return statistics


def middles(windows: int, rows: int) -> NDArray[np.float64]:
    """The middles of so many windows that are described of a series of so many rows, in rows."""
    return (np.arange(windows) + 0.5) * rows / windows


def order_by_coverage(tasks: Sequence[Described], covered: Sequence[Described] = ()) -> Iterator[int]:
    """Places of all `tasks`, that one first which adds most to what the `covered` ones hold.

    Each takes as long as it takes to compare all that are left: take no more than are needed.
    """
    distances = _distances([*tasks, *covered], len(tasks))
    near = distances.max(axis=0, initial=0)  # as far as what is unlike it most
    near = np.minimum(near, distances[len(tasks) :].min(axis=0, initial=np.inf))
    left = np.arange(len(tasks))
    while len(left):
        gains = np.maximum(near - distances[left], 0).sum(axis=1)
        best = left[gains.argmax()]
        yield int(best)
        near = np.minimum(near, distances[best])
        left = left[left != best]


def _distances(tasks: Sequence[Described], pool: int) -> FloatArray:
    """How near each task comes to windows of the first `pool` of them, `(tasks, places)`.

    Those of series with one name are compared; a task without such a series is as far as any.
    """
    names = dict.fromkeys(name for task in tasks[:pool] for name in task)
    found = [_distances_of(tasks, name, pool) for name in names]
    return np.concatenate([np.zeros((len(tasks), 0), np.float32), *found], axis=1)


def _distances_of(tasks: Sequence[Described], name: str, pool: int) -> FloatArray:
    owners = [number for number, task in enumerate(tasks) if name in task]
    windows = _comparable([tasks[owner][name] for owner in owners])
    of_pool = np.concatenate(
        [each for owner, each in zip(owners, windows, strict=True) if owner < pool], dtype=np.float32
    )
    places = of_pool[:: -(-len(of_pool) // MOST_PLACES)]
    nearest = np.stack([_nearest(places, each) for each in windows])
    distances = np.tile(nearest.max(axis=0), (len(tasks), 1))
    distances[owners] = nearest
    return distances


def _comparable(series: Sequence[FloatArray]) -> list[FloatArray]:
    """The windows of each series, standardised, in the DIMENSIONS in which they vary most."""
    statistics = np.concatenate(series, dtype=np.float64)
    levels, spreads = statistics[:, :3], statistics[:, 3:]
    variance = np.square(spreads[:, :1, -1:]).mean(axis=0) + levels[:, :1, -1:].var(axis=0)
    deviation = np.sqrt(np.where(variance > 0, variance, 1))
    spreads = np.log(spreads / deviation + LEAST_SPREAD)
    rows = np.concatenate([levels / deviation, spreads], axis=1).reshape(len(statistics), -1)
    rows -= rows.mean(axis=0)
    scale = rows.std(axis=0)
    rows /= np.where(scale > LEAST_SPREAD, scale, 1)
    np.clip(rows, -LARGEST, LARGEST, out=rows)
    _, directions = np.linalg.eigh(rows.T @ rows)
    compared = (rows @ directions[:, -DIMENSIONS:]).astype(np.float32)
    return np.split(compared, np.cumsum([len(each) for each in series])[:-1])


def _nearest(places: FloatArray, windows: FloatArray) -> FloatArray:
    """Distance of each of the places to the nearest of the windows."""
    squares = np.square(places).sum(axis=1)[:, None] - 2 * places @ windows.T + np.square(windows).sum(axis=1)
    nearest: FloatArray = np.sqrt(np.maximum(squares.min(axis=1), 0))
    return nearest
