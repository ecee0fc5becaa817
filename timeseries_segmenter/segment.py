"""The one word that labeling and learning share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive rows of one series that carry one label.

    `first` and `last` are row numbers from 0, both inclusive. `score` is the mean
    probability of the label over these rows, 1.0 where a person drew the segment.
    `instant` tells a point in time (`first` is `last`) from a range of one row.
    """

    first: int
    last: int
    label: str
    score: float = 1.0
    instant: bool = False

    def __len__(self) -> int:
        return self.last - self.first + 1
