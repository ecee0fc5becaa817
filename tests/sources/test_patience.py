"""Hosts that hang: what they cost a request, the requests beside it, and a training run."""

import base64
import math
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.serving import make_server

from tests.support import recorded
from tests.support.downloads import make_downloader
from tests.support.http_server import HttpServer, Reply, Request
from tests.support.models import of_one_pair
from tests.support.processes import wait_for
from timeseries_segmenter.errors import DownloadError, OutOfTimeError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.labelled_task import read_labelled_tasks
from timeseries_segmenter.project.left_out import LeftOut
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources import hosts, side_by_side
from timeseries_segmenter.sources.downloads import Download
from timeseries_segmenter.sources.patience import MOST_STALLS, Crowd, Patience
from timeseries_segmenter.sources.side_by_side import AHEAD
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.web.backend import Backend

BODY = recorded.body("predict_batch_3_tasks_index_time")
CONFIG: str = BODY["label_config"]
PROJECT = 3
SERIES = recorded.csv("predict_batch_3_tasks_index_time")
USER, PASSWORD = "label-studio", "p"
LONG = 60.0  # seconds that no test waits for
AUTHORIZATION = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "download_timeout": 1.0,
            "predict_download_timeout": LONG,
            "threads": 4,
            "basic_auth_user": USER,
            "basic_auth_pass": SecretStr(PASSWORD),
        }
    )


@pytest.fixture(autouse=True)
def _trained(backend: Backend, run_walk: Segmenter) -> None:
    backend.store.save(PROJECT, of_one_pair(run_walk))


def ask(client: FlaskClient, addresses: list[Any]) -> list[bool]:
    """Predict a task for each address, or inline series; whether each got regions."""
    tasks = [{"id": number, "data": {"csv_url": address}} for number, address in enumerate(addresses, 1)]
    answer = client.post(
        "/predict",
        json={"tasks": tasks, "label_config": CONFIG, "project": str(PROJECT)},
        auth=(USER, PASSWORD),
    )
    assert answer.status_code == 200, answer.text
    results = answer.get_json()["results"]
    assert len(results) == len(tasks)
    return [bool(result["result"]) for result in results]


