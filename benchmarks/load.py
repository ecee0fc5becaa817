"""Answers under load: `python -m benchmarks.load`, a table in Markdown; status 1 for a missed target.

The service as `make run` starts it, against the tests' stand-in for Label Studio. Clients in a process of
their own post predictions of one inline task of 300 rows, each as soon as the one before is answered;
others, in a third process, ask for /health and /setup ten times a second each. First while a training run
runs, then without. All of them share the machine's cores with the service and its training.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import requests
import torch

from tests.support import recorded
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.training.fit import Recipe, fit
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from tools.studio.processes import Child, free_port

PROJECT, TRAINED_MEANWHILE = 6, 7
INLINE = "predict_json_inline"
START_SECONDS = 60
TARGETS = {"/predict": (95, 250), "/health": (99, 100), "/setup": (99, 100)}  # percentile and ms
POLL = 0.1  # seconds between two questions of a polling client
COLUMNS = ("training", "route", "requests", "a second", "errors", "p50 ms", "p95 ms", "p99 ms", "target")
# a training run that nothing ends: its labels contradict each other
NEVER_DONE = {"TRAIN_EPOCHS": 10**9, "BALANCED_ACCURACY_THRESHOLD": 1, "MIN_CLASS_F1_THRESHOLD": 1}


def main() -> None:
    """Print the table of both runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30, help="the most seconds of each run")
    parser.add_argument("--requests", type=int, default=4000, help="the most predictions of each run")
    arguments = parser.parse_args()
    met = True
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for training in (True, False):
        with TemporaryDirectory() as folder, LabelStudioServer() as studio:
            save_models(Path(folder), [PROJECT])
            contradicting_tasks(studio)
            with Service(Path(folder), studio.url, NEVER_DONE) as service:
                warm_up(service, arguments.clients)
                with trainings(service) if training else no_trainings() as seen:
                    measured = measure(service.url, arguments)
                if training and not all(seen):
                    sys.exit(f"no training ran in {seen.count(False)} of {len(seen)} looks at it")
                for route, answers in measured.items():
                    row, fine = line(route, answers)
                    print(f"| {'yes' if training else 'no'} | {row} |", flush=True)
                    met &= fine
    sys.exit(0 if met else 1)


