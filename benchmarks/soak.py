"""Memory and correctness in the long run: `python -m benchmarks.soak`, a table in Markdown.

Four clients ask for predictions of 50 projects, each with a model of its own, of which the service keeps
eight in memory; half of the series are inline, half are files of the tests' stand-in for Label Studio.
Meanwhile projects are trained, one after the other. Every answer has to carry a version of the project
asked for, no older than the newest that was known when it was asked, and the regions that a quiet request
gets for the same version. Exit status 1 if one doesn't, or if the web process has grown too much.
"""

import argparse
import json
import random
import re
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from benchmarks.load import Service, in_threads, prediction, save_models
from tests.support import recorded
from tests.support.label_studio_server import LabelStudioServer

FIRST = {"web": 500, "training": 5}  # predictions and trainings, after which what is filled once is full
GROWTH = 1.2  # the target: at the end at most so much of what it was after the first
TRAINING_SECONDS = 120
SETTINGS = {"TRAIN_EPOCHS": 30}
COLUMNS = ("process", "MB at first", "MB at the end", "most MB", "ratio", "target")
VERSION = re.compile(r"p(\d+)-v(\d+)-")


def main() -> None:
    """Print the table and what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, default=5000)
    parser.add_argument("--projects", type=int, default=50)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--trainings", type=int, default=20)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, LabelStudioServer() as studio:
        projects = range(1, arguments.projects + 1)
        save_models(Path(folder), projects, epochs=20)
        with Service(Path(folder), studio.url, SETTINGS) as service:
            soak = Soak(service, {project: request(project, studio) for project in projects})
            soak.run(arguments.clients, arguments.predictions, arguments.trainings)
    sys.exit(0 if soak.report() else 1)


def request(project: int, studio: LabelStudioServer) -> dict[str, Any]:
    """A prediction of one task; the project's own data, and its annotation, are on Label Studio too."""
    body = prediction(project)
    if project % 2:
        body["label_config"] = recorded.body("predict_test_single_task")["label_config"]
        path = f"/data/upload/{project}/series.csv"
        studio.files[path] = recorded.csv("index", project % 3)
        body["tasks"][0]["data"] = {"csv_url": path}
    studio.configs[project] = body["label_config"]
    body["tasks"][0]["id"] = studio.add_task(
        project, body["tasks"][0]["data"], recorded.regions(*recorded.DRAWN)
    )
    return body


