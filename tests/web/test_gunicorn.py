"""Several web processes of gunicorn, as the image starts them, over one MODEL_DIR."""

import base64
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.support import recorded
from tests.support.counted_requests import counted
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from tests.support.models import of_one_pair
from tests.support.need import need
from tests.support.processes import children, kill, wait_ended, wait_for, workers
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.job import State
from timeseries_segmenter.trainings.queue import JobQueue
from tools.studio.processes import free_port

ROOT = Path(__file__).parents[2]
WEB_PROCESSES = 2
SERVES = "serves models in"  # logged by each process once it is ready
KEPT = "is kept, and counted later"  # logged for each event that found its project's state locked
SETUP = recorded.body("setup_request_index_time")
START = recorded.body("webhook_start_training")
PREDICT = recorded.body("predict_json_inline") | {"project": "3.1"}
# a large network, so that it takes minutes to be given up
ENDLESS = {
    "TRAIN_EPOCHS": "1000000",
    "BALANCED_ACCURACY_THRESHOLD": "1",
    "MIN_CLASS_F1_THRESHOLD": "1",
    "HIDDEN_SIZE": "256",
}

StartGunicorn = Callable[..., tuple[subprocess.Popen[bytes], str]]


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    studio.configs[3] = PREDICT["label_config"]
    studio.add_task(3, PREDICT["tasks"][0]["data"], recorded.regions((40, 89, "Run")))
    return settings.model_copy(update={"label_studio_host": studio.url})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "gunicorn.log"


@pytest.fixture
def start(settings: Settings, log: Path, tmp_path: Path) -> Iterator[StartGunicorn]:
    """Starts gunicorn; gives the process and its address once it answers."""
    running: list[subprocess.Popen[bytes]] = []

    def start_gunicorn(**variables: str) -> tuple[subprocess.Popen[bytes], str]:
        before = log.read_text().count(SERVES) if log.exists() else 0
        port = free_port()
        environment = os.environ | {
            "LABEL_STUDIO_HOST": settings.label_studio_host,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "MODEL_DIR": str(settings.model_dir),
            "TMPDIR": str(tmp_path),
            "WORKERS": str(WEB_PROCESSES),
            "TRAIN_EPOCHS": "3",
            "HIDDEN_SIZE": "4",
            **variables,
        }
        command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "_wsgi:app"]
        with log.open("ab") as output:
            master = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        running.append(master)
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: log.read_text().count(SERVES) == before + WEB_PROCESSES or master.poll())
        assert master.poll() is None, log.read_text()
        return master, url

    yield start_gunicorn
    for master in running:
        left = [master.pid, *children(master.pid)]
        left += [trainer for web in left for trainer in workers(web)]
        master.terminate()
        master.wait(180)
        wait_ended(left)


def ask_all(ask: Callable[[], str], times: int = 40) -> set[str]:
    """What the web processes answer, whichever is asked; each question takes a new connection."""
    with ThreadPoolExecutor(8) as pool:
        return set(pool.map(lambda _: ask(), range(times)))


def version(url: str) -> str:
    found: str = requests.post(f"{url}/setup", json=SETUP, timeout=60).json()["model_version"]
    return found


def test_all_processes_serve_a_new_version_at_once(
    start: StartGunicorn, settings: Settings, run_walk: Segmenter
) -> None:
    _, url = start()
    store = ModelStore(settings)
    for _ in range(3):
        newest = store.save(3, of_one_pair(run_walk))
        assert ask_all(lambda: version(url)) == {newest}
    restored = store.roll_back(3)
    assert ask_all(lambda: version(url)) == {restored}


