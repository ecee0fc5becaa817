from dataclasses import replace
from typing import Any

import pytest

from tests.support import recorded
from tests.support.need import need
from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.project.evaluation import evaluate
from timeseries_segmenter.project.labelled_task import LabelledTask, remarks_on
from timeseries_segmenter.segment import UNKNOWN, Segment
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.task_series import TaskSeries

(PAIR,) = parse_label_config(recorded.body("predict_json_inline")["label_config"]).pairs


def test_instants_lie_beside_the_ranges_and_take_no_row_of_them(settings: Settings) -> None:
    drawn = recorded.regions((40, 89, "Run"), (60, 60, "Walk"), (200, 200, "Run"), (200, 200, "Run"))
    for region in drawn[1:]:
        region["value"]["instant"] = True
    task = {
        "id": 5,
        "data": {"ts": {"time": list(range(recorded.ROWS)), "value": recorded.values()}},
        "annotations": [{"id": 1, "result": drawn}],
    }
    labelled = LabelledTask.read(task, PAIR, TaskSeries.from_settings(settings).of_task(task))
    assert labelled
    example = labelled.example([("Run",), ("Walk",)])
    assert example.classes.tolist() == [0] * 40 + [1] * 50 + [0] * 210
    assert example.instants.tolist() == [60, 200]
    assert example.instant_classes.tolist() == [2, 1]


IGNORE, SPAN = (
    replace(PAIR, background=("Walk",), settings=PairSettings.model_validate({"unlabeled": mode}))
    for mode in ("ignore", "span")
)
SETS = [("Run",), ("Walk",)]


def task(*results: list[dict[str, Any]], **marks: Any) -> dict[str, Any]:
    """Each result by another person."""
    return {
        "id": 5,
        "data": {"ts": {"time": list(range(recorded.ROWS)), "value": recorded.values()}},
        "annotations": [
            {"id": number, "completed_by": number, "result": result} | marks
            for number, result in enumerate(results, 1)
        ],
    }


def read(pair: LabelPair, settings: Settings, *results: list[dict[str, Any]], **marks: Any) -> LabelledTask:
    given = task(*results, **marks)
    return need(LabelledTask.read(given, pair, TaskSeries.from_settings(settings).of_task(given)))


def test_only_annotated_rows_teach_if_the_config_says_so(settings: Settings) -> None:
    drawn = recorded.regions((40, 89, "Run"), (130, 189, "Walk"))  # Walk means background
    labelled = read(IGNORE, settings, drawn)
    assert [segment.labels for segment in labelled.segments] == [("Run",)]
    assert labelled.labels == ("Run",)
    assert labelled.example([("Run",)]).classes.tolist() == (
        [UNKNOWN] * 40 + [1] * 50 + [UNKNOWN] * 40 + [0] * 60 + [UNKNOWN] * 110
    )


def test_an_annotation_that_teaches_nothing_names_its_task_and_why(settings: Settings) -> None:
    with pytest.raises(SeriesError, match=r'Task 5: its annotation has no region.* model_unlabeled="span"'):
        read(SPAN, settings, [])
    assert not read(PAIR, settings, []).segments


def test_what_several_people_say_together_is_learned_and_low_agreement_is_named(settings: Settings) -> None:
    one, other = recorded.regions((40, 89, "Run")), recorded.regions((44, 93, "Run"), (200, 289, "Walk"))
    labelled = read(PAIR, settings, one, other)
    classes = labelled.example(SETS).classes
    assert (classes == 1).nonzero()[0].tolist() == [*range(44, 90)]
    assert (classes == UNKNOWN).nonzero()[0].tolist() == [*range(40, 44), *range(90, 94), *range(200, 290)]
    assert labelled.annotation == 2  # the newest
    (remark,) = labelled.remarks
    assert remark.startswith("Task 5: its 2 annotations agree on 32% of what any of them labels")
    assert read(PAIR, settings, one, other, completed_by=1).agreement is None  # one person's
    assert read(PAIR, settings, one, other, ground_truth=True).agreement is None
    with pytest.raises(SeriesError, match="Task 5: its 2 annotations agree on no row"):
        read(PAIR, settings, recorded.regions((0, 299, "Run")), recorded.regions((0, 299, "Walk")))


@pytest.mark.parametrize(
    ("offset", "scale", "remark"),
    [
        (
            1e9,
            5,
            'channel "value" hardly changes beside its values of up to 1e+09, of which steps of 64 are kept',
        ),
        (
            1.7e12,
            1000,
            "steps of 1.3e+05 are kept; subtract a constant from it in the file, or remove the channel",
        ),
        (48.137, 1e-5, "steps of 3.8e-06 are kept"),
        (3e7, 0, "steps of 2 are kept"),  # a constant, or what was lost
        (101_325, 5, None),
        (9.81, 0, None),
        (0, 1e-9, None),
        (1e9, 1e6, None),
    ],
)
def test_a_channel_whose_changes_are_lost_is_named(
    settings: Settings, offset: float, scale: float, remark: str | None
) -> None:
    given = task(recorded.regions((40, 89, "Run")))
    given["data"]["ts"]["value"] = [offset + scale * (row % 7 - 3) / 3 for row in range(recorded.ROWS)]
    labelled = need(LabelledTask.read(given, PAIR, TaskSeries.from_settings(settings).of_task(given)))
    assert [remark is not None and remark in said for said in labelled.remarks] == [True] * bool(remark)


def test_remarks_begin_with_how_many_tasks_have_several_annotations(settings: Settings) -> None:
    drawn = recorded.regions((40, 89, "Run"))
    several, single = read(PAIR, settings, drawn, drawn), read(PAIR, settings, drawn)
    (first,) = remarks_on({"label:ts": [several, single]})
    assert first.startswith("1 task has annotations of several people")
    assert remarks_on({"label:ts": [single]}) == []


def test_predictions_count_on_known_rows_alone(settings: Settings) -> None:
    labelled = read(IGNORE, settings, recorded.regions((40, 89, "Run"), (130, 189, "Walk")))
    found = labelled.compare(
        [
            Segment(0, 120, ("Run",)),  # covers what is known of it
            Segment(121, 135, ("Jog",)),  # a few rows of what is known
            Segment(185, 195, ("Jog",)),
            Segment(200, 299, ("Run",)),  # nobody knows
            Segment(150, 150, ("Beat",), instant=True),
            Segment(110, 110, ("Beat",), instant=True),
        ]
    )
    assert found.predicted == [Segment(40, 89, ("Run",)), Segment(150, 150, ("Beat",), instant=True)]
    metrics = evaluate([found], [("Run",)])
    assert (metrics["rows"], metrics["accuracy"], metrics["segment_f1"]["50"]) == (110, 1, 1)


def test_a_predicted_instant_near_a_known_one_counts(settings: Settings) -> None:
    drawn = recorded.regions((60, 60, "Run"))
    drawn[0]["value"]["instant"] = True
    found = read(IGNORE, settings, drawn).compare(
        [Segment(row, row, ("Run",), instant=True) for row in (57, 80)]
    )
    assert evaluate([found], [("Run",)])["point_f1"] == 1
