"""How good predicted segments are, as a person counts them: found, missed, or predicted for nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeseries_segmenter.segment import LabelSet, Segment


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
    numbers = _numbers(true, predicted)
    firsts, lasts, labels = (
        np.array([(one.first, one.last, numbers[one.labels]) for one in true], int).reshape(-1, 3).T
    )
    taken: set[int] = set()
    for segment in predicted if true else ():
        both = np.minimum(lasts, segment.last) - np.maximum(firsts, segment.first) + 1
        either = lasts - firsts + 1 + len(segment) - both
        overlaps = np.where((labels == numbers[segment.labels]) & (both > 0), both / either, 0.0)
        best = int(overlaps.argmax())
        if overlaps[best] >= least_overlap and overlaps[best] > 0:
            taken.add(best)
    return Matches(len(taken), len(predicted), len(true))


def match_instants(true: Sequence[Segment], predicted: Sequence[Segment], tolerance: int) -> dict[int, int]:
    """Which predicted instant is which annotated one: places in `predicted` by those in `true`.

    They are at most `tolerance` rows apart; those with the same labels match first, then the nearest.
    """
    order = sorted(range(len(predicted)), key=lambda place: predicted[place].first)
    rows = np.array([predicted[place].first for place in order], np.int64)
    near = [np.searchsorted(rows, [one.first - tolerance, one.first + tolerance + 1]) for one in true]
    pairs = sorted(
        (one.labels != predicted[j].labels, abs(one.first - predicted[j].first), i, j)
        for i, (one, (start, stop)) in enumerate(zip(true, near, strict=True))
        for j in order[start:stop]
    )
    matched: dict[int, int] = {}
    used: set[int] = set()
    for _, _, i, j in pairs:
        if i not in matched and j not in used:
            matched[i] = j
            used.add(j)
    return matched


def instant_matches(true: Sequence[Segment], predicted: Sequence[Segment], tolerance: int) -> Matches:
    """Matches of instants with the same labels, by `match_instants`."""
    matched = match_instants(true, predicted, tolerance).items()
    same = sum(true[i].labels == predicted[j].labels for i, j in matched)
    return Matches(same, len(predicted), len(true))


def edit_score(true: Sequence[Segment], predicted: Sequence[Segment]) -> float:
    """1 for the same order of labels, 0 for nothing in common (Levenshtein distance, normalised).

    Does not look at where segments are, only at which follow which (Lea et al. 2016, arXiv 1602.02995).
    """
    if not true and not predicted:
        return 1.0
    numbers = _numbers(true, predicted)
    wanted, given = (
        np.array([numbers[one.labels] for one in segments], int) for segments in (true, predicted)
    )
    places = np.arange(len(given) + 1)
    distances = places
    for row, label in enumerate(wanted, 1):
        kept_or_left_out = np.minimum(distances[1:] + 1, distances[:-1] + (given != label))
        # one more is given: the least of those before it, and one for each step
        distances = np.minimum.accumulate(np.concatenate([[row], kept_or_left_out]) - places) + places
    return 1 - int(distances[-1]) / max(len(wanted), len(given))


def _numbers(*segments: Sequence[Segment]) -> dict[LabelSet, int]:
    """A number for each label set, which arrays can hold."""
    sets = dict.fromkeys(one.labels for each in segments for one in each)
    return {labels: number for number, labels in enumerate(sets)}
