"""The service as it is started, with its real worker, against a Label Studio that knows one project."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest
import requests

from tests.support import recorded
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from tests.support.need import need
from tests.support.processes import kill, lives, wait_ended, wait_for, workers
from timeseries_segmenter.trainings.job import Job, State
from timeseries_segmenter.trainings.queue import JobQueue
from tools.studio.processes import free_port

QUEUE = """
import time
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.settings import read_settings
TrainingPolicy(read_settings()).count(3, "START_TRAINING")
time.sleep(600)
"""
ROOT = Path(__file__).parents[2]
ACCESS_TOKEN = "9d81c7b2a3e4f5061728394a5b6c7d8e9f001122"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "service.log"


@pytest.fixture
def start(studio: LabelStudioServer, tmp_path: Path, log: Path) -> Iterator[Start]:
    """Starts Python in an empty folder, with the service's settings in the environment."""
    running: list[subprocess.Popen[bytes]] = []

    def start_python(*arguments: str, **variables: object) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "LABEL_STUDIO_URL": studio.url,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "MODEL_DIR": "models",
            "LOCAL_FILES_DIR": "series",
            "CACHE_DIR": "cache",
            "LOG_LEVEL": "debug",
            "HIDDEN_SIZE": "4",
            "PYTHONPATH": str(ROOT),
        }
        environment |= {name: str(value) for name, value in variables.items()}
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=environment, cwd=tmp_path, stdout=output, stderr=output
            )
        running.append(process)
        return process

    yield start_python
    for process in running:
        left = workers(process.pid)
        process.terminate()
        process.wait(180)
        wait_ended(left)


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=60).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


def test_a_training_outlives_the_death_of_everything_and_its_model_is_served(
    start: Start, studio: LabelStudioServer, tmp_path: Path, port: int, log: Path
) -> None:
    setup = recorded.body("setup_request_index_time") | {"access_token": ACCESS_TOKEN}
    studio.configs[3] = setup["schema"]
    # the folders are named relative to where the service was started: the worker must find them as well
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "one.csv").write_bytes(recorded.csv("index"))
    studio.files["/data/upload/3/two.csv"] = recorded.csv("index", 1)
    for address in ("one.csv", "/data/upload/3/two.csv"):
        studio.add_task(3, {"csv_url": address}, recorded.regions(*recorded.DRAWN))
    queue = JobQueue(tmp_path / "models")

    def newest_job() -> Job | None:
        jobs = queue.read(3).jobs
        return jobs[-1] if jobs else None

    # quicker to start than the whole service, and the same to the worker
    policy = start(
        "-c",
        QUEUE,
        BALANCED_ACCURACY_THRESHOLD=1,
        MIN_CLASS_F1_THRESHOLD=1,
        TRAIN_EPOCHS=1_000_000,
        HIDDEN_SIZE=256,
    )
    job = wait_for(lambda: found if (found := newest_job()) and found.progress else None)
    (worker,) = workers(policy.pid)
    kill(policy.pid)
    policy.wait()
    wait_for(lambda: not lives(worker))
    # its worker put it back, or on a busy machine was ended before it could
    assert need(newest_job()).state in (State.QUEUED, State.STARTED)
    put_back = need(newest_job()).state is State.QUEUED

    url = f"http://127.0.0.1:{port}"
    service = start(str(ROOT / "_wsgi.py"), "--host", "127.0.0.1", "--port", str(port), TRAIN_EPOCHS=3)
    wait_for(lambda: answers(port) or service.poll() is not None)
    assert service.poll() is None, log.read_text()
    finished = wait_for(lambda: found if (found := need(newest_job())).ended_at else None)
    assert (finished.id, finished.state, finished.error) == (job.id, State.FINISHED, None)
    assert (finished.attempts, finished.skipped) == (1 if put_back else 2, [])

    version = requests.get(f"{url}/projects/3/training", timeout=60).json()["version"]
    assert version == finished.version
    assert requests.post(f"{url}/setup", json=setup, timeout=60).json() == {"model_version": version}
    assert requests.get(f"{url}/versions", timeout=60).json() == {"versions": [version]}
    predict = recorded.body("predict_test_single_task")
    predict["tasks"][0]["data"]["csv_url"] = "one.csv"
    studio.vouch(predict)
    (result,) = requests.post(f"{url}/predict", json=predict, timeout=60).json()["results"]
    assert result["model_version"] == version
    assert (tmp_path / "models" / "model_project_3.pt").is_file()

    event = recorded.body("webhook_start_training")
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        answer = requests.post(f"{url}/webhook", json=event, timeout=60)
        seconds.append(time.perf_counter() - began)
    assert median(seconds) < 1  # Label Studio waits no longer
    again = wait_for(lambda: found if (found := need(newest_job())).ended_at else None)
    assert (answer.json()["job"], again.state) == (again.id, State.FINISHED)
    assert len(queue.read(3).jobs) <= 3  # events that come during a training run share the one behind it
    newest = requests.post(f"{url}/setup", json=setup, timeout=60).json()["model_version"]
    assert newest == again.version != version

    written = log.read_text()
    assert "from 2 tasks" in written
    assert "epoch 1" in written  # LOG_LEVEL=debug reaches the worker
    for secret in (TOKEN, ACCESS_TOKEN, "TimeSeriesLabels name="):
        assert secret not in written
