"""What labeling and learning share: a segment, the label set that it carries, and the rows that it has."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

LabelSet = tuple[str, ...]

UNKNOWN = -1  # in place of a class: nobody knows what the row is, and nothing is learned from it


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive rows of one series that carry one label set.

    `first` and `last` are row numbers from 0, both inclusive. `labels` are one label mostly,
    several if a person gave one region several. `score` is the mean probability of the
    label set over these rows, 1.0 if people annotated the segment. `instant` distinguishes an instant
    (`first` is `last`) from a range of one row. `region` is the id of the annotated region.
    """

    first: int
    last: int
    labels: LabelSet
    score: float = 1.0
    instant: bool = False
    region: str | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return self.last - self.first + 1

    def within(self, first: int, last: int) -> "Segment | None":
        """What of it lies on these rows, counted from `first`; None if nothing does."""
        start, end = max(self.first, first), min(self.last, last)
        return replace(self, first=start - first, last=end - first) if start <= end else None

    def as_instant(self) -> "Segment":
        """An instant in the middle of these rows."""
        middle = (self.first + self.last) // 2
        return replace(self, first=middle, last=middle, instant=True)


def label_set_name(labels: LabelSet) -> str:
    """What people read for a label set: `Walk`, or `Walk + Uphill`."""
    return " + ".join(labels)


def class_by_row(
    segments: Iterable[Segment], class_of: Callable[[Segment], int], length: int
) -> NDArray[np.int64]:
    """The class of the segment at each row, `(length,)` int64, 0 if there is none.

    If segments overlap, the shorter one has its rows; of equally long ones the last.
    """
    classes = np.zeros(length, dtype=np.int64)
    for segment in sorted(segments, key=len, reverse=True):
        classes[segment.first : segment.last + 1] = class_of(segment)
    return classes
