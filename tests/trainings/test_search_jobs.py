"""Searches for a better recipe: behind all training runs, by the real queue, runner and processes."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from tests.support import levels
from tests.support.label_studio_server import LabelStudioServer
from tests.support.models import PAIR
from tests.support.need import need
from tests.support.processes import kill, wait_for, workers
from timeseries_segmenter.learning.validation.candidates import Candidate
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.job import SEARCH, START_TRAINING, Job, State
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.trainings.project_trainings import MOST_SEARCHES
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.runner import JobRunner
from timeseries_segmenter.web.backend import Backend

CREATED = "ANNOTATION_CREATED"
TASKS = 4
SECONDS = 15  # that a training run may wait for a search to give way, on a machine that others use


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return levels.settings_for(settings, studio, TASKS, search_seconds=90)


@pytest.fixture
def long_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more candidates than a test waits for."""

    def widen(size: int) -> Candidate:
        return Candidate(f"{size} units", lambda best: replace(best, hidden_size=size))

    monkeypatch.setattr(
        "timeseries_segmenter.project.recipes.CANDIDATES", tuple(widen(size) for size in range(100, 400))
    )


def search_of(policy: TrainingPolicy | JobQueue, project: int = 3) -> Job:
    queue = policy if isinstance(policy, JobQueue) else policy.queue
    return need(queue.read(project).search)


def train(policy: TrainingPolicy, runner: JobRunner, event: str = CREATED, project: int = 3) -> None:
    """A training run, after which a search may be queued."""
    policy.count(project, event)
    assert runner.run(project)
    assert need(policy.queue.read(project).newest).state is State.FINISHED


def meanwhile(policy: TrainingPolicy, act: Callable[[], object]) -> threading.Thread:
    """Act once the search tries a candidate; a search runs in the main thread."""

    def wait_and_act() -> None:
        wait_for(lambda: (search := policy.queue.read(3).search) and search.candidate)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


