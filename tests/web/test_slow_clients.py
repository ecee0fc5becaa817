"""Clients that send or read slowly, too much, or nothing, before the real gunicorn."""

import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests.support import recorded
from tests.support.counted_requests import counted
from tests.support.http_server import HttpServer, Reply, Request
from tests.support.models import of_one_pair
from tests.support.processes import children, lives, small_disk, wait_for, workers
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from tools.studio.processes import free_port

ROOT = Path(__file__).parents[2]
AUTH = ("me", "secret")
AUTHORIZATION = "Authorization: Basic bWU6c2VjcmV0"
THREADS = 4
TRAINED = 3  # a project
MOST_CONNECTIONS = 1500
SETUP = recorded.body("setup_request_index_time")
HEAD = "POST {path} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"

Start = Callable[..., "Service"]


class Service:
    """A running gunicorn."""

    def __init__(self, master: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.master, self.port, self._log = master, port, log
        self.url = f"http://127.0.0.1:{port}"

    @property
    def log(self) -> str:
        return self._log.read_text()

    def connect(self, sent: str = "") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(sent.encode())
        return connection

    def is_healthy(self) -> bool:
        """Label Studio itself waits one second."""
        began = time.monotonic()
        assert requests.get(f"{self.url}/health", timeout=30).status_code == 200
        return time.monotonic() - began < 1

    def says(self, sent: str) -> tuple[int, dict[str, str]]:
        """Status and body of the whole answer to a request; the service has to close the connection."""
        with self.connect(sent) as connection:
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)


@contextmanager
def running(folder: Path, options: str = "", **variables: str) -> Iterator[Service]:
    port = free_port()
    environment = os.environ | {
        "MODEL_DIR": str(folder / "models"),
        "LABEL_STUDIO_HOST": "http://127.0.0.1:1",
        "DATA_ALLOWED_HOSTS": "127.0.0.1",
        "TMPDIR": str(folder),
        "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} {options}",
        **variables,
    }
    log = folder / "gunicorn.log"
    with log.open("ab") as output:
        master = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "_wsgi:app"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    service = Service(master, port, log)
    try:
        wait_for(lambda: "serves models in" in service.log or master.poll() is not None, 120)
        wait_for(lambda: answers(service) or master.poll() is not None, 60)
        assert master.poll() is None, service.log
        yield service
    finally:
        left = [master.pid, *children(master.pid)]
        left += [trainer for web in left for trainer in workers(web)]
        master.terminate()
        master.wait(60)
        wait_for(lambda: not any(map(lives, left)))


def answers(service: Service) -> bool:
    try:
        return requests.get(f"{service.url}/health", timeout=30).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, run_walk: Segmenter) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("slow")
    ModelStore(Settings(model_dir=folder / "models")).save(TRAINED, of_one_pair(run_walk))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * MOST_CONNECTIONS:
        pytest.skip(f"{hard} open files are too few for these tests")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * MOST_CONNECTIONS, hard))
    try:
        with running(
            folder,
            f"--worker-connections {MOST_CONNECTIONS}",
            BASIC_AUTH_USER=AUTH[0],
            BASIC_AUTH_PASS=AUTH[1],
            THREADS=str(THREADS),
        ) as started:
            yield started
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_clients_that_send_slowly_or_nothing_hold_nobody_up(service: Service) -> None:
    half_a_head = HEAD.format(path="/predict")
    half_a_body = f"{half_a_head}{AUTHORIZATION}\r\nContent-Length: 1000\r\n\r\n{{"
    logged = len(service.log)  # by the tests before
    with ExitStack() as stack:
        for number, sent in ((16, half_a_head), (16, half_a_body), (500, ""), (900, "")):
            for _ in range(number):
                stack.enter_context(service.connect(sent))
            wait_for(service.is_healthy)
            setup = requests.post(f"{service.url}/setup", json=SETUP, auth=AUTH, timeout=30)
            assert setup.status_code == 200
        assert "connections are open" not in service.log[logged:]


