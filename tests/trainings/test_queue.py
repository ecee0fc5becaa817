import json
import multiprocessing
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.need import need
from tests.support.processes import wait_for
from timeseries_segmenter.errors import StateError
from timeseries_segmenter.trainings.job import Progress, State
from timeseries_segmenter.trainings.pauses import AFTER_FAILURE
from timeseries_segmenter.trainings.project_trainings import JOBS_KEPT
from timeseries_segmenter.trainings.queue import JobQueue

WORKER = "host:7"


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path)


def enqueue(queue: JobQueue, project: int, event: str = "ANNOTATION_CREATED") -> str:
    with queue.change(project) as trainings:
        return trainings.enqueue(event).id


def start(queue: JobQueue, project: int) -> None:
    with queue.change(project) as trainings:
        job = trainings.job_in(State.QUEUED)
        assert job
        job.start(WORKER)


def test_a_project_without_trainings_is_empty_and_leaves_no_file(queue: JobQueue, tmp_path: Path) -> None:
    trainings = queue.read(3)
    assert (trainings.project, trainings.updates, trainings.jobs) == (3, 0, [])
    assert queue.waiting() == queue.interrupted() == []
    assert list(tmp_path.iterdir()) == []


def test_changes_are_read_by_another_process_as_they_were_made(queue: JobQueue, tmp_path: Path) -> None:
    identity = enqueue(queue, 3)
    start(queue, 3)
    with queue.change(3) as trainings:
        running = need(trainings.job_in(State.STARTED))
        running.progress = Progress(epoch=4, epochs=9, loss=0.5, balanced_accuracy=0.8, min_f1=0.25)
    with queue.change(3) as trainings:
        trainings.finish(need(trainings.job_in(State.STARTED)), "p3-v1", ["Task 4: gone"], 1.5)
    (job,) = JobQueue(tmp_path).read(3).jobs
    assert (job.id, job.state, job.version, job.skipped) == (identity, "finished", "p3-v1", ["Task 4: gone"])
    assert job.queued_at <= need(job.started_at) <= need(job.ended_at)
    assert need(job.progress).epoch == 4


def test_a_change_that_breaks_is_not_saved(queue: JobQueue) -> None:
    def break_in_between() -> None:
        with queue.change(3) as trainings:
            trainings.updates = 9
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError):
        break_in_between()
    assert queue.read(3).updates == 0
    assert enqueue(queue, 3)  # the lock is free again


def test_events_share_the_job_that_waits(queue: JobQueue) -> None:
    first = enqueue(queue, 3)
    assert enqueue(queue, 3) == first
    start(queue, 3)
    second = enqueue(queue, 3)
    assert second != first
    assert enqueue(queue, 3) == second
    assert [job.state for job in queue.read(3).jobs] == [State.STARTED, State.QUEUED]


def test_waiting_projects_are_served_in_the_order_they_came(queue: JobQueue) -> None:
    for project in (5, 3, 4):
        enqueue(queue, project)
    enqueue(queue, 5)  # keeps its place
    assert queue.waiting() == [5, 3, 4]
    start(queue, 5)
    assert queue.waiting() == [3, 4]
    assert queue.interrupted() == [5]


def test_only_the_last_jobs_are_kept(queue: JobQueue) -> None:
    for _ in range(JOBS_KEPT + 5):
        newest = enqueue(queue, 3)
        start(queue, 3)
        with queue.change(3) as trainings:
            trainings.finish(need(trainings.job_in(State.STARTED)), "p3-v1", [], 1.5)
    jobs = queue.read(3).jobs
    assert len(jobs) == JOBS_KEPT
    assert jobs[-1].id == newest


def test_a_job_that_was_interrupted_is_tried_again_within_seconds_and_then_ever_more_rarely(
    queue: JobQueue,
) -> None:
    identity = enqueue(queue, 3)
    pauses = []
    for tries in range(1, 15):
        start(queue, 3)
        queue.take_up()
        (job,) = queue.read(3).jobs
        assert (job.id, job.state, job.attempts) == (identity, State.QUEUED, tries)
        assert "short of memory" in need(job.error)
        pauses.append(round((need(job.not_before) - need(job.failed_at)).total_seconds()))
    assert pauses[0] <= 5
    assert pauses == sorted(pauses)
    assert any(60 <= pause <= 900 for pause in pauses)  # minutes
    assert pauses[-1] == pauses[-2] == 8 * 3600  # hours, and no more of them


def test_a_job_that_is_to_be_tried_again_waits_for_its_time_also_after_a_restart(
    queue: JobQueue, tmp_path: Path
) -> None:
    enqueue(queue, 4)
    start(queue, 4)
    queue.take_up()
    enqueue(queue, 3)
    for after_restart in (queue, JobQueue(tmp_path)):
        assert after_restart.queued() == [3, 4]
        assert after_restart.waiting() == [3]
    wait_for(lambda: queue.waiting() == [3, 4])


