import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import recorded
from filelock import FileLock
from label_studio_server import TOKEN, LabelStudioServer
from processes import fill, kill, lives, small_disk, wait_for, workers

from timeseries_segmenter.service.model_store import ModelStore
from timeseries_segmenter.service.training_job import Job, State
from timeseries_segmenter.service.training_queue import TrainingQueue
from timeseries_segmenter.service.training_state import TrainingStates
from timeseries_segmenter.service.worker_process import WorkerProcess
from timeseries_segmenter.settings import Settings

CREATED = "ANNOTATION_CREATED"
START = "START_TRAINING"
CONFIG = recorded.body("predict_json_inline")["label_config"]
# a large network, so that it takes minutes to be given up
ENDLESS = {
    "train_epochs": 1_000_000,
    "balanced_accuracy_threshold": 1.0,
    "min_class_f1_threshold": 1.0,
    "hidden_size": 256,
}


@pytest.fixture
def without_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkerProcess, "wake", lambda *_: None)


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    studio.configs[3] = CONFIG
    return settings.model_copy(update={"label_studio_host": studio.url})


def every(updates: int, settings: Settings) -> TrainingQueue:
    return TrainingQueue(settings.model_copy(update={"start_training_each_n_updates": updates}))


def take(queue: TrainingQueue, project: int) -> None:
    """What the worker does with a queued job."""
    with queue.states.change(project) as trainings:
        job = trainings.job_in(State.QUEUED)
        assert job
        job.start("host:7")


@pytest.mark.usefixtures("without_worker")
def test_a_training_is_queued_at_every_nth_event(settings: Settings):
    queue = every(3, settings)
    jobs = []
    for _ in range(9):
        job = queue.count(3, CREATED)
        jobs.append(job and job.id)
        if job:
            take(queue, 3)
            with queue.states.change(3) as trainings:
                trainings.finish(trainings.job_in(State.STARTED), "p3-v1", [], 1.5)
    assert [bool(job) for job in jobs] == [False, False, True] * 3
    assert len(set(jobs) - {None}) == 3


@pytest.mark.usefixtures("without_worker")
def test_start_training_queues_at_once_and_counts_from_zero_after_it(settings: Settings):
    queue = every(5, settings)
    assert [queue.count(3, CREATED) for _ in range(4)] == [None] * 4
    assert queue.count(3, START).event == START
    take(queue, 3)
    assert [queue.count(3, CREATED) for _ in range(4)] == [None] * 4
    assert queue.count(3, CREATED) is not None


@pytest.mark.usefixtures("without_worker")
def test_counts_are_kept_across_restarts(settings: Settings):
    assert [every(4, settings).count(3, CREATED) for _ in range(3)] == [None] * 3
    assert every(4, settings).count(3, CREATED) is not None


@pytest.mark.usefixtures("without_worker")
def test_counts_of_projects_are_apart(settings: Settings):
    queue = every(2, settings)
    assert [queue.count(project, CREATED) for project in (3, 4)] == [None, None]
    assert queue.count(3, CREATED).id.startswith("3-")
    assert queue.states.waiting() == [3]


@pytest.mark.usefixtures("without_worker")
def test_events_during_a_training_become_one_further_training(settings: Settings):
    queue = every(1, settings)
    first = queue.count(3, CREATED)
    assert queue.count(3, CREATED).id == first.id
    take(queue, 3)
    behind = {queue.count(3, event).id for event in (CREATED, START, "ANNOTATIONS_DELETED", CREATED)}
    assert len(behind) == 1
    assert behind != {first.id}
    assert [job.state for job in queue.states.read(3).jobs] == [State.STARTED, State.QUEUED]


def annotate(studio: LabelStudioServer) -> None:
    data = {"ts": {"time": list(range(300)), "value": recorded.values()}}
    studio.add_task(3, data, recorded.regions((40, 89, "Run")))


def newest(queue: TrainingQueue) -> Job:
    return queue.states.read(3).jobs[-1]


