import json
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
from filelock import Timeout

from tests.support import recorded
from tests.support.http_server import Reply, Request
from tests.support.inline import CONFIG, INLINE, TRUTH, settings_for
from tests.support.label_studio_server import LabelStudioServer
from tests.support.models import PAIR, of_one_pair
from tests.support.need import need
from timeseries_segmenter.errors import LabelConfigError, LabelStudioError, TrainingError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.learning.decoding.calibration import Calibration
from timeseries_segmenter.learning.metrics import Scores
from timeseries_segmenter.learning.observer import NOBODY, Epoch, Observer, Step
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import Metrics, PairCard
from timeseries_segmenter.project.long_series import LONG
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.recipes import recipe
from timeseries_segmenter.report.content import Report
from timeseries_segmenter.report.saved import load_report
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.job import Job, State
from timeseries_segmenter.trainings.observer import JobObserver
from timeseries_segmenter.trainings.project_trainings import ProjectTrainings
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.run import TrainingRun
from timeseries_segmenter.trainings.runner import JobRunner

URL_CONFIG = recorded.body("predict_batch_3_tasks_index_time")["label_config"]


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return settings_for(settings, studio, local_files_dir=None, train_epochs=3)


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training run is patient with a host that is away."""
    monkeypatch.setattr("timeseries_segmenter.sources.retries.sleep", lambda _: None)


class Watched(Observer):
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.epochs: list[Epoch] = []

    def on_step(self, step: Step) -> None:
        self.steps.append(step)

    def on_epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)


def metrics_of(model: Model) -> Metrics:
    """Those on the training series."""
    metrics = model.card.pairs[PAIR].training
    assert metrics
    return metrics


def test_the_step_of_a_training_is_told_while_it_runs_and_not_afterwards(
    settings: Settings, studio: LabelStudioServer
) -> None:
    queue = JobQueue(settings.model_dir)
    steps: list[str | None] = []

    def watch(request: Request) -> Reply:
        steps.append(queue.read(3).jobs[0].step)
        del studio.routes[request.path]
        return studio.answer(request)

    studio.routes |= dict.fromkeys(["/api/projects/3/", "/api/tasks/"], watch)
    studio.add_task(3, INLINE, TRUTH)
    with queue.change(3) as trainings:
        trainings.enqueue("ANNOTATION_CREATED")
    assert JobRunner(settings, queue).run(3)
    assert steps == ["fetching tasks", "fetching tasks"]
    (job,) = queue.read(3).jobs
    assert (job.state, job.step, job.version) == (State.FINISHED, None, ModelStore(settings).version(3))


def test_the_steps_of_a_training_come_in_their_order_and_its_model_has_the_projects_title(
    settings: Settings, studio: LabelStudioServer
) -> None:
    for _ in range(2):  # one task alone can't be checked
        studio.add_task(3, INLINE, TRUTH)
    watched = Watched()
    TrainingRun(settings).run(3, watched)
    assert watched.steps == [Step.FETCHING, Step.TRAINING, Step.CHECKING, Step.SAVING]
    model = ModelStore(settings).load(3)
    assert model
    assert model.card.title == "series"


def train(settings: Settings, observer: Observer = NOBODY) -> Model:
    outcome = TrainingRun(settings).run(3, observer)
    model = ModelStore(settings).load(3)
    assert model is not None
    assert model.version == outcome.version
    assert model.card.skipped == outcome.skipped
    return model


def test_a_training_saves_what_it_learned_and_from_what(
    settings: Settings, studio: LabelStudioServer
) -> None:
    tasks = [studio.add_task(3, INLINE, TRUTH) for _ in range(2)]
    model = train(settings)
    assert model.segmenters[PAIR].label_sets == (("Run",), ("Walk",))
    assert model.segmenters[PAIR].channels == ("value",)
    assert model.card.tasks == tasks
    assert model.card.label_config == CONFIG
    assert model.card.skipped == []
    assert need(model.card.created_at).isoformat().endswith("+00:00")
    assert set(model.card.seconds) == {"fetching", "fitting", "checking"}
    json.loads(json.dumps(model.card.dump()), parse_constant=pytest.fail)


def test_the_saved_metrics_hold_the_f1_of_each_class(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, INLINE, TRUTH)
    model = train(settings.model_copy(update={"train_epochs": 40, "hidden_size": 8}))
    metrics = metrics_of(model)
    assert [each.name for each in metrics.classes] == ["background", "Run", "Walk"]
    assert all(need(each.f1) > 0.8 for each in metrics.classes)
    assert metrics.min_f1 == min(need(each.f1) for each in metrics.classes)
    assert need(metrics.balanced_accuracy) > 0.8
    assert model.card.pairs[PAIR].unlearned == []


def test_the_log_tells_the_f1_of_each_class(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    studio.add_task(3, INLINE, TRUTH)
    with caplog.at_level(logging.INFO):
        version = train(settings).version
    (line,) = [record.message for record in caplog.records if "F1" in record.message]
    for name in (version, "project 3", "background", "Run", "Walk"):
        assert name in line


def test_labels_without_a_region_are_named_and_not_learned(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    studio.add_task(3, INLINE, recorded.regions((40, 89, "Run")))
    model = train(settings)
    assert model.segmenters[PAIR].label_sets == (("Run",),)
    assert model.card.pairs[PAIR].unlearned == ["Walk"]
    assert "Walk" in caplog.text


def test_each_training_makes_a_new_version(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, INLINE, TRUTH)
    versions = [train(settings).version for _ in range(2)]
    assert len(set(versions)) == 2
    assert ModelStore(settings).versions(3) == versions[::-1]


def test_a_job_shows_the_epoch_and_its_metrics(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, INLINE, TRUTH)
    watched = Watched()
    train(settings, watched)
    assert [epoch.number for epoch in watched.epochs] == [1, 2, 3]
    trainings = ProjectTrainings(project=3)
    job = trainings.enqueue("ANNOTATION_CREATED")
    observer = JobObserver(3, lambda: nullcontext((trainings, job)))
    for epoch in watched.epochs:
        observer.on_epoch(epoch)
    assert job.progress
    assert (job.progress.epoch, job.progress.epochs) == (1, 3)  # the others came too soon to be read
    assert job.progress.loss == watched.epochs[0].loss
    assert 0 <= job.progress.balanced_accuracy <= 1
    assert 0 <= job.progress.min_f1 <= 1


def test_what_cannot_be_shown_costs_no_training() -> None:
    @contextmanager
    def locked() -> Iterator[tuple[ProjectTrainings, Job]]:
        raise Timeout("state.lock")
        yield

    observer = JobObserver(3, locked)
    observer.on_step(Step.SAVING)
    observer.on_epoch(Epoch(1, 3, 5, 0.5, Scores(1.0, 1.0, (1.0,), 1.0, 1.0)))


def test_every_setting_of_a_training_reaches_its_recipe(settings: Settings) -> None:
    changed = settings.model_copy(
        update={
            "train_epochs": 7,
            "sequence_size": 20,
            "hidden_size": 5,
            "balanced_accuracy_threshold": 0.5,
            "min_class_f1_threshold": 0.4,
            "use_class_weights": False,
            "random_seed": 11,
        }
    )
    made = recipe(changed, PairSettings())
    assert (made.epochs, made.sequence_size, made.hidden_size, made.seed) == (7, 20, 5, 11)
    assert (made.balanced_accuracy_threshold, made.min_class_f1_threshold) == (0.5, 0.4)
    assert made.use_class_weights is False


def test_the_same_seed_makes_the_same_model(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, INLINE, TRUTH)
    anew = settings.model_copy(update={"warm_start": False})
    first, second = (metrics_of(train(anew)) for _ in range(2))
    assert first == second


def test_a_training_run_is_a_warm_start_unless_told_otherwise(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    studio.add_task(3, INLINE, TRUTH)
    enough = settings.model_copy(update={"train_epochs": 1000, "hidden_size": 8})
    with caplog.at_level(logging.INFO):
        first, second = (train(enough).card.pairs[PAIR] for _ in range(2))
    assert (first.continued, second.continued) == (False, True)
    assert second.epochs <= first.epochs / 4
    assert "epochs on top of the model before" in caplog.text
    TrainingRun(enough).run(3, from_scratch=True)
    model = ModelStore(enough).load(3)
    assert model
    assert not model.card.pairs[PAIR].continued


def test_log_and_card_say_how_opinions_count_and_whether_the_model_adapts(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        studio.add_task(3, INLINE, TRUTH)
    with caplog.at_level(logging.INFO):
        card = train(settings).card.pairs[PAIR]
    segmenter = need(ModelStore(settings).load(3)).segmenters[PAIR]
    assert card.adapts == segmenter.adapts
    assert card.weights == pytest.approx(segmenter.weights, abs=1e-4)
    assert f"opinions by weight: network {card.weights['network']:.2f}, forest" in caplog.text
    assert ("; adapts to each series" in caplog.text) == card.adapts


def test_a_damaged_model_is_no_start_and_no_obstacle(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, INLINE, TRUTH)
    version = train(settings).version
    for path in (ModelStore(settings).path(3), settings.model_dir / "versions" / f"{version}.pt"):
        path.write_bytes(b"damaged")
    assert not train(settings).card.pairs[PAIR].continued


def test_skipped_annotations_teach_nothing(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, INLINE, recorded.regions((0, 299, "Walk")), was_cancelled=True)
    learned = studio.add_task(3, INLINE, recorded.regions((40, 89, "Run")))
    model = train(settings)
    assert model.card.tasks == [learned]
    assert model.segmenters[PAIR].label_sets == (("Run",),)


def test_a_ground_truth_alone_counts(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, INLINE, recorded.regions((40, 89, "Run")), recorded.regions((130, 189, "Walk")))
    studio.tasks[3][0]["annotations"][0]["ground_truth"] = True
    assert train(settings).segmenters[PAIR].label_sets == (("Run",),)


def test_a_task_submitted_empty_is_background(settings: Settings, studio: LabelStudioServer) -> None:
    learned = [studio.add_task(3, INLINE, TRUTH), studio.add_task(3, INLINE, [])]
    assert train(settings).card.tasks == learned


BAD_SERIES: list[dict[str, Any]] = [
    {"ts": {"time": [0, 1], "value": [1, "text"]}},
    {"ts": {"time": [1, 0], "value": [1, 2]}},
    {"ts": {"time": [0, 1]}},
    {"ts": 5},
    {"ts": None},
    {},
    {"ts": "not json"},
]


@pytest.mark.parametrize("data", BAD_SERIES)
def test_a_series_that_cannot_be_read_is_left_out_and_named(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture, data: dict[str, Any]
) -> None:
    bad = studio.add_task(3, data, TRUTH)
    good = studio.add_task(3, INLINE, TRUTH)
    model = train(settings)
    assert model.card.tasks == [good]
    (reason,) = model.card.skipped
    assert str(bad) in reason
    assert reason in caplog.text


BAD_ADDRESSES = [
    "/data/upload/3/gone.csv",
    "s3://bucket/gone.csv",
    "http://127.0.0.1:1/gone.csv",
    "http://[broken",
    "http://host:99999/series.csv",
    "local.csv",
    "x\0.csv",
    "",
]


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_a_series_that_cannot_be_fetched_is_left_out_and_named(
    settings: Settings, studio: LabelStudioServer, address: str
) -> None:
    studio.configs[3] = URL_CONFIG
    bad = studio.add_task(3, {"csv_url": address}, TRUTH)
    studio.files["/data/upload/3/series.csv"] = recorded.csv("index")
    good = studio.add_task(3, {"csv_url": "/data/upload/3/series.csv"}, TRUTH)
    allowed = settings.model_copy(update={"local_files_dir": recorded.DATA})
    model = train(allowed)
    assert model.card.tasks == [good]
    (reason,) = model.card.skipped
    assert str(bad) in reason


@pytest.mark.parametrize("value", [("soon", "later"), (89, 40), ([1], [2]), ({}, {})])
def test_a_region_that_cannot_be_read_leaves_its_task_out_and_names_it(
    settings: Settings, studio: LabelStudioServer, value: tuple[Any, Any]
) -> None:
    bad = studio.add_task(3, INLINE, recorded.regions((*value, "Run")))
    good = studio.add_task(3, INLINE, TRUTH)
    model = train(settings)
    assert model.card.tasks == [good]
    (reason,) = model.card.skipped
    assert str(bad) in reason


LOST_REGIONS = [
    (recorded.regions((40, None, "Run")), "has no end"),
    (recorded.regions((4000, 4010, "Run")), "lies outside the series, which runs from 0 to 299"),
    (recorded.regions((40, 89, "run")), 'has the label "run", which TimeSeriesLabels "label"'),
    (recorded.regions((40, 89, "")), 'has the label ""'),
    ([each | {"from_name": "old"} for each in recorded.regions((40, 89, "Run"))], 'is of "old"'),
]


@pytest.mark.parametrize(("result", "reason"), LOST_REGIONS)
def test_regions_without_a_place_are_named_in_the_log_the_state_and_the_report_and_teach_nothing(
    settings: Settings,
    studio: LabelStudioServer,
    caplog: pytest.LogCaptureFixture,
    result: list[dict[str, Any]],
    reason: str,
) -> None:
    bad = studio.add_task(3, INLINE, [*TRUTH, *result])
    good = studio.add_task(3, INLINE, TRUTH)
    queue = JobQueue(settings.model_dir)
    for _ in range(2):
        with queue.change(3) as trainings:
            trainings.enqueue("ANNOTATION_CREATED")
        assert JobRunner(settings, queue).run(3)
    first, second = queue.read(3).jobs
    assert first.state == second.state == State.FINISHED
    assert second.skipped == saved_report(settings).skipped
    assert not first.skipped  # named once, by the newest run
    (given,) = second.skipped
    assert given.startswith(f'Task {bad}: Region "r0"')
    assert reason in given
    assert saved_report(settings).tasks == [good]
    warned = [
        entry for entry in caplog.records if entry.levelno >= logging.WARNING and given in entry.message
    ]
    assert len(warned) == 1  # once, not once a training run


def test_where_no_region_of_a_project_has_a_place_the_training_run_fails_with_the_reason(
    settings: Settings, studio: LabelStudioServer
) -> None:
    bad = studio.add_task(3, INLINE, recorded.regions((4000, 4010, "Run")))
    with pytest.raises(TrainingError, match=rf'Task {bad}: Region "r0" \(Run, 4000 to 4010\) lies outside'):
        train(settings)


def test_a_task_is_left_out_of_the_pairs_alone_that_its_lost_region_may_belong_to(
    settings: Settings, studio: LabelStudioServer
) -> None:
    other = '<TimeSeriesLabels name="mood" toName="ts"><Label value="Calm"/></TimeSeriesLabels><TimeSeries '
    studio.configs[3] = CONFIG.replace("<TimeSeries ", other, 1)
    calm = [each | {"from_name": "mood"} for each in recorded.regions((100, 150, "Calm"))]
    both = [*TRUTH, *calm]
    lost = [*TRUTH, *({**each, "value": each["value"] | {"start": None}} for each in calm)]
    bad, good = studio.add_task(3, INLINE, lost), studio.add_task(3, INLINE, both)
    model = train(settings)
    assert model.card.tasks == [bad, good]
    (skipped,) = model.card.skipped
    assert skipped.endswith("(left out of mood:ts).")
    report = saved_report(settings)
    assert {pair.name: pair.training.tasks for pair in report.pairs} == {"mood:ts": 1, PAIR: 2}


def test_what_is_said_about_regions_that_are_no_time_series_leaves_no_task_out(
    settings: Settings, studio: LabelStudioServer
) -> None:
    others: list[dict[str, Any]] = [
        {"type": "relation", "from_id": "r0", "to_id": "r1", "direction": "right"},
        *(
            {
                "id": "r0",
                "from_name": kind,
                "to_name": "ts",
                "type": kind,
                "value": {"start": 4000, kind: ["x"]},
            }
            for kind in ("choices", "textarea", "rating", "number")
        ),
    ]
    task = studio.add_task(3, INLINE, [*TRUTH, *others])
    model = train(settings)
    assert (model.card.tasks, model.card.skipped) == ([task], [])


def test_a_region_that_is_cut_is_learned_and_named_in_log_and_report(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    task = studio.add_task(3, INLINE, [*TRUTH, *recorded.regions((290, 400, "Run"))])
    train(settings)
    (remark,) = saved_report(settings).remarks
    assert remark.startswith(f"Task {task}: Region")
    assert remark.endswith("reaches beyond the series, and is cut at 299")
    assert remark in caplog.text
    assert saved_report(settings).tasks == [task]


def test_a_channel_without_any_value_is_named(settings: Settings, studio: LabelStudioServer) -> None:
    studio.configs[3] = CONFIG.replace(
        '<Channel column="value"', '<Channel column="time"/><Channel column="value"'
    )
    empty = INLINE["ts"] | {"value": [None] * recorded.ROWS}
    bare, full = studio.add_task(3, {"ts": empty}, TRUTH), studio.add_task(3, INLINE, TRUTH)
    train(settings)
    assert saved_report(settings).remarks == [
        f'Task {bare}: the channel "value" has no value in any row, and counts as average; correct the file'
    ]
    assert saved_report(settings).tasks == [bare, full]


def test_thousands_of_tasks_that_are_left_out_are_named_up_to_a_number(
    settings: Settings, studio: LabelStudioServer
) -> None:
    for _ in range(120):
        studio.add_task(3, {"ts": None}, TRUTH)
    studio.add_task(3, INLINE, TRUTH)
    skipped = train(settings).card.skipped
    assert len(skipped) == 101
    assert skipped[-1] == "20 more, for reasons such as these."


@pytest.mark.parametrize("name", [name for name in recorded.WEBHOOKS if "annotation_created" in name])
def test_the_annotations_people_really_submitted_can_be_learned(
    settings: Settings, studio: LabelStudioServer, name: str
) -> None:
    sent = recorded.body(name)
    studio.configs[3] = config = sent["project"]["label_config"]
    form = recorded.form(config)
    task = sent["task"] | {"annotations": [sent["annotation"]]}
    if "csv_url" in task["data"]:
        task["data"] = {"csv_url": "/data/upload/3/series.csv"}
        studio.files["/data/upload/3/series.csv"] = recorded.csv(form)
    first, last = recorded.times(form)[40], recorded.times(form)[89]
    other = studio.add_task(3, task["data"], recorded.regions((first, last, "Run")))
    studio.tasks[3].append(task)
    model = train(settings)
    assert model.card.skipped == []
    was_cancelled = sent["annotation"]["was_cancelled"]
    assert model.card.tasks == ([other] if was_cancelled else sorted([other, task["id"]]))


def test_a_project_without_annotations_says_what_to_do(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, INLINE)
    with pytest.raises(TrainingError, match=r"project 3.*annotate"):
        train(settings)


def test_a_project_without_a_region_says_so(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, INLINE, [])
    with pytest.raises(TrainingError, match="no region"):
        train(settings)


def test_a_project_of_bad_tasks_names_the_first(settings: Settings, studio: LabelStudioServer) -> None:
    first = studio.add_task(3, {"ts": 5}, TRUTH)
    studio.add_task(3, {}, TRUTH)
    with pytest.raises(TrainingError, match=rf"first of 2: .*{first}"):
        train(settings)


def test_a_config_that_cannot_be_learned_ends_the_training(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.configs[3] = "<View/>"
    with pytest.raises(LabelConfigError, match="no TimeSeriesLabels"):
        train(settings)


def test_a_project_that_is_gone_ends_the_training(settings: Settings, studio: LabelStudioServer) -> None:
    del studio.configs[3]
    with pytest.raises(LabelStudioError, match="project 3"):
        train(settings)


def test_a_failed_training_leaves_the_model_as_it_was(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, INLINE, TRUTH)
    version = train(settings).version
    studio.tasks[3] = []
    with pytest.raises(TrainingError):
        train(settings)
    assert ModelStore(settings).version(3) == version


SECOND = (
    CONFIG.removeprefix("<View>").removesuffix("</View>").replace('"ts"', '"b"').replace('"label"', '"tag"')
)
BOTH = CONFIG.replace("</View>", SECOND.replace('value="$ts"', 'value="$b"') + "</View>")


def test_each_pair_of_tags_has_a_network_of_its_own(settings: Settings, studio: LabelStudioServer) -> None:
    studio.configs[3] = BOTH
    of_second = recorded.regions((10, 60, "Walk"))
    for region in of_second:
        region |= {"from_name": "tag", "to_name": "b"}
    both = studio.add_task(3, INLINE | {"b": INLINE["ts"]}, TRUTH + of_second)
    one = studio.add_task(3, INLINE, TRUTH)  # nothing under "b"
    model = train(settings)
    assert model.segmenters[PAIR].label_sets == (("Run",), ("Walk",))
    assert model.segmenters["tag:b"].label_sets == (("Walk",),)
    assert model.card.tasks == [both, one]
    (skipped,) = model.card.skipped
    assert f'Task {one}: The task\'s data has no value for "b"' in skipped
    assert [each.unlearned for each in model.card.pairs.values()] == [[], ["Run"]]


def test_a_pair_without_a_region_leaves_the_others_their_model(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    studio.configs[3] = BOTH
    studio.add_task(3, INLINE | {"b": INLINE["ts"]}, TRUTH)
    assert list(train(settings).segmenters) == [PAIR]
    assert "nothing is predicted for tag:b yet: 1 annotated task, but no region" in caplog.text


def test_regions_of_several_labels_are_learned_as_such(settings: Settings, studio: LabelStudioServer) -> None:
    studio.configs[3] = CONFIG.replace('toName="ts"', 'toName="ts" choice="multiple"')
    both = recorded.regions((200, 250, "Run"))
    both[0]["value"]["timeserieslabels"] = ["Walk", "Run"]
    studio.add_task(3, INLINE, TRUTH + both)
    model = train(settings)
    assert model.segmenters[PAIR].label_sets == (("Run",), ("Walk",), ("Run", "Walk"))
    assert "Run + Walk" in [each.name for each in metrics_of(model).classes]


def test_labels_of_the_tasks_are_learned(settings: Settings, studio: LabelStudioServer) -> None:
    studio.configs[3] = re.sub("<Label .*?/>", "", CONFIG).replace(
        'toName="ts"', 'toName="ts" value="$labels"'
    )
    studio.add_task(3, INLINE | {"labels": [{"value": "Walk"}, {"value": "Sit"}]}, TRUTH)
    studio.add_task(3, INLINE | {"labels": [{"value": "Run"}, {"value": "Walk"}]}, TRUTH)
    model = train(settings)
    assert model.segmenters[PAIR].label_sets == (("Walk",), ("Run",))
    assert model.card.pairs[PAIR].unlearned == ["Sit"]


def test_what_the_labeling_config_sets_wins_over_the_service(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.configs[3] = CONFIG.replace(
        'toName="ts"', 'toName="ts" model_epochs="3" model_sequence_size="20" model_hidden_size="6"'
    )
    studio.add_task(3, INLINE, TRUTH)
    model = train(settings)
    dimensions = model.segmenters[PAIR].network.dimensions
    assert (dimensions.hidden_size, model.segmenters[PAIR].window) == (6, 20 * dimensions.stride)
    assert model.card.pairs[PAIR].epochs == 3


def test_regions_with_a_labels_other_name_teach_it(settings: Settings, studio: LabelStudioServer) -> None:
    studio.configs[3] = CONFIG.replace('<Label value="Run"', '<Label value="Running" predicted_values="Run"')
    studio.add_task(3, INLINE, TRUTH)
    assert train(settings).segmenters[PAIR].label_sets == (("Running",), ("Walk",))


def test_series_of_different_length_and_one_row_can_be_learned_together(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.add_task(3, {"ts": {"time": [0], "value": [1.0]}}, recorded.regions((0, 0, "Walk")))
    studio.add_task(
        3, {"ts": {"time": [0, 1, 2], "value": [1.0, None, 3.0]}}, recorded.regions((0, 2, "Run"))
    )
    studio.add_task(3, INLINE, TRUTH)
    assert len(train(settings).card.tasks) == 3


def test_a_task_that_breaks_the_code_costs_itself_alone(
    settings: Settings,
    studio: LabelStudioServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = studio.add_task(3, {"ts": {"time": [0, 1], "value": [666, 666]}}, TRUTH)
    learned = studio.add_task(3, INLINE, TRUTH)
    read = TaskSeries.read

    def break_on_one(self: TaskSeries, task: dict[str, Any], pair: LabelPair) -> Series:
        if task["id"] == broken:
            raise RuntimeError("a defect")
        return read(self, task, pair)

    monkeypatch.setattr(TaskSeries, "read", break_on_one)
    model = train(settings)
    assert model.card.tasks == [learned]
    assert model.card.skipped == [f"Task {broken}: RuntimeError; see the log"]
    assert "a defect" in caplog.text


def saved_report(settings: Settings) -> Report:
    return load_report(ModelStore(settings).path(3))[1]


def test_a_single_task_is_learned_and_said_to_be_unchecked(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.add_task(3, INLINE, TRUTH)
    of_pair = train(settings).card.pairs[PAIR]
    assert of_pair.held_out is None
    assert ModelStore(settings).load_folds(3) == {PAIR: {}}
    (reported,) = saved_report(settings).pairs
    assert reported.held_out is None
    assert not any(sample.held_out for sample in reported.samples)


@pytest.mark.parametrize("unlabeled", ["ignore", "span", "background"])
def test_the_report_names_stretches_of_a_long_series_that_nobody_annotated(
    settings: Settings, studio: LabelStudioServer, unlabeled: str
) -> None:
    rows = 20_000
    studio.configs[3] = CONFIG.replace(
        'toName="ts"', f'toName="ts" model_unlabeled="{unlabeled}" model_sequence_size="20"'
    )
    values = np.random.default_rng(0).normal(size=rows)
    values[10_000:12_000] += np.arange(2000) % 7
    long = {"ts": {"time": list(range(rows)), "value": values.tolist()}}
    annotated = studio.add_task(3, long, TRUTH)
    model = train(settings)
    assert model.segmenters[PAIR].window * LONG < rows
    stretches = saved_report(settings).stretches
    if unlabeled != "ignore":  # nobody left anything out, or may come back to it
        assert stretches == []
        waiting = studio.add_task(3, long)
        train(settings)
        assert {each.task for each in saved_report(settings).stretches} == {waiting}
        return
    assert {each.task for each in stretches} == {annotated}
    last = max(region["value"]["end"] for region in TRUTH)
    assert all(last < float(each.start) < float(each.end) < rows for each in stretches)


def test_every_task_is_predicted_by_a_network_that_never_saw_it(
    settings: Settings, studio: LabelStudioServer
) -> None:
    tasks = [studio.add_task(3, INLINE, TRUTH) for _ in range(4)]
    model = train(settings)
    of_pair = model.card.pairs[PAIR]
    held_out = need(of_pair.held_out)
    assert held_out.tasks == 4
    assert 0 <= need(held_out.calibration_error) <= 1
    assert {int(task) for task in of_pair.folds} == set(tasks)
    assert list(ModelStore(settings).load_folds(3)[PAIR]) == sorted(set(of_pair.folds.values()))
    assert model.segmenters[PAIR].calibration != Calibration()
    (reported,) = saved_report(settings).pairs
    assert reported.held_out
    assert reported.held_out.macro_f1 == need(of_pair.held_out).macro_f1
    assert all(sample.held_out for sample in reported.samples)
    assert len(reported.curve) == model.card.pairs[PAIR].epochs


def test_the_macro_f1_of_instants_alone_is_that_of_instants_not_of_rows(
    settings: Settings, studio: LabelStudioServer, beats: dict[str, list[float]]
) -> None:
    settings = settings.model_copy(update={"train_epochs": 60, "hidden_size": 8})
    series = {"ts": {"time": list(range(200)), "value": beats["value"]}}
    peaks = recorded.regions(*((row, row, "Run") for row in range(20, 200, 40)))
    for _ in range(3):
        studio.add_task(3, series, peaks)
    held_out = need(train(settings).card.pairs[PAIR].held_out)
    assert held_out.mean_f1 == pytest.approx(held_out.point_f1, abs=1e-4)
    assert need(held_out.point_f1) > 0.9


def test_a_task_stays_in_its_fold_while_training_goes_on(
    settings: Settings, studio: LabelStudioServer
) -> None:
    for _ in range(4):
        studio.add_task(3, INLINE, TRUTH)
    first = train(settings).card.pairs[PAIR].folds
    studio.tasks[3].reverse()  # as somebody may sort them
    new = studio.add_task(3, INLINE, TRUTH)
    folds = train(settings).card.pairs[PAIR].folds
    assert set(folds) - set(first) == {str(new)}
    assert {task: fold for task, fold in folds.items() if task in first} == first


def test_the_report_compares_with_the_version_before(settings: Settings, studio: LabelStudioServer) -> None:
    for _ in range(2):
        studio.add_task(3, INLINE, TRUTH)
    first = train(settings)
    assert saved_report(settings).previous is None
    train(settings)
    previous = saved_report(settings).previous
    assert previous
    assert previous.version == first.version
    assert previous.pairs[PAIR].macro_f1 == need(first.card.pairs[PAIR].held_out).macro_f1


@pytest.mark.parametrize("pairs", [{}, {PAIR: PairCard(held_out=Metrics(macro_f1=0.5))}])
def test_a_version_before_of_which_little_is_known_costs_no_training(
    settings: Settings, studio: LabelStudioServer, run_walk: Segmenter, pairs: dict[str, PairCard]
) -> None:
    version = ModelStore(settings).save(3, of_one_pair(run_walk, pairs=pairs))
    for _ in range(2):
        studio.add_task(3, INLINE, TRUTH)
    train(settings)
    previous = saved_report(settings).previous
    assert previous
    assert (previous.version, previous.pairs) == (version, {})


def test_regions_that_the_model_disagrees_with_are_told_with_their_ids(
    settings: Settings, studio: LabelStudioServer
) -> None:
    settings = settings.model_copy(update={"train_epochs": 40, "hidden_size": 8})
    for _ in range(4):
        studio.add_task(3, INLINE, TRUTH)
    wrong = recorded.regions(
        *((a, b, {"Run": "Walk", "Walk": "Run"}[label]) for a, b, label in recorded.DRAWN)
    )
    mislabelled = studio.add_task(3, INLINE, wrong)
    train(settings)
    (reported,) = saved_report(settings).pairs
    found = [each for each in reported.disagreements if each.task == mislabelled]
    assert {each.region for each in found} == {region["id"] for region in wrong}
    annotation = studio.tasks[3][-1]["annotations"][0]["id"]
    assert {each.annotation for each in found} == {annotation}
    assert all(each.drawn != each.predicted for each in found)


def test_the_tasks_to_annotate_next_are_those_that_add_most_to_the_annotated_ones(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.add_task(3, INLINE, TRUTH)
    series = [[9 * math.sin(row / period) for row in range(300)] for period in (1, 20, 20.5)]
    waiting = [studio.add_task(3, {"ts": {"time": [*range(300)], "value": values}}) for values in series]
    again = studio.add_task(3, INLINE)
    studio.add_task(3, {"ts": None})
    model = train(settings)
    scores = {
        task: model.segmenters[PAIR].predict(np.array(values, np.float32)[:, None]).confidence
        for task, values in zip(waiting, series, strict=True)
    }
    given = saved_report(settings).next
    assert given[-1].task == again
    assert {given[0].task, given[1].task} in ({waiting[0], waiting[1]}, {waiting[0], waiting[2]})
    assert {each.task: each.score for each in given[:-1]} == pytest.approx(scores, abs=1e-4)


def test_few_of_the_tasks_to_annotate_next_are_downloaded_and_all_that_are_here_are_looked_at(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.configs[3] = URL_CONFIG
    for number in range(41):
        path = f"/data/upload/3/{number:08x}-series.csv"
        studio.files[path] = recorded.csv("index")
        studio.add_task(3, {"csv_url": path}, *[TRUTH] * (number == 0))
    looked_at = []
    for run in range(3):
        studio.requests.clear()
        train(settings)
        looked_at.append(sum(request.path in studio.files for request in studio.requests))
        assert len(studio.requests) <= 25, run
    assert looked_at == [16, 15, 10]


def test_a_label_studio_that_does_not_tell_the_other_tasks_costs_no_training(
    settings: Settings,
    studio: LabelStudioServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> Iterator[dict[str, Any]]:
        yield studio.tasks[3][1]
        raise LabelStudioError("Label Studio is away")

    studio.add_task(3, INLINE, TRUTH)
    waiting = studio.add_task(3, INLINE)
    monkeypatch.setattr(LabelStudioClient, "unlabelled_tasks", fail)
    train(settings)
    assert [each.task for each in saved_report(settings).next] == [waiting]
    assert "Label Studio is away" in caplog.text
