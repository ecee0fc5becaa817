"""What the lengths of annotated segments say about how to learn from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.segment import UNKNOWN

IntArray = NDArray[np.int64]

SHORT_PERCENTILE = 10  # the shortest usual length, not the shortest mistake
GAP_SHARE = 0.5  # two instants are at least this share of their shortest usual distance apart
WIDENING_SHARE = 1 / 12  # of the gap: rows on either side of an instant that count as it
WIDEST = 25  # rows
STRIDES = (8, 4, 2, 1)  # samples that one timestep of the LSTM can span
TIMESTEPS_IN_RUN = 3  # at least, of the LSTM in a short labelled run
LEAST_WINDOWS = 12  # side by side in all series: from fewer, the network learns them by heart
RUNS_IN_WINDOW = 2  # at most: a longer window learns the order of segments instead of their looks


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths and distances of all annotated segments, in rows.

    `instant_classes` are the classes annotated as instants, `gap` is the least distance between two of
    them, `widening` the rows on either side of one that count as it in training. `run` is the length
    of a short labelled run, `period` that of a short range or of a distance between instants,
    `rows` the number of those that are not UNKNOWN.
    """

    instant_classes: tuple[int, ...]
    gap: int
    widening: int
    run: float
    period: float
    rows: int

    @classmethod
    def from_examples(cls, examples: Sequence[Example]) -> "Lengths":
        """From examples with learned classes, in which a class has either ranges or instants."""
        instant_classes = {int(number) for example in examples for number in example.instant_classes}
        ranges = [length for example in examples for _, length in example.range_lengths()]
        distances, across_unknown = (
            [distance for example in examples for distance in _distances(example, known=known)]
            for known in (True, False)
        )
        distance = _short(distances or across_unknown or [min(len(example.classes) for example in examples)])
        gap = max(1, int(distance * GAP_SHARE))
        widening = min(WIDEST, int(gap * WIDENING_SHARE))
        runs, periods = [_short(ranges)] if ranges else [], [_short(ranges)] if ranges else []
        if instant_classes:
            runs.append(2 * widening + 1)
            periods.append(distance)
        rows = sum(int((example.classes != UNKNOWN).sum()) for example in examples)
        return cls(tuple(sorted(instant_classes)), gap, widening, min(runs), min(periods), rows)

    def targets(self, example: Example) -> IntArray:
        """Class per row, `(T,)`, with the instants widened and laid over the ranges."""
        targets = example.classes.copy()
        for row, number in zip(example.instants, example.instant_classes, strict=True):
            targets[max(0, row - self.widening) : row + self.widening + 1] = number
        return targets

    def stride(self, sequence_size: int) -> int:
        """Samples per timestep, for windows of `sequence_size` timesteps that suit the segments."""
        most = min(
            self.run / TIMESTEPS_IN_RUN,
            RUNS_IN_WINDOW * self.period / sequence_size,
            self.rows / (LEAST_WINDOWS * sequence_size),
        )
        return next((stride for stride in STRIDES if stride <= most), 1)


def _distances(example: Example, *, known: bool) -> list[int]:
    """From one instant to the next one; if rows between them are UNKNOWN, there may be more of them."""
    instants = np.unique(example.instants)
    unknown = np.concatenate([[0], np.cumsum(example.classes == UNKNOWN)])
    between = np.diff(unknown[instants]) == 0
    distances: list[int] = np.diff(instants)[between == known].tolist()
    return distances


def _short(lengths: Sequence[int]) -> float:
    return float(np.percentile(lengths, SHORT_PERCENTILE))