def in_state(queue: TrainingQueue, state: State) -> Job:
    return wait_for(lambda: newest(queue).state is state and newest(queue))


def only_worker() -> int:
    return wait_for(lambda: workers(os.getpid()))[0]


@pytest.fixture
def endings() -> Iterator[list[TrainingQueue]]:
    """Ends the workers of queues, and waits until nothing of them is left."""
    queues: list[TrainingQueue] = []
    yield queues
    for queue in queues:
        for project in queue.states.waiting():
            with queue.states.change(project) as trainings:
                trainings.jobs = []
    for queue in queues:
        process = queue.workers
        assert isinstance(process, WorkerProcess)
        while (supervisor := process._supervisor) and supervisor.is_alive():
            for worker in workers(os.getpid()):
                with suppress(ProcessLookupError):
                    kill(worker)
            supervisor.join(0.2)


def test_a_worker_that_is_killed_fails_its_job_and_the_next_event_starts_another(
    settings: Settings, studio: LabelStudioServer, endings: list[TrainingQueue]
):
    annotate(studio)
    queue = TrainingQueue(settings.model_copy(update=ENDLESS))
    endings.append(queue)
    job = queue.count(3, CREATED)
    first = only_worker()
    arguments = Path(f"/proc/{first}/cmdline").read_bytes() + Path(f"/proc/{first}/environ").read_bytes()
    assert TOKEN.encode() not in arguments
    assert in_state(queue, State.STARTED).id == job.id
    progress = wait_for(lambda: newest(queue).progress)
    assert progress.epochs == 1_000_000
    kill(first)
    failed = in_state(queue, State.FAILED)
    assert "signal 9" in failed.error
    assert failed.ended_at
    assert not lives(first)
    assert queue.count(3, CREATED).id != job.id
    assert only_worker() != first
    assert ModelStore(settings).version(3) == "untrained"


def test_a_waiting_worker_that_dies_leaves_the_training_of_another_alone(
    settings: Settings, endings: list[TrainingQueue]
):
    """Of the workers of several web processes one trains, the others wait."""
    queue = every(1, settings)
    endings.append(queue)
    states = TrainingStates(settings.model_dir.resolve())
    states.folder.mkdir(parents=True)
    with FileLock(states.folder / "worker.lock"):  # we are the one that trains
        with states.change(4) as trainings:
            trainings.enqueue(CREATED).start("host:7")
        with states.change(3) as trainings:
            trainings.enqueue(CREATED)
        queue.resume()
        first = only_worker()
        kill(first)
        wait_for(lambda: set(workers(os.getpid())) - {first})  # which takes its place in the line
        assert states.read(4).jobs[0].state is State.STARTED
        for project in (3, 4):
            with states.change(project) as trainings:
                trainings.jobs = []


