"""How people run it for real: secured, with workers, rolled back, and with Label Studio away for a while."""

import base64
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from label_studio_sdk.core.api_error import ApiError

from tests.support.e2e.door import Door
from tests.support.e2e.loop import ANNOTATED, TRAINING_SECONDS, Connect, Loop, started
from tests.support.e2e.variants import INLINE, NUMERIC
from tests.support.processes import children, kill, wait_ended, wait_for
from tests.support.redis_server import RedisServer
from tools.studio.label_studio import LabelStudio
from tools.studio.processes import ROOT, Child
from tools.studio.service import Service

pytestmark = pytest.mark.e2e

USER, PASSWORD, SECRET = "jürgen", "pä:ss:wörd £", "gehéimnis"
LOGIN = (USER, PASSWORD)
VERSION_SECONDS = 2.0
ONE_TRAINING = {"START_TRAINING_EACH_N_UPDATES": str(ANNOTATED)}  # of all that is annotated

StartService = Callable[..., Service]
StartWorker = Callable[[Service], Child]


WHO_ASKS = {
    "the secret": {"X-Webhook-Secret": SECRET},
    "user and password": {"Authorization": f"Basic {base64.b64encode(':'.join(LOGIN).encode()).decode()}"},
}


@pytest.fixture(scope="module")
def secured(studio: LabelStudio, folder: Path) -> Iterator[Service]:
    settings = {"BASIC_AUTH_USER": USER, "BASIC_AUTH_PASS": PASSWORD, "WEBHOOK_SECRET": SECRET}
    token, models, log = studio.credentials.token, folder / "secured", folder / "secured.log"
    with started(Service(studio.url, token, models, log, settings=settings)) as service:
        yield service


@pytest.fixture(scope="module")
def redis(folder: Path) -> Iterator[RedisServer]:
    with RedisServer(folder) as server:
        yield server


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Starts `python -m timeseries_segmenter worker` with a service's settings, as `make worker` does."""
    started: list[Child] = []

    def start(service: Service) -> Child:
        worker = Child("a training worker", tmp_path / f"worker {len(started)}.log")
        started.append(worker)
        worker.start([sys.executable, "-m", "timeseries_segmenter", "worker"], service.env)
        return worker

    yield start
    for each in started:
        trainings = children(each.pid)
        each.stop(20)
        wait_ended(trainings)


@pytest.fixture
def door(studio: LabelStudio) -> Iterator[Door]:
    with Door(studio.port) as door:
        yield door


def refused_events(service: Service) -> int:
    return service.child.log.read_text().count("POST /webhook: 401")


def newest(loop: Loop) -> dict[str, Any]:
    jobs = loop.service.training(loop.project.id)["jobs"]
    return dict(jobs[-1]) if jobs else {}


def version_at_setup(loop: Loop) -> str:
    setup = {"project": f"{loop.project.id}.1795343772", "schema": loop.variant.config}
    answer = requests.post(f"{loop.service.url}/setup", json=setup, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["model_version"])


def values(loop: Loop, version: str) -> list[list[Any]]:
    """What was drawn on each of the other tasks, without the ids of the regions."""
    return [[region["value"] for region in loop.stored(task, version)["result"]] for task in loop.others]


def test_a_secured_service_is_connected_and_trained_with_user_and_password_only(
    secured: Service, connect: Connect
) -> None:
    loop = connect(NUMERIC, secured, login=LOGIN)
    assert loop.project.backend(loop.backend)["state"] == "CO"
    for login in (None, (USER, "wrong"), ("jurgen", PASSWORD)):
        with pytest.raises(ApiError) as refused:
            loop.project.connect(secured.url, login)
        assert refused.value.status_code == 400
        assert "401" in str(refused.value.body)
    assert [hook.url for hook in loop.project.webhooks()] == [f"{secured.url}/webhook"]

    before = refused_events(secured)
    loop.annotate()
    wait_for(lambda: refused_events(secured) == before + ANNOTATED)
    assert newest(loop) == {}

    loop.project.client.ml.train(id=loop.backend)  # Start Training; the model's own login goes with it
    version = str(loop.wait_trained()["version"])
    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(version)
    log = secured.child.log.read_text()
    assert not [each for each in (PASSWORD, SECRET) if each in log]


