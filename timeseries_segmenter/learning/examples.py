"""Labelled series, and what the lengths of their segments tell about how to learn from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding import run_starts

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

SHORT_PERCENTILE = 10  # the shortest usual length, not the shortest mistake
GAP_SHARE = 0.5  # two instants stand at least this share of their shortest usual distance apart
WIDENING_SHARE = 1 / 12  # of the gap: rows on either side of an instant that count as it
WIDEST = 25  # rows
STRIDES = (8, 4, 2, 1)  # samples that one timestep of the LSTM can span
TIMESTEPS_IN_RUN = 3  # at least, of the LSTM in a short labelled run
LEAST_WINDOWS = 12  # side by side in all series: from fewer, the network learns them by heart
RUNS_IN_WINDOW = 2  # at most: a longer window learns the order of segments instead of their looks


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled series: `values` `(T, C)` float32, NaN where missing; `classes` `(T,)` int64,
    0 for background; `instants` the rows, `(N,)` int64, that were drawn as points in time.
    """

    values: FloatArray
    classes: IntArray
    instants: IntArray


@dataclass(frozen=True, slots=True)
class Shapes:
    """What the drawn segments of all examples look like, in rows.

    `points` are the classes drawn as instants, `gap` the least distance between two of them,
    `widening` the rows on either side of one that count as it in training. `run` is the length
    of a short labelled run, `period` that of a short range or of a distance between instants,
    `rows` that of all series.
    """

    points: tuple[int, ...]
    gap: int
    widening: int
    run: float
    period: float
    rows: int

    @classmethod
    def of(cls, examples: Sequence[Example], classes: int) -> "Shapes":
        """A class is one of points where most of its segments are instants."""
        instants = np.zeros(classes, np.int64)
        lengths: list[list[int]] = [[] for _ in range(classes)]
        distances: list[int] = []
        for example in examples:
            instants += np.bincount(example.classes[example.instants], minlength=classes)
            starts = run_starts(example.classes)
            for start, length in zip(starts, np.diff([*starts, len(example.classes)]), strict=True):
                if start not in example.instants:
                    lengths[example.classes[start]].append(int(length))
            distances.extend(np.diff(np.sort(example.instants)).tolist())
        points = tuple(number for number in range(1, classes) if instants[number] > len(lengths[number]))
        ranges = [run for number in range(1, classes) if number not in points for run in lengths[number]]
        distance = _short(distances or [min(len(example.classes) for example in examples)])
        gap = max(1, int(distance * GAP_SHARE))
        widening = min(WIDEST, int(gap * WIDENING_SHARE))
        runs, periods = [_short(ranges)] if ranges else [], [_short(ranges)] if ranges else []
        if points:
            runs.append(2 * widening + 1)
            periods.append(distance)
        rows = sum(len(example.classes) for example in examples)
        return cls(points, gap, widening, min(runs), min(periods), rows)

    def targets(self, example: Example) -> IntArray:
        """Class per row, `(T,)`, with the instants of point classes widened."""
        targets = example.classes.copy()
        for row in example.instants:
            if example.classes[row] in self.points:
                targets[max(0, row - self.widening) : row + self.widening + 1] = example.classes[row]
        return targets

    def stride(self, sequence_size: int) -> int:
        """Samples per timestep, for windows of `sequence_size` timesteps that suit the segments."""
        most = min(
            self.run / TIMESTEPS_IN_RUN,
            RUNS_IN_WINDOW * self.period / sequence_size,
            self.rows / (LEAST_WINDOWS * sequence_size),
        )
        return next((stride for stride in STRIDES if stride <= most), 1)


def _short(lengths: Sequence[int]) -> float:
    return float(np.percentile(lengths, SHORT_PERCENTILE))
