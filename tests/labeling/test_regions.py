import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.labeling.regions import stored_segments, to_regions
from timeseries_segmenter.labeling.series import Series, TimeAxis, read_series
from timeseries_segmenter.labeling.targets import annotation_segments, choose_annotations
from timeseries_segmenter.labeling.time.formats import TimeFormat
from timeseries_segmenter.segment import Segment

ANNOTATIONS = Path(__file__).parents[1] / "data" / "label_studio" / "annotations"
PAIR = LabelPair("label", "ts", "$csv_url", "url", ",", None, None, ("value",), ("Run", "Walk"))
DATE = "%Y-%m-%d %H:%M:%S"
ROWS = 300


def csv(times: Iterable[object], separator: str = ",") -> bytes:
    rows = [f"{time}{separator}{row / 10}" for row, time in enumerate(times)]
    return "\n".join([f"time{separator}value", *rows]).encode()


def dates() -> list[str]:
    return [TimeFormat(DATE).format(1_704_067_200_000 + row * 60_000) for row in range(ROWS)]


# Each form: the attributes of its TimeSeries, its series, and the rows that were drawn.
FORMS: dict[str, tuple[str, Any, list[tuple[int, int]]]] = {
    "no_time_column": ("", csv(range(ROWS)), [(11, 35), (40, 89), (60, 60), (130, 189), (220, 259)]),
    "numeric_time_column": (
        'timeColumn="time"',
        csv(row * 0.5 for row in range(ROWS)),
        [(11, 35), (60, 60)],
    ),
    "semicolon_separated": ('timeColumn="time" sep=";"', csv(range(ROWS), ";"), [(11, 35), (60, 60)]),
    "time_format_date": (f'timeColumn="time" timeFormat="{DATE}"', csv(dates()), [(11, 35), (60, 60)]),
    "time_format_epoch_seconds": (
        'timeColumn="time" timeFormat="%s"',
        csv(1_700_000_000 + 60 * row for row in range(ROWS)),
        [(11, 35), (60, 60)],
    ),
    "value_type_json": (
        'timeColumn="time" valueType="json"',
        {"time": list(range(ROWS)), "value": [row / 10 for row in range(ROWS)]},
        [(11, 35), (60, 60)],
    ),
}


def test_every_drawn_form_is_tried() -> None:
    assert {path.stem for path in ANNOTATIONS.iterdir()} == set(FORMS)


@pytest.mark.parametrize("form", FORMS)
def test_drawn_regions_become_their_rows_and_the_same_regions_again(form: str) -> None:
    attributes, content, rows = FORMS[form]
    (pair,) = parse_label_config(
        '<View><TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/>'
        f'</TimeSeriesLabels><TimeSeries name="ts" value="$x" {attributes}><Channel column="value"/>'
        "</TimeSeries></View>"
    ).pairs
    series = read_series(content, pair, 1)
    recorded: list[dict[str, Any]] = json.loads((ANNOTATIONS / f"{form}.json").read_text())
    assert choose_annotations(recorded) == recorded[-1:]
    annotation = recorded[-1]
    segments = annotation_segments(annotation, pair, series)
    assert [(segment.first, segment.last) for segment in segments] == rows
    drawn = [result["value"] for result in annotation["result"]]
    given_back = [region["value"] for region in regions_of(segments, pair, series)]
    assert sorted(map(json.dumps, given_back)) == sorted(map(json.dumps, drawn))


def regions_of(segments: Sequence[Segment], pair: LabelPair, series: Series) -> list[dict[str, Any]]:
    return to_regions(segments, pair, series)


def index_series(length: int = 100) -> Series:
    return Series(np.zeros((length, 1), np.float32), ("value",), TimeAxis(np.arange(length, dtype=float)))


def test_a_region_has_label_studios_form() -> None:
    (region,) = regions_of([Segment(3, 8, ("Walk",), 0.75)], PAIR, index_series())
    assert len(region.pop("id")) == 10
    assert region == {
        "from_name": "label",
        "to_name": "ts",
        "type": "timeserieslabels",
        "origin": "prediction",
        "value": {"start": 3, "end": 8, "instant": False, "timeserieslabels": ["Walk"]},
        "score": 0.75,
    }


def test_a_label_that_the_config_does_not_have_never_appears() -> None:
    regions = regions_of([Segment(0, 1, ("Swim",)), Segment(2, 3, ("Run",))], PAIR, index_series())
    assert [region["value"]["timeserieslabels"] for region in regions] == [["Run"]]


