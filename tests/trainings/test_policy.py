import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support import recorded
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from tests.support.need import need
from tests.support.processes import fill, kill, lives, small_disk, wait_ended, wait_for, workers
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources import retries
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.job import Job, State
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.runner import JobRunner
from timeseries_segmenter.trainings.worker_process import WorkerProcesses

CREATED = "ANNOTATION_CREATED"
START = "START_TRAINING"
CONFIG = recorded.body("predict_json_inline")["label_config"]
# thresholds that nothing meets, and a large network, so that it takes minutes to be given up
ENDLESS = {
    "train_epochs": 1_000_000,
    "balanced_accuracy_threshold": 2.0,
    "min_class_f1_threshold": 2.0,
    "hidden_size": 256,
}


@pytest.fixture
def without_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkerProcesses, "wake", lambda *_: None)


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    studio.configs[3] = CONFIG
    return settings.model_copy(update={"label_studio_host": studio.url})


def every(updates: int, settings: Settings) -> TrainingPolicy:
    return TrainingPolicy(settings.model_copy(update={"start_training_each_n_updates": updates}))


def take(policy: TrainingPolicy, project: int) -> None:
    """What the worker does with a queued job."""
    with policy.queue.change(project) as trainings:
        job = trainings.job_in(State.QUEUED)
        assert job
        job.start("host:7")


@pytest.mark.usefixtures("without_worker")
def test_a_training_is_queued_at_every_nth_event(settings: Settings) -> None:
    policy = every(3, settings)
    jobs = []
    for _ in range(9):
        job = policy.count(3, CREATED)
        jobs.append(job and job.id)
        if job:
            take(policy, 3)
            with policy.queue.change(3) as trainings:
                trainings.finish(need(trainings.job_in(State.STARTED)), "p3-v1", [], 1.5)
    assert [bool(job) for job in jobs] == [False, False, True] * 3
    assert len(set(jobs) - {None}) == 3


@pytest.mark.usefixtures("without_worker")
def test_start_training_queues_at_once_and_counts_from_zero_after_it(settings: Settings) -> None:
    policy = every(5, settings)
    assert [policy.count(3, CREATED) for _ in range(4)] == [None] * 4
    assert need(policy.count(3, START)).event == START
    take(policy, 3)
    assert [policy.count(3, CREATED) for _ in range(4)] == [None] * 4
    assert policy.count(3, CREATED) is not None


@pytest.mark.usefixtures("without_worker")
def test_counts_are_kept_across_restarts(settings: Settings) -> None:
    assert [every(4, settings).count(3, CREATED) for _ in range(3)] == [None] * 3
    assert every(4, settings).count(3, CREATED) is not None


@pytest.mark.usefixtures("without_worker")
def test_counts_of_projects_are_apart(settings: Settings) -> None:
    policy = every(2, settings)
    assert [policy.count(project, CREATED) for project in (3, 4)] == [None, None]
    assert need(policy.count(3, CREATED)).id.startswith("3-")
    assert policy.queue.waiting() == [3]


@pytest.mark.usefixtures("without_worker")
def test_events_during_a_training_become_one_further_training(settings: Settings) -> None:
    policy = every(1, settings)
    first = need(policy.count(3, CREATED))
    assert need(policy.count(3, CREATED)).id == first.id
    take(policy, 3)
    behind = {need(policy.count(3, event)).id for event in (CREATED, START, "ANNOTATIONS_DELETED", CREATED)}
    assert len(behind) == 1
    assert behind != {first.id}
    assert [job.state for job in policy.queue.read(3).jobs] == [State.STARTED, State.QUEUED]


def annotate(studio: LabelStudioServer, project: int = 3) -> None:
    data = {"ts": {"time": list(range(300)), "value": recorded.values()}}
    studio.add_task(project, data, recorded.regions((40, 89, "Run")))