class Soak:
    """Predictions from several clients, trainings in between, and what was seen of both."""

    def __init__(self, service: Service, requests_: dict[int, dict[str, Any]]) -> None:
        self._service = service
        self._bodies = {project: json.dumps(body).encode() for project, body in requests_.items()}
        self._lock = threading.Lock()
        self._regions: dict[str, object] = {}  # by version, as the first answer had them
        self._newest = dict.fromkeys(requests_, 1)  # version that is known to be there
        self._problems: list[str] = []
        self._asked = 0
        self._trained = 0
        self._seconds = 0.0
        (self._web,) = children(service.child.pid)
        self._memory: dict[str, dict[str, float]] = {"web": {}, "training": {}}

    def run(self, clients: int, predictions: int, trainings: int) -> None:
        """Ask quietly, ask all at once, and ask quietly again."""
        for project in self._bodies:
            self._ask(project)
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over,))
        watch.start()
        left = iter(range(predictions))
        began = time.monotonic()

        def client(seed: int) -> None:
            draw = random.Random(seed)
            projects = list(self._bodies)
            while True:
                with self._lock:
                    if next(left, None) is None:
                        return
                self._ask(draw.choice(projects))

        def train() -> None:
            projects = list(self._bodies)
            for number in range(trainings):
                while self._asked < number * predictions // trainings:
                    time.sleep(0.05)
                self._train(projects[number * 7 % len(projects)])

        in_threads([*(lambda seed=seed: client(seed) for seed in range(clients)), train])
        self._seconds = time.monotonic() - began
        over.set()
        watch.join()
        for name in FIRST:
            self._note(name, "end")
        for project in self._bodies:
            self._ask(project)

    def report(self) -> bool:
        """Print what was seen; returns whether all of it is as it should be."""
        print(
            f"{self._asked} predictions of {len(self._bodies)} projects in {self._seconds:.0f} s, "
            f"{self._trained} trainings, {len(self._regions)} versions answered, "
            f"{len(self._problems)} wrong answers; memory at first: after {FIRST['web']} predictions, "
            f"{FIRST['training']} trainings\n"
        )
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        fine = not self._problems
        for name, seen in self._memory.items():
            first, end, most = (seen.get(key, 0) for key in ("first", "end", "most"))
            ratio = end / first if first else float("nan")
            target = "-"
            if name == "web":
                met = ratio <= GROWTH
                target = f"at most {GROWTH}: {'met' if met else 'MISSED'}"
                fine &= met
            print(f"| {name} | {first:.0f} | {end:.0f} | {most:.0f} | {ratio:.2f} | {target} |")
        for problem in self._problems[:20]:
            print(problem)
        return fine

    def _ask(self, project: int) -> None:
        known = self._newest[project]
        try:
            answer = requests.post(
                f"{self._service.url}/predict",
                data=self._bodies[project],
                headers={"Content-Type": "application/json"},
                timeout=60,
            )
            answer.raise_for_status()
            content = answer.json()
            (result,) = content["results"]
        except (requests.RequestException, ValueError) as error:
            self._problem(f"project {project}: {error}")
            return
        version = result.pop("model_version")
        match = VERSION.match(version)
        if match is None or int(match[1]) != project or int(match[2]) < known:
            self._problem(f"project {project}, of which version {known} is known, was answered by {version}")
        with self._lock:
            self._asked += 1
            asked = self._asked
            same = self._regions.setdefault(version, result) == result
        if not same or not result["result"]:
            self._problem(f"version {version}: other regions than before, or none")
        if asked == len(self._bodies) + FIRST["web"]:
            self._note("web", "first")

    def _train(self, project: int) -> None:
        event = {"action": "START_TRAINING", "project": {"id": project}}
        job = self._service.post("/webhook", event)["job"]
        until = time.monotonic() + TRAINING_SECONDS
        while time.monotonic() < until:
            (ours,) = (known for known in self._service.jobs(project) if known["id"] == job)
            if ours["state"] in ("finished", "failed"):
                break
            time.sleep(0.1)
        if ours["state"] != "finished":
            self._problem(f"project {project}: training {job} is {ours['state']}: {ours['error']}")
            return
        self._trained += 1
        if self._trained == FIRST["training"]:
            self._note("training", "first")
        match = VERSION.match(ours["version"])
        assert match
        self._newest[project] = int(match[2])

    def _problem(self, text: str) -> None:
        with self._lock:
            self._problems.append(text)

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(0.2):
            for name in FIRST:
                self._note(name)

    def _note(self, name: str, moment: str | None = None) -> None:
        """Memory now; a training process that is not there keeps what it had last."""
        processes = [self._web] if name == "web" else descendants(self._web)
        megabytes = max(map(resident, processes), default=0.0)
        seen = self._memory[name]
        seen["most"] = max(seen.get("most", 0), megabytes)
        seen["last"] = megabytes or seen.get("last", 0)
        if moment:
            seen[moment] = seen["last"]


def children(process: int) -> list[int]:
    """Processes that it started and that run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it ended meanwhile
            continue
        if parent == str(process):
            found.append(int(folder.name))
    return found


def descendants(process: int) -> list[int]:
    """Its children, theirs, and so on."""
    found = children(process)
    return found + [each for child in found for each in descendants(child)]


def resident(process: int) -> float:
    """Megabytes of memory that a process holds; 0 if it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1000 if found else 0.0


if __name__ == "__main__":
    main()