@pytest.mark.parametrize("headers", WHO_ASKS.values(), ids=WHO_ASKS)
def test_annotations_train_a_secured_service_once_the_webhook_says_who_asks(
    headers: dict[str, str], secured: Service, connect: Connect
) -> None:
    loop = connect(NUMERIC, secured, login=LOGIN)
    first, *rest = loop.annotated
    before = refused_events(secured)
    loop.annotate([first])
    wait_for(lambda: refused_events(secured) == before + 1)
    assert newest(loop) == {}

    (webhook,) = loop.project.webhooks()
    address = f"{loop.project.studio.url}/api/webhooks/{webhook.id}"
    loop.project.session.patch(address, json={"headers": headers}, timeout=30).raise_for_status()

    version = loop.learn(rest)
    assert refused_events(secured) == before + 1
    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(version)


def test_workers_on_redis_train_what_the_service_is_told(
    redis: RedisServer, own_service: StartService, start_worker: StartWorker, connect: Connect
) -> None:
    service = own_service(REDIS_URL=redis.url, **ONE_TRAINING)
    workers = [start_worker(service) for _ in range(2)]
    loop = connect(NUMERIC, service)

    version = loop.learn()
    assert version in "".join(worker.log.read_text() for worker in workers)
    assert children(service.child.pid) == []
    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(version)


def test_another_worker_takes_up_the_training_of_one_that_is_killed(
    redis: RedisServer, own_service: StartService, start_worker: StartWorker, connect: Connect
) -> None:
    service = own_service(REDIS_URL=redis.url, **ONE_TRAINING)
    workers = {worker.pid: worker for worker in (start_worker(service), start_worker(service))}
    loop = connect(NUMERIC, service)
    loop.annotate()

    wait_for(lambda: newest(loop).get("progress"))
    doomed, training = next((pid, found) for pid in workers if (found := children(pid)))
    for process in (doomed, *training):
        kill(process)

    job = loop.wait_trained()
    assert (job["attempts"], job["error"]) == (2, None)
    (other,) = (worker for pid, worker in workers.items() if pid != doomed)
    assert other.running
    assert job["version"] in other.log.read_text()
    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(job["version"])


def test_a_rollback_is_a_version_that_label_studio_asks_for(
    own_service: StartService, connect: Connect
) -> None:
    loop = connect(NUMERIC, own_service())
    first = loop.learn(loop.annotated[:2])
    loop.project.retrieve_predictions(loop.others)
    second = loop.learn(loop.annotated[2:])
    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(second)

    rollback = subprocess.run(
        [sys.executable, "-m", "timeseries_segmenter", "rollback", "--project", str(loop.project.id)],
        cwd=ROOT,
        env=loop.service.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert rollback.returncode == 0, rollback.stderr
    assert f"is {first} again" in rollback.stdout
    wait_for(lambda: version_at_setup(loop) != second, VERSION_SECONDS)
    restored = version_at_setup(loop)
    assert restored not in (first, second)
    assert restored in rollback.stdout
    assert loop.project.backend(loop.backend)["model_version"] == restored

    loop.project.retrieve_predictions(loop.others)
    assert values(loop, restored) == values(loop, first) != values(loop, second)


def test_a_label_studio_that_was_away_costs_no_annotation_and_no_prediction(
    door: Door, own_service: StartService, connect: Connect
) -> None:
    loop = connect(INLINE, own_service(host=door.url))
    old = loop.learn()

    door.shut()
    loop.annotate(loop.annotated[:1])
    wait_for(lambda: "trying again" in loop.service.child.log.read_text())
    loop.project.retrieve_predictions(loop.others[:1])
    loop.assert_predicted(old, loop.others[:1])
    assert newest(loop)["state"] == "started"

    waiting = wait_for(lambda: (job := newest(loop))["state"] == "queued" and job, TRAINING_SECONDS)
    assert re.search(r"did not answer .*check that Label Studio runs .*LABEL_STUDIO_HOST", waiting["error"])
    assert waiting["not_before"]
    loop.project.retrieve_predictions(loop.others[1:])
    loop.assert_predicted(old)
    assert loop.version == old

    door.open()
    job = loop.wait_trained()  # without another event
    assert (job["id"], job["updates"]) == (waiting["id"], 1)
    assert job["version"] != old
    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(job["version"])
