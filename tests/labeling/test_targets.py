import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from timeseries_segmenter.errors import RegionError, SeriesError, TrainingError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.labeling.series import Series, TimeAxis, read_series
from timeseries_segmenter.labeling.targets import (
    annotated_label_sets,
    annotation_segments,
    choose_annotations,
    class_indices,
    read_annotation,
)
from timeseries_segmenter.labeling.time.formats import TimeFormat
from timeseries_segmenter.segment import LabelSet, Segment

REQUESTS = Path(__file__).parents[1] / "data" / "label_studio" / "requests"
PAIR = LabelPair("label", "ts", "$csv_url", "url", ",", None, None, ("value",), ("Run", "Walk"))


def body(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((REQUESTS / f"{name}.json").read_text())["body"]
    return content


def index_series(length: int = 300) -> Series:
    return Series(np.zeros((length, 1), np.float32), ("value",), TimeAxis(np.arange(length, dtype=float)))


def region(start: object, end: object, *labels: str, **more: object) -> dict[str, Any]:
    value = {"start": start, "end": end, "instant": False, "timeserieslabels": list(labels)}
    return {
        "id": "r1",
        "from_name": "label",
        "to_name": "ts",
        "type": "timeserieslabels",
        "value": value,
    } | more


def segments(*regions: Any, length: int = 300) -> list[Segment]:
    return annotation_segments({"result": list(regions)}, PAIR, index_series(length))


# Which annotation counts


@pytest.mark.parametrize("annotations", [[], [{"id": 1, "was_cancelled": True}]])
def test_no_submitted_annotation_counts_for_nothing(annotations: list[dict[str, Any]]) -> None:
    assert choose_annotations(annotations) == []


def test_a_skipped_annotation_never_counts() -> None:
    kept = {"id": 1, "updated_at": "2024-01-01T00:00:00Z"}
    skipped = {"id": 2, "was_cancelled": True, "ground_truth": True, "updated_at": "2025-01-01T00:00:00Z"}
    assert choose_annotations([kept, skipped]) == [kept]


def test_a_ground_truth_counts_before_a_newer_annotation() -> None:
    old = {"id": 1, "ground_truth": True, "updated_at": "2024-01-01T00:00:00Z"}
    truth = {"id": 2, "ground_truth": True, "updated_at": "2024-02-01T00:00:00Z"}
    newer = {"id": 3, "ground_truth": False, "updated_at": "2025-01-01T00:00:00Z"}
    assert choose_annotations([truth, newer, old]) == [truth]


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
def test_the_newest_annotation_of_a_person_counts(older: dict[str, Any], newer: dict[str, Any]) -> None:
    assert choose_annotations([newer, older]) == [newer]
    assert choose_annotations([older, newer]) == [newer]


def test_annotations_of_several_people_count_each_by_its_newest() -> None:
    mine = {"id": 1, "completed_by": 1, "updated_at": "2024-01-01T00:00:00Z"}
    mine_later = {"id": 2, "completed_by": {"id": 1}, "updated_at": "2024-01-03T00:00:00Z"}
    hers = {"id": 3, "completed_by": {"email": "b@example.com"}, "updated_at": "2024-01-02T00:00:00Z"}
    nobodys = [{"id": number, "updated_at": "2023-01-01T00:00:00Z"} for number in (4, 5)]
    assert choose_annotations([mine, *nobodys, hers, mine_later]) == [mine_later, hers, nobodys[1]]
    truth = hers | {"ground_truth": True}
    assert choose_annotations([mine, truth, mine_later]) == [truth]


def test_an_annotation_submitted_empty_counts() -> None:
    annotation = body("webhook_annotation_created_empty_result")["annotation"]
    assert choose_annotations([annotation]) == [annotation]
    assert annotation_segments(annotation, PAIR, index_series()) == []


@pytest.mark.parametrize("name", ["skipped_empty", "skipped_with_region"])
def test_real_skipped_annotations_teach_nothing(name: str) -> None:
    assert choose_annotations([body(f"webhook_annotation_created_{name}")["annotation"]]) == []


# Regions to segments


def test_real_range_and_instant_become_segments() -> None:
    annotation = body("webhook_annotation_created_range_and_instant")["annotation"]
    drawn = [result["value"] for result in annotation["result"]]
    found = annotation_segments(annotation, PAIR, index_series())
    assert [(s.first, s.last, s.labels, s.instant) for s in found] == sorted(
        (value["start"], value["end"], tuple(value["timeserieslabels"]), value["instant"]) for value in drawn
    )
    assert {segment.instant for segment in found} == {True, False}


def test_real_relations_are_passed_over() -> None:
    annotation = body("webhook_annotation_created_with_relation")["annotation"]
    kinds = [result["type"] for result in annotation["result"]]
    assert "relation" in kinds
    found = annotation_segments(annotation, PAIR, index_series())
    assert len(found) == kinds.count("timeserieslabels") > 0


def test_real_inline_series_and_its_annotation_are_read_together() -> None:
    request = body("predict_json_inline")
    (pair,) = parse_label_config(request["label_config"]).pairs
    task = request["tasks"][0]
    content: Any = pair.find_value(task["data"])
    series = read_series(content, pair, task["id"])
    assert len(series) == 300
    found = annotation_segments(task["annotations"][0], pair, series)
    assert (found[0].first, found[0].last, found[0].labels) == (40, 89, ("Run",))


def test_segments_come_in_the_order_of_their_rows() -> None:
    found = segments(region(200, 210, "Run"), region(5, 9, "Walk"), region(5, 7, "Run"))
    assert [(s.first, s.last) for s in found] == [(5, 7), (5, 9), (200, 210)]


def test_a_region_with_several_labels_has_its_first_known_one() -> None:
    assert [s.labels for s in segments(region(1, 2, "Swim", "Walk", "Run"))] == [("Walk",)]


def test_a_region_has_all_its_known_labels_where_the_choice_is_multiple() -> None:
    several = replace(PAIR, multiple=True)
    annotation = {"result": [region(1, 2, "Swim", "Walk", "Run"), region(4, 5, "Walk")]}
    found = annotation_segments(annotation, several, index_series())
    assert [s.labels for s in found] == [("Run", "Walk"), ("Walk",)]


KNOWN = replace(PAIR, label_tags=(("label", "ts"), ("label", "heart"), ("old", "ts"), ("skipped", "heart")))
RELATION = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
CHOICE = {"id": "r1", "from_name": "mood", "to_name": "ts", "type": "choices"}


@pytest.mark.parametrize(
    "passed_over",
    [
        region(1, 2, "Run", from_name="old"),
        region(1, 2, "Run", to_name="heart"),
        region(1, 2, "Run", from_name="skipped", to_name="heart"),
        RELATION,
        CHOICE | {"value": {"start": 1, "end": 2, "choices": ["Run"]}},
        CHOICE | {"type": "textarea", "value": {"start": 1, "end": 2, "text": ["Run"]}},
        CHOICE | {"type": "rating", "value": {"start": 1, "end": 2, "rating": 3}},
        CHOICE | {"to_name": "text", "type": "labels", "value": {"start": 1, "end": 2, "labels": ["Run"]}},
    ],
)
def test_what_is_no_region_of_ours_is_passed_over(passed_over: object) -> None:
    result = {"result": [passed_over, region(3, 4, "Run")]}
    assert [(s.first, s.last) for s in annotation_segments(result, KNOWN, index_series())] == [(3, 4)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (region(1, 2), 'Region "r1" (1 to 2) has no label'),
        (
            region(1, 2, "run"),
            'Region "r1" (run, 1 to 2) has the label "run", which TimeSeriesLabels "label"',
        ),
        (region(1, 2, "run"), 'it has "Run", "Walk"'),
        (region(1, 2, "RUN "), '(which differs from "Run" in case, blanks or form of characters alone)'),
        (region(300, 310, "Run"), "lies outside the series, which runs from 0 to 299"),
        (region(-9, -1, "Run"), 'Region "r1" (Run, -9 to -1) lies outside'),
        (region(None, 2, "Run"), 'Region "r1" (Run, null to 2) has no start'),
        (region(1, None, "Run"), "has no end"),
        (region(1, float("nan"), "Run"), 'Region "r1" (Run, 1 to null) has no end'),
        (region(1, "", "Run"), "'' is not a number"),
        (region(1, [2], "Run"), "[2] is not a number"),
        (region(1, True, "Run"), "True is not a number"),
        (region(5, 3, "Run"), "start 5 comes after end 3"),
        (
            region(1, 2, "Run", from_name="new"),
            'is of "new", and the labeling config has no TimeSeriesLabels',
        ),
        (region(1, 2, "Run", from_name="new"), 'only "label", "old", "skipped"'),
        (region(1, 2, "Run", from_name="new", to_name="wave"), 'is of "new"'),
        (region(1, 2, "Run", to_name="wave"), 'is on "wave", which TimeSeriesLabels "label" does not label'),
        (region(1, 2, "Run", from_name=None), 'no from_name; write "label", and "ts" as its to_name'),
        (region(1, 2, "Run", type="labels", from_name="new"), 'is of "new"'),
        (region(1, 2, "Run", value="text"), "has 'text' as its value"),
        (region(1, 2, "Run", value={"end": 3, "timeserieslabels": ["Run"]}), "has no start"),
        (
            region(1, 2, "Run", value={"start": 1, "end": 3, "timeserieslabels": "Run"}),
            "has 'Run' in place of",
        ),
        (
            region(1, 2, type="labels", value={"start": 1, "end": 3, "labels": ["Run"]}),
            'has its labels under "labels"; call the key "timeserieslabels"',
        ),
        (region(1, 2, type="labels", value={"start": 1, "end": 3}), "has null in place of a list"),
        ("text", "Result 'text' is not a region"),
        (None, "Result null is not a region"),
        ([1, 2, "Run"], "Result [1, 2, 'Run'] is not a region"),
    ],
)
def test_a_region_that_can_not_be_learned_is_named_and_its_annotation_not_learned_from(
    bad: object, reason: str
) -> None:
    with pytest.raises(RegionError, match=re.escape(reason)):
        annotation_segments({"result": [region(3, 4, "Run"), bad]}, KNOWN, index_series())


