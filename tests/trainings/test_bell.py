"""Real workers on a real Redis, over one MODEL_DIR."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from pydantic import SecretStr
from rq import Callback

from tests.support import levels, recorded
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from tests.support.need import need
from tests.support.processes import children, kill, wait_ended, wait_for
from tests.support.redis_server import RedisServer
from timeseries_segmenter.errors import QueueError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.bell import TRAIN, RedisBell
from timeseries_segmenter.trainings.job import Job, State
from timeseries_segmenter.trainings.policy import TrainingPolicy

ROOT = Path(__file__).parents[2]
CREATED = "ANNOTATION_CREATED"
CONFIG = recorded.body("predict_json_inline")["label_config"]
SERIES = {"ts": {"time": list(range(300)), "value": recorded.values()}}
# a large network, so that it takes minutes to be given up
ENDLESS = {
    "TRAIN_EPOCHS": "1000000",
    "BALANCED_ACCURACY_THRESHOLD": "1",
    "MIN_CLASS_F1_THRESHOLD": "1",
    "HIDDEN_SIZE": "256",
}

StartWorker = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer, redis: RedisServer) -> Settings:
    redis.empty()  # of the jobs of workers that the test before killed
    for project in (3, 4):
        studio.configs[project] = CONFIG
        studio.add_task(project, SERIES, recorded.regions((40, 89, "Run")))
    return settings.model_copy(update={"label_studio_host": studio.url, "redis_url": SecretStr(redis.url)})


@pytest.fixture
def policy(settings: Settings) -> TrainingPolicy:
    return TrainingPolicy(settings)


@pytest.fixture
def start_worker(settings: Settings, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts `python -m timeseries_segmenter worker`, as `make worker` does; its log is `worker.log`."""
    running: list[subprocess.Popen[bytes]] = []

    def start(**variables: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "LABEL_STUDIO_HOST": settings.label_studio_host,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "MODEL_DIR": str(settings.model_dir),
            "REDIS_URL": settings.redis_url.get_secret_value(),
            "TRAIN_EPOCHS": "2",
            "HIDDEN_SIZE": "4",
            **variables,
        }
        with (tmp_path / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "timeseries_segmenter", "worker"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        running.append(worker)
        return worker

    yield start
    for worker in running:
        left = children(worker.pid)
        worker.send_signal(signal.SIGTERM)
        worker.wait(180)
        wait_ended(left)


def newest(policy: TrainingPolicy, project: int = 3) -> Job:
    return policy.queue.read(project).jobs[-1]


def in_state(policy: TrainingPolicy, state: State, project: int = 3) -> Job:
    return wait_for(lambda: newest(policy, project).state is state and newest(policy, project))


def test_workers_train_one_project_at_a_time_and_different_ones_side_by_side(
    policy: TrainingPolicy, start_worker: StartWorker, settings: Settings, studio: LabelStudioServer
) -> None:
    for _ in range(3):
        start_worker()
    for project in (3, 4):
        studio.hang(f"/api/projects/{project}/")
    for project in (3, 4):
        policy.count(project, CREATED)
    first, other = (in_state(policy, State.STARTED, project) for project in (3, 4))
    assert first.worker != other.worker
    behind = {need(policy.count(3, CREATED)).id for _ in range(5)}
    assert len(behind) == 1  # events during a training run become one further job
    time.sleep(7)  # a third worker is idle, and has looked for work by now
    assert [job.state for job in policy.queue.read(3).jobs] == [State.STARTED, State.QUEUED]
    for project in (3, 4):
        policy.cancel(project)
    for project in (3, 4):
        assert in_state(policy, State.FAILED, project).error == "cancelled"
    wait_for(lambda: not any(policy.queue.read(project).job_in(State.STARTED) for project in (3, 4)))
    assert ModelStore(settings).projects() == []


def test_a_search_waits_until_nothing_else_is_trained(
    policy: TrainingPolicy, start_worker: StartWorker, studio: LabelStudioServer
) -> None:
    for seed in range(4):
        studio.add_task(3, levels.data(seed), levels.drawn(seed))
    start_worker(HIDDEN_SIZE="128")
    policy.count(3, CREATED)
    wait_for(lambda: (search := policy.queue.read(3).search) and search.candidate)
    policy.count(4, CREATED)
    trained = in_state(policy, State.FINISHED, 4)
    search = wait_for(
        lambda: (search := policy.queue.read(3).search) and search.state is State.FINISHED and search
    )
    assert need(trained.ended_at) <= need(search.started_at)
    assert search.attempts == 1


def test_tasks_are_predicted_after_a_training_run_and_before_a_search(
    policy: TrainingPolicy, start_worker: StartWorker, settings: Settings, studio: LabelStudioServer
) -> None:
    for seed in range(4):
        studio.add_task(3, levels.data(seed), levels.drawn(seed))
    waits = studio.add_task(3, levels.data(4))
    start_worker()
    policy.count(3, CREATED)
    predicted = wait_for(
        lambda: (job := policy.queue.read(3).prediction) and job.state is State.FINISHED and job
    )
    (stored,) = studio.predictions(3)[waits]
    assert stored["model_version"] == predicted.version == ModelStore(settings).version(3)
    search = wait_for(lambda: (job := policy.queue.read(3).search) and job.started_at is not None and job)
    assert need(predicted.ended_at) <= need(search.started_at)


def test_the_training_behind_another_follows_it_at_once(
    policy: TrainingPolicy, start_worker: StartWorker, settings: Settings
) -> None:
    start_worker()
    policy.count(3, CREATED)
    in_state(policy, State.STARTED)
    second = need(policy.count(3, CREATED))
    finished = in_state(policy, State.FINISHED)
    assert finished.id == second.id
    first = policy.queue.read(3).jobs[0]
    assert first.version != finished.version == ModelStore(settings).version(3)
    assert need(first.ended_at) <= need(finished.started_at)


def test_the_job_of_a_worker_that_is_killed_is_taken_up_by_another(
    policy: TrainingPolicy, start_worker: StartWorker
) -> None:
    doomed = start_worker(**ENDLESS)
    job = need(policy.count(3, CREATED))
    in_state(policy, State.STARTED)
    horses = children(doomed.pid)
    assert horses
    kill(doomed.pid)
    for horse in horses:
        kill(horse)
    doomed.wait()
    assert newest(policy).state is State.STARTED
    start_worker()
    finished = in_state(policy, State.FINISHED)
    assert (finished.id, finished.attempts, finished.error) == (job.id, 2, None)


def test_a_training_whose_process_is_killed_is_tried_again_by_its_own_worker(
    policy: TrainingPolicy, start_worker: StartWorker
) -> None:
    worker = start_worker(**ENDLESS)
    policy.count(3, CREATED)
    in_state(policy, State.STARTED)
    (horse,) = children(worker.pid)
    kill(horse)
    again = wait_for(lambda: (found := newest(policy)).attempts == 2 and found)
    assert again.state is State.STARTED
    (second,) = wait_for(lambda: children(worker.pid))
    assert second != horse
    kill(second)
    waiting = wait_for(lambda: found if (found := newest(policy)).not_before else None)
    assert (waiting.state, waiting.attempts) == (State.QUEUED, 2)
    assert "short of memory" in need(waiting.error)
    assert worker.poll() is None


def test_a_project_that_kills_its_process_each_time_keeps_no_other_waiting(
    policy: TrainingPolicy, start_worker: StartWorker, studio: LabelStudioServer
) -> None:
    worker = start_worker()
    killed = []

    def kill_it(_: Request) -> Reply:
        for horse in children(worker.pid):
            killed.append(horse)
            kill(horse)
        return Reply(status=500)

    studio.routes["/api/projects/3/"] = kill_it
    policy.count(3, CREATED)
    wait_for(lambda: len(killed) >= 2)
    policy.count(4, CREATED)
    in_state(policy, State.FINISHED, 4)
    in_state(policy, State.QUEUED)
    assert len(killed) <= 5  # and no hot loop


def test_sigterm_puts_a_training_back_and_ends_the_worker(
    policy: TrainingPolicy, start_worker: StartWorker
) -> None:
    worker = start_worker(**ENDLESS)
    job = need(policy.count(3, CREATED))
    in_state(policy, State.STARTED)
    wait_for(lambda: newest(policy).progress)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(180) == 0
    assert (newest(policy).state, newest(policy).attempts) == (State.QUEUED, 0)
    start_worker()
    assert in_state(policy, State.FINISHED).id == job.id


def test_a_training_over_its_time_waits_and_says_so(
    policy: TrainingPolicy, start_worker: StartWorker, studio: LabelStudioServer
) -> None:
    studio.hang("/api/projects/3/")
    start_worker(TRAINING_TIMEOUT="4")
    policy.count(3, CREATED)
    waiting = wait_for(lambda: found if (found := newest(policy)).failed_at else None)
    assert waiting.state is State.QUEUED
    assert "longer than TRAINING_TIMEOUT=4" in need(waiting.error)


def test_what_waits_is_trained_although_redis_was_away_and_forgot_everything(
    policy: TrainingPolicy, start_worker: StartWorker, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    policy.count(4, CREATED)  # Redis knows of it, and forgets
    redis.stop()
    job = need(policy.count(3, CREATED))
    assert "project 3: Redis can't be reached" in caplog.text
    assert newest(policy).state is State.QUEUED
    with pytest.raises(QueueError, match="Redis can't be reached"):
        policy.workers.check()
    redis.start()
    with pytest.raises(QueueError, match="no worker runs"):
        policy.workers.check()
    start_worker()
    assert in_state(policy, State.FINISHED).id == job.id
    in_state(policy, State.FINISHED, 4)
    policy.workers.check()


def test_a_web_process_tells_redis_again_of_what_waits_and_of_nothing_twice(
    policy: TrainingPolicy, settings: Settings
) -> None:
    rq = RedisBell.for_web(settings).rq
    policy.count(3, CREATED)
    policy.count(4, CREATED)
    rq.empty()  # as a Redis that was started anew
    rq.enqueue("os.system", "true")
    for _ in range(3):
        policy.look()
    assert [job.args for job in rq.jobs if job.func_name == TRAIN] == [[3], [4]]
    with policy.queue.only_one(3):  # it is trained
        rq.empty()
        policy.look()
    assert [job.args for job in rq.jobs] == [[4]]


def test_a_worker_outlives_a_redis_that_goes_away(
    policy: TrainingPolicy, start_worker: StartWorker, redis: RedisServer
) -> None:
    worker = start_worker()
    policy.count(3, CREATED)
    in_state(policy, State.FINISHED)
    redis.stop()
    time.sleep(2)
    redis.start()
    policy.count(4, CREATED)
    in_state(policy, State.FINISHED, 4)
    assert worker.poll() is None


def test_a_worker_without_redis_ends_with_a_sentence(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker(REDIS_URL="redis://:s3cret@127.0.0.1:1/0")
    assert worker.wait(180) == 1
    log = (tmp_path / "worker.log").read_text()
    assert "Redis can't be reached" in log
    assert "Traceback" not in log
    assert "s3cret" not in log


def test_a_worker_runs_nothing_but_trainings(
    policy: TrainingPolicy, settings: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    rq = RedisBell.for_web(settings).rq
    made = tmp_path / "made"
    rq.enqueue("os.system", f"touch {made}")
    rq.enqueue("pathlib.Path.touch", str(made))
    rq.enqueue(TRAIN, 3, on_success=Callback("os.system"))
    rq.enqueue(TRAIN, str(made))
    rq.connection.rpush(rq.key, "gone")
    broken = rq.enqueue(TRAIN, 3)
    rq.connection.hset(broken.key, "data", b"\x80\x05cos\nsystem\n.")
    start_worker()
    policy.count(3, CREATED)
    in_state(policy, State.FINISHED)
    assert not made.exists()
    log = (tmp_path / "worker.log").read_text()
    assert log.count("does not train a project; it is removed") == 5
    assert rq.failed_job_registry.get_job_ids() == []


def test_redis_holds_no_token_and_nothing_that_is_run_when_read(
    policy: TrainingPolicy, settings: Settings
) -> None:
    policy.count(3, CREATED)
    rq = RedisBell.for_web(settings).rq
    try:
        (job,) = rq.jobs
        stored = b" ".join(cast(dict[bytes, bytes], rq.connection.hgetall(job.key)).values())
        assert TOKEN.encode() not in stored
        assert job.args == [3]
        assert job.data.startswith(b"[")  # JSON
    finally:
        rq.empty()


def test_made_up_projects_are_forgotten_and_hold_up_no_real_one(
    policy: TrainingPolicy, start_worker: StartWorker, tmp_path: Path
) -> None:
    for project in range(1000, 1150):
        policy.count(project, CREATED)
    policy.count(3, CREATED)
    start_worker()
    assert in_state(policy, State.FINISHED).version
    wait_for(lambda: policy.queue.projects() == [3], 60)
    assert "training 1000-" not in (tmp_path / "worker.log").read_text()