class Service:
    """Gunicorn with one worker, and settings of its own."""

    def __init__(self, folder: Path, label_studio: str, settings: dict[str, Any]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.child = Child("the service", folder / "service.log")
        ours = {name.upper() for name in Settings.model_fields} | {"LABEL_STUDIO_URL"}
        self._environment = {name: value for name, value in os.environ.items() if name not in ours}
        self._environment |= {
            "LABEL_STUDIO_HOST": label_studio,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "MODEL_DIR": str(folder / "models"),
            "WORKERS": "1",
        }
        self._environment |= {name: str(value) for name, value in settings.items()}

    def __enter__(self) -> "Service":
        bind = f"127.0.0.1:{self.port}"
        self.child.start([sys.executable, "-m", "gunicorn", "--bind", bind, "_wsgi:app"], self._environment)
        try:
            self.child.wait_ready(f"{self.url}/health", START_SECONDS)
        except BaseException:
            self.child.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stop()

    def post(self, path: str, body: object) -> Any:
        """The answer's JSON; fails if it is an error."""
        answer = requests.post(self.url + path, json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def jobs(self, project: int) -> list[dict[str, Any]]:
        """A project's trainings, oldest first."""
        answer = requests.get(f"{self.url}/projects/{project}/training", timeout=30)
        answer.raise_for_status()
        return list(answer.json()["jobs"])


def save_models(folder: Path, projects: Iterable[int], epochs: int = 60) -> None:
    """A model of the recorded series for each project, each with a seed of its own."""
    torch.set_num_threads(1)
    store = ModelStore(Settings(model_dir=folder / "models"))
    for project in projects:
        classes = np.zeros(recorded.ROWS, np.int64)
        for first, last, label in recorded.DRAWN:
            classes[first : last + 1] = 1 if label == "Run" else 2
        values = np.array([recorded.values(project % 3)], np.float32).T
        nothing = np.zeros(0, np.int64)
        example = Example(values, classes, nothing, nothing)
        recipe = Recipe(epochs=epochs, seed=project)
        segmenter = fit([example], (("Run",), ("Walk",)), ("value",), recipe).segmenter
        store.save(project, Model(Card(), {"label:ts": segmenter}))


def prediction(project: int) -> dict[str, Any]:
    """A request for one inline task of 300 rows."""
    body = recorded.body(INLINE) | {"project": f"{project}.1795343773"}
    body["tasks"] = [body["tasks"][project % 3] | {"project": project, "annotations": []}]
    return body


def contradicting_tasks(studio: LabelStudioServer) -> None:
    """A project that shows each series twice, with Run and Walk exchanged."""
    studio.configs[TRAINED_MEANWHILE] = recorded.body(INLINE)["label_config"]
    exchanged = {"Run": "Walk", "Walk": "Run"}
    for task in recorded.body(INLINE)["tasks"]:
        for drawn in (recorded.DRAWN, [(*ends, exchanged[label]) for *ends, label in recorded.DRAWN]):
            studio.add_task(TRAINED_MEANWHILE, task["data"], recorded.regions(*drawn))


def warm_up(service: Service, clients: int) -> None:
    """The model in memory, and each thread used once."""
    for _ in range(2 * clients):
        (result,) = service.post("/predict", prediction(PROJECT))["results"]
        assert result["result"], "the model finds nothing"


@contextmanager
def trainings(service: Service) -> Iterator[list[bool]]:
    """Training runs all the time; notes whether one ran at each look."""
    event = {"action": "START_TRAINING", "project": {"id": TRAINED_MEANWHILE}}
    seen: list[bool] = []
    over = threading.Event()

    def running() -> bool:
        # the one behind it starts within the worker's next look at the queue
        return any(job["state"] in ("queued", "started") for job in service.jobs(TRAINED_MEANWHILE))

    def keep_on() -> None:
        while not over.wait(1):
            seen.append(running())
            service.post("/webhook", event)  # waits behind the one that runs, in case that one ends

    service.post("/webhook", event)
    until = time.monotonic() + START_SECONDS
    while not any(job["progress"] for job in service.jobs(TRAINED_MEANWHILE)):
        if time.monotonic() > until:
            sys.exit(f"no training started{service.child.log_end()}")
        time.sleep(0.1)
    thread = threading.Thread(target=keep_on)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@contextmanager
def no_trainings() -> Iterator[list[bool]]:
    """Nothing beside the requests."""
    yield []


@dataclass
class Answers:
    """How long the answers to one route took, in ms, how many were wrong, and how long all of it was."""

    milliseconds: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0


def measure(url: str, arguments: argparse.Namespace) -> dict[str, Answers]:
    """Answers by route, as the clients in two other processes saw them."""
    spawn = multiprocessing.get_context("spawn")
    ends = []
    for work in (post_predictions, poll):
        end, other = spawn.Pipe()
        limits = (arguments.clients, arguments.seconds, arguments.requests)
        spawn.Process(target=work, args=(url, *limits, other), daemon=True).start()
        ends.append(end)
    posting, polling = ends
    for end in ends:
        end.recv()  # it is ready
    for end in ends:
        end.send("go")
    measured: dict[str, Answers] = posting.recv()
    polling.send("stop")
    measured |= polling.recv()
    return measured


def post_predictions(url: str, clients: int, seconds: float, most: int, end: Connection) -> None:
    """Work of a process: `clients` threads that post until the time or the predictions are used up."""
    body = json.dumps(prediction(PROJECT)).encode()
    answers = Answers()
    left = iter(range(most))
    lock = threading.Lock()

    def client() -> None:
        with requests.Session() as session:
            while time.monotonic() < until:
                with lock:
                    if next(left, None) is None:
                        return
                ask(
                    answers,
                    lambda: session.post(
                        f"{url}/predict", data=body, headers={"Content-Type": "application/json"}, timeout=60
                    ),
                    b'"instant"',
                )

    end.send("ready")
    end.recv()
    began = time.monotonic()
    until = began + seconds
    in_threads([client] * clients)
    answers.seconds = time.monotonic() - began
    end.send({"/predict": answers})


def poll(url: str, _clients: int, seconds: float, _most: int, end: Connection) -> None:
    """Work of a process: /health and /setup, ten times a second each, until it is asked to stop."""
    setup = json.dumps(recorded.body("setup_request_index_time") | {"project": f"{PROJECT}.1"}).encode()
    measured = {"/health": Answers(), "/setup": Answers()}
    over = threading.Event()

    def client(route: str, expected: bytes) -> None:
        due = time.monotonic()
        with requests.Session() as session:
            # what came late doesn't put off the next
            while not over.wait(max(0, (due := due + POLL) - time.monotonic())):
                ask(
                    measured[route],
                    lambda: (
                        session.get(url + route, timeout=60)
                        if route == "/health"
                        else session.post(
                            url + route, data=setup, headers={"Content-Type": "application/json"}, timeout=60
                        )
                    ),
                    expected,
                )

    def wait() -> None:
        end.poll(seconds + 60)
        over.set()

    end.send("ready")
    end.recv()
    began = time.monotonic()
    in_threads([lambda: client("/health", b"UP"), lambda: client("/setup", b"-v1-"), wait])
    for answers in measured.values():
        answers.seconds = time.monotonic() - began
    end.send(measured)


def ask(answers: Answers, request: Callable[[], requests.Response], expected: bytes) -> None:
    """Note how long one answer takes, and whether it holds what it should."""
    began = time.perf_counter()
    try:
        answer = request()
        fine = answer.status_code == 200 and expected in answer.content
    except requests.RequestException:
        fine = False
    answers.milliseconds.append(1000 * (time.perf_counter() - began))
    answers.errors += not fine


def in_threads(work: Iterable[Callable[[], None]]) -> None:
    """Run all side by side, and wait for all."""
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def line(route: str, answers: Answers) -> tuple[str, bool]:
    """The cells of a route, and whether its target is met."""
    cuts = statistics.quantiles(answers.milliseconds, n=100, method="inclusive")
    percentile, limit = TARGETS[route]
    fine = cuts[percentile - 1] < limit and not answers.errors
    metrics = [f"{cuts[cut - 1]:.0f}" for cut in (50, 95, 99)]
    count = len(answers.milliseconds)
    cells = [route, str(count), f"{count / answers.seconds:.0f}", str(answers.errors), *metrics]
    return " | ".join([*cells, f"p{percentile} < {limit}: {'met' if fine else 'MISSED'}"]), fine


if __name__ == "__main__":
    main()
