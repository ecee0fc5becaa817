"""Labelled series, and what the lengths of their segments tell about how to learn from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding import runs_of
from timeseries_segmenter.segment import LabelSet

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

SHORT_PERCENTILE = 10  # the shortest usual length, not the shortest mistake
GAP_SHARE = 0.5  # two instants stand at least this share of their shortest usual distance apart
WIDENING_SHARE = 1 / 12  # of the gap: rows on either side of an instant that count as it
WIDEST = 25  # rows
STRIDES = (8, 4, 2, 1)  # samples that one timestep of the LSTM can span
TIMESTEPS_IN_RUN = 3  # at least, of the LSTM in a short labelled run
LEAST_WINDOWS = 12  # side by side in all series: from fewer, the network learns them by heart
LEAST_OF_KIND = 2  # ranges of a label set drawn as instants, or the reverse, that are no slip of the hand
LEAST_SHARE_OF_KIND = 0.1  # of the number of the other kind
RUNS_IN_WINDOW = 2  # at most: a longer window learns the order of segments instead of their looks


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled series: `values` `(T, C)` float32, NaN where missing; `classes` `(T,)` int64, the
    class of the range that a row belongs to, 0 for background; `instants` the rows, `(N,)` int64,
    that were drawn as points in time, and `instant_classes` their classes.
    """

    values: FloatArray
    classes: IntArray
    instants: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    instant_classes: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def range_lengths(self) -> Iterator[tuple[int, int]]:
        """Class and number of rows of each range."""
        for number, start, end in runs_of(self.classes):
            if number:
                yield number, end - start


@dataclass(frozen=True, slots=True)
class LearnedClass:
    """A class of the network: ranges, or points in time, with one label set."""

    labels: LabelSet
    point: bool


def learned_classes(examples: Sequence[Example], label_sets: Sequence[LabelSet]) -> tuple[LearnedClass, ...]:
    """The classes that `examples` teach; class `i + 1` in them stands for `label_sets[i]`.

    A label set that was drawn both as ranges and as instants gives a class of each, unless one kind is
    so rare that it is likely a slip of the hand.
    """
    ranges = np.zeros(len(label_sets) + 1, np.int64)
    instants = np.zeros(len(label_sets) + 1, np.int64)
    for example in examples:
        instants += np.bincount(example.instant_classes, minlength=len(ranges))
        for number, _ in example.range_lengths():
            ranges[number] += 1
    classes = []
    for number, labels in enumerate(label_sets, 1):
        for point, count, other in (
            (False, ranges[number], instants[number]),
            (True, instants[number], ranges[number]),
        ):
            rare = count < max(LEAST_OF_KIND, LEAST_SHARE_OF_KIND * other)
            if count and not (rare and count < other):
                classes.append(LearnedClass(labels, point))
    return tuple(classes)


def with_learned_classes(
    example: Example, label_sets: Sequence[LabelSet], classes: Sequence[LearnedClass]
) -> Example:
    """The same example, with class `i + 1` for `classes[i]`.

    Of a label set whose ranges or instants are not learned, an instant is left out and a range
    becomes an instant in its middle.
    """
    range_numbers, point_numbers = (
        np.array([0, *(_number(classes, LearnedClass(labels, point)) for labels in label_sets)])
        for point in (False, True)
    )
    instants = [*zip(example.instants, point_numbers[example.instant_classes], strict=True)]
    for drawn, start, end in runs_of(example.classes):
        if drawn and not range_numbers[drawn]:
            instants.append(((start + end - 1) // 2, point_numbers[drawn]))
    rows = np.array(sorted((row, number) for row, number in instants if number), np.int64).reshape(-1, 2)
    return Example(example.values, range_numbers[example.classes], rows[:, 0], rows[:, 1])


def _number(classes: Sequence[LearnedClass], wanted: LearnedClass) -> int:
    return classes.index(wanted) + 1 if wanted in classes else 0


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
    def of(cls, examples: Sequence[Example]) -> "Shapes":
        """From examples with learned classes, in which a class has either ranges or instants."""
        points = sorted({int(number) for example in examples for number in example.instant_classes})
        ranges = [length for example in examples for _, length in example.range_lengths()]
        distances = [
            int(distance) for example in examples for distance in np.diff(np.unique(example.instants))
        ]
        distance = _short(distances or [min(len(example.classes) for example in examples)])
        gap = max(1, int(distance * GAP_SHARE))
        widening = min(WIDEST, int(gap * WIDENING_SHARE))
        runs, periods = [_short(ranges)] if ranges else [], [_short(ranges)] if ranges else []
        if points:
            runs.append(2 * widening + 1)
            periods.append(distance)
        rows = sum(len(example.classes) for example in examples)
        return cls(tuple(points), gap, widening, min(runs), min(periods), rows)

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


def _short(lengths: Sequence[int]) -> float:
    return float(np.percentile(lengths, SHORT_PERCENTILE))