def test_each_reason_is_given_once_with_the_regions_it_goes_for() -> None:
    bad = [region(None, 2, "Run", id=f"r{number}") for number in range(6)]
    with pytest.raises(RegionError) as raised:
        segments(*bad, region(4, 3, "Walk", id="late"))
    assert str(raised.value) == (
        'Region "r0" (Run, null to 2) has no start; draw it again (the same goes for '
        'region "r1" (Run, null to 2), region "r2" (Run, null to 2), region "r3" (Run, null to 2) and 2 more)'
        '; Region "late" (Walk, 4 to 3) has no place in the series: start 4 comes after end 3; draw the '
        "region again"
    )


def test_a_region_of_a_tag_in_a_repeater_is_not_one_of_a_renamed_tag() -> None:
    repeated = replace(PAIR, label_tags=(("label", "ts"), ("label_{{idx}}", "ts_{{idx}}")))
    of_repeater = region(1, 2, "Run", from_name="label_0", to_name="ts_0")
    assert annotation_segments({"result": [of_repeater]}, repeated, index_series()) == []


@pytest.mark.parametrize(
    ("times", "guess"),
    [
        ((20, 49), "its times look like row numbers"),
        ((1714550402000, 1714550404000), "another unit (1000 to 1)"),
        ((17, 20.5), "its times look as if they counted from the start of the series"),
        ((17, 2000.5), "to 1714550519; correct its times"),
    ],
)
def test_what_times_outside_the_series_may_be_is_guessed(times: tuple[float, float], guess: str) -> None:
    time = TimeAxis(1714550400 + np.arange(120, dtype=float))
    seconds = Series(np.zeros((120, 1), np.float32), ("value",), time)
    with pytest.raises(RegionError, match=re.escape(guess)):
        annotation_segments({"result": [region(*times, "Run")]}, PAIR, seconds)


