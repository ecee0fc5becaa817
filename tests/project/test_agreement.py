import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.labeling.targets import AnnotatedSegments
from timeseries_segmenter.learning.segment_metrics import Matches
from timeseries_segmenter.project.agreement import agree
from timeseries_segmenter.segment import Segment

ROWS = 100


def of(*segments: Segment, known: NDArray[np.bool_] | None = None) -> AnnotatedSegments:
    return AnnotatedSegments(list(segments), [], [], np.ones(ROWS, bool) if known is None else known)


def run(first: int, last: int, region: str | None = None) -> Segment:
    return Segment(first, last, ("Run",), region=region)


def walk(first: int, last: int) -> Segment:
    return Segment(first, last, ("Walk",))


def beat(row: int, label: str = "Beat") -> Segment:
    return Segment(row, row, (label,), instant=True)


def unknown(annotated: AnnotatedSegments) -> list[int]:
    rows: list[int] = np.flatnonzero(~annotated.known).tolist()
    return rows


def test_rows_on_which_people_differ_teach_nothing_and_the_others_what_all_say() -> None:
    newest = of(run(10, 39, "a"), walk(50, 79))
    together, agreement = agree([newest, of(run(12, 41), walk(48, 79)), of(run(10, 39))], ROWS)
    assert together.segments == [run(12, 39)]
    assert together.segments[0].region == "a"
    assert unknown(together) == [10, 11, 40, 41, *range(48, 80)]
    assert agreement.annotations == 3
    assert agreement.rows == {("Run",): (28, 32), ("Walk",): (0, 32)}
    assert agreement.share == 28 / 64


def test_a_region_that_another_one_only_touches_is_not_the_same() -> None:
    together, agreement = agree([of(run(0, 50)), of(run(49, 99))], ROWS)
    assert together.segments == []
    assert not together.known.any()
    assert agreement.rows == {("Run",): (0, 100)}
    halves, _ = agree([of(run(0, 99)), of(run(0, 47), run(52, 99))], ROWS)
    assert halves.segments == [run(0, 47), run(52, 99)]
    assert unknown(halves) == [48, 49, 50, 51]


def test_what_one_annotation_does_not_know_is_no_disagreement() -> None:
    first_half = np.arange(ROWS) < 50
    together, agreement = agree([of(run(10, 39), known=first_half), of(run(10, 39), walk(60, 89))], ROWS)
    assert together.segments == [run(10, 39), walk(60, 89)]
    assert together.known.all()
    assert agreement.rows == {("Run",): (30, 30)}
    both = agree([of(run(10, 39), known=first_half), of(walk(10, 39), known=first_half)], ROWS)[0]
    assert unknown(both) == [*range(10, 40), *range(50, 100)]


def test_instants_near_each_other_are_one_in_the_middle_and_others_are_disputed() -> None:
    together, agreement = agree(
        [of(beat(20), beat(50), beat(80)), of(beat(24), beat(80, "Other")), of(beat(22))], ROWS
    )
    assert together.segments == [beat(22)]
    assert unknown(together) == [*range(45, 56), *range(75, 86)]
    assert agreement.rows == {}
    assert agreement.instants == {("Beat",): Matches(3, 3, 7), ("Other",): Matches(0, 1, 1)}
    assert agreement.share == 0.5


def test_an_instant_that_another_annotation_does_not_know_counts() -> None:
    first_half = np.arange(ROWS) < 50
    together, _ = agree([of(beat(20)), of(beat(18), beat(70), known=first_half)], ROWS)
    assert together.segments == [beat(19)]
    ignored, _ = agree([of(beat(70)), of(known=first_half)], ROWS)
    assert ignored.segments == [beat(70)]


def test_annotations_without_a_region_agree_that_nothing_is_there() -> None:
    together, agreement = agree([of(), of()], ROWS)
    assert together.segments == []
    assert together.known.all()
    assert agreement.share == 1
