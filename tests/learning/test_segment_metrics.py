import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeseries_segmenter.learning.segment_metrics import (
    Corrections,
    Matches,
    count_corrections,
    edit_score,
    instant_matches,
    match_instants,
    overlap_matches,
    overlap_matches_at,
)
from timeseries_segmenter.segment import Segment


def ranges(*parts: tuple[int, int, str]) -> list[Segment]:
    return [Segment(first, last, (label,)) for first, last, label in parts]


def points(*parts: tuple[int, str]) -> list[Segment]:
    return [Segment(row, row, (label,), instant=True) for row, label in parts]


def test_overlap_is_rows_in_both_over_rows_in_either() -> None:
    true, predicted = ranges((0, 9, "A")), ranges((5, 14, "A"))
    assert overlap_matches(true, predicted, 1 / 3) == Matches(1, 1, 1)
    assert overlap_matches(true, predicted, 0.34) == Matches(0, 1, 1)
    assert overlap_matches_at(true, predicted, [1 / 3, 0.34]) == [Matches(1, 1, 1), Matches(0, 1, 1)]


def test_fragments_of_one_segment_match_it_once() -> None:
    true = ranges((0, 99, "A"))
    predicted = ranges((0, 59, "A"), (60, 79, "A"), (80, 99, "A"))
    matches = overlap_matches(true, predicted, 0.1)
    assert matches == Matches(1, 3, 1)
    assert matches.f1 == pytest.approx(0.5)


def test_another_label_never_matches() -> None:
    assert overlap_matches(ranges((0, 9, "A")), ranges((0, 9, "B")), 0.1).f1 == 0


def test_nothing_to_find_and_nothing_found_is_perfect() -> None:
    assert overlap_matches([], [], 0.5).f1 == 1
    assert overlap_matches([], ranges((0, 9, "A")), 0.5).f1 == 0
    assert edit_score([], []) == 1
    assert edit_score(ranges((0, 9, "A")), []) == 0


def test_matches_add_up_over_series() -> None:
    assert (Matches(1, 2, 3) + Matches(4, 5, 6)) == Matches(5, 7, 9)


def test_points_match_within_the_tolerance_once_and_nearest_first() -> None:
    true = points((100, "N"), (106, "N"), (200, "V"))
    predicted = points((103, "N"), (104, "N"), (205, "V"), (300, "V"))
    assert instant_matches(true, predicted, 5) == Matches(3, 4, 3)
    assert instant_matches(true, predicted, 2) == Matches(1, 4, 3)
    assert instant_matches(points((100, "N")), points((100, "V")), 5).matched == 0


def test_an_instant_matches_one_of_its_label_before_a_nearer_one_of_another() -> None:
    true = points((100, "N"), (200, "N"), (300, "V"))
    predicted = points((101, "V"), (103, "N"), (201, "V"))
    assert match_instants(true, predicted, 5) == {0: 1, 1: 2}


@pytest.mark.parametrize(
    ("true", "predicted", "score"),
    [("ABC", "ABC", 1), ("ABC", "AC", 2 / 3), ("ABC", "AABBCC", 0.5), ("AB", "BA", 0), ("A", "B", 0)],
)
def test_edit_score_looks_at_the_order_alone(true: str, predicted: str, score: float) -> None:
    def order(labels: str) -> list[Segment]:
        return ranges(*((10 * i, 10 * i + 9, label) for i, label in enumerate(labels)))

    assert edit_score(order(true), order(predicted)) == pytest.approx(score)