def test_the_range_of_a_series_is_told_in_its_own_form() -> None:
    form = TimeFormat("%M:%S")
    stamps = form.parse(["55:00", "55:10"]).astype(float)
    clock = Series(
        np.zeros((400, 1), np.float32), ("value",), TimeAxis(stamps[0] + np.arange(400) * 1e4, form)
    )
    with pytest.raises(RegionError, match="which runs from 55:00 to 01:30"):  # a clock that starts anew
        annotation_segments({"result": [region(-5, -3, "Run")]}, PAIR, clock)


def test_a_region_that_reaches_beyond_the_series_is_cut_and_said_to_be() -> None:
    series = index_series(10)
    read = read_annotation({"result": [region(-4, 3, "Run"), region(7, 30, "Walk", id="r2")]}, PAIR, series)
    assert [(s.first, s.last) for s in read.segments] == [(0, 3), (7, 9)]
    assert read.remarks == [
        'Region "r1" (Run, -4 to 3) reaches beyond the series, and is cut at 0',
        'Region "r2" (Walk, 7 to 30) reaches beyond the series, and is cut at 9',
    ]


def test_a_region_that_ends_within_a_sample_of_the_series_is_not_worth_a_word() -> None:
    read = read_annotation({"result": [region(-0.5, 9.4, "Run")]}, PAIR, index_series(10))
    assert read.remarks == []


