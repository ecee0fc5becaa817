"""Which threads a request finds, in a server of this package's own."""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from waitress import wasyncore

from tests.support import recorded
from tests.support.processes import wait_for
from timeseries_segmenter.web.precedence import LONGEST, is_interactive
from timeseries_segmenter.web.server import URGENT, Server
from timeseries_segmenter.web.worker import SLOW_PATHS

THREADS = 2
DRAWING = recorded.body("interactive_json_inline")
BATCH = recorded.body("predict_json_inline")

Start = Callable[..., Iterable[bytes]]


class App:
    """Answers what an annotator waits for at once, and anything else about predictions when `ended`."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.held: list[int] = []

    def __call__(self, environ: dict[str, Any], start_response: Start) -> list[bytes]:
        body = environ["wsgi.input"].read()
        if environ["PATH_INFO"] in SLOW_PATHS and not is_interactive(body):
            self.held.append(len(body))
            self.ended.wait(60)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(len(body)).encode()]


@contextmanager
def serving(app: App) -> Iterator[str]:
    sockets: dict[int, Any] = {}
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        Server(
            app,
            listener,
            sockets,
            threads=THREADS,
            connections=50,
            longest_body=10 * LONGEST,
            wants_body=lambda *_: True,
            slow_paths=SLOW_PATHS,
            is_urgent=is_interactive,
            longest_urgent=LONGEST,
        )
        ended = threading.Event()

        def loop() -> None:
            while not ended.is_set():
                wasyncore.poll2(0.05, sockets)

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield address
        finally:
            app.ended.set()
            ended.set()
            thread.join()
            wasyncore.close_all(sockets)


@contextmanager
def batches(address: str, number: int) -> Iterator[list[threading.Thread]]:
    threads = [
        threading.Thread(target=requests.post, args=(address,), kwargs={"json": BATCH, "timeout": 60})
        for _ in range(number)
    ]
    for thread in threads:
        thread.start()
    yield threads
    for thread in threads:
        thread.join()


def test_who_draws_waits_behind_no_batches_and_batches_behind_each_other() -> None:
    app = App()
    with serving(app) as url, batches(f"{url}/predict", 3 * THREADS):
        wait_for(lambda: len(app.held) == THREADS)
        for _ in range(2 * URGENT):
            answer = requests.post(f"{url}/predict", json=DRAWING, timeout=10)
            assert answer.json() == len(json.dumps(DRAWING))  # the look at the body left it whole
        assert len(app.held) == THREADS
        app.ended.set()
    assert len(app.held) == 3 * THREADS


def test_a_long_body_waits_in_line_whatever_it_says() -> None:
    app = App()
    padded = {"padding": "x" * LONGEST} | DRAWING
    with serving(app) as url, batches(f"{url}/predict", THREADS):
        wait_for(lambda: len(app.held) == THREADS)
        answers: list[int] = []
        thread = threading.Thread(
            target=lambda: answers.append(requests.post(f"{url}/predict", json=padded, timeout=60).json())
        )
        thread.start()
        assert requests.post(f"{url}/other", json={}, timeout=10).json() == len("{}")
        assert answers == []
        app.ended.set()
        thread.join()
        assert answers == [len(json.dumps(padded))]
