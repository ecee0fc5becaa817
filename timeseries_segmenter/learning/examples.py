"""Annotated series, and the classes that they teach."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.segment import UNKNOWN, LabelSet

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

LEAST_OF_KIND = 2  # ranges of a label set annotated as instants, or the reverse, that are no slip of the hand
LEAST_SHARE_OF_KIND = 0.1  # of the number of the other kind


@dataclass(frozen=True, slots=True)
class Example:
    """One annotated series: `values` `(T, C)` float32, NaN where missing; `classes` `(T,)` int64, the
    class of the range that a row belongs to, 0 for background, UNKNOWN if it teaches nothing (which not all
    rows of a series do); `instants` the rows, `(N,)` int64, that were annotated as instants, and
    `instant_classes` their classes; `times` `(T,)` float64, never decreasing, if it is known when the rows
    were measured.
    """

    values: FloatArray
    classes: IntArray
    instants: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    instant_classes: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    times: NDArray[np.float64] | None = None

    def range_lengths(self) -> Iterator[tuple[int, int]]:
        """Class and number of rows of each range."""
        for number, start, end in runs_of(self.classes):
            if number > 0:
                yield number, end - start


@dataclass(frozen=True, slots=True)
class LearnedClass:
    """A class of the network: ranges, or instants, with one label set."""

    labels: LabelSet
    instant: bool


def learned_classes(examples: Sequence[Example], label_sets: Sequence[LabelSet]) -> tuple[LearnedClass, ...]:
    """The classes that `examples` teach; class `i + 1` in them stands for `label_sets[i]`.

    A label set that was annotated both as ranges and as instants gives a class of each, unless one kind is
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
        for instant, count, other in (
            (False, ranges[number], instants[number]),
            (True, instants[number], ranges[number]),
        ):
            if count and not is_slip(count, other):
                classes.append(LearnedClass(labels, instant))
    return tuple(classes)


def is_slip(count: int, other: int) -> bool:
    """Whether so few segments of a label set are likely slips of the hand, beside the `other` kind."""
    return count < other and count < max(LEAST_OF_KIND, LEAST_SHARE_OF_KIND * other)


def with_learned_classes(
    example: Example, label_sets: Sequence[LabelSet], classes: Sequence[LearnedClass]
) -> Example:
    """The same example, with class `i + 1` for `classes[i]`.

    Of a label set whose ranges or instants are not learned, an instant is left out and a range
    becomes an instant in its middle.
    """
    range_numbers, instant_numbers = (
        # the last one is that of UNKNOWN, -1
        np.array([0, *(_number(classes, LearnedClass(labels, instant)) for labels in label_sets), UNKNOWN])
        for instant in (False, True)
    )
    instants = [*zip(example.instants, instant_numbers[example.instant_classes], strict=True)]
    for number, start, end in runs_of(example.classes):
        if number > 0 and not range_numbers[number]:
            instants.append(((start + end - 1) // 2, instant_numbers[number]))
    rows = np.array(sorted((row, number) for row, number in instants if number), np.int64).reshape(-1, 2)
    return replace(
        example, classes=range_numbers[example.classes], instants=rows[:, 0], instant_classes=rows[:, 1]
    )


def choose_some(count: int, most: int, seed: int) -> list[int]:
    """The places of at most so many of `count` examples, drawn at random, in their order."""
    places = np.random.default_rng(seed).permutation(count)[:most]
    return sorted(places.tolist())


def _number(classes: Sequence[LearnedClass], wanted: LearnedClass) -> int:
    return classes.index(wanted) + 1 if wanted in classes else 0