def test_an_unknown_label_beside_a_known_one_is_named() -> None:
    read = read_annotation({"result": [region(1, 2, "Swim", "Run")]}, PAIR, index_series())
    assert [s.labels for s in read.segments] == [("Run",)]
    assert read.remarks == [
        'Region "r1" (Swim, Run, 1 to 2) is learned as Run: the labeling config has no label "Swim"'
    ]


def test_a_label_that_is_not_learned_beside_another_one_is_named() -> None:
    read = read_annotation({"result": [region(1, 2, "Walk", "Run")]}, PAIR, index_series())
    (remark,) = read.remarks
    assert 'Region "r1" (Walk, Run, 1 to 2) is learned as Walk alone, of "Walk", "Run"' in remark
    assert 'choice="multiple"' in remark
    for several in (PAIR, replace(PAIR, multiple=True)):
        labels = ("Run", "Run") if several is PAIR else ("Run", "Walk")
        assert read_annotation({"result": [region(1, 2, *labels)]}, several, index_series()).remarks == []


@pytest.mark.parametrize(
    ("regions", "covered"),
    [
        ([(5, 9, "Run"), (5, 9, "Walk")], '(Run, 5 to 9) teaches nothing, since "Walk" has all of its rows'),
        ([(5, 9, "Run"), (5, 7, "Walk"), (8, 9, "Walk")], '(Run, 5 to 9) teaches nothing, since "Walk" has'),
        ([(5, 9, "Run"), (5, 8, "Walk")], None),
        ([(5, 9, "Run"), (5, 9, "Run")], None),
        ([(5, 9, "Run"), (10, 14, "Walk")], None),
        ([(5, 5, "Run"), (5, 5, "Walk")], None),  # instants have no rows
    ],
)
def test_a_region_that_others_cover_is_named(
    regions: list[tuple[int, int, str]], covered: str | None
) -> None:
    result = [region(*each) for each in regions]
    read = read_annotation({"result": result}, PAIR, index_series())
    assert len(read.segments) == len(regions)
    assert [covered in remark if covered else remark for remark in read.remarks] == [True] * bool(covered)


def test_a_region_that_background_covers_is_named() -> None:
    result = {"result": [region(5, 9, "Run"), region(5, 9, "Walk")]}
    (remark,) = read_annotation(result, replace(PAIR, background=("Walk",)), index_series()).remarks
    assert "since background has all of its rows" in remark


def test_a_label_that_the_tasks_own_list_no_longer_has_is_learned_where_lists_are_the_tasks() -> None:
    listed = replace(PAIR, labels=("Walk",), labels_value="$labels")
    found = annotation_segments(
        {"result": [region(1, 2, "Run"), region(3, 4, "Walk")]}, listed, index_series()
    )
    assert [s.labels for s in found] == [("Run",), ("Walk",)]


