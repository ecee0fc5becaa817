"""The service as it is started; its training process is killed at random, and no event comes afterwards."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.support import recorded
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from tests.support.processes import kill, lives, wait_for, workers
from timeseries_segmenter.project.model import UNTRAINED
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.job import State
from timeseries_segmenter.trainings.queue import JobQueue
from tools.studio.processes import free_port

ROOT = Path(__file__).parents[2]
PROJECTS = (3, 4, 5)
ROUNDS = 2
KILLS = 2  # in each round
CONFIG = recorded.body("predict_json_inline")["label_config"]
DATA = {"ts": {"time": list(range(300)), "value": recorded.values()}}
EVENT = {"action": "ANNOTATION_CREATED", "annotation": {"id": 1}, "task": {"id": 1}}


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    studio.configs |= dict.fromkeys(PROJECTS, CONFIG)
    return settings.model_copy(update={"label_studio_host": studio.url})


@pytest.fixture
def service(settings: Settings, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The service's process, and its address."""
    port = free_port()
    environment = os.environ | {
        "LABEL_STUDIO_HOST": settings.label_studio_host,
        "LABEL_STUDIO_API_KEY": TOKEN,
        "MODEL_DIR": str(settings.model_dir),
        "TRAIN_EPOCHS": "3",
        "HIDDEN_SIZE": "4",
    }
    command = [sys.executable, "_wsgi.py", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "service.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(url) or process.poll() is not None)
    assert process.poll() is None, (tmp_path / "service.log").read_text()
    yield process, url
    left = workers(process.pid)
    process.terminate()
    process.wait(180)
    wait_for(lambda: not any(map(lives, left)))


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=60).ok
    except requests.ConnectionError:
        return False


def test_no_event_is_lost_however_often_the_training_process_is_killed(
    service: tuple[subprocess.Popen[bytes], str], settings: Settings, studio: LabelStudioServer
) -> None:
    process, url = service
    queue, store, chance = JobQueue(settings.model_dir), ModelStore(settings), random.Random(11)
    drawn = recorded.regions((40, 89, "Run"))
    for _ in range(ROUNDS):
        annotated = {project: studio.add_task(project, DATA, drawn) for project in PROJECTS}

        def unknown(annotated: dict[int, int] = annotated) -> list[int]:
            return [project for project, task in annotated.items() if task not in learned(store, project)]

        def trains() -> bool:
            return any(queue.read(project).job_in(State.STARTED) for project in PROJECTS)

        for project in PROJECTS:
            event = EVENT | {"project": {"id": project}}
            assert requests.post(f"{url}/webhook", json=event, timeout=60).status_code == 201
        for kills in range(KILLS):
            # while the process gets ready, and while it trains
            begun = trains if kills % 2 else partial(workers, process.pid)
            wait_for(partial(lambda begun: begun() or not unknown(), begun))
            time.sleep(chance.uniform(0, 2))
            for worker in workers(process.pid) if unknown() else []:
                with suppress(ProcessLookupError):
                    kill(worker)
        wait_for(lambda: not unknown(), 600)


def learned(store: ModelStore, project: int) -> list[int | str]:
    version = store.version(project)
    return [] if version == UNTRAINED else store.card(project, version).tasks