def test_a_worker_that_cannot_start_is_not_tried_again_without_a_pause(
    settings: Settings, endings: list[TrainingQueue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    starts = tmp_path / "starts"
    broken = tmp_path / "python"
    broken.write_text(f"#!/bin/sh\nread settings\necho start >> {starts}\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    queue = every(1, settings)
    endings.append(queue)
    queue.count(3, CREATED)
    wait_for(starts.exists)
    time.sleep(1)
    assert len(starts.read_text().split()) <= 5


@pytest.fixture
def endless(settings: Settings, studio: LabelStudioServer, endings: list[TrainingQueue]) -> TrainingQueue:
    """The queue of a project whose training has no end."""
    annotate(studio)
    queue = TrainingQueue(settings.model_copy(update=ENDLESS))
    endings.append(queue)
    return queue


def test_a_training_that_is_cancelled_stops_and_the_next_event_trains_again(endless: TrainingQueue):
    job = endless.count(3, CREATED)
    wait_for(lambda: newest(endless).progress)
    worker = only_worker()
    assert [each.id for each in endless.cancel(3)] == [job.id]
    began = time.monotonic()
    cancelled = in_state(endless, State.FAILED)
    assert time.monotonic() - began < 5
    assert (cancelled.error, endless.states.read(3).updates) == ("cancelled", 0)
    assert endless.states.read(3).outcomes == {"cancelled": 1}
    assert lives(worker)
    assert endless.count(3, CREATED).id != job.id
    in_state(endless, State.STARTED)


def test_a_training_is_cancelled_also_while_it_waits_for_a_host(
    settings: Settings, studio: LabelStudioServer, endings: list[TrainingQueue]
):
    studio.configs[3] = recorded.body("setup_request_index_time")["schema"]
    studio.add_task(3, {"csv_url": studio.hang("/data/slow.csv")}, recorded.regions((40, 89, "Run")))
    queue = TrainingQueue(settings.model_copy(update={"download_timeout": 50.0}))
    endings.append(queue)
    queue.count(3, CREATED)
    wait_for(lambda: any(request.path == "/data/slow.csv" for request in studio.requests))
    queue.cancel(3)
    began = time.monotonic()
    assert in_state(queue, State.FAILED).error == "cancelled"
    assert time.monotonic() - began < 5


def test_a_job_that_is_cancelled_while_its_worker_gets_ready_is_never_started(endless: TrainingQueue):
    job = endless.count(3, CREATED)
    only_worker()  # which has seconds to import before it can train
    endless.cancel(3)
    assert (newest(endless).state, newest(endless).error) == (State.FAILED, "cancelled")
    second = endless.count(3, CREATED)
    assert in_state(endless, State.STARTED).id == second.id
    first = endless.states.read(3).job(job.id)
    assert (first.started_at, first.error) == (None, "cancelled")


def test_a_training_over_its_time_fails_and_its_events_count_again(
    settings: Settings, studio: LabelStudioServer, endings: list[TrainingQueue]
):
    studio.hang("/api/projects/3/")
    queue = TrainingQueue(settings.model_copy(update={"training_timeout": 3}))
    endings.append(queue)
    queue.count(3, CREATED)
    failed = in_state(queue, State.FAILED)
    assert "longer than TRAINING_TIMEOUT=3" in failed.error
    assert queue.states.read(3).updates == 1
    assert 3 <= queue.states.read(3).seconds < 20


def test_a_worker_that_is_told_to_end_puts_its_job_back_and_another_takes_it_up(endless: TrainingQueue):
    job = endless.count(3, CREATED)
    wait_for(lambda: newest(endless).progress)
    first = only_worker()
    os.kill(first, signal.SIGTERM)
    second = wait_for(lambda: [worker for worker in workers(os.getpid()) if worker != first])
    again = wait_for(lambda: (found := newest(endless)).worker.endswith(str(second[0])) and found)
    assert (again.id, again.attempts, again.state) == (job.id, 1, State.STARTED)


def test_a_queue_works_in_a_process_that_was_forked_with_threads(endless: TrainingQueue, tmp_path: Path):
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
    assert endless.states.read(4).job_in(State.QUEUED)


def test_a_worker_on_a_full_disk_waits_and_trains_once_there_is_room(
    settings: Settings,
    studio: LabelStudioServer,
    endings: list[TrainingQueue],
    monkeypatch: pytest.MonkeyPatch,
):
    annotate(studio)
    with small_disk(settings.model_dir):
        queue = TrainingQueue(settings)
        endings.append(queue)
        with monkeypatch.context() as patch:
            patch.setattr(WorkerProcess, "wake", lambda *_: None)
            job = queue.count(3, CREATED)
        filling = fill(settings.model_dir)
        queue.resume()
        worker = only_worker()
        time.sleep(3)
        assert lives(worker)
        assert newest(queue).state is State.QUEUED
        filling.unlink()
        assert in_state(queue, State.FINISHED).id == job.id
        for left in workers(os.getpid()):
            os.kill(left, signal.SIGTERM)
            wait_for(lambda left=left: not lives(left))