@given(st.text("ABC", max_size=12), st.text("ABC", max_size=12))
def test_edit_score_is_that_of_the_table_of_distances(true: str, predicted: str) -> None:
    table = np.add.outer(np.arange(len(true) + 1), np.arange(len(predicted) + 1))
    for i, wanted in enumerate(true, 1):
        for j, letter in enumerate(predicted, 1):
            kept = table[i - 1, j - 1] + (wanted != letter)
            table[i, j] = min(kept, table[i - 1, j] + 1, table[i, j - 1] + 1)
    expected = 1 - table[-1, -1] / (max(len(true), len(predicted)) or 1)
    one, other = (
        ranges(*((row, row, label) for row, label in enumerate(labels))) for labels in (true, predicted)
    )
    assert edit_score(one, other) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("true", "predicted", "needed"),
    [
        # an end off by a tenth is right, by more is moved
        ([(100, 199, "A")], [(90, 209, "A")], Corrections(true=1)),
        ([(100, 199, "A")], [(89, 199, "A")], Corrections(ends=1, true=1)),
        ([(100, 199, "A")], [(111, 188, "A")], Corrections(ends=2, true=1)),
        ([(100, 109, "A")], [(101, 107, "A")], Corrections(ends=1, true=1)),
        # the label
        ([(0, 99, "A")], [(0, 99, "B")], Corrections(labels=1, true=1)),
        ([(0, 99, "A")], [(0, 49, "B")], Corrections(labels=1, ends=1, true=1)),
        # label and both ends: to remove it and draw another is less work
        ([(0, 99, "A")], [(20, 69, "B")], Corrections(added=1, removed=1, true=1)),
        # nothing in common
        ([(0, 99, "A")], [(100, 199, "A")], Corrections(added=1, removed=1, true=1)),
        # fragments: one grows, the others go
        ([(0, 99, "A")], [(0, 59, "A"), (70, 79, "A")], Corrections(ends=1, removed=1, true=1)),
        # two in one: it becomes the one of its label, though it overlaps the other as much
        ([(0, 99, "A"), (100, 199, "B")], [(0, 199, "B")], Corrections(ends=1, added=1, true=2)),
        # one row of a long region is enough to drag an end from
        ([(0, 99, "A")], [(99, 99, "A")], Corrections(ends=1, true=1)),
        ([], [(0, 9, "A")], Corrections(removed=1)),
    ],
)  # fmt: skip
def test_corrections_are_counted_by_kind(
    true: list[tuple[int, int, str]], predicted: list[tuple[int, int, str]], needed: Corrections
) -> None:
    assert count_corrections(ranges(*true), ranges(*predicted), 5) == needed


def test_corrections_of_instants_look_at_labels_and_not_at_rows_within_the_tolerance() -> None:
    true = points((100, "N"), (200, "N"), (300, "V"))
    predicted = points((105, "N"), (199, "V"), (306, "V"))
    assert count_corrections(true, predicted, 5) == Corrections(labels=1, added=1, removed=1, true=3)


def test_a_range_never_becomes_an_instant() -> None:
    assert count_corrections(points((100, "N")), ranges((98, 102, "N")), 5) == Corrections(
        added=1, removed=1, true=1
    )


def test_corrections_add_up_and_are_divided_by_the_annotated_regions() -> None:
    total = Corrections(labels=1, added=2, removed=3, ends=4, true=3) + Corrections(ends=2, true=1)
    assert total == Corrections(labels=1, added=2, removed=3, ends=6, true=4)
    assert total.per_region == 3
    assert Corrections(removed=1).per_region is None


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    """Ranges of at most nine rows, a tenth of which is less than a row, and instants."""
    found, row = [], 0
    for gap, length, label in draw(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.sampled_from("AB")), max_size=8)
    ):
        row += gap
        found.append(Segment(row, row + max(0, length - 1), (label,), instant=not length))
        row += max(1, length)
    return found


def fewest(true: list[Segment], predicted: list[Segment]) -> int:
    """By trying every way to correct ranges, where a tenth of each is less than a row."""
    if not true:
        return len(predicted)
    one, *rest = true
    ways = [1 + fewest(rest, predicted)]
    for place, other in enumerate(predicted):
        if one.last >= other.first and one.first <= other.last:
            steps = (one.first != other.first) + (one.last != other.last) + (one.labels != other.labels)
            ways.append(steps + fewest(rest, predicted[:place] + predicted[place + 1 :]))
    return min(ways)


@given(segments(), segments())
def test_no_other_way_needs_fewer_corrections(true: list[Segment], predicted: list[Segment]) -> None:
    true, predicted = ([one for one in each if not one.instant] for each in (true, predicted))
    found = count_corrections(true, predicted, 5)
    assert found.labels + found.added + found.removed + found.ends == fewest(true, predicted)
    assert len(true) - found.added == len(predicted) - found.removed  # one to one


@given(segments())
def test_a_perfect_prediction_needs_no_correction_and_an_empty_one_each_region_added(
    true: list[Segment],
) -> None:
    assert count_corrections(true, true, 5) == Corrections(true=len(true))
    assert count_corrections(true, [], 5) == Corrections(added=len(true), true=len(true))


def test_as_many_regions_as_an_annotation_may_have_are_compared_in_seconds() -> None:
    count = 200_000
    random = np.random.default_rng(0)
    starts = 20 * np.arange(count)
    wrong = random.choice(["A", "A", "A", "B"], count)
    true = ranges(*((int(row), int(row) + 15, "A") for row in starts))
    predicted = ranges(
        *((int(row), int(row) + 12, label) for row, label in zip(starts, wrong.tolist(), strict=True))
    )
    began = time.process_time()
    found = count_corrections(true, predicted, 5)
    assert found == Corrections(labels=int((wrong == "B").sum()), ends=count, true=count)
    assert overlap_matches(true, predicted, 0.5).matched == (wrong == "A").sum()
    assert time.process_time() - began < 30