def test_no_process_serves_half_a_file_or_an_older_version_after_a_newer(
    start: StartGunicorn, settings: Settings, run_walk: Segmenter
) -> None:
    _, url = start()
    store = ModelStore(settings)
    saved = [store.save(3, of_one_pair(run_walk))]
    ended = threading.Event()

    def predict() -> list[tuple[int, int, str]]:
        seen = []
        while not ended.is_set():
            before = len(saved) - 1
            answer = requests.post(f"{url}/predict", json=PREDICT, timeout=60)
            assert answer.status_code == 200
            content = answer.json()
            assert {len(result["result"]) for result in content["results"]} == {3}
            seen.append((before, len(saved), content["results"][0]["model_version"]))
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(predict) for _ in range(4)]
        try:
            for _ in range(20):
                saved.append(store.save(3, of_one_pair(run_walk)))
                time.sleep(0.1)
        finally:
            ended.set()
        seen = [each for reader in readers for each in reader.result()]
    assert len({found for _, _, found in seen}) > 5
    for before, after, found in seen:
        # the one being saved meanwhile may not be in the list yet
        assert found in saved[before : after + 1]


def test_metrics_are_those_of_all_processes(start: StartGunicorn, log: Path, tmp_path: Path) -> None:
    master, url = start()
    before = counted(url)
    for _ in range(60):
        requests.post(f"{url}/setup", json=SETUP, timeout=60)
    found = ask_all(lambda: str(counted(url)), 12)
    assert found == {str(before + 60.0)}
    web = children(master.pid)
    kill(web[0])  # what it counted stays
    wait_for(lambda: len(set(children(master.pid)) - set(web)) == 1)
    wait_for(lambda: log.read_text().count(SERVES) > WEB_PROCESSES)
    assert counted(url) == before + 60
    master.terminate()
    assert master.wait(180) == 0
    assert not list(tmp_path.glob("timeseries-segmenter-metrics-*"))


def test_of_several_processes_one_trains_at_a_time_and_events_become_two_trainings(
    start: StartGunicorn, settings: Settings, log: Path
) -> None:
    _, url = start()
    with ThreadPoolExecutor(8) as pool:
        posts = list(pool.map(lambda _: requests.post(f"{url}/webhook", json=START, timeout=60), range(40)))
    assert {post.status_code for post in posts} == {201}
    queue = JobQueue(settings.model_dir)
    wait_for(lambda: counted_updates(queue) == len(posts) and not queue.waiting() and all_ended(queue))
    jobs = queue.read(3).jobs
    assert {job.state for job in jobs} == {State.FINISHED}
    answers = [post.json() for post in posts]
    kept = sum("job" not in answer for answer in answers)  # a busy machine holds the lock for longer
    assert kept == log.read_text().count(KEPT)
    assert len(jobs) <= 2 + bool(kept)
    named = {answer["job"] for answer in answers if "job" in answer}
    identities = {job.id for job in jobs}
    assert named == identities or (kept and named < identities)


def counted_updates(queue: JobQueue) -> int:
    return sum(job.updates for job in queue.read(3).jobs)


def all_ended(queue: JobQueue) -> bool:
    return all(job.ended_at for job in queue.read(3).jobs)


def test_sigterm_answers_what_was_asked_and_puts_the_training_back(
    start: StartGunicorn, settings: Settings, studio: LabelStudioServer, run_walk: Segmenter
) -> None:
    ModelStore(settings).save(4, of_one_pair(run_walk))  # 3 is the one that is trained
    arrived = threading.Event()

    def answer_late(_: Request) -> Reply:
        arrived.set()
        time.sleep(2)
        return Reply(recorded.csv("index"))

    studio.routes["/data/late.csv"] = answer_late
    predict = recorded.body("predict_test_single_task") | {"project": "4"}
    predict["tasks"][0]["data"]["csv_url"] = f"{studio.url}/data/late.csv"
    studio.vouch(predict)
    master, url = start(**ENDLESS)
    requests.post(f"{url}/webhook", json=START, timeout=60)
    queue = JobQueue(settings.model_dir)
    wait_for(lambda: queue.read(3).jobs[-1].progress)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(requests.post, f"{url}/predict", json=predict, timeout=60)
        assert arrived.wait(60)
        master.terminate()
        answer = asked.result()
    assert answer.status_code == 200
    assert len(answer.json()["results"][0]["result"]) == 3
    assert master.wait(180) == 0
    wait_for(lambda: queue.read(3).jobs[-1].state is State.QUEUED)
    assert queue.read(3).jobs[-1].attempts == 0


