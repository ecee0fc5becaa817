import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series, TimeAxis, read_series
from timeseries_segmenter.labeling.targets import (
    annotation_segments,
    choose_annotation,
    class_indices,
    drawn_label_sets,
)
from timeseries_segmenter.segment import Segment

REQUESTS = Path(__file__).parents[1] / "data" / "label_studio" / "requests"
PAIR = LabelPair("label", "ts", "$csv_url", "url", ",", None, None, ("value",), ("Run", "Walk"))


def body(name: str) -> dict:
    return json.loads((REQUESTS / f"{name}.json").read_text())["body"]


def index_series(length: int = 300) -> Series:
    return Series(np.zeros((length, 1), np.float32), ("value",), TimeAxis(np.arange(float(length))))


def region(start, end, *labels, **more) -> dict:
    value = {"start": start, "end": end, "instant": False, "timeserieslabels": list(labels)}
    return {
        "id": "r1",
        "from_name": "label",
        "to_name": "ts",
        "type": "timeserieslabels",
        "value": value,
    } | more


def segments(*regions, length: int = 300) -> list[Segment]:
    return annotation_segments({"result": list(regions)}, PAIR, index_series(length))


# Which annotation counts


@pytest.mark.parametrize("annotations", [[], [{"id": 1, "was_cancelled": True}]])
def test_no_submitted_annotation_counts_for_nothing(annotations):
    assert choose_annotation(annotations) is None


def test_a_skipped_annotation_never_counts():
    kept = {"id": 1, "updated_at": "2024-01-01T00:00:00Z"}
    skipped = {"id": 2, "was_cancelled": True, "ground_truth": True, "updated_at": "2025-01-01T00:00:00Z"}
    assert choose_annotation([kept, skipped]) is kept


def test_a_ground_truth_counts_before_a_newer_annotation():
    old = {"id": 1, "ground_truth": True, "updated_at": "2024-01-01T00:00:00Z"}
    truth = {"id": 2, "ground_truth": True, "updated_at": "2024-02-01T00:00:00Z"}
    newer = {"id": 3, "ground_truth": False, "updated_at": "2025-01-01T00:00:00Z"}
    assert choose_annotation([truth, newer, old]) is truth


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"updated_at": "2026-11-22T10:43:10Z"}, {"updated_at": "2026-11-22T10:43:10.803139Z"}),
        ({"updated_at": "2026-11-22T12:00:00+02:00"}, {"updated_at": "2026-11-22T11:00:00Z"}),
        ({"created_at": "2026-01-01T00:00:00Z"}, {"created_at": "2026-01-02T00:00:00Z"}),
        ({"id": 4}, {"id": 11}),
        ({"updated_at": "never"}, {"updated_at": "1970-01-01T00:00:00"}),
    ],
)
def test_the_newest_annotation_counts(older, newer):
    assert choose_annotation([newer, older]) is newer
    assert choose_annotation([older, newer]) is newer


def test_an_annotation_submitted_empty_counts():
    annotation = body("webhook_annotation_created_empty_result")["annotation"]
    assert choose_annotation([annotation]) is annotation
    assert annotation_segments(annotation, PAIR, index_series()) == []


@pytest.mark.parametrize("name", ["skipped_empty", "skipped_with_region"])
def test_real_skipped_annotations_teach_nothing(name):
    assert choose_annotation([body(f"webhook_annotation_created_{name}")["annotation"]]) is None


# Regions to segments


def test_real_range_and_instant_become_segments():
    annotation = body("webhook_annotation_created_range_and_instant")["annotation"]
    drawn = [result["value"] for result in annotation["result"]]
    found = annotation_segments(annotation, PAIR, index_series())
    assert [(s.first, s.last, s.labels, s.instant) for s in found] == sorted(
        (value["start"], value["end"], tuple(value["timeserieslabels"]), value["instant"]) for value in drawn
    )
    assert {segment.instant for segment in found} == {True, False}


def test_real_relations_are_passed_over():
    annotation = body("webhook_annotation_created_with_relation")["annotation"]
    kinds = [result["type"] for result in annotation["result"]]
    assert "relation" in kinds
    found = annotation_segments(annotation, PAIR, index_series())
    assert len(found) == kinds.count("timeserieslabels") > 0


def test_real_inline_series_and_its_annotation_are_read_together():
    request = body("predict_json_inline")
    (pair,) = parse_label_config(request["label_config"]).pairs
    task = request["tasks"][0]
    series = read_series(pair.find_value(task["data"]), pair, task["id"])
    assert len(series) == 300
    found = annotation_segments(task["annotations"][0], pair, series)
    assert (found[0].first, found[0].last, found[0].labels) == (40, 89, ("Run",))