def test_more_results_than_anybody_draws_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timeseries_segmenter.labeling.targets.MOST_REGIONS", 2)
    with pytest.raises(SeriesError, match="has 3 results, and at most 2 are read"):
        segments(*[region(1, 2, "Run")] * 3)


ROWS = "%Y-%m-%d %H:%M:%S.%L"


@pytest.mark.parametrize("form", [ROWS, "%Q", "%Y-%m-%dT%H:%M:%S.%LZ"])
def test_a_date_of_1970_is_the_row_that_the_editor_made_it_of(form: str) -> None:
    """As the editor stores regions where timeFormat has no timeColumn."""
    times = [TimeFormat(form).format(row) for row in (20, 49, 1020)]
    pair = replace(PAIR, row_format=form)
    found = annotation_segments(
        {
            "result": [
                region(times[0], times[1], "Run"),
                region(times[2], times[2], "Run"),
                region("7", 8, "Run"),
            ]
        },
        pair,
        index_series(2000),
    )
    assert [(s.first, s.last) for s in found] == [(7, 8), (20, 49), (1020, 1020)]


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%L", "%s", "%H:%M"])
def test_a_date_of_1970_without_its_row_is_refused_with_the_reason(form: str) -> None:
    pair = replace(PAIR, row_format=form)
    time = TimeFormat(form).format(20)
    with pytest.raises(RegionError, match="timeFormat needs a timeColumn"):
        annotation_segments({"result": [region(time, time, "Run")]}, pair, index_series(2000))


# Instants