def test_what_was_pending_when_everything_was_killed_is_trained_after_the_next_start(
    start: StartGunicorn, settings: Settings
) -> None:
    master, url = start(**ENDLESS, START_TRAINING_EACH_N_UPDATES="3")
    created = recorded.body("webhook_annotation_created_range_and_instant")
    created["project"]["id"] = 4
    for _ in range(2):
        requests.post(f"{url}/webhook", json=created, timeout=60)
    running = requests.post(f"{url}/webhook", json=START, timeout=60).json()["job"]
    queue = JobQueue(settings.model_dir)
    wait_for(lambda: queue.read(3).jobs[-1].progress)
    waiting = requests.post(f"{url}/webhook", json=START, timeout=60).json()["job"]
    everything = [master.pid, *children(master.pid)]
    everything += [trainer for web in everything for trainer in workers(web)]
    assert len(everything) > 1 + WEB_PROCESSES
    for process in everything:
        os.kill(process, signal.SIGKILL)
    master.wait()
    _, url = start(START_TRAINING_EACH_N_UPDATES="3")
    ended = wait_for(lambda: job if (job := queue.read(3).job(waiting)) and job.ended_at else None)
    assert ended.state is State.FINISHED
    assert "takes its place" in need(need(queue.read(3).job(running)).error)
    assert queue.read(4).updates == 2  # counts survive
    assert requests.post(f"{url}/webhook", json=created, timeout=60).json()["job"]


def test_every_line_of_the_log_is_an_object_where_json_is_asked_for(start: StartGunicorn, log: Path) -> None:
    master, url = start(LOG_FORMAT="json")
    requests.post(f"{url}/webhook", json=START, timeout=60)
    requests.post(f"{url}/setup", json=SETUP, timeout=60)
    requests.post(f"{url}/setup", json={}, timeout=60)
    wait_for(lambda: '"step": "save"' in log.read_text())
    master.terminate()
    master.wait(180)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"INFO", "WARNING"} <= {line["levelname"] for line in lines}
    setups = [line for line in lines if line.get("route") == "/setup"]
    assert [line["status"] for line in setups] == [200, 400]
    assert setups[0]["project"] == 3
    trained = next(line for line in lines if line.get("step") == "save")
    assert trained["project"] == 3
    assert trained["version"].startswith("p3-v1-")
    assert trained["seconds"] > 0
    for secret in (TOKEN, SETUP["access_token"], "TimeSeriesLabels name="):
        assert not secret or secret not in log.read_text()


def test_a_body_without_a_length_is_bounded_too(start: StartGunicorn) -> None:
    _, url = start(MAX_REQUEST_MB="1", BASIC_AUTH_USER="me", BASIC_AUTH_PASS="secret")
    sent = []

    def endless() -> Iterator[bytes]:
        for number in range(3000):  # 30 MB, if anybody takes them
            sent.append(number)
            yield b"[" * 10_000

    for auth, status in ((None, 401), (("me", "secret"), 413)):
        sent.clear()
        answer = chunked(url, endless(), auth)
        assert answer == status
        assert len(sent) < 2500


def chunked(url: str, body: Iterator[bytes], auth: tuple[str, str] | None) -> int:
    """The status of an answer that may come before the body is sent."""
    address = urlsplit(url)
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    if auth:
        headers["Authorization"] = f"Basic {base64.b64encode(':'.join(auth).encode()).decode()}"
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    with closing(connection):
        connection.putrequest("POST", "/predict")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        with suppress(ConnectionError):
            for chunk in body:
                connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                if select.select([connection.sock], [], [], 0.001)[0]:
                    break
        return connection.getresponse().status