def test_segments_come_in_the_order_of_their_rows():
    found = segments(region(200, 210, "Run"), region(5, 9, "Walk"), region(5, 7, "Run"))
    assert [(s.first, s.last) for s in found] == [(5, 7), (5, 9), (200, 210)]


def test_a_region_with_several_labels_has_its_first_known_one():
    assert [s.labels for s in segments(region(1, 2, "Swim", "Walk", "Run"))] == [("Walk",)]


def test_a_region_has_all_its_known_labels_where_the_choice_is_multiple():
    several = replace(PAIR, multiple=True)
    annotation = {"result": [region(1, 2, "Swim", "Walk", "Run"), region(4, 5, "Walk")]}
    found = annotation_segments(annotation, several, index_series())
    assert [s.labels for s in found] == [("Run", "Walk"), ("Walk",)]


@pytest.mark.parametrize(
    "passed_over",
    [
        region(1, 2),
        region(1, 2, "Swim"),
        region(300, 310, "Run"),
        region(-9, -1, "Run"),
        region(None, 2, "Run"),
        region(1, 2, "Run", from_name="other"),
        region(1, 2, "Run", to_name="other"),
        region(1, 2, "Run", value="text"),
        region(1, 2, "Run", value={"end": 3, "timeserieslabels": ["Run"]}),
        region(1, 2, "Run", value={"start": 1, "end": 3, "timeserieslabels": "Run"}),
        {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"},
        {"id": "r1", "from_name": "mood", "to_name": "ts", "type": "choices", "value": {"choices": ["Run"]}},
        "text",
        None,
    ],
)
def test_what_is_no_region_of_ours_is_passed_over(passed_over):
    assert [(s.first, s.last) for s in segments(passed_over, region(3, 4, "Run"))] == [(3, 4)]


@pytest.mark.parametrize(
    ("start", "end", "flag", "instant"),
    [(5, 5, False, True), ("5", 5.0, False, True), (5, 5, True, True), (5, 6, False, False)],
)
def test_an_instant_is_marked_or_starts_where_it_ends(start, end, flag, instant):
    drawn = region(start, end, "Run")
    drawn["value"]["instant"] = flag
    assert [s.instant for s in segments(drawn)] == [instant]


@pytest.mark.parametrize(("start", "end"), [("soon", 3), (3, "soon"), (5, 3)])
def test_a_region_with_unreadable_times_is_an_error_that_names_it(start, end):
    with pytest.raises(SeriesError, match='Region "r1"'):
        segments(region(start, end, "Run"))


@pytest.mark.parametrize("result", [None, "text", {}])
def test_an_annotation_without_results_has_no_segments(result):
    assert annotation_segments({"result": result}, PAIR, index_series()) == []


# Segments to classes


def test_classes_number_the_labels_from_one():
    classes = class_indices([Segment(1, 2, ("Walk",)), Segment(4, 4, ("Run",))], (("Run",), ("Walk",)), 6)
    assert classes.tolist() == [0, 2, 2, 0, 1, 0]
    assert classes.dtype == np.int64


@pytest.mark.parametrize("order", [1, -1])
def test_the_shorter_segment_wins_its_rows(order):
    overlapping = [Segment(0, 5, ("Run",)), Segment(2, 3, ("Walk",)), Segment(3, 3, ("Run",))][::order]
    assert class_indices(overlapping, (("Run",), ("Walk",)), 7).tolist() == [1, 1, 2, 1, 1, 1, 0]


def test_an_unknown_label_is_background():
    assert class_indices([Segment(0, 1, ("Swim",))], (("Run",),), 3).tolist() == [0, 0, 0]


# What there is to learn


def drawn_sets(*label_sets):
    segments = [Segment(row, row, labels) for row, labels in enumerate(label_sets)]
    return drawn_label_sets(segments, ("Run", "Walk", "Swim"))


def test_each_label_is_a_set_of_its_own_drawn_or_not():
    assert drawn_sets(("Walk",)) == (("Run",), ("Walk",), ("Swim",))


def test_each_drawn_combination_is_a_set_after_the_labels():
    both, three = ("Run", "Swim"), ("Run", "Walk", "Swim")
    assert drawn_sets(both, ("Run",), both, three) == (("Run",), three, both)
    assert drawn_sets(both) == (("Walk",), both)
