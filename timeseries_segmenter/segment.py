"""The two words that labeling and learning share: a segment, and the label set that it carries."""

from dataclasses import dataclass, field

LabelSet = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive rows of one series that carry one label set.

    `first` and `last` are row numbers from 0, both inclusive. `labels` are one label mostly,
    several where a person gave one region several. `score` is the mean probability of the
    label set over these rows, 1.0 where a person drew the segment. `instant` tells a point in
    time (`first` is `last`) from a range of one row. `region` is the id of the region that a
    person drew.
    """

    first: int
    last: int
    labels: LabelSet
    score: float = 1.0
    instant: bool = False
    region: str | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return self.last - self.first + 1


def label_set_name(labels: LabelSet) -> str:
    """What people read for a label set: `Walk`, or `Walk + Uphill`."""
    return " + ".join(labels)