def coarse_series(rows: int = 12) -> Series:
    """Four rows share each time."""
    return Series(np.zeros((rows, 1), np.float32), ("value",), TimeAxis((np.arange(rows) // 4).astype(float)))


def test_an_instant_among_rows_of_one_time_is_the_middle_one_of_them() -> None:
    (found,) = annotation_segments({"result": [region(1, 1, "Run") | {}]}, PAIR, coarse_series(6))
    assert (found.first, found.last) == (4, 5)
    instant = region(1, 1, "Run")
    instant["value"]["instant"] = True
    (found,) = annotation_segments({"result": [instant]}, PAIR, coarse_series())
    assert (found.first, found.last, found.instant) == (5, 5, True)


def test_a_range_within_one_time_stays_a_range_where_it_says_so() -> None:
    (found,) = annotation_segments({"result": [region(2, 2, "Run")]}, PAIR, coarse_series())
    assert (found.first, found.last, found.instant) == (8, 11, False)


@pytest.mark.parametrize(
    ("start", "end", "flag", "instant"),
    [(5, 5, False, True), ("5", 5.0, False, True), (5, 5, True, True), (5, 6, False, False)],
)
def test_an_instant_is_marked_or_starts_where_it_ends(
    start: int | str, end: float, flag: bool, instant: bool
) -> None:
    drawn = region(start, end, "Run")
    drawn["value"]["instant"] = flag
    assert [s.instant for s in segments(drawn)] == [instant]


@pytest.mark.parametrize(("start", "end"), [("soon", 3), (3, "soon"), (5, 3)])
def test_a_region_with_unreadable_times_is_an_error_that_names_it(start: int | str, end: int | str) -> None:
    with pytest.raises(SeriesError, match='Region "r1"'):
        segments(region(start, end, "Run"))


@pytest.mark.parametrize("result", [None, "text", {}])
def test_an_annotation_without_a_list_of_results_is_not_taken_for_an_empty_one(result: object) -> None:
    with pytest.raises(SeriesError, match="in place of a list of results"):
        annotation_segments({"result": result}, PAIR, index_series())


# Segments to classes


def test_classes_number_the_labels_from_one() -> None:
    classes = class_indices([Segment(1, 2, ("Walk",)), Segment(4, 4, ("Run",))], (("Run",), ("Walk",)), 6)
    assert classes.tolist() == [0, 2, 2, 0, 1, 0]
    assert classes.dtype == np.int64


@pytest.mark.parametrize("order", [1, -1])
def test_the_shorter_segment_wins_its_rows(order: int) -> None:
    overlapping = [Segment(0, 5, ("Run",)), Segment(2, 3, ("Walk",)), Segment(3, 3, ("Run",))][::order]
    assert class_indices(overlapping, (("Run",), ("Walk",)), 7).tolist() == [1, 1, 2, 1, 1, 1, 0]


def test_an_unknown_label_is_background() -> None:
    assert class_indices([Segment(0, 1, ("Swim",))], (("Run",),), 3).tolist() == [0, 0, 0]


# What there is to learn


def drawn_sets(*label_sets: LabelSet) -> tuple[LabelSet, ...]:
    segments = [Segment(row, row, labels) for row, labels in enumerate(label_sets)]
    return annotated_label_sets(segments, ("Run", "Walk", "Swim"))


def test_each_label_is_a_set_of_its_own_drawn_or_not() -> None:
    assert drawn_sets(("Walk",)) == (("Run",), ("Walk",), ("Swim",))


def test_each_drawn_combination_is_a_set_after_the_labels() -> None:
    both, three = ("Run", "Swim"), ("Run", "Walk", "Swim")
    assert drawn_sets(both, ("Run",), both, three) == (("Run",), three, both)
    assert drawn_sets(both) == (("Walk",), both)


def test_more_combinations_of_labels_than_can_be_learned_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timeseries_segmenter.labeling.targets.MOST_LABEL_SETS", 3)
    with pytest.raises(TrainingError, match="there are 4 labels and combinations"):
        drawn_sets(("Run", "Walk"), ("Run",), ("Walk",))


# Rows that teach


def known(unlabeled: str, *regions: dict[str, Any], length: int = 300) -> list[int]:
    """The first and the last row of each known stretch."""
    settings = PairSettings.model_validate({"unlabeled": unlabeled})
    pair = replace(PAIR, labels=("Run", "Walk", "Rest"), background=("Rest",), settings=settings)
    read = read_annotation({"result": list(regions)}, pair, index_series(length))
    ends = np.flatnonzero(np.diff(read.known.astype(int), prepend=0, append=0))
    ends[1::2] -= 1
    found: list[int] = ends.tolist()
    return found


def test_rows_without_a_region_teach_what_the_config_says() -> None:
    regions = [region(50, 99, "Run"), region(120, 139, "Rest"), region(200, 249, "Walk")]
    assert known("background", *regions) == [0, 299]
    assert known("span", *regions) == [50, 249]
    assert known("ignore", *regions) == [50, 99, 120, 139, 200, 249]
    assert known("background") == [0, 299]
    assert known("span") == known("ignore") == []


def test_a_gap_of_a_row_or_two_between_regions_of_two_labels_teaches_nothing() -> None:
    gap_of_two = [region(50, 99, "Run"), region(102, 149, "Walk")]
    assert known("background", *gap_of_two) == [0, 99, 102, 299]
    assert known("span", *gap_of_two) == [50, 99, 102, 149]
    for real in (
        [region(50, 99, "Run"), region(103, 149, "Walk")],  # a gap of three
        [region(50, 99, "Run"), region(102, 149, "Run")],  # somebody wanted two of them
        [region(50, 99, "Run"), region(101, 106, "Walk")],  # a gap that is long for such regions
        [*gap_of_two, region(95, 105, "Rest")],  # somebody says what it is
    ):
        assert known("background", *real) == [0, 299]


def test_regions_that_mean_background_have_no_segment_and_take_their_rows() -> None:
    pair = replace(PAIR, labels=("Run", "Walk", "Rest"), background=("Rest",), multiple=True)
    regions = [region(50, 99, "Run", "Rest"), region(60, 69, "Rest"), region(200, 200, "Rest", instant=True)]
    read = read_annotation({"result": regions}, pair, index_series())
    assert read.segments == [Segment(50, 99, ("Run",))]
    assert [(each.first, each.last, each.labels) for each in read.background] == [
        (60, 69, ()),
        (200, 200, ()),
    ]
    classes = class_indices([*read.segments, *read.background], [("Run",)], 300)
    assert np.flatnonzero(classes).tolist() == [*range(50, 60), *range(70, 100)]