def newest(policy: TrainingPolicy, project: int = 3) -> Job:
    return policy.queue.read(project).jobs[-1]


def in_state(policy: TrainingPolicy, state: State, project: int = 3) -> Job:
    return wait_for(lambda: newest(policy, project).state is state and newest(policy, project))


def only_worker() -> int:
    return wait_for(lambda: workers(os.getpid()))[0]


def test_a_training_whose_process_is_killed_is_tried_again_within_seconds(
    settings: Settings, studio: LabelStudioServer, endings: list[TrainingPolicy]
) -> None:
    annotate(studio)
    policy = TrainingPolicy(settings.model_copy(update=ENDLESS))
    endings.append(policy)
    job = need(policy.count(3, CREATED))
    first = only_worker()
    arguments = Path(f"/proc/{first}/cmdline").read_bytes() + Path(f"/proc/{first}/environ").read_bytes()
    assert TOKEN.encode() not in arguments
    assert in_state(policy, State.STARTED).id == job.id
    progress = wait_for(lambda: newest(policy).progress)
    assert progress.epoch <= progress.epochs < 1_000_000  # its steps end it before
    kill(first)
    waiting = wait_for(lambda: newest(policy) if newest(policy).not_before else None)
    assert (waiting.id, waiting.state, waiting.attempts) == (job.id, State.QUEUED, 1)
    assert "signal 9" in need(waiting.error)
    assert (need(waiting.not_before) - need(waiting.failed_at)).total_seconds() <= 5
    again = wait_for(lambda: newest(policy).attempts == 2 and newest(policy))
    assert (again.id, again.error) == (job.id, None)
    assert not lives(first)
    assert only_worker() != first
    assert ModelStore(settings).version(3) == "untrained"


def test_a_training_that_kills_its_process_each_time_keeps_no_other_project_waiting(
    settings: Settings, studio: LabelStudioServer, endings: list[TrainingPolicy]
) -> None:
    studio.configs[4] = CONFIG
    annotate(studio, 4)
    seen: list[int] = []

    def kill_it(_: Request) -> Reply:
        for worker in workers(os.getpid()):
            seen.append(worker)
            kill(worker)
        return Reply(status=500)

    studio.routes["/api/projects/3/"] = kill_it
    policy = TrainingPolicy(settings)
    endings.append(policy)
    policy.count(3, CREATED)
    wait_for(lambda: len(seen) >= 2)
    began = need(policy.count(4, CREATED))
    finished = in_state(policy, State.FINISHED, 4)
    assert finished.id == began.id
    in_state(policy, State.QUEUED)
    assert len(seen) <= 5  # and no hot loop