def test_a_region_carries_all_labels_of_its_segment_that_the_config_still_has() -> None:
    several = replace(PAIR, multiple=True)
    segments = [Segment(0, 1, ("Walk", "Swim", "Run")), Segment(2, 3, ("Swim", "Dive"))]
    (region,) = regions_of(segments, several, index_series())
    assert region["value"]["timeserieslabels"] == ["Run", "Walk"]


def test_what_the_model_calls_by_another_name_is_drawn_as_its_label() -> None:
    renamed = replace(PAIR, other_names=(("Swim", "Run"),))
    (region,) = regions_of([Segment(0, 1, ("Swim",))], renamed, index_series())
    assert region["value"]["timeserieslabels"] == ["Run"]


def test_regions_below_the_threshold_are_not_drawn() -> None:
    sure = replace(PAIR, settings=PairSettings(score_threshold=0.6))
    segments = [Segment(0, 1, ("Run",), 0.59), Segment(2, 3, ("Run",), 0.6), Segment(4, 5, ("Run",), np.nan)]
    assert [region["value"]["start"] for region in regions_of(segments, sure, index_series())] == [2]


def test_ids_differ_inside_a_result_and_are_the_same_each_time() -> None:
    segments = [
        Segment(0, 1, ("Run",)),
        Segment(0, 1, ("Walk",)),
        Segment(0, 1, ("Run",)),
        Segment(0, 2, ("Run",)),
    ]
    ids = [region["id"] for region in regions_of(segments, PAIR, index_series())]
    assert len(set(ids)) == 4
    assert ids == [region["id"] for region in regions_of(segments, PAIR, index_series())]


def test_numbers_of_a_region_are_pythons_own() -> None:
    numbers: tuple[Any, ...] = (np.int64(1), np.int64(2), ("Run",), np.float32(0.5))
    (region,) = regions_of([Segment(*numbers)], PAIR, index_series())
    assert json.loads(json.dumps(region))["score"] == 0.5


def test_a_score_that_is_no_number_is_zero() -> None:
    (region,) = regions_of([Segment(1, 2, ("Run",), float("nan"))], PAIR, index_series())
    assert region["score"] == 0.0


def test_a_region_over_equal_times_is_an_instant() -> None:
    series = Series(np.zeros((3, 1), np.float32), ("value",), TimeAxis(np.array([0.0, 1.0, 1.0])))
    (region,) = regions_of([Segment(1, 2, ("Run",))], PAIR, series)
    assert region["value"] == {"start": 1, "end": 1, "instant": True, "timeserieslabels": ["Run"]}


def test_segments_come_back_with_all_rows_of_their_times_and_instants_as_the_middle_one() -> None:
    axis = TimeAxis(np.array([0.0, 1.0, 1.0, 1.0, 2.0, 2.0]))
    series = Series(np.zeros((6, 1), np.float32), ("value",), axis)
    segments = [Segment(0, 2, ("Run",), 0.5), Segment(3, 3, ("Run",), instant=True), Segment(5, 5, ("Walk",))]
    assert stored_segments(segments, series) == [
        Segment(0, 3, ("Run",), 0.5),
        Segment(2, 2, ("Run",), instant=True),
        Segment(4, 5, ("Walk",)),
    ]
    instant = [Segment(row, row, ("Run",), instant=True) for row in range(6)]
    for segment in instant:
        (stored,) = stored_segments([segment], series)
        assert annotation_segments({"result": regions_of([segment], PAIR, series)}, PAIR, series) == [stored]
    assert stored_segments(segments, index_series()) == segments


@settings(max_examples=100, deadline=None)
@given(data=st.data(), form=st.sampled_from([None, DATE, "%s", "%Q", f"{DATE}.%f", "%d %B %Y %-I:%M:%S %p"]))
def test_segments_become_regions_and_the_same_segments_again(data: st.DataObject, form: str) -> None:
    steps = data.draw(st.lists(st.integers(1, 10**5), min_size=1, max_size=30))
    stamps = np.cumsum(steps) * (1000.0 if form else data.draw(st.sampled_from([0.001, 0.1, 1.0])))
    axis = TimeAxis(stamps, TimeFormat(form) if form else None)
    series = Series(np.zeros((len(stamps), 1), np.float32), ("value",), axis)
    row = st.integers(0, len(stamps) - 1)
    pairs = data.draw(st.lists(st.tuples(row, row, st.sampled_from(["Run", "Walk"])), max_size=5))
    segments = sorted(
        (Segment(min(a, b), max(a, b), (label,), instant=a == b) for a, b, label in pairs),
        key=lambda segment: (segment.first, segment.last),
    )
    regions = regions_of(segments, PAIR, series)
    assert annotation_segments({"result": regions}, PAIR, series) == segments
    assert all(
        region["value"]["instant"] == (region["value"]["start"] == region["value"]["end"])
        for region in regions
    )