def test_beyond_the_most_connections_the_oldest_that_ask_nothing_give_way(service: Service) -> None:
    with ExitStack() as stack:
        oldest = stack.enter_context(service.connect())
        wait_for(service.is_healthy)
        for _ in range(MOST_CONNECTIONS + 100):
            stack.enter_context(service.connect())
        wait_for(service.is_healthy)
        assert oldest.recv(1) == b""
    assert service.log.count(f"more than {MOST_CONNECTIONS} connections are open") == 1


def test_clients_that_read_no_answer_hold_nobody_up(service: Service) -> None:
    config = recorded.body("predict_json_inline")["label_config"]
    tasks = [{"id": number, "data": {"note": "x"}} for number in range(10_000)]
    body = json.dumps({"tasks": tasks, "label_config": config, "project": "4"})
    one = f"{HEAD.format(path='/predict')}{AUTHORIZATION}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    with ExitStack() as stack:
        for _ in range(THREADS):
            connection = stack.enter_context(service.connect())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            threading.Thread(target=send_all, args=(connection, (one * 12).encode()), daemon=True).start()
        wait_for(lambda: service.log.count("POST /predict: 200") >= THREADS, 60)
        short = json.dumps({"tasks": tasks[:1], "label_config": config, "project": "4"})
        answer = requests.post(
            f"{service.url}/predict",
            data=short,
            headers={"Content-Type": "application/json"},
            auth=AUTH,
            timeout=60,
        )
        assert len(answer.json()["results"]) == 1


def send_all(connection: socket.socket, sent: bytes) -> None:
    try:
        connection.sendall(sent)
    except OSError:  # the test has ended
        return


def test_predictions_that_wait_for_a_host_hold_up_nothing_else(
    service: Service, other_host: HttpServer
) -> None:
    ended = threading.Event()
    asked: list[str] = []

    def hang(request: Request) -> Reply:
        asked.append(request.path)
        ended.wait(60)
        return Reply(recorded.csv("index"))

    other_host.routes["/hangs.csv"] = hang
    predict = recorded.body("predict_test_single_task")
    predict["tasks"][0]["data"]["csv_url"] = f"{other_host.url}/hangs.csv"
    hanging = [
        threading.Thread(
            target=requests.post,
            args=(f"{service.url}/predict",),
            kwargs={"json": predict, "auth": AUTH, "timeout": 90},
        )
        for _ in range(3 * THREADS)
    ]
    try:
        for thread in hanging:
            thread.start()
        wait_for(lambda: len(asked) >= 1)
        for _ in range(5):
            wait_for(service.is_healthy)
            assert requests.post(f"{service.url}/setup", json=SETUP, auth=AUTH, timeout=30).ok
    finally:
        ended.set()
        for thread in hanging:
            thread.join(90)


@pytest.mark.parametrize("chunk", ["zz\r\nabc\r\n", "3\r\nabcdef\r\n", "-1\r\n\r\n", "3;" + "x" * 70_000])
def test_a_body_in_bad_chunks_is_refused_with_400(service: Service, chunk: str) -> None:
    head = f"{HEAD.format(path='/predict')}{AUTHORIZATION}\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, answer = service.says(head + chunk)
    assert status == 400
    assert "chunk" in answer["detail"].lower()


def test_a_body_in_good_chunks_is_read(service: Service) -> None:
    body = json.dumps(SETUP)
    chunks = "".join(f"1;a=b\r\n{character}\r\n" for character in body)
    more = f"{AUTHORIZATION}\r\nTransfer-Encoding: chunked\r\nConnection: close"
    status, answer = service.says(f"{HEAD.format(path='/setup')}{more}\r\n\r\n{chunks}0\r\n\r\n")
    assert status == 200
    assert answer["model_version"].startswith("p3-v1-")


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/predict", "Content-Length: 200000000\r\n", 401),
        ("/predict", "Content-Length: 200000000\r\nExpect: 100-continue\r\n", 401),
        ("/predict", "Transfer-Encoding: chunked\r\n", 401),
        ("/health", "Content-Length: 200000000\r\n", 405),
        ("/predict", f"{AUTHORIZATION}\r\nContent-Length: 257000000\r\n", 413),
        ("/predict", f"{AUTHORIZATION}\r\nContent-Length: 200000000\r\nOrigin: http://other.site\r\n", 403),
    ],
)
def test_a_body_that_nobody_will_read_is_not_waited_for(
    service: Service, path: str, more: str, status: int
) -> None:
    found, answer = service.says(f"{HEAD.format(path=path)}{more}\r\n")
    assert found == status
    assert answer["detail"]


