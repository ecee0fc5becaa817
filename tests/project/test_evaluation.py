from timeseries_segmenter.project.evaluation import Comparison, evaluate, table
from timeseries_segmenter.segment import Segment

LABEL_SETS = (("A",), ("B",))
TRUE = [Segment(0, 99, ("A",)), Segment(200, 299, ("B",)), Segment(350, 350, ("A",), instant=True)]
PREDICTED = [Segment(0, 84, ("A",)), Segment(200, 299, ("A",)), Segment(320, 330, ("B",))]


def test_overlaps_of_half_three_quarters_and_nine_tenths_are_told_apart() -> None:
    metrics = evaluate([Comparison(TRUE[:1], PREDICTED[:1], 400)], LABEL_SETS)
    assert metrics["segment_f1"] == {"10": 1, "25": 1, "50": 1, "75": 1, "90": 0}


def test_corrections_are_those_of_all_series_by_annotated_region() -> None:
    metrics = evaluate([Comparison(TRUE, PREDICTED, 400), Comparison(TRUE, [], 400)], LABEL_SETS)
    assert metrics["corrections"] == {
        "labels": 1,
        "added": 1 + 3,
        "removed": 1,
        "ends": 1,
        "per_region": 7 / 6,
    }
    assert "corrections per region    1.167\n" in table(metrics)


def test_without_an_annotated_region_there_is_nothing_to_divide_corrections_by() -> None:
    metrics = evaluate([Comparison([], PREDICTED, 400)], LABEL_SETS)
    assert metrics["corrections"]["removed"] == 3
    assert metrics["corrections"]["per_region"] is None
    assert "corrections per region    -\n" in table(metrics)