@pytest.mark.parametrize("status", [500, 503])
def test_a_training_that_fails_in_passing_waits_with_its_reason_and_ends_in_a_model_without_another_event(
    settings: Settings,
    studio: LabelStudioServer,
    endings: list[TrainingPolicy],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    monkeypatch.setattr(retries, "LONG", retries.ONE_TRY)
    annotate(studio)
    queue = JobQueue(settings.model_dir)
    with queue.change(3) as trainings:
        job = trainings.enqueue(CREATED)
    studio.routes["/api/projects/3/"] = lambda _: Reply(status=status)
    monkeypatch.setattr("timeseries_segmenter.sources.retries.sleep", lambda _: None)
    JobRunner(settings, queue).run(3)
    (waiting,) = queue.read(3).jobs
    assert (waiting.state, waiting.attempts, queue.waiting()) == (State.QUEUED, 1, [])
    assert f"answered {status}" in need(waiting.error)
    JobRunner(settings, queue).run(3)
    assert queue.read(3).jobs == [waiting]  # not before its time
    del studio.routes["/api/projects/3/"]
    policy = TrainingPolicy(settings)  # after a restart
    endings.append(policy)
    policy.resume()
    finished = in_state(policy, State.FINISHED)
    assert (finished.id, finished.attempts, finished.error) == (job.id, 2, None)


def refuse(studio: LabelStudioServer) -> str:
    studio.authorizations = {"Token another"}
    return "answered 401"


def forget(studio: LabelStudioServer) -> str:
    del studio.configs[3]
    return "answered 404"


def spoil_config(studio: LabelStudioServer) -> str:
    studio.configs[3] = "<View/>"
    return "TimeSeries"


def annotate_nothing(studio: LabelStudioServer) -> str:
    studio.tasks.clear()
    return "annotate and submit at least one"


@pytest.mark.parametrize("spoil", [refuse, forget, spoil_config, annotate_nothing])
def test_what_only_a_person_can_mend_is_not_tried_again(
    settings: Settings, studio: LabelStudioServer, spoil: Callable[[LabelStudioServer], str]
) -> None:
    annotate(studio)
    reason = spoil(studio)
    queue = JobQueue(settings.model_dir)
    with queue.change(3) as trainings:
        trainings.updates = 1
        trainings.enqueue(CREATED)
    JobRunner(settings, queue).run(3)
    trainings = queue.read(3)
    (job,) = trainings.jobs
    assert (job.state, job.not_before, trainings.updates) == (State.FAILED, None, 1)
    assert reason in need(job.error)
    assert queue.queued() == []


@pytest.mark.parametrize("error", [MemoryError("40 GB"), OSError(28, "No space left"), RuntimeError("odd")])
def test_whatever_else_a_training_meets_it_is_tried_again(
    settings: Settings, studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    annotate(studio)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(ModelStore, "save", fail)
    queue = JobQueue(settings.model_dir)
    with queue.change(3) as trainings:
        trainings.enqueue(CREATED)
    assert JobRunner(settings, queue).run(3)
    (job,) = queue.read(3).jobs
    assert (job.state, str(error) in need(job.error)) == (State.QUEUED, True)


def test_a_wake_up_that_was_lost_is_noticed(
    settings: Settings,
    studio: LabelStudioServer,
    endings: list[TrainingPolicy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    annotate(studio)
    policy = TrainingPolicy(settings)
    endings.append(policy)
    policy.resume()
    with monkeypatch.context() as patch:
        patch.setattr(WorkerProcesses, "wake", lambda *_: None)
        job = need(policy.count(3, CREATED))
    assert in_state(policy, State.FINISHED).id == job.id


def test_a_job_that_another_process_trains_starts_no_process_here(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[int] = []
    monkeypatch.setattr(WorkerProcesses, "wake", lambda _, project: woken.append(project))
    policy = every(1, settings)
    policy.count(3, CREATED)
    woken.clear()
    with FileLock(policy.queue.folder / "worker.lock"):
        policy.look()
        assert woken == []
    policy.look()
    assert woken == [3]


@pytest.mark.usefixtures("without_worker")
def test_an_event_whose_project_is_locked_is_kept_and_counted_once(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    policy = every(3, settings)
    policy.count(3, CREATED)
    with FileLock(policy.queue.folder / "project_3.lock"):
        assert policy.count(3, CREATED) is None  # the lock is never free: it does not wait for that
        assert policy.count(4, CREATED) is None
        policy.look()
        assert "project 3: its state is locked" in caplog.text
        assert policy.queue.read(3).updates == 1
    assert [JobQueue(settings.model_dir).read(project).updates for project in (3, 4)] == [1, 1]
    every(3, settings).look()  # after a restart
    policy.look()
    assert policy.queue.read(3).updates == 2
    with FileLock(policy.queue.folder / "project_3.lock"):
        policy.count(3, CREATED)
    policy.look()
    assert policy.queue.waiting() == [3]
    assert policy.queue.read(3).jobs[0].updates == 3
    assert list((policy.queue.folder / "events").iterdir()) == []


@pytest.mark.usefixtures("without_worker")
def test_what_a_killed_writer_left_of_a_late_event_is_removed_and_counts_for_nothing(
    settings: Settings,
) -> None:
    policy = every(1, settings)
    events = policy.queue.folder / "events"
    events.mkdir(parents=True)
    left, written = events / ".3.1f.unfinished", events / ".3.2f.unfinished"
    for path in (left, written):
        path.write_text(CREATED)
    os.utime(left, (time.time() - 2 * 3600,) * 2)
    policy.look()
    assert list(events.iterdir()) == [written]  # its writer may live
    assert policy.queue.projects() == []


@pytest.mark.usefixtures("without_worker")
def test_a_stray_file_among_late_events_is_left_alone(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    policy = every(1, settings)
    folder = policy.queue.folder / "events"
    (folder / "4.folder").mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (folder / "3.1f").write_text("START_TRAINING")
    policy.look()
    policy.look()
    assert policy.queue.queued() == [3]
    assert policy.queue.read(3).jobs[0].event == START
    assert sorted(path.name for path in folder.iterdir()) == ["4.folder", "notes.txt"]
    assert caplog.text.count("notes.txt") == caplog.text.count("4.folder is not an event") == 1


def test_a_waiting_worker_that_dies_leaves_the_training_of_another_alone(
    settings: Settings, endings: list[TrainingPolicy]
) -> None:
    """Of the workers of several web processes one trains, the others wait."""
    policy = every(1, settings)
    endings.append(policy)
    queue = JobQueue(settings.model_dir.resolve())
    queue.folder.mkdir(parents=True)
    with queue.only_one(4), FileLock(queue.folder / "worker.lock"):  # we are the one that trains
        with queue.change(4) as trainings:
            trainings.enqueue(CREATED).start("host:7")
        with queue.change(3) as trainings:
            trainings.enqueue(CREATED)
        policy.workers.wake(3)
        first = only_worker()
        kill(first)
        wait_for(lambda: set(workers(os.getpid())) - {first})  # which takes its place in the line
        assert queue.read(4).jobs[0].state is State.STARTED
        for project in (3, 4):
            with queue.change(project) as trainings:
                trainings.jobs = []


def test_a_worker_that_cannot_start_is_not_tried_again_without_a_pause(
    settings: Settings, endings: list[TrainingPolicy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = tmp_path / "starts"
    broken = tmp_path / "python"
    broken.write_text(f"#!/bin/sh\nread settings\necho start >> {starts}\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    policy = every(1, settings)
    endings.append(policy)
    policy.count(3, CREATED)
    wait_for(starts.exists)
    time.sleep(1)
    assert len(starts.read_text().split()) <= 5


@pytest.fixture
def endless(settings: Settings, studio: LabelStudioServer, endings: list[TrainingPolicy]) -> TrainingPolicy:
    """The queue of a project whose training has no end."""
    annotate(studio)
    policy = TrainingPolicy(settings.model_copy(update=ENDLESS))
    endings.append(policy)
    return policy


def test_a_training_that_is_cancelled_stops_and_the_next_event_trains_again(endless: TrainingPolicy) -> None:
    job = need(endless.count(3, CREATED))
    wait_for(lambda: newest(endless).progress)
    worker = only_worker()
    assert [each.id for each in endless.cancel(3)] == [job.id]
    cancelled = in_state(endless, State.FAILED)
    assert (cancelled.error, endless.queue.read(3).updates) == ("cancelled", 0)
    assert endless.queue.read(3).outcomes == {"cancelled": 1}
    assert lives(worker)
    assert need(endless.count(3, CREATED)).id != job.id
    in_state(endless, State.STARTED)


def test_a_training_is_cancelled_also_while_it_waits_for_a_host(
    settings: Settings, studio: LabelStudioServer, endings: list[TrainingPolicy]
) -> None:
    studio.configs[3] = recorded.body("setup_request_index_time")["schema"]
    studio.add_task(3, {"csv_url": studio.hang("/data/slow.csv")}, recorded.regions((40, 89, "Run")))
    policy = TrainingPolicy(settings.model_copy(update={"download_timeout": 110.0}))
    endings.append(policy)
    policy.count(3, CREATED)
    wait_for(lambda: any(request.path == "/data/slow.csv" for request in studio.requests))
    policy.cancel(3)
    assert in_state(policy, State.FAILED).error == "cancelled"  # long before the host is given up


def test_a_job_that_is_cancelled_while_its_worker_gets_ready_is_never_started(
    endless: TrainingPolicy,
) -> None:
    job = need(endless.count(3, CREATED))
    only_worker()  # which has seconds to import before it can train
    endless.cancel(3)
    assert (newest(endless).state, newest(endless).error) == (State.FAILED, "cancelled")
    second = need(endless.count(3, CREATED))
    assert in_state(endless, State.STARTED).id == second.id
    first = need(endless.queue.read(3).job(job.id))
    assert (first.started_at, first.error) == (None, "cancelled")


def test_a_training_over_its_time_is_tried_again_after_a_long_pause(
    settings: Settings, studio: LabelStudioServer, endings: list[TrainingPolicy]
) -> None:
    studio.hang("/api/projects/3/")
    policy = TrainingPolicy(settings.model_copy(update={"training_timeout": 3}))
    endings.append(policy)
    policy.count(3, CREATED)
    waiting = wait_for(lambda: newest(policy) if newest(policy).failed_at else None)
    assert waiting.state is State.QUEUED
    assert "longer than TRAINING_TIMEOUT=3" in need(waiting.error)
    assert (need(waiting.not_before) - need(waiting.failed_at)) == timedelta(minutes=15)
    assert 3 <= policy.queue.read(3).seconds < 60


def test_a_worker_that_is_told_to_end_puts_its_job_back_and_another_takes_it_up(
    endless: TrainingPolicy,
) -> None:
    job = need(endless.count(3, CREATED))
    wait_for(lambda: newest(endless).progress)
    first = only_worker()
    os.kill(first, signal.SIGTERM)
    second = wait_for(lambda: [worker for worker in workers(os.getpid()) if worker != first])
    again = wait_for(lambda: need((found := newest(endless)).worker).endswith(str(second[0])) and found)
    assert (again.id, again.attempts, again.state) == (job.id, 1, State.STARTED)


def test_a_queue_works_in_a_process_that_was_forked_with_threads(
    endless: TrainingPolicy, tmp_path: Path
) -> None:
    """As where gunicorn loads the app before it forks: threads of the parent are none in the child."""
    endless.count(3, CREATED)
    in_state(endless, State.STARTED)  # the supervising thread lives
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            endless.count(4, CREATED)
            (tmp_path / "forked").write_text(str(wait_for(lambda: workers(os.getpid()))[0]))
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    worker = int((tmp_path / "forked").read_text())
    wait_for(lambda: not lives(worker))  # it ended with the process that started it
    assert endless.queue.read(4).job_in(State.QUEUED)


def test_a_worker_on_a_full_disk_waits_and_trains_once_there_is_room(
    settings: Settings,
    studio: LabelStudioServer,
    endings: list[TrainingPolicy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    annotate(studio)
    with small_disk(settings.model_dir):
        policy = TrainingPolicy(settings)
        endings.append(policy)
        with monkeypatch.context() as patch:
            patch.setattr(WorkerProcesses, "wake", lambda *_: None)
            job = need(policy.count(3, CREATED))
        filling = fill(settings.model_dir)
        policy.resume()
        worker = only_worker()
        time.sleep(3)
        assert lives(worker)
        assert newest(policy).state is State.QUEUED
        filling.unlink()
        assert in_state(policy, State.FINISHED).id == job.id
        for left in workers(os.getpid()):
            os.kill(left, signal.SIGTERM)
            wait_ended([left])
