"""How good predicted segments are, as a person counts them: found, missed, or predicted for nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.segment import Segment

IntArray = NDArray[np.int64]

ROOM = 10  # an end is right within the 10th part of the annotated region
ADD_AND_REMOVE = 2  # corrections


@dataclass(frozen=True, slots=True)
class Corrections:
    """What a person has to do to turn predicted segments into the annotated ones; adds up over series.

    `labels` to change, segments to be `added` and `removed`, `ends` to move, and how many `true` segments
    there are.
    """

    labels: int = 0
    added: int = 0
    removed: int = 0
    ends: int = 0
    true: int = 0

    def __add__(self, other: "Corrections") -> "Corrections":
        return Corrections(
            self.labels + other.labels,
            self.added + other.added,
            self.removed + other.removed,
            self.ends + other.ends,
            self.true + other.true,
        )

    @property
    def per_region(self) -> float | None:
        """All of them, by the number of annotated segments; None if there is none."""
        return (self.labels + self.added + self.removed + self.ends) / self.true if self.true else None


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


def paired_difference(matches: Sequence[Matches], others: Sequence[Matches]) -> tuple[float, float]:
    """The F1 of all series less that of `others`, on the same series, and the noise of that.

    The noise is the standard error by the jackknife over series (Efron and Stein 1981, doi
    10.1214/aos/1176345462).
    """
    counts, of_others = _counts(matches), _counts(others)
    difference = float(_f1(counts.sum(axis=0)) - _f1(of_others.sum(axis=0)))
    without_one = _f1(counts.sum(axis=0) - counts) - _f1(of_others.sum(axis=0) - of_others)
    return difference, float(np.sqrt((len(without_one) - 1) * without_one.var()))


def _counts(matches: Sequence[Matches]) -> NDArray[np.float64]:
    """Twice the matched segments, and the predicted and true ones together: `(series, 2)`."""
    return np.array([(2 * each.matched, each.predicted + each.true) for each in matches], float)


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 by the last axis of `_counts`; 1 where there is nothing to find and nothing was found."""
    found, total = counts[..., 0], counts[..., 1]
    return np.where(total > 0, found / np.maximum(total, 1), 1.0)


def overlap_matches(true: Sequence[Segment], predicted: Sequence[Segment], least_overlap: float) -> Matches:
    """Matches by overlap, the counts of segment F1@k (Lea et al. 2017, arXiv 1611.05267).

    A predicted segment matches the true one of its label that it overlaps most, where rows in
    both are at least the share `least_overlap` of rows in either, and none before it took it.
    """
    (matches,) = overlap_matches_at(true, predicted, [least_overlap])
    return matches


def overlap_matches_at(
    true: Sequence[Segment], predicted: Sequence[Segment], least_overlaps: Sequence[float]
) -> list[Matches]:
    """`overlap_matches` for each of the shares, at the cost of one."""
    places, others, overlaps = _overlapping(true, predicted)
    one, other = _labels(true, predicted)
    same = one[places] == other[others]
    places, others, overlaps = places[same], others[same], overlaps[same]
    order = np.lexsort((places, -overlaps, others))
    _, best = np.unique(others[order], return_index=True)
    places, overlaps = places[order][best], overlaps[order][best]
    return [
        Matches(len(np.unique(places[overlaps >= least])), len(predicted), len(true))
        for least in least_overlaps
    ]


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


def count_corrections(true: Sequence[Segment], predicted: Sequence[Segment], tolerance: int) -> Corrections:
    """The corrections that turn `predicted` into `true`: an edit distance whose steps are a person's.

    A predicted range is corrected into an annotated one, whatever its label, if they have a row in common:
    to drag an end is one step however far, and less work than to remove the region and draw another. Each
    takes part once. Pairs that need the fewest steps come first, then those that overlap most; a pair that
    needs more than two is removed and added instead. Every other range is added or removed.

    Instants are paired by `match_instants`; one that is at most `tolerance` rows off stays where it is.

    Parameters
    ----------
    true, predicted
        Annotated and predicted segments of one series, in any order. An instant never becomes a range.
    tolerance
        Rows that an instant may be off.

    Notes
    -----
    An end is moved if it is off by more than a tenth of the annotated segment's rows. For ranges that do not
    overlap others of the same series, no other pairs give fewer corrections, but for such tenths. Time is
    O(n log n) in the number of segments and of pairs that overlap.

    """
    (ranges, instants), (other_ranges, other_instants) = (
        [[one for one in each if one.instant is instant] for instant in (False, True)]
        for each in (true, predicted)
    )
    of_instants = _instant_corrections(instants, other_instants, tolerance)
    return of_instants + _range_corrections(ranges, other_ranges)


def _instant_corrections(
    true: Sequence[Segment], predicted: Sequence[Segment], tolerance: int
) -> Corrections:
    found = match_instants(true, predicted, tolerance)
    return Corrections(
        labels=sum(true[i].labels != predicted[j].labels for i, j in found.items()),
        added=len(true) - len(found),
        removed=len(predicted) - len(found),
        true=len(true),
    )