def wait_for_hosts(backend: Backend, seconds: float = LONG) -> None:
    """Have requests wait for each host as long as a request may wait for all of them: so many seconds."""
    patient = backend.settings.model_copy(update={"download_timeout": LONG})
    backend.sources = replace(backend.sources, series=TaskSeries.from_settings(patient), seconds=seconds)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_host_that_hung_is_not_asked_again_in_the_same_request(
    client: FlaskClient, other_host: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    hung = other_host.hang("/hung.csv")
    with HttpServer() as healthy:
        good = healthy.serve("/x.csv", SERIES)
        assert ask(client, [good, *[hung] * 20, good]) == [True, *[False] * 20, True]
    assert 1 <= len(other_host.requests) <= AHEAD + 1
    logged = [line for line in warnings(caplog) if "no prediction: Task" in line]
    assert len(logged) == 20
    assert any("is asked no more this time" in line for line in logged)


def test_downloads_of_one_request_share_a_time_and_what_did_not_fit_is_one_line(
    app: Flask,
    backend: Backend,
    other_host: HttpServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wait_for_hosts(backend, 1.0)
    inline = {"value": recorded.values()}
    addresses = [inline, *[other_host.hang(f"/{number}.csv") for number in range(12)], inline]
    assert ask(app.test_client(), addresses) == [True, *[False] * 12, True]
    (line,) = warnings(caplog)
    assert line.startswith("no prediction for 12 of 14 tasks (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …): the 1 s")
    assert "PREDICT_DOWNLOAD_TIMEOUT" in line


def trickling(server: HttpServer, path: str, headers: dict[str, str] | None = None) -> str:
    def trickle() -> Iterator[bytes]:
        while not server.stopping.wait(0.05):
            yield b"1\n"

    server.routes[path] = lambda _: Reply(trickle(), headers=headers or {})
    return server.url + path


def redirecting(server: HttpServer, path: str) -> str:
    """Redirects to itself for ever, each time after a pause."""

    def redirect(_: Request) -> Reply:
        server.stopping.wait(0.3)
        return Reply(status=302, headers={"Location": path})

    server.routes[path] = redirect
    return server.url + path


@pytest.mark.parametrize("slow", [trickling, redirecting])
def test_a_host_that_is_slow_in_another_way_costs_no_more(
    app: Flask,
    backend: Backend,
    other_host: HttpServer,
    slow: Callable[[HttpServer, str], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    wait_for_hosts(backend, 0.5)
    assert ask(app.test_client(), [slow(other_host, "/x.csv")]) == [False]
    assert warnings(caplog)[0].startswith("no prediction for 1 of 1 tasks (1): the 0.5 s")


def test_a_body_of_a_byte_now_and_then_is_too_slow_long_before_the_longest_download(
    settings: Settings, other_host: HttpServer
) -> None:
    downloader = make_downloader(settings)
    patience = Patience()
    with pytest.raises(DownloadError, match="too slow"):
        downloader.fetch(trickling(other_host, "/x.csv"), 1, Download(1, patience))
    host = other_host.url.removeprefix("http://")
    assert "did not answer in time" in (patience.objection(host) or "")


def test_redirects_share_the_time_of_one_answer(settings: Settings, other_host: HttpServer) -> None:
    own = settings.model_copy(update={"download_timeout": 0.5})
    own_hosts = pytest.MonkeyPatch()
    with own_hosts.context() as patch:
        patch.setattr("timeseries_segmenter.sources.downloads.CONNECT_TIMEOUT", 0.2)
        with pytest.raises(DownloadError, match="Timeout"):
            make_downloader(own).fetch(redirecting(other_host, "/x.csv"), 1)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_name_that_is_never_resolved_counts_like_a_host_that_hangs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    released = threading.Event()
    real = socket.getaddrinfo

    def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "hung.example":
            released.wait(LONG)
            raise socket.gaierror("at last")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(hosts, "CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr("timeseries_segmenter.sources.downloads.CONNECT_TIMEOUT", 0.2)
    own = settings.model_copy(update={"data_allowed_hosts": ("hung.example",) if trusted else ()})
    patience = Patience()
    downloader = make_downloader(own)
    try:
        with pytest.raises(DownloadError, match=r"Task 1: .*\(ConnectTimeout\)"):
            downloader.fetch("http://hung.example/x.csv", 1, Download(1, patience))
    finally:
        released.set()
    assert patience.objection("hung.example")


def test_a_handshake_that_never_ends_is_given_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte of it now and then meets every time-out between two reads."""
    monkeypatch.setattr("timeseries_segmenter.sources.downloads.CONNECT_TIMEOUT", 0.2)
    stopping = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KB
            while not stopping.wait(0.05):
                try:
                    connection.sendall(b"\0")
                except OSError:
                    return

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with pytest.raises(DownloadError, match=r"Task 1: .*Timeout"):
            make_downloader(settings).fetch(f"https://127.0.0.1:{listening.getsockname()[1]}/x.csv", 1)
    finally:
        stopping.set()
        thread.join()
        listening.close()


def test_nothing_is_fetched_any_more_for_a_client_that_has_left(
    app: Flask,
    backend: Backend,
    other_host: HttpServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wait_for_hosts(backend)
    tasks = [{"id": n, "data": {"csv_url": other_host.hang(f"/{n}.csv")}} for n in range(1, 9)]
    body = app.json.dumps({"tasks": tasks, "label_config": CONFIG, "project": str(PROJECT)}).encode()
    head = (
        "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nAuthorization: Basic {AUTHORIZATION}\r\n\r\n"
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        with socket.create_connection(("127.0.0.1", server.server_port)) as client:
            client.sendall(head.encode() + body)
            wait_for(lambda: other_host.requests)
        line = wait_for(lambda: [line for line in warnings(caplog) if "the client has left" in line])
        assert line[0].startswith("the client has left after 0 of 8 tasks")
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
    assert len(other_host.requests) <= AHEAD + 1


def test_half_of_the_threads_at_most_wait_for_silent_hosts(
    app: Flask, backend: Backend, other_host: HttpServer
) -> None:
    """The others answer meanwhile: here to requests that need no host, as `/health` does."""
    wait_for_hosts(backend)
    addresses = [other_host.hang(f"/{number}.csv") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, app.test_client(), [address]) for address in addresses]
        wait_for(lambda: sum(each.done() for each in asked) == 2)
        assert pool.submit(lambda: app.test_client().get("/health").status_code).result(LONG) == 200
        assert sum(each.done() for each in asked) == 2
        other_host.stopping.set()
        assert wait(asked, LONG).not_done == set()


def test_series_of_a_request_are_downloaded_side_by_side_and_come_in_their_order(
    settings: Settings, other_host: HttpServer
) -> None:
    together = threading.Barrier(AHEAD)

    def answer(request: Request) -> Reply:
        together.wait(LONG)
        return Reply(f"value\n{request.path[1:]}\n".encode())

    for number in range(8):
        other_host.routes[f"/{number}"] = answer
    config = parse_label_config(CONFIG)
    tasks = [{"id": number, "data": {"csv_url": f"{other_host.url}/{number}"}} for number in range(8)]
    reader = TaskSeries.from_settings(settings.model_copy(update={"download_timeout": LONG}))
    read = [
        (task["id"], series.read(config.pairs[0]).values[0, 0])
        for task, series in reader.of_tasks(tasks, config.pairs)
    ]
    assert read == [(number, number) for number in range(8)]


def test_a_series_too_large_to_be_fetched_ahead_is_fetched_when_it_is_read(
    settings: Settings, other_host: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "AHEAD_BYTES", 20)
    large = b"value\n" + b"1\n" * 100
    other_host.serve("/large", large, ETag='"1"')
    other_host.serve("/small", b"value\n1\n2\n")
    config = parse_label_config(CONFIG)
    tasks = [
        {"id": number, "data": {"csv_url": other_host.url + path}}
        for number, path in enumerate(["/large", "/small", "/large"])
    ]
    series = TaskSeries.from_settings(settings)
    for _ in range(2):  # the second time from the cache
        rows = [len(each.read(config.pairs[0])) for _, each in series.of_tasks(tasks, config.pairs)]
        assert rows == [100, 2, 100]


def test_what_is_fetched_ahead_and_never_read_leaves_room_for_others(
    settings: Settings, other_host: HttpServer
) -> None:
    address = other_host.serve("/x", b"value\n1\n")
    config = parse_label_config(CONFIG)
    tasks = [{"id": number, "data": {"csv_url": address}} for number in range(20)]
    series = TaskSeries.from_settings(settings)
    for _ in range(10):
        next(series.of_tasks(tasks, config.pairs))
    assert all(series._ahead.acquire(blocking=False) for _ in range(side_by_side.AHEAD_IN_ALL))


def test_hanging_hosts_cost_a_training_run_one_wait_each_and_the_others_are_read_in_order(
    settings: Settings, other_host: HttpServer
) -> None:
    hung = other_host.hang("/hung.csv")
    config = parse_label_config(CONFIG)
    left_out: list[LeftOut] = []
    with HttpServer() as healthy:
        good = healthy.serve("/x.csv", SERIES)
        tasks = [
            {
                "id": number,
                "data": {"csv_url": good if number % 4 == 0 else hung},
                "annotations": [{"id": number, "result": recorded.regions((40, 89, "Run"))}],
            }
            for number in range(40)
        ]
        labelled = read_labelled_tasks(
            tasks,
            config,
            TaskSeries.from_settings(settings),
            (DownloadError,),
            left_out.append,
        )
    assert [task.task for task in labelled[config.pairs[0].name]] == list(range(0, 40, 4))
    assert all(each.passing for each in left_out)
    assert [each.task for each in left_out] == [number for number in range(40) if number % 4]
    assert 1 <= len(other_host.requests) <= AHEAD
    assert left_out[-1].reason.endswith("did not answer in time before, and is asked no more this time")


def test_hosts_that_answer_are_asked_on_after_many_others_hung() -> None:
    patience = Patience(lost_seconds=0.0)
    patience.answered("good")
    assert patience.objection("new") is not None  # a limit of nothing is reached at once
    patience = Patience(lost_seconds=1.0)
    patience.answered("good")
    patience.stalled("bad", began=0.0)
    assert patience.objection("good") is None
    assert "bad did not answer" in (patience.objection("new") or "")


def test_one_slow_file_is_no_hanging_host_but_some_are() -> None:
    patience = Patience()
    for _ in range(MOST_STALLS - 1):
        patience.answered("host:80")
        patience.stalled("Host:80", began=0.0)
        assert patience.objection("host:80") is None
    patience.answered("host:80")
    patience.stalled("host:80", began=0.0)
    assert patience.objection("HOST:80") is not None


def test_without_time_left_what_is_there_already_is_taken() -> None:
    patience = Patience(0.05)
    never: Future[bytes] = Future()
    with pytest.raises(OutOfTimeError, match="Task 7"):
        patience.take(never, lambda: math.inf, "http://host/x", 7)
    there: Future[bytes] = Future()
    there.set_result(b"1")
    assert patience.take(there, lambda: math.inf, "http://host/x", 8) == b"1"
    assert patience.late == [7]


def test_those_who_came_first_may_wait() -> None:
    crowd = Crowd(2)
    places = [crowd.join() for _ in range(4)]
    assert [crowd.is_full_before(place) for place in places] == [False, False, True, True]
    crowd.leave(places[0])
    assert [crowd.is_full_before(place) for place in places[1:]] == [False, False, True]
