from tests.support import recorded
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.project.labelled_task import LabelledTask
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