def _range_corrections(true: Sequence[Segment], predicted: Sequence[Segment]) -> Corrections:
    places, others, overlaps = _overlapping(true, predicted)
    one, other = _labels(true, predicted)
    relabelled = one[places] != other[others]
    (firsts, lasts), (other_firsts, other_lasts) = _bounds(true), _bounds(predicted)
    room = (lasts - firsts + 1)[places]
    ends = np.zeros(len(places), np.int64)
    for wanted, given in ((firsts, other_firsts), (lasts, other_lasts)):
        ends += ROOM * np.abs(wanted[places] - given[others]) > room
    steps = relabelled + ends
    order = np.lexsort((others, places, -overlaps, steps))
    order = order[steps[order] <= ADD_AND_REMOVE]
    free, free_others = [True] * len(true), [True] * len(predicted)
    labels = moved = 0
    for pair, i, j in zip(order.tolist(), places[order].tolist(), others[order].tolist(), strict=True):
        if free[i] and free_others[j]:
            free[i] = free_others[j] = False
            labels += int(relabelled[pair])
            moved += int(ends[pair])
    return Corrections(labels, sum(free), sum(free_others), moved, len(true))


def edit_score(true: Sequence[Segment], predicted: Sequence[Segment]) -> float:
    """1 for the same order of labels, 0 for nothing in common (Levenshtein distance, normalised).

    Does not look at where segments are, only at which follow which (Lea et al. 2016, arXiv 1602.02995).
    """
    if not (true and predicted):
        return float(not true and not predicted)
    wanted, given = _labels(true, predicted)
    return 1 - _distance(wanted, given) / max(len(wanted), len(given))


def _distance(wanted: IntArray, given: IntArray) -> int:
    """Levenshtein's, with the differences in a column of its table as bits (Myers 1999, Hyyrö 2003)."""
    rows = {
        label: int.from_bytes(np.packbits(wanted == label, bitorder="little").tobytes(), "little")
        for label in np.unique(wanted).tolist()
    }
    distance = len(wanted)
    every, last = (1 << len(wanted)) - 1, 1 << (len(wanted) - 1)
    more, less = every, 0  # rows whose number is one more, or one less, than that above
    for label in given.tolist():
        same = rows.get(label, 0)
        diagonal = (((same & more) + more) ^ more) | same
        right_more, right_less = less | ~(diagonal | more), more & diagonal
        distance += bool(right_more & last) - bool(right_less & last)
        right_more, right_less = right_more << 1 | 1, right_less << 1
        more, less = (
            (right_less | ~(same | less | right_more)) & every,
            right_more & (same | less) & every,
        )
    return distance


def _overlapping(
    true: Sequence[Segment], predicted: Sequence[Segment]
) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """The pairs with a row in common: places in `true` and `predicted`, and rows in both over rows in either.

    Of two segments that overlap, one starts within the other.
    """
    (firsts, lasts), (other_firsts, other_lasts) = _bounds(true), _bounds(predicted)
    holds, starts = _starting_between(other_firsts, firsts, lasts)
    others_hold, others_start = _starting_between(firsts, other_firsts + 1, other_lasts)
    places, others = np.concatenate([holds, others_start]), np.concatenate([starts, others_hold])
    start = np.maximum(firsts[places], other_firsts[others])
    both = np.minimum(lasts[places], other_lasts[others]) - start + 1
    either = (lasts - firsts + 1)[places] + (other_lasts - other_firsts + 1)[others] - both
    return places, others, both / either


def _starting_between(firsts: IntArray, lows: IntArray, highs: IntArray) -> tuple[IntArray, IntArray]:
    """Each place in `lows` with each in `firsts` that is between its low and its high, both inclusive."""
    order = np.argsort(firsts, kind="stable")
    start = np.searchsorted(firsts[order], lows)
    stop = np.searchsorted(firsts[order], highs, side="right")
    counts = np.maximum(0, stop - start)
    holders = np.repeat(np.arange(len(lows)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return holders, order[np.repeat(start, counts) + within]


def _bounds(segments: Sequence[Segment]) -> tuple[IntArray, IntArray]:
    """First and last rows."""
    firsts, lasts = np.array([(one.first, one.last) for one in segments], np.int64).reshape(-1, 2).T
    return firsts, lasts


def _labels(true: Sequence[Segment], predicted: Sequence[Segment]) -> tuple[IntArray, IntArray]:
    """The label set of each segment, as a number."""
    sets = dict.fromkeys(one.labels for each in (true, predicted) for one in each)
    numbers = {labels: number for number, labels in enumerate(sets)}
    one, other = (np.array([numbers[s.labels] for s in each], np.int64) for each in (true, predicted))
    return one, other
