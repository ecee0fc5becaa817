from typing import Any

from timeseries_segmenter.project.annotated_task import AnnotatedTask

RUN = {"start": 5, "end": 9, "timeserieslabels": ["Run"]}
BEAT = {"start": 5, "end": 5, "timeserieslabels": ["Beat"]}


def task(*values: dict[str, Any], **marks: object) -> dict[str, Any]:
    result = [{"from_name": "label", "to_name": "ts", "value": value} for value in values]
    changed = "2026-11-22T10:00:00Z"
    return {"id": 7, "data": {}, "annotations": [{"id": 70, "result": result, "updated_at": changed} | marks]}


def test_only_a_task_with_an_annotation_that_counts_is_annotated() -> None:
    assert AnnotatedTask.from_task(task(RUN)) is not None
    assert AnnotatedTask.from_task(task(RUN, was_cancelled=True)) is None
    assert AnnotatedTask.from_task({"id": 4, "annotations": []}) is None
    assert AnnotatedTask.from_task({"id": 3, "annotations": [17]}) is not None  # whoever reads it says so


def test_regions_are_counted_by_their_kind() -> None:
    annotated = AnnotatedTask.from_task(task(RUN, BEAT, RUN))
    assert annotated
    assert dict(annotated.regions) == {
        ("label", "ts", ("Run",), False): 2,
        ("label", "ts", ("Beat",), True): 1,
    }


def test_it_is_the_same_after_it_was_kept() -> None:
    undated = task(RUN, BEAT, updated_at=None, lead_time=12.5, created_at="2026-11-22T09:00:00Z")
    for each in (task(RUN, BEAT), undated):
        annotated = AnnotatedTask.from_task(each)
        assert annotated
        assert annotated.corrected
        assert AnnotatedTask.model_validate_json(annotated.model_dump_json()) == annotated