def test_a_new_event_shortens_a_long_pause_and_a_person_who_asks_ends_it(queue: JobQueue) -> None:
    enqueue(queue, 3)
    start(queue, 3)
    with queue.change(3) as trainings:
        job = trainings.jobs[0]
        job.attempts = 8
        trainings.try_again(job, "Label Studio did not answer", AFTER_FAILURE)
        assert (need(job.not_before) - need(job.failed_at)) == timedelta(hours=4)
    enqueue(queue, 3)
    (job,) = queue.read(3).jobs
    assert (need(job.not_before) - need(job.failed_at)) == timedelta(minutes=1)
    assert queue.waiting() == []
    enqueue(queue, 3, "START_TRAINING")
    assert queue.waiting() == [3]


def test_a_job_that_was_interrupted_gives_way_to_the_one_behind_it(queue: JobQueue) -> None:
    enqueue(queue, 3)
    start(queue, 3)
    second = enqueue(queue, 3)
    queue.take_up()
    first, last = queue.read(3).jobs
    assert (first.state, last.state, last.id) == (State.FAILED, State.QUEUED, second)
    assert last.attempts == 1  # a run that always dies waits longer each time, whatever arrives
    assert need(last.not_before) > need(last.failed_at)


def test_the_job_behind_one_that_kills_its_process_each_time_waits_no_more_than_a_minute(
    queue: JobQueue,
) -> None:
    enqueue(queue, 3)
    for _ in range(8):
        start(queue, 3)
        enqueue(queue, 3)
        queue.take_up()
    job = queue.read(3).jobs[-1]
    assert job.attempts == 8
    assert (need(job.not_before) - need(job.failed_at)) == timedelta(minutes=1)


def test_a_dead_workers_running_job_waits_with_the_reason_and_all_others_stay(queue: JobQueue) -> None:
    for project in (3, 4, 5):
        enqueue(queue, project)
    start(queue, 3)
    with queue.change(4) as trainings:
        need(trainings.job_in(State.QUEUED)).start("host:77")
    with queue.only_one(4):  # its worker lives
        assert queue.take_up(WORKER, "the training process died") == 1
    jobs = [queue.read(project).jobs[0] for project in (3, 4, 5)]
    assert [job.state for job in jobs] == [State.QUEUED, State.STARTED, State.QUEUED]
    assert jobs[0].error == "the training process died"
    assert queue.waiting() == [5]


