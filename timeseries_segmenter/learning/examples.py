"""Labelled series as the training sees them: instants widened, lengths measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding import run_starts

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

GAP_SHARE = 0.5  # two instants stand at least this share of their shortest usual gap apart
WIDENING_SHARE = 1 / 16  # of the gap: rows on either side of an instant that count as it
WIDEST = 25  # rows
SHORT_PERCENTILE = 10  # the shortest usual gap or run, not the shortest mistake
TIMESTEPS_IN_RUN = 4  # the LSTM should see a short labelled run for at least this many timesteps
STRIDES = (8, 4, 2, 1)  # samples per timestep


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
    """How long the drawn segments are, and which classes are drawn as points.

    `gap` is the least number of rows between two instants, `widening` the rows on either side
    of one that count as it.
    """

    points: tuple[int, ...]
    gap: int
    widening: int

    @classmethod
    def of(cls, examples: Sequence[Example], classes: int) -> "Shapes":
        """A class is one of points where most of its segments are instants."""
        instants = np.zeros(classes, np.int64)
        ranges = np.zeros(classes, np.int64)
        gaps: list[int] = []
        for example in examples:
            instants += np.bincount(example.classes[example.instants], minlength=classes)
            starts = run_starts(example.classes)
            lone = np.isin(starts, example.instants)
            ranges += np.bincount(example.classes[starts[~lone]], minlength=classes)
            gaps.extend(np.diff(np.sort(example.instants)).tolist())
        points = tuple(int(c) for c in range(1, classes) if instants[c] > ranges[c])
        usual = (
            float(np.percentile(gaps, SHORT_PERCENTILE)) if gaps else min(len(e.classes) for e in examples)
        )
        gap = max(1, int(usual * GAP_SHARE))
        return cls(points, gap, min(WIDEST, int(gap * WIDENING_SHARE)))

    def targets(self, example: Example) -> IntArray:
        """Class per row, `(T,)`, with the instants of point classes widened."""
        targets = example.classes.copy()
        for row in example.instants:
            if example.classes[row] in self.points:
                targets[max(0, row - self.widening) : row + self.widening + 1] = example.classes[row]
        return targets


def stride_for(targets: Sequence[IntArray]) -> int:
    """Samples that one timestep of the LSTM spans: as many as short labelled runs allow."""
    lengths: list[int] = []
    for target in targets:
        starts = run_starts(target)
        runs = np.diff([*starts, len(target)])
        lengths.extend(runs[target[starts] > 0].tolist())
    usual = np.percentile(lengths, SHORT_PERCENTILE)
    return next((stride for stride in STRIDES if usual >= stride * TIMESTEPS_IN_RUN), 1)