def test_a_client_that_sends_on_reads_why_it_is_refused(service: Service) -> None:
    for _ in range(5):
        answer = requests.post(f"{service.url}/predict", data=b"[" * 10_000_000, timeout=60)
        assert answer.status_code == 401
    wait_for(service.is_healthy)


def test_a_long_body_is_read(service: Service) -> None:
    answer = requests.post(
        f"{service.url}/setup", json=SETUP | {"padding": "x" * 20_000_000}, auth=AUTH, timeout=60
    )
    assert answer.json()["model_version"].startswith("p3-v1-")


def test_a_body_of_many_small_values_takes_little_memory_and_leaves_none_behind(service: Service) -> None:
    (web,) = children(service.master.pid)
    before = memory(web, "VmRSS")
    label_config = json.dumps(recorded.body("predict_json_inline")["label_config"])
    tasks = f'{{"label_config": {label_config}, "tasks": [{",".join(["{}"] * 10_000_000)}]}}'
    for body, status in ((tasks, 413), (json.dumps({"tasks": [], "label_config": "x" * 60_000_000}), 400)):
        answer = requests.post(
            f"{service.url}/predict",
            data=body,
            headers={"Content-Type": "application/json"},
            auth=AUTH,
            timeout=120,
        )
        assert answer.status_code == status
        assert answer.json()["detail"]
    wait_for(lambda: memory(web, "VmRSS") < before + 100)
    assert memory(web, "VmHWM") < before + 600  # parsed, the tasks alone take gigabytes


def memory(process: int, name: str) -> int:
    """Megabytes that a process holds now, or held at most."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) // 1024


def test_a_body_that_the_disk_cannot_hold_is_refused_with_the_reason(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "small", "size=3m"),
        running(tmp_path, TMPDIR=str(tmp_path / "small")) as started,
    ):
        answer = requests.post(f"{started.url}/setup", json=SETUP | {"padding": "x" * 9_000_000}, timeout=60)
        assert answer.status_code == 503
        assert "give TMPDIR room" in answer.json()["detail"]
        assert requests.post(f"{started.url}/setup", json=SETUP, timeout=60).status_code == 200


def test_a_connection_serves_many_requests(service: Service) -> None:
    with requests.Session() as session:
        session.auth = AUTH
        for _ in range(20):
            assert session.post(f"{service.url}/setup", json=SETUP, timeout=60).status_code == 200
            assert session.get(f"{service.url}/versions", timeout=60).status_code == 200


def test_half_a_request_holds_up_no_end(tmp_path: Path) -> None:
    with running(tmp_path) as started, ExitStack() as stack:
        for sent in ("", "GET /hea", f"{HEAD.format(path='/setup')}Content-Length: 9\r\n\r\n{{"):
            stack.enter_context(started.connect(sent))
        wait_for(started.is_healthy)
        began = time.monotonic()
        started.master.terminate()
        assert started.master.wait(60) == 0
        assert time.monotonic() - began < 20  # of the 30 in which requests may be answered


def test_preloaded_processes_are_counted_together_and_the_missing_password_is_told_once(
    tmp_path: Path,
) -> None:
    with running(tmp_path, "--preload", WORKERS="2") as started:
        wait_for(lambda: len(children(started.master.pid)) >= 2)
        for _ in range(40):
            assert requests.post(f"{started.url}/setup", json=SETUP, timeout=60).ok
        found = {counted(started.url) for _ in range(12)}
        assert found == {40.0}
        assert started.log.count("no password is set") == 1
    assert not list(tmp_path.glob("timeseries-segmenter-metrics-*"))


def test_tls_is_refused_rather_than_left_out(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--certfile", __file__, "_wsgi:app"],
        cwd=ROOT,
        env=os.environ | {"MODEL_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0
    assert "put a proxy that speaks HTTPS before the service" in ended.stderr
