from typing import Any

import pytest

from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.learning.segment_metrics import Corrections
from timeseries_segmenter.project.card import VersionCorrections
from timeseries_segmenter.project.corrections import corrected_annotations, count_by_version, count_changes
from timeseries_segmenter.project.model import UNTRAINED

CONFIG = """<View>
  <TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/></TimeSeriesLabels>
  <TimeSeries name="ts" value="$csv" timeColumn="time"{time_format}><Channel column="x"/></TimeSeries>
</View>"""


def pair_of(time_format: str = "") -> LabelPair:
    written = f' timeFormat="{time_format}"' if time_format else ""
    (pair,) = parse_label_config(CONFIG.format(time_format=written)).pairs
    return pair


def region(start: object, end: object, label: str = "Run", **others: object) -> dict[str, Any]:
    value = {"start": start, "end": end, "timeserieslabels": [label]}
    tags = {"from_name": "label", "to_name": "ts", "type": "timeserieslabels"}
    return {"id": f"{start}{label}", "value": value} | tags | others


PREDICTED = [region(0, 10), region(20, 30), region(40, 50, "Walk")]


@pytest.mark.parametrize(
    ("annotated", "changed"),
    [
        (PREDICTED, Corrections(true=3)),
        (PREDICTED[1:], Corrections(removed=1, true=2)),
        ([*PREDICTED, region(60, 70)], Corrections(added=1, true=4)),
        ([*PREDICTED[:2], region(40, 50)], Corrections(labels=1, true=3)),
        ([*PREDICTED[:2], region(40, 55, "Walk")], Corrections(ends=1, true=3)),
        ([*PREDICTED[:2], region(40, 50.5, "Walk")], Corrections(true=3)),  # less than a tenth
        ([], Corrections(removed=3)),
    ],
)
def test_what_a_person_changed_is_counted(annotated: list[dict[str, Any]], changed: Corrections) -> None:
    assert count_changes(annotated, PREDICTED, pair_of()) == changed


def test_an_instant_that_was_moved_is_another_one() -> None:
    instants = [region(3, 3), region(9, 9)]
    assert count_changes([region(3, 3), region(9.001, 9.001)], instants, pair_of()) == Corrections(
        added=1, removed=1, true=2
    )


def test_formatted_times_are_compared_as_times() -> None:
    predicted = [region("2026-01-31 23:00", "2026-02-01 01:00")]
    longer = [region("2026-01-31 23:00", "2026-02-01 02:00")]
    assert count_changes(longer, predicted, pair_of("%Y-%m-%d %H:%M")) == Corrections(ends=1, true=1)
    as_number = [region(1769900400000, 1769907600000)]  # as the editor writes times that it can't print
    assert count_changes(as_number, predicted, pair_of("%Y-%m-%d %H:%M")) == Corrections(true=1)


@pytest.mark.parametrize(
    "odd",
    [region("soon", 10), region(None, 3), region(0, 10, value="none"), region(0, 10, to_name="other")],
)
def test_what_is_no_region_of_the_pair_or_has_no_time_does_not_count(odd: dict[str, Any]) -> None:
    assert count_changes([odd], [odd], pair_of()) == Corrections()


def test_corrections_are_counted_by_the_version_that_an_annotation_began_as() -> None:
    def annotation(result: list[dict[str, Any]], day: int, **marks: object) -> dict[str, Any]:
        return {"result": result, "created_at": f"2026-11-{day:02}T08:00:00Z"} | marks

    tasks = [
        {
            "predictions": [{"id": 7, "model_version": "p6-v2", "result": PREDICTED}],
            "annotations": [annotation(PREDICTED[1:], 3, parent_prediction=7, lead_time=12.5)],
        },
        {
            "predictions": [{"id": 5, "model_version": "p6-v1", "result": []}],
            "annotations": [annotation(PREDICTED, 2, parent_prediction=5, lead_time=40)],
        },
        {"annotations": [annotation(PREDICTED, 1, parent_prediction=None, lead_time=60.0)]},
        {"annotations": [annotation(PREDICTED, 1, parent_prediction=None, lead_time=90.0)]},
        {"annotations": [annotation(PREDICTED, 4, parent_prediction=99)]},  # it is gone
        {"annotations": [annotation([], 5, was_cancelled=True)]},
        {"annotations": [annotation(PREDICTED, 6, parent_annotation=1)]},  # a copy of another one
    ]
    corrected = [each for task in tasks for each in corrected_annotations(task, [pair_of()])]
    nothing, first, second = count_by_version(corrected)
    assert (nothing.version, nothing.annotations, nothing.seconds) == ("", 2, 75)
    assert nothing.per_region is None
    assert (first.version, first.added, first.regions, first.seconds) == ("p6-v1", 3, 3, 40)
    assert first.per_region == 1
    assert (second.version, second.removed, second.regions, second.seconds) == ("p6-v2", 1, 2, 12.5)
    assert second.per_region == 0.5


def test_an_annotation_that_began_before_there_was_a_model_began_as_nothing() -> None:
    empty = {"id": 7, "model_version": UNTRAINED, "result": []}
    annotation = {"result": PREDICTED, "created_at": "2026-11-01T08:00:00Z", "lead_time": 80.0}
    task = {"predictions": [empty], "annotations": [annotation | {"parent_prediction": 7}]}
    assert count_by_version(corrected_annotations(task, [pair_of()])) == [
        VersionCorrections(version="", annotations=1, seconds=80)
    ]