def test_what_a_search_finds_better_becomes_a_version_and_later_runs_follow_it(
    policy: TrainingPolicy, runner: JobRunner, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels.try_more_epochs(monkeypatch)
    store = ModelStore(settings)
    train(policy, runner)
    first = store.version(3)
    planned = search_of(policy)
    assert (planned.event, planned.state, planned.tasks) == (SEARCH, State.QUEUED, TASKS)
    assert policy.queue.waiting() == [3]
    assert runner.run(3)
    ended = search_of(policy)
    assert (ended.id, ended.state, ended.error) == (planned.id, State.FINISHED, None)
    assert ended.version == store.version(3) != first
    searched = ended.searched[PAIR]
    assert searched.changes == {"epochs": (1, 30)}
    pair = store.card(3, ended.version).pairs[PAIR]
    assert pair.search == searched
    assert pair.epochs > 1
    trainings = policy.queue.read(3)
    assert (len(trainings.jobs), trainings.outcomes) == (1, {"finished": 1})
    train(policy, runner, START_TRAINING)
    followed = store.card(3, store.version(3)).pairs[PAIR]
    assert (followed.search, followed.epochs) == (searched, pair.epochs)
    assert search_of(policy).id == planned.id  # the same tasks are not searched with twice


def test_if_nothing_is_better_the_version_stays_and_the_next_one_says_what_was_tried(
    policy: TrainingPolicy,
    runner: JobRunner,
    settings: Settings,
    studio: LabelStudioServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("timeseries_segmenter.project.recipes.CANDIDATES", ())
    store = ModelStore(settings)
    train(policy, runner)
    first = store.version(3)
    assert runner.run(3)
    ended = search_of(policy)
    assert (ended.state, ended.version, store.version(3)) == (State.FINISHED, None, first)
    train(policy, runner)
    assert store.card(3, store.version(3)).pairs[PAIR].search == ended.searched[PAIR]
    assert policy.queue.waiting() == []
    for seed in (TASKS, TASKS + 1):  # half as many more
        assert search_of(policy).id == ended.id
        studio.add_task(3, levels.data(seed), levels.drawn(seed))
        train(policy, runner)
    assert search_of(policy).id != ended.id
    assert search_of(policy).tasks == TASKS + 2


def test_no_search_is_planned_with_few_tasks_which_is_logged_once_or_without_time(
    settings: Settings,
    policy: TrainingPolicy,
    runner: JobRunner,
    studio: LabelStudioServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    never = settings.model_copy(update={"search_seconds": 0})
    train(policy, JobRunner(never, policy.queue))
    studio.add_task(4, levels.data(0), levels.drawn(0))
    for _ in range(2):
        train(policy, runner, project=4)
    assert policy.queue.read(3).search is None
    assert policy.queue.read(4).search is None
    assert caplog.text.count("a better recipe is searched for once 4 tasks are annotated") == 1


@pytest.mark.usefixtures("long_search")
def test_a_new_annotation_ends_a_search_at_once_and_it_begins_anew_after_the_training_run(
    policy: TrainingPolicy, runner: JobRunner
) -> None:
    train(policy, runner)
    happened: list[float] = []

    def annotate() -> None:
        policy.count(3, CREATED)
        happened.append(time.monotonic())

    thread = meanwhile(policy, annotate)
    assert runner.run(3)
    assert time.monotonic() - happened[0] < SECONDS
    thread.join()
    given_way = search_of(policy)
    assert (given_way.state, given_way.attempts, given_way.candidate) == (State.QUEUED, 0, None)
    waiting = need(policy.queue.read(3).job_in(State.QUEUED))
    assert policy.queue.waiting() == [3]
    assert runner.run(3)  # what waits is the training run
    assert need(policy.queue.read(3).job(waiting.id)).state is State.FINISHED
    assert search_of(policy).state is State.QUEUED


@pytest.mark.usefixtures("long_search")
def test_label_studio_sees_a_training_that_ended_while_a_search_runs(
    client: FlaskClient, backend: Backend, settings: Settings
) -> None:
    event = {"project": {"id": 3}, "annotation": {"id": 1}, "task": {"id": 1}}
    started = client.post("/webhook", json=event | {"action": START_TRAINING}).get_json()
    runner = JobRunner(settings, backend.policy.queue)
    assert runner.run(3)
    shown: list[str] = []

    def look_and_annotate() -> None:
        shown.append(client.post("/job_status", json=started).get_json()["job_status"])
        shown.append(client.get("/projects").get_json()["projects"][0]["status"])
        client.post("/webhook", json=event | {"action": CREATED})

    thread = meanwhile(backend.policy, look_and_annotate)
    assert runner.run(3)
    thread.join()
    assert shown == ["finished", "searching"]
    assert client.get("/projects").get_json()["projects"][0]["status"] == "waiting"


@pytest.mark.usefixtures("long_search")
def test_a_search_gives_way_to_another_project_and_does_not_begin_while_that_waits(
    policy: TrainingPolicy, runner: JobRunner, studio: LabelStudioServer
) -> None:
    studio.add_task(4, levels.data(0), levels.drawn(0))
    train(policy, runner)
    thread = meanwhile(policy, lambda: policy.count(4, CREATED))
    assert runner.run(3)
    thread.join()
    assert search_of(policy).state is State.QUEUED
    assert policy.queue.waiting() == [4]
    assert runner.run(3)
    assert search_of(policy).attempts == 0  # it was not begun
    assert runner.run(4)
    assert policy.queue.waiting() == [3]


@pytest.mark.usefixtures("long_search")
def test_a_search_that_is_cancelled_comes_again_if_a_person_asks_for_training(
    policy: TrainingPolicy, runner: JobRunner
) -> None:
    train(policy, runner)
    thread = meanwhile(policy, lambda: policy.cancel(3))
    assert runner.run(3)
    thread.join()
    cancelled = search_of(policy)
    assert (cancelled.state, cancelled.error) == (State.FAILED, "cancelled")
    assert need(policy.queue.read(3).newest).state is State.FINISHED
    train(policy, runner)
    assert search_of(policy).id == cancelled.id
    train(policy, runner, START_TRAINING)
    assert search_of(policy).state is State.QUEUED


def test_a_search_that_fails_is_no_training_run_that_failed(
    policy: TrainingPolicy,
    runner: JobRunner,
    settings: Settings,
    studio: LabelStudioServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    train(policy, runner)
    version = ModelStore(settings).version(3)
    studio.configs[3] = "<View/>"
    assert runner.run(3)
    failed = search_of(policy)
    assert failed.state is State.FAILED
    assert f"search {failed.id} failed: {failed.error}" in caplog.text
    trainings = policy.queue.read(3)
    assert (need(trainings.newest).state, trainings.outcomes) == (State.FINISHED, {"finished": 1})
    assert (trainings.updates, ModelStore(settings).version(3)) == (0, version)


def test_a_rollback_during_a_search_stays(
    policy: TrainingPolicy, runner: JobRunner, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels.try_more_epochs(monkeypatch)
    train(policy, runner, START_TRAINING)
    train(policy, runner, START_TRAINING)
    store = ModelStore(settings)
    restored: list[str] = []
    thread = meanwhile(policy, lambda: restored.append(store.roll_back(3)))
    assert runner.run(3)
    thread.join()
    assert [store.version(3)] == restored
    assert "is not served any longer" in need(search_of(policy).error)


def test_a_search_whose_process_is_killed_is_tried_again_and_given_up_after_three_tries(
    settings: Settings, endings: list[TrainingPolicy]
) -> None:
    policy = TrainingPolicy(settings.model_copy(update={"hidden_size": 256}))
    endings.append(policy)
    policy.count(3, CREATED)
    policy.resume()
    for attempt in range(1, MOST_SEARCHES + 1):
        wait_for(
            lambda attempt=attempt: (
                (search := policy.queue.read(3).search)  # type: ignore[misc]
                and search.attempts == attempt
                and search.candidate
            )
        )
        for worker in workers(os.getpid()):
            kill(worker)
        wait_for(lambda: search_of(policy).state is not State.STARTED)
        assert "signal 9" in need(search_of(policy).error)
        with policy.queue.change(3) as trainings:
            need(trainings.search).not_before = None  # as if its pause were over
    assert search_of(policy).state is State.FAILED
    trainings = policy.queue.read(3)
    assert (need(trainings.newest).state, trainings.outcomes) == (State.FINISHED, {"finished": 1})
