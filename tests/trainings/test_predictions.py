"""Predictions that follow the model: by the real queue, runner and processes, stored in a stand-in."""

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from tests.support import levels, recorded
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import LabelStudioServer, failure
from tests.support.models import of_one_pair
from tests.support.need import need
from tests.support.processes import kill, wait_for, workers
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.model import UNTRAINED
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings import labeling_order, predictions
from timeseries_segmenter.trainings.job import PREDICTION, START_TRAINING, Job, Kind, Predicted, State
from timeseries_segmenter.trainings.policy import ROLLED_BACK, TASKS_CREATED, TrainingPolicy
from timeseries_segmenter.trainings.project_trainings import MOST_PREDICTIONS, ProjectTrainings
from timeseries_segmenter.trainings.runner import JobRunner
from timeseries_segmenter.web.backend import Backend

CREATED = "ANNOTATION_CREATED"
ANNOTATED, OTHERS = 2, 6
IMPORT = "/api/projects/3/import/predictions"


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return levels.settings_for(settings, studio, ANNOTATED, OTHERS, predict_after_training=500)


@pytest.fixture
def store(settings: Settings) -> ModelStore:
    return ModelStore(settings)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each prediction in a request of its own."""
    monkeypatch.setattr(predictions, "MOST_AT_ONCE", 1)


def prediction_of(policy: TrainingPolicy, project: int = 3) -> Job:
    return need(policy.queue.read(project).prediction)


@pytest.fixture
def serve(policy: TrainingPolicy, store: ModelStore, run_walk: Segmenter) -> Callable[[], str]:
    """Makes a version as a training run does, with a job that follows it; returns its name."""

    def serve() -> str:
        version = store.save(3, of_one_pair(run_walk))
        policy.count(3, ROLLED_BACK)
        return version

    return serve


def versions(studio: LabelStudioServer, project: int = 3) -> dict[int, list[str]]:
    """The versions that predicted each task."""
    return {
        task: [each["model_version"] for each in stored]
        for task, stored in studio.predictions(project).items()
    }


def unlabelled(studio: LabelStudioServer, project: int = 3) -> list[int]:
    return [task["id"] for task in studio.tasks[project] if not task["annotations"]]


def changes(studio: LabelStudioServer) -> list[tuple[str, str]]:
    """The requests that changed predictions."""
    return [(each.method, each.path) for each in studio.requests if "predictions" in each.path]


def on_import(studio: LabelStudioServer, act: Callable[[], object], number: int = 1) -> None:
    """Act once so many imports of predictions were stored, before they are answered."""
    done = 0

    def answer(request: Request) -> Reply:
        nonlocal done
        reply = studio._import_predictions(3, json.loads(request.body))
        done += 1
        if done == number:
            act()
        return reply

    studio.routes[IMPORT] = answer


def test_after_a_training_run_the_tasks_without_annotations_are_predicted_once(
    policy: TrainingPolicy,
    runner: JobRunner,
    studio: LabelStudioServer,
    store: ModelStore,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(predictions, "predict_task", None)  # the report's look at them was enough
    policy.count(3, START_TRAINING)
    assert runner.run(3)
    assert need(policy.queue.read(3).newest).state is State.FINISHED
    queued = prediction_of(policy)
    assert (queued.event, queued.kind, queued.state) == (PREDICTION, Kind.PREDICTION, State.QUEUED)
    assert policy.queue.waiting() == [3]
    assert runner.run(3)
    version = store.version(3)
    assert versions(studio) == {task: [version] for task in unlabelled(studio)}
    for stored in studio.predictions(3).values():
        assert stored[0]["result"]
        assert 0 <= stored[0]["score"] <= 1
    ended = prediction_of(policy)
    assert (ended.id, ended.state, ended.version) == (queued.id, State.FINISHED, version)
    assert (need(ended.predicted).tasks, need(ended.predicted).most) == (OTHERS, OTHERS)
    line = f"{OTHERS} of the next {OTHERS} tasks are predicted by {version}"
    assert caplog.text.count(line) == 1
    assert changes(studio) == [("POST", IMPORT)]
    trainings = policy.queue.read(3)
    assert (len(trainings.jobs), trainings.outcomes, policy.queue.waiting()) == (1, {"finished": 1}, [])


def test_the_lowest_score_is_that_of_the_task_which_adds_most_to_the_annotated_ones(
    runner: JobRunner,
    studio: LabelStudioServer,
    serve: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = np.arange(recorded.ROWS)
    odd, like_it = (
        studio.add_task(3, {"ts": {"time": rows.tolist(), "value": (9 * np.sin(rows + start)).tolist()}})
        for start in (0, 1)
    )
    serve()
    assert runner.run(3)
    scores = {task: stored[0]["score"] for task, stored in studio.predictions(3).items()}
    order = sorted(scores, key=scores.__getitem__)
    assert order[0] in (odd, like_it)
    assert order[1] not in (odd, like_it)  # what it adds is there already
    places = np.arange(1, len(order) + 1) / (len(order) + 1)
    assert [scores[task] for task in order] == pytest.approx(places)
    # a series that is not read in time has a prediction, and no place
    monkeypatch.setattr(labeling_order, "SECONDS", 0.0)
    serve()
    assert runner.run(3)
    assert {stored[0]["score"] for stored in studio.predictions(3).values()} == {1.0}


def test_tasks_that_come_later_are_placed_among_those_that_have_a_score_already(
    policy: TrainingPolicy, runner: JobRunner, studio: LabelStudioServer, serve: Callable[[], str]
) -> None:
    serve()
    assert runner.run(3)
    scores = {task: stored[0]["score"] for task, stored in studio.predictions(3).items()}
    rows = np.arange(recorded.ROWS)
    odd = studio.add_task(3, {"ts": {"time": rows.tolist(), "value": (9 * np.sin(rows)).tolist()}})
    like_others = studio.add_task(3, levels.data(99))
    studio.requests.clear()
    policy.count(3, ROLLED_BACK)  # predicts what lacks predictions, as new tasks do
    assert runner.run(3)
    after = {task: stored[0]["score"] for task, stored in studio.predictions(3).items()}
    assert {task: after[task] for task in scores} == scores
    assert changes(studio) == [("POST", IMPORT)]
    assert 0 < after[odd] < min(scores.values())  # it adds most
    assert after[odd] < after[like_others] < 1


@pytest.mark.parametrize(
    ("order", "kept", "scores"),
    [
        ([4, 5, 6], {}, [0.25, 0.5, 0.75]),
        ([4, 5, 6], {4: 0.25, 5: 0.5, 6: 0.75}, [0.25, 0.5, 0.75]),
        ([7, 4, 5, 6], {4: 0.4, 5: 0.5, 6: 0.75}, [0.2, 0.4, 0.5, 0.75]),
        ([4, 7, 8, 5], {4: 0.2, 5: 0.5}, [0.2, 0.3, 0.4, 0.5]),
        ([5, 7, 4], {4: 0.2, 5: 0.6}, [0.6, 0.4, 0.2]),  # the order has changed, their scores have not
        ([4, 7], {4: 1.0}, [1.0, 1.0]),
        ([], {4: 0.5}, []),
    ],
)
def test_new_tasks_come_after_as_many_of_the_others_as_the_order_has_before_them(
    order: list[int], kept: dict[int, float], scores: list[float]
) -> None:
    found = labeling_order.place_between(order, kept)
    assert list(found) == order
    assert list(found.values()) == pytest.approx(scores)


def test_before_there_is_a_model_tasks_have_an_order_and_no_regions(
    client: FlaskClient, backend: Backend, settings: Settings, studio: LabelStudioServer, run_walk: Segmenter
) -> None:
    runner, queue = JobRunner(settings, backend.policy.queue), backend.policy.queue
    opened, *others = unlabelled(studio)
    studio.add_prediction(opened, UNTRAINED)
    for _ in range(2):  # as often as somebody opens the project
        body = {"project": "3.1700000000", "schema": levels.CONFIG}
        assert client.post("/setup", json=body).get_json() == {"model_version": UNTRAINED}
    assert (prediction_of(backend.policy).state, queue.waiting()) == (State.QUEUED, [])
    with queue.change(3) as trainings:
        need(trainings.prediction).not_before = None
    assert runner.run(3)
    assert versions(studio) == {task: [UNTRAINED] for task in (opened, *others)}
    stored = [studio.predictions(3)[task][0] for task in others]
    assert all(each["result"] == [] for each in stored)
    places = np.arange(1, OTHERS + 1) / (OTHERS + 1)
    assert {each["score"] for each in stored} < set(places.tolist())
    assert (need(prediction_of(backend.policy).predicted).tasks, queue.waiting()) == (OTHERS, [])
    assert queue.read(3).title == "series"
    studio.requests.clear()
    client.post("/setup", json=body)
    assert (queue.waiting(), studio.requests) == ([], [])

    version = backend.store.save(3, of_one_pair(run_walk))
    backend.policy.count(3, ROLLED_BACK)
    assert runner.run(3)
    assert versions(studio) == {task: [version] for task in (opened, *others)}


def test_without_a_token_or_without_predictions_no_order_is_tried(
    settings: Settings, client: FlaskClient, backend: Backend
) -> None:
    body = {"project": "3.1700000000", "schema": levels.CONFIG}
    event = {"action": TASKS_CREATED, "project": {"id": 3}}
    for changed in ({"label_studio_api_key": SecretStr("")}, {"predict_after_training": 0}):
        other = Backend(settings.model_copy(update=changed))
        other.set_up(3, parse_label_config(levels.CONFIG))
        other.handle(3, TASKS_CREATED)
        assert other.policy.queue.read(3).prediction is None
    client.post("/setup", json={**body, "project": ""})
    assert backend.policy.queue.projects() == [3]
    assert backend.policy.queue.read(3).prediction is None
    assert client.post("/webhook", json=event).get_json() == {"job": prediction_of(backend.policy).id}


def test_the_next_version_takes_the_place_of_ours_and_touches_no_other_prediction(
    runner: JobRunner, studio: LabelStudioServer, serve: Callable[[], str]
) -> None:
    first = serve()
    annotated, (one, two, *others) = studio.tasks[3][0]["id"], unlabelled(studio)
    studio.add_prediction(annotated, first)
    for version in ("gpt", "", "p3-v1-20200101T000000Z", first.replace("p3", "p4")):
        studio.add_prediction(one, version)
    assert runner.run(3)
    ours = {task: stored[-1]["id"] for task, stored in studio.predictions(3).items() if task != annotated}
    studio.add_prediction(two, first)  # two by one version, as a person may retrieve one meanwhile
    second = serve()
    assert runner.run(3)
    foreign = ["gpt", "", "p3-v1-20200101T000000Z", first.replace("p3", "p4")]
    assert versions(studio) == {
        annotated: [first],
        one: [*foreign, second],
        **{task: [second] for task in (two, *others)},
    }
    kept = {task: stored[-1]["id"] for task, stored in studio.predictions(3).items() if task in others}
    assert kept == {task: ours[task] for task in others}  # an annotation may have begun as them


def test_versions_that_are_kept_no_longer_are_known_as_ours(
    settings: Settings,
    runner: JobRunner,
    studio: LabelStudioServer,
    run_walk: Segmenter,
    serve: Callable[[], str],
) -> None:
    first = serve()
    assert runner.run(3)
    short = ModelStore(settings.model_copy(update={"model_history": 1}))
    short.save(3, of_one_pair(run_walk))
    second = serve()
    assert first not in short.versions(3)
    assert first in short.given(3)
    assert runner.run(3)
    assert versions(studio) == {task: [second] for task in unlabelled(studio)}


def test_a_rollback_and_new_tasks_are_followed_too(
    client: FlaskClient,
    backend: Backend,
    settings: Settings,
    studio: LabelStudioServer,
    run_walk: Segmenter,
) -> None:
    runner, policy = JobRunner(settings, backend.policy.queue), backend.policy
    event = {"action": TASKS_CREATED, "project": {"id": 3}, "tasks": [{"id": 1}]}
    for _ in range(2):
        backend.store.save(3, of_one_pair(run_walk))
    client.post("/projects/3/rollback")
    assert runner.run(3)
    version = backend.store.version(3)
    assert set(map(tuple, versions(studio).values())) == {(version,)}
    new = studio.add_task(3, levels.data(30))
    answers = [client.post("/webhook", json=event).get_json() for _ in range(3)]
    queued = prediction_of(policy)
    assert answers == [{"job": queued.id}] * 3
    assert policy.queue.waiting() == []  # Label Studio names tasks that nobody else can see yet
    with policy.queue.change(3) as trainings:
        need(trainings.prediction).not_before = None
    studio.requests.clear()
    assert runner.run(3)
    assert versions(studio)[new] == [version]
    assert len(changes(studio)) == 1


def test_tasks_that_come_while_others_are_predicted_are_predicted_by_another_job(
    policy: TrainingPolicy, runner: JobRunner, studio: LabelStudioServer, serve: Callable[[], str]
) -> None:
    serve()
    on_import(studio, lambda: policy.count(3, TASKS_CREATED))
    first = prediction_of(policy)
    assert runner.run(3)
    second = prediction_of(policy)
    assert (second.state, second.id != first.id) == (State.QUEUED, True)


def test_the_first_tasks_are_predicted_within_the_budget_and_none_if_it_is_0(
    settings: Settings, policy: TrainingPolicy, studio: LabelStudioServer, serve: Callable[[], str]
) -> None:
    few = JobRunner(settings.model_copy(update={"predict_after_training": 2}), policy.queue)
    serve()
    assert few.run(3)
    assert list(versions(studio)) == unlabelled(studio)[:2]
    assert need(prediction_of(policy).predicted).most == 2
    none = settings.model_copy(update={"predict_after_training": 0})
    ended = prediction_of(policy).id
    assert TrainingPolicy(none).count(3, ROLLED_BACK) is None
    assert prediction_of(policy).id == ended


@pytest.mark.usefixtures("one_by_one")
def test_predicting_ends_with_its_seconds_which_are_those_of_all_its_tries(
    policy: TrainingPolicy,
    runner: JobRunner,
    studio: LabelStudioServer,
    serve: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    version = serve()
    with policy.queue.change(3) as trainings:
        trainings.prediction = need(trainings.prediction).model_copy(
            update={"predicted": Predicted(version=version, seconds=300)}
        )
    assert runner.run(3)
    assert versions(studio) == {}
    assert "PREDICT_SECONDS=300 are over" in caplog.text
    assert prediction_of(policy).state is State.FINISHED


def test_tasks_that_cannot_be_read_are_counted_and_keep_what_they_have(
    policy: TrainingPolicy,
    runner: JobRunner,
    studio: LabelStudioServer,
    serve: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    broken = studio.add_task(3, {"ts": {"time": [0, 1], "other": [1, 2]}})
    serve()
    studio.add_prediction(broken, "another")
    assert runner.run(3)
    assert versions(studio)[broken] == ["another"]
    reached = need(prediction_of(policy).predicted)
    assert (reached.tasks, reached.most, reached.unreadable) == (OTHERS, OTHERS + 1, 1)
    assert f"1 can't be: Task {broken}" in caplog.text
    assert f"Task {broken}" in reached.reason


def test_a_token_without_the_right_is_one_sentence_and_no_training_run_that_failed(
    policy: TrainingPolicy,
    runner: JobRunner,
    studio: LabelStudioServer,
    serve: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    studio.stores_predictions = False
    serve()
    assert runner.run(3)
    failed = prediction_of(policy)
    assert failed.state is State.FAILED
    assert "set PREDICT_AFTER_TRAINING=0" in need(failed.error)
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1
    trainings = policy.queue.read(3)
    assert (trainings.newest, trainings.outcomes, policy.queue.waiting()) == (None, {}, [])


def test_a_label_studio_that_is_away_is_asked_again(
    policy: TrainingPolicy, runner: JobRunner, studio: LabelStudioServer, serve: Callable[[], str]
) -> None:
    serve()
    studio.routes[IMPORT] = lambda _: failure(503, "later")
    assert runner.run(3)
    waits = prediction_of(policy)
    assert (waits.state, waits.is_due, waits.attempts) == (State.QUEUED, False, 1)
    del studio.routes[IMPORT]
    with policy.queue.change(3) as trainings:
        need(trainings.prediction).not_before = None
    assert runner.run(3)
    assert len(versions(studio)) == OTHERS


def test_a_task_that_is_deleted_meanwhile_keeps_no_other_from_being_predicted(
    policy: TrainingPolicy, runner: JobRunner, studio: LabelStudioServer, serve: Callable[[], str]
) -> None:
    serve()

    def delete_and_answer(request: Request) -> Reply:
        studio.tasks[3] = studio.tasks[3][:-1]
        del studio.routes[IMPORT]
        return studio.answer(request)

    studio.routes[IMPORT] = delete_and_answer
    assert runner.run(3)
    assert prediction_of(policy).state is State.QUEUED
    with policy.queue.change(3) as trainings:
        need(trainings.prediction).not_before = None
    assert runner.run(3)
    assert len(versions(studio)) == OTHERS - 1


@pytest.mark.usefixtures("one_by_one")
def test_a_training_run_of_any_project_interrupts_it_and_it_goes_on_afterwards(
    policy: TrainingPolicy,
    runner: JobRunner,
    studio: LabelStudioServer,
    serve: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("timeseries_segmenter.trainings.runner.GRACE", 0.0)
    studio.add_task(4, levels.data(0), levels.drawn(0))
    serve()
    held = threading.Event()

    def annotate_and_wait() -> None:
        policy.count(4, CREATED)
        held.wait(5)  # until the run is interrupted, or for a moment that would do

    on_import(studio, annotate_and_wait, 2)
    assert runner.run(3)
    held.set()
    interrupted = prediction_of(policy)
    assert (interrupted.state, interrupted.attempts) == (State.QUEUED, 0)
    assert len(versions(studio)) < OTHERS
    assert policy.queue.waiting() == [4]
    assert runner.run(3)  # it does not begin while that waits
    assert prediction_of(policy).attempts == 0
    assert runner.run(4)
    assert sorted(policy.queue.waiting()) == [3, 4]
    del studio.routes[IMPORT]
    assert runner.run(3)
    assert [len(each) for each in versions(studio).values()] == [1] * OTHERS


def test_people_wait_for_predictions_and_not_for_searches() -> None:
    trainings = ProjectTrainings(project=3)
    trainings.plan_search(4, asked=True)
    trainings.plan_prediction()
    training = trainings.enqueue(CREATED)
    assert trainings.queued == [training, trainings.prediction, trainings.search]
    assert trainings.next_due is training
    training.start("worker")
    assert trainings.next_due is trainings.prediction


def test_a_search_gives_way_to_predictions_of_another_project(policy: TrainingPolicy) -> None:
    with policy.queue.change(3) as trainings:
        trainings.plan_search(4, asked=True)
    with policy.queue.change(4) as trainings:
        trainings.plan_prediction()
    assert policy.queue.waiting() == [4]
    assert policy.queue.overdue(0, Kind.SEARCH) == [4]
    assert policy.queue.overdue(0, Kind.PREDICTION) == policy.queue.overdue(0) == []


def test_predicting_that_fails_again_and_again_is_given_up() -> None:
    trainings = ProjectTrainings(project=3)
    job = trainings.plan_prediction()
    for _ in range(MOST_PREDICTIONS):
        assert job.state is State.QUEUED
        job.start("worker")
        trainings.try_again(job, "no luck", (1,))
    assert (job.state, trainings.outcomes, trainings.updates) == (State.FAILED, {}, 0)


@pytest.fixture
def killed(studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Kills each worker once Label Studio has stored a prediction, before the answer can be noted."""
    monkeypatch.setattr(predictions, "MOST_AT_ONCE", 1)
    killed: list[int] = []

    def kill_workers() -> None:
        for worker in workers(os.getpid()):
            with suppress(ProcessLookupError):
                kill(worker)
                killed.append(worker)

    on_import(studio, kill_workers)
    return killed


def test_no_task_is_predicted_twice_if_the_process_is_killed_between_storing_and_noting_it(
    settings: Settings,
    studio: LabelStudioServer,
    run_walk: Segmenter,
    endings: list[TrainingPolicy],
    killed: list[int],
) -> None:
    for seed in range(100):
        studio.add_task(3, levels.data(seed))
    ModelStore(settings).save(3, of_one_pair(run_walk))
    policy = TrainingPolicy(settings)
    endings.append(policy)
    policy.count(3, ROLLED_BACK)
    policy.resume()
    wait_for(lambda: killed)
    wait_for(lambda: (job := policy.queue.read(3).prediction) and job.state is State.QUEUED and job.failed_at)
    stored = len(versions(studio))
    assert 0 < stored < OTHERS + 100
    with policy.queue.change(3) as trainings:
        need(trainings.prediction).not_before = None  # as if its pause were over
    wait_for(lambda: prediction_of(policy).state is State.FINISHED)
    assert [len(each) for each in versions(studio).values()] == [1] * (OTHERS + 100)
