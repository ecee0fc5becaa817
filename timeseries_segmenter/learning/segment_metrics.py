"""How good predicted segments are, as a person counts them: found, missed, or drawn for nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeseries_segmenter.segment import Segment


@dataclass(frozen=True, slots=True)
class Matches:
    """Predicted segments that match a true one, and how many there are of each; adds up over series."""

    matched: int = 0
    predicted: int = 0
    true: int = 0

    def __add__(self, other: "Matches") -> "Matches":
        return Matches(self.matched + other.matched, self.predicted + other.predicted, self.true + other.true)

    @property
    def f1(self) -> float:
        """1 where there is nothing to find and nothing was found."""
        total = self.predicted + self.true
        return 2 * self.matched / total if total else 1.0


def overlap_matches(true: Sequence[Segment], predicted: Sequence[Segment], least_overlap: float) -> Matches:
    """Matches by overlap, the counts of segment F1@k (Lea et al. 2017, arXiv 1611.05267).

    A predicted segment matches the true one of its label that it overlaps most, where rows in
    both are at least the share `least_overlap` of rows in either, and none before it took it.
    """
    taken: set[int] = set()
    for segment in predicted:
        overlaps = [_overlap(segment, other) if segment.labels == other.labels else 0.0 for other in true]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] >= least_overlap and overlaps[best] > 0:
            taken.add(best)
    return Matches(len(taken), len(predicted), len(true))


def point_matches(true: Sequence[Segment], predicted: Sequence[Segment], tolerance: int) -> Matches:
    """Matches of instants with the same label at most `tolerance` rows apart, the nearest pairs first."""
    pairs = sorted(
        (abs(one.first - other.first), i, j)
        for i, one in enumerate(true)
        for j, other in enumerate(predicted)
        if one.labels == other.labels and abs(one.first - other.first) <= tolerance
    )
    found: set[int] = set()
    used: set[int] = set()
    for _, i, j in pairs:
        if i not in found and j not in used:
            found.add(i)
            used.add(j)
    return Matches(len(found), len(predicted), len(true))


def edit_score(true: Sequence[Segment], predicted: Sequence[Segment]) -> float:
    """1 for the same order of labels, 0 for nothing in common (Levenshtein distance, normalised).

    Does not look at where segments are, only at which follow which (Lea et al. 2016, arXiv 1602.02995).
    """
    wanted = [segment.labels for segment in true]
    given = [segment.labels for segment in predicted]
    if not wanted and not given:
        return 1.0
    distances = list(range(len(given) + 1))
    for row, label in enumerate(wanted, 1):
        diagonal, distances[0] = distances[0], row
        for column, other in enumerate(given, 1):
            cost = min(distances[column] + 1, distances[column - 1] + 1, diagonal + (label != other))
            diagonal, distances[column] = distances[column], cost
    return 1 - distances[-1] / max(len(wanted), len(given))


def _overlap(one: Segment, other: Segment) -> float:
    """Rows in both segments, as a share of the rows in either."""
    both = min(one.last, other.last) - max(one.first, other.first) + 1
    return both / (len(one) + len(other) - both) if both > 0 else 0.0
