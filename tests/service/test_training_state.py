import json
import multiprocessing
from pathlib import Path

import pytest

from timeseries_segmenter.service.training_job import JOBS_KEPT, Progress, State
from timeseries_segmenter.service.training_state import TrainingStates

WORKER = "host:7"


@pytest.fixture
def states(tmp_path: Path) -> TrainingStates:
    return TrainingStates(tmp_path)


def enqueue(states: TrainingStates, project: int, event: str = "ANNOTATION_CREATED") -> str:
    with states.change(project) as trainings:
        return trainings.enqueue(event).id


def start(states: TrainingStates, project: int) -> None:
    with states.change(project) as trainings:
        job = trainings.job_in(State.QUEUED)
        assert job
        job.start(WORKER)


def test_a_project_without_trainings_is_empty_and_leaves_no_file(states: TrainingStates, tmp_path: Path):
    trainings = states.read(3)
    assert (trainings.project, trainings.updates, trainings.jobs) == (3, 0, [])
    assert states.waiting() == states.interrupted() == []
    assert list(tmp_path.iterdir()) == []


def test_changes_are_read_by_another_process_as_they_were_made(states: TrainingStates, tmp_path: Path):
    identity = enqueue(states, 3)
    start(states, 3)
    with states.change(3) as trainings:
        running = trainings.job_in(State.STARTED)
        running.progress = Progress(epoch=4, epochs=9, loss=0.5, balanced_accuracy=0.8, min_f1=0.25)
    with states.change(3) as trainings:
        trainings.finish(trainings.job_in(State.STARTED), "p3-v1", ["Task 4: gone"], 1.5)
    (job,) = TrainingStates(tmp_path).read(3).jobs
    assert (job.id, job.state, job.version, job.skipped) == (identity, "finished", "p3-v1", ["Task 4: gone"])
    assert job.queued_at <= job.started_at <= job.ended_at
    assert job.progress.epoch == 4


def test_a_change_that_breaks_is_not_saved(states: TrainingStates):
    def break_in_between() -> None:
        with states.change(3) as trainings:
            trainings.updates = 9
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError):
        break_in_between()
    assert states.read(3).updates == 0
    assert enqueue(states, 3)  # the lock is free again


def test_events_share_the_job_that_waits(states: TrainingStates):
    first = enqueue(states, 3)
    assert enqueue(states, 3) == first
    start(states, 3)
    second = enqueue(states, 3)
    assert second != first
    assert enqueue(states, 3) == second
    assert [job.state for job in states.read(3).jobs] == [State.STARTED, State.QUEUED]


def test_waiting_projects_are_served_in_the_order_they_came(states: TrainingStates):
    for project in (5, 3, 4):
        enqueue(states, project)
    enqueue(states, 5)  # keeps its place
    assert states.waiting() == [5, 3, 4]
    start(states, 5)
    assert states.waiting() == [3, 4]
    assert states.interrupted() == [5]


def test_only_the_last_jobs_are_kept(states: TrainingStates):
    for _ in range(JOBS_KEPT + 5):
        newest = enqueue(states, 3)
        start(states, 3)
        with states.change(3) as trainings:
            trainings.finish(trainings.job_in(State.STARTED), "p3-v1", [], 1.5)
    jobs = states.read(3).jobs
    assert len(jobs) == JOBS_KEPT
    assert jobs[-1].id == newest


def test_a_job_that_was_interrupted_is_queued_again_once(states: TrainingStates):
    identity = enqueue(states, 3)
    start(states, 3)
    states.resume_interrupted()
    (job,) = states.read(3).jobs
    assert (job.id, job.state, states.waiting()) == (identity, State.QUEUED, [3])
    start(states, 3)
    states.resume_interrupted()
    (job,) = states.read(3).jobs
    assert (job.state, states.waiting()) == (State.FAILED, [])
    assert "2 times" in job.error


def test_a_job_that_was_interrupted_gives_way_to_the_one_behind_it(states: TrainingStates):
    enqueue(states, 3)
    start(states, 3)
    second = enqueue(states, 3)
    states.resume_interrupted()
    first, last = states.read(3).jobs
    assert (first.state, last.state, last.id) == (State.FAILED, State.QUEUED, second)


def test_a_dead_workers_running_job_fails_and_all_others_stay(states: TrainingStates):
    for project in (3, 4, 5):
        enqueue(states, project)
    start(states, 3)
    with states.change(4) as trainings:
        trainings.job_in(State.QUEUED).start("host:77")
    states.fail_started(WORKER, "the training process died")
    jobs = [states.read(project).jobs[0] for project in (3, 4, 5)]
    assert [job.state for job in jobs] == [State.FAILED, State.STARTED, State.QUEUED]
    assert jobs[0].error == "the training process died"
    assert states.waiting() == [5]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"project": "three"}', "\0" * 100])
def test_a_damaged_file_is_set_aside_and_counting_begins_anew(
    states: TrainingStates, caplog: pytest.LogCaptureFixture, content: str
):
    enqueue(states, 3)
    (states.folder / "project_3.json").write_text(content)
    assert states.read(3).jobs == []
    assert "project 3" in caplog.text
    assert [path.read_text() for path in states.folder.glob("*damaged*")] == [content]
    assert enqueue(states, 3)


def test_the_file_is_json_for_people_to_read(states: TrainingStates):
    identity = enqueue(states, 3, "START_TRAINING")
    content = json.loads((states.folder / "project_3.json").read_text())
    assert content["jobs"][0]["id"] == identity
    assert content["jobs"][0]["event"] == "START_TRAINING"


def count_fifty(folder: Path) -> None:
    states = TrainingStates(folder)
    for _ in range(50):
        with states.change(3) as trainings:
            trainings.updates += 1


def test_no_event_is_lost_between_processes(states: TrainingStates, tmp_path: Path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=count_fifty, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert states.read(3).updates == 100


def test_a_training_that_a_person_asks_for_starts_from_scratch_also_where_one_was_queued(
    states: TrainingStates,
):
    with states.change(3) as trainings:
        queued = trainings.enqueue("ANNOTATION_CREATED")
        assert not queued.from_scratch
        assert trainings.enqueue("START_TRAINING") is queued
        trainings.enqueue("ANNOTATION_CREATED")
    (job,) = states.read(3).jobs
    assert job.from_scratch
