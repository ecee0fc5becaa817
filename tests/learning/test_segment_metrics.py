import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeseries_segmenter.learning.segment_metrics import (
    Matches,
    edit_score,
    instant_matches,
    match_instants,
    overlap_matches,
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
    assert overlap_matches(true, predicted, 0.5).matched == (wrong == "A").sum()
    assert time.process_time() - began < 30