def test_a_job_whose_process_was_killed_before_its_marker_was_made_is_found(
    queue: JobQueue, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue(queue, 3)
    (queue.folder / "waiting" / "3").unlink()
    assert queue.waiting() == []
    queue.take_up()
    assert queue.waiting() == [3]
    assert "project 3: its queued job had been forgotten" in caplog.text


def test_a_marker_without_a_job_is_no_training(queue: JobQueue) -> None:
    enqueue(queue, 3)
    (queue.folder / "waiting" / "4").touch()
    assert queue.queued() == queue.waiting() == [3]


def stray(folder: Path) -> None:
    (folder / "waiting" / "notes.txt").write_text("mine")
    (folder / "waiting" / ".DS_Store").touch()
    (folder / "waiting" / "\u0665").touch()
    (folder / "waiting" / "007").touch()
    (folder / "project_x.json").write_text("{}")


def folder_for_a_state(folder: Path) -> None:
    (folder / "project_4.json").mkdir()
    (folder / "waiting" / "4").touch()


def folder_for_a_lock(folder: Path) -> None:
    (folder / "project_4.lock").mkdir()


def folder_for_a_marker(folder: Path) -> None:
    (folder / "waiting" / "4").mkdir()


def endless_link(folder: Path) -> None:
    (folder / "project_4.json").symlink_to("project_4.json")


def newer(folder: Path) -> None:
    (folder / "project_4.json").write_text('{"format": 3, "project": 4, "lanes": [{"state": "paused"}]}')
    (folder / "waiting" / "4").touch()


def text_for_the_markers(folder: Path) -> None:
    shutil.rmtree(folder / "waiting")
    (folder / "waiting").write_text("mine")


@pytest.mark.parametrize(
    "spoil",
    [
        stray,
        folder_for_a_state,
        folder_for_a_lock,
        folder_for_a_marker,
        endless_link,
        newer,
        text_for_the_markers,
    ],
)
def test_one_bad_entry_costs_one_project_at_most(
    queue: JobQueue, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    enqueue(queue, 5)
    start(queue, 5)
    spoil(queue.folder)
    queue.take_up()
    enqueue(queue, 3)
    for _ in range(3):
        assert 3 in queue.waiting()
        assert 4 not in queue.waiting()
        queue.take_up()
        assert [queue.read(project).jobs[0].state for project in (3, 5)] == [State.QUEUED] * 2
    messages = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(messages) == len(set(messages))  # said once


def test_a_state_of_a_newer_release_stays_and_is_told(
    queue: JobQueue, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue(queue, 3)
    path = queue.folder / "project_3.json"
    content = '{"format": 3, "project": 3, "jobs": {"of": "another form"}}'
    path.write_text(content)
    for _ in range(2):
        assert "newer release" in need(queue.read(3).problem)
        queue.take_up()
        with pytest.raises(StateError, match="format 3, this one knows 2"), queue.change(3):
            pass
    assert path.read_text() == content
    assert not list(queue.folder.glob("*damaged*"))
    assert caplog.text.count("newer release") == 1


def test_a_state_of_the_release_before_is_read(queue: JobQueue) -> None:
    enqueue(queue, 3)
    path = queue.folder / "project_3.json"
    before = json.loads(path.read_text())
    del before["format"]
    for job in before["jobs"]:
        del job["not_before"], job["failed_at"]
    path.write_text(json.dumps(before))
    start(queue, 3)
    assert queue.read(3).jobs[0].state is State.STARTED
    assert json.loads(path.read_text())["format"] == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"project": "three"}', "\0" * 100])
def test_a_damaged_file_is_set_aside_and_counting_begins_anew(
    queue: JobQueue, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    enqueue(queue, 3)
    (queue.folder / "project_3.json").write_text(content)
    assert queue.read(3).jobs == []
    assert "project 3" in caplog.text
    assert [path.read_text() for path in queue.folder.glob("*damaged*")] == [content]
    assert enqueue(queue, 3)


def test_the_file_is_json_for_people_to_read(queue: JobQueue) -> None:
    identity = enqueue(queue, 3, "START_TRAINING")
    content = json.loads((queue.folder / "project_3.json").read_text())
    assert content["jobs"][0]["id"] == identity
    assert content["jobs"][0]["event"] == "START_TRAINING"


def count_fifty(folder: Path) -> None:
    queue = JobQueue(folder)
    for _ in range(50):
        with queue.change(3) as trainings:
            trainings.updates += 1


def test_no_event_is_lost_between_processes(queue: JobQueue, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=count_fifty, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert queue.read(3).updates == 100


def test_a_training_that_a_person_asks_for_starts_from_scratch_also_where_one_was_queued(
    queue: JobQueue,
) -> None:
    with queue.change(3) as trainings:
        queued = trainings.enqueue("ANNOTATION_CREATED")
        assert not queued.from_scratch
        assert trainings.enqueue("START_TRAINING") is queued
        trainings.enqueue("ANNOTATION_CREATED")
    (job,) = queue.read(3).jobs
    assert job.from_scratch


def test_a_look_keeps_of_the_jobs_that_are_over_the_last(queue: JobQueue) -> None:
    for _ in range(3):
        with queue.change(3) as trainings:
            job = trainings.enqueue("START_TRAINING")
            job.start("host:7")
            trainings.finish(job, "v", [], 2.0)
    with queue.change(3) as trainings:
        trainings.enqueue("START_TRAINING").start("host:7")
        trainings.enqueue("ANNOTATION_CREATED")
    states = [job.state for job in queue.look(3).jobs]
    assert states == [State.FINISHED, State.STARTED, State.QUEUED]
    assert queue.look(3) is queue.look(3)
    assert (queue.look(3).outcomes, queue.look(3).seconds) == ({"finished": 3}, 6.0)
    with queue.change(3) as trainings:
        trainings.cancel()
    assert [job.cancelled for job in queue.look(3).jobs] == [True, True]
    assert (queue.has(3), queue.has(4)) == (True, False)


def test_a_project_that_was_just_trained_is_behind_those_that_waited_meanwhile(queue: JobQueue) -> None:
    with queue.change(1) as trainings:
        running = trainings.enqueue("ANNOTATION_CREATED")
        running.start("host:7")
        trainings.enqueue("ANNOTATION_CREATED")
    for project in (2, 3):
        with queue.change(project) as trainings:
            trainings.enqueue("ANNOTATION_CREATED")
    assert queue.waiting() == [1, 2, 3]
    with queue.change(1) as trainings:
        trainings.finish(trainings.jobs[0], "v", [], 2.0)
    assert queue.waiting() == [2, 3, 1]
    with queue.change(4) as trainings:
        trainings.enqueue("ANNOTATION_CREATED")
    assert queue.waiting() == [2, 3, 1, 4]


def test_a_state_holds_the_tasks_that_were_left_out_once(queue: JobQueue) -> None:
    sentences = [f"Task {task}: the file is gone" for task in range(100)]
    sizes = []
    for _ in range(5):
        with queue.change(3) as trainings:
            job = trainings.enqueue("START_TRAINING")
            job.start("host:7")
            trainings.finish(job, "v", sentences, 2.0)
        sizes.append((queue.folder / "project_3.json").stat().st_size)
    assert [len(job.skipped) for job in queue.read(3).jobs] == [0, 0, 0, 0, 100]
    assert sizes[-1] < 2 * sizes[0]
