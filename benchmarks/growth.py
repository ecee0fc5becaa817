"""What one more annotation costs as a project grows: `python -m benchmarks.growth`, a table in Markdown.

Projects of uploads in the tests' stand-in for Label Studio, whose own work does not count. Each row is a
training run: the first one of a process, which imports what it needs, and one of the same process after
another task was annotated, as a training process of the service lives on. Between them all tasks are read
once, as they have been in a project that was annotated one by one. `tasks and series` is the part of a run
until all its series are read. Memory is the most that the process had. The status is 1 for a missed target.
"""

import argparse
import io
import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import SecretStr

from tests.support import recorded
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.learning.observer import Observer, Step
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.trainings.memory import give_back_memory
from timeseries_segmenter.trainings.run import TrainingRun

PROJECT = 1
CHANNELS = 6
DISTINCT = 20  # series; the tasks have copies of them
CONFIG = (
    '<View><TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/>'
    '</TimeSeriesLabels><TimeSeries name="ts" value="$csv" valueType="url">'
    + "".join(f'<Channel column="c{number}"/>' for number in range(CHANNELS))
    + "</TimeSeries></View>"
)
COLUMNS = (
    "annotated",
    "rows",
    "others",
    "run",
    "requests",
    "tasks and series, CPU s",
    "s",
    "MB",
    "whole run, CPU s",
    "s",
    "MB",
)


@dataclass(frozen=True)
class Case:
    """A project: so many annotated tasks of so many rows, beside others without an annotation."""

    annotated: int
    rows: int
    others: int = 0
    most_requests: int = 25
    most_seconds: float = 0.0  # of a whole run with one more annotation; 0: no target


CASES = (
    Case(10, 12_000),
    Case(160, 12_000),
    Case(2_000, 1_000, others=20_000, most_seconds=15),
    Case(10_000, 1_000, most_seconds=20),
)
RATIO = 1.3  # CPU of one more annotation, of the second case to the first: the target


class Cost(NamedTuple):
    """CPU seconds, seconds, and the most memory in MB."""

    cpu: float
    seconds: float
    megabytes: float

    @property
    def as_row(self) -> str:
        return f"{self.cpu:.1f} | {self.seconds:.1f} | {self.megabytes:.0f}"

    @classmethod
    def from_median(cls, costs: Sequence["Cost"]) -> "Cost":
        return cls(*map(median, zip(*costs, strict=True)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--least", type=int, default=0, help="leave out smaller projects")
    parser.add_argument("--most", type=int, default=10_000, help="leave out larger projects")
    parser.add_argument("--runs", type=int, default=3, help="with one more annotation; their median")
    parser.add_argument("--no-training", action="store_true", help="tasks and series only")
    arguments = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    met, costs = True, dict[Case, float]()
    for case in CASES:
        if arguments.least <= case.annotated <= arguments.most:
            cost, fine = measure(case, arguments.runs, training=not arguments.no_training)
            costs[case] = cost
            met &= fine
    if costs.keys() >= {*CASES[:2]}:
        ratio = costs[CASES[1]] / costs[CASES[0]]
        print(f"\n{CASES[1].annotated} tasks take {ratio:.2f} times the CPU of {CASES[0].annotated}.")
        met &= ratio <= RATIO
    sys.exit(0 if met else 1)


def measure(case: Case, runs: int, *, training: bool) -> tuple[float, bool]:
    """Print the rows of a case; returns CPU seconds of one more annotation, and whether targets are met."""
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder, LabelStudioServer() as studio, context.Pool(1) as trainer:
        fill(studio, case)
        print_row(case, "first", [train(studio, Path(folder), trainer, training)], training)
        with context.Pool(1) as reader:
            reader.apply(read_all, (studio.url, Path(folder)))
        measured = []
        for number in range(runs):
            task = studio.tasks[PROJECT][number]
            task["annotations"].append(annotation(task["id"], case.rows) | {"id": 10**6 + task["id"]})
            task["updated_at"] = studio.now()
            measured.append(train(studio, Path(folder), trainer, training))
        requests, cost = print_row(case, "one more", measured, training)
    fine = requests <= case.most_requests and (not case.most_seconds or cost.seconds <= case.most_seconds)
    return cost.cpu, fine


Measured = tuple[int, Cost, Cost]


def print_row(case: Case, run: str, measured: Sequence[Measured], training: bool) -> tuple[int, Cost]:
    """Print the median of some runs; returns their requests and the cost of all that was measured."""
    requests = max(each[0] for each in measured)
    fetching = Cost.from_median([each[1] for each in measured])
    whole = Cost.from_median([each[2] for each in measured])
    name = f"{case.annotated:,} | {case.rows:,} | {case.others:,} | {run} | {requests:,}"
    print(f"| {name} | {fetching.as_row} | {whole.as_row if training else ' | | '} |", flush=True)
    return requests, whole if training else fetching


def train(studio: LabelStudioServer, folder: Path, trainer: Pool, training: bool) -> Measured:
    """One training run: its requests, what it takes until series are read, and what it takes in all."""
    studio.requests.clear()
    fetching, whole = trainer.apply(run, (studio.url, folder, training))
    return len(studio.requests), fetching, whole


class Watch(Observer):
    """Notes what a run has cost once it has read all series, and ends it there if it is not to train."""

    def __init__(self, training: bool) -> None:
        self._training = training
        self._began = time.process_time(), time.monotonic()
        self.fetching: Cost | None = None

    def on_step(self, step: Step) -> None:
        if step is not Step.FETCHING and self.fetching is None:
            self.fetching = self.cost()
            if not self._training:
                raise EndError

    def cost(self) -> Cost:
        """Since the beginning."""
        cpu, seconds = self._began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        return Cost(time.process_time() - cpu, time.monotonic() - seconds, most)


class EndError(Exception):
    """The rest of a training run is not measured."""


def make_settings(url: str, folder: Path, token: str = TOKEN) -> Settings:
    return Settings(
        label_studio_host=url,
        label_studio_api_key=SecretStr(token),
        model_dir=folder,
        cache_mb=8192,
        search_seconds=0,
        log_level="ERROR",
    )


def read_all(url: str, folder: Path, token: str = TOKEN, project: int = PROJECT) -> None:
    """Read the series of all annotated tasks, in a process of its own."""
    settings, pairs = make_settings(url, folder, token), parse_label_config(CONFIG).pairs
    tasks = LabelStudioClient(settings).labelled_tasks(project)
    for _, series_of_task in TaskSeries.from_settings(settings).of_tasks(tasks, pairs):
        series_of_task.read(pairs[0])


def run(
    url: str, folder: Path, training: bool, token: str = TOKEN, project: int = PROJECT
) -> tuple[Cost, Cost]:
    """In the trainer: what a run costs until it has read all series, and in all."""
    torch.set_num_threads(1)  # as in the service
    training_run = TrainingRun(make_settings(url, folder, token))
    watch = Watch(training)
    with suppress(EndError):
        training_run.run(project, watch)
    whole = watch.cost()
    give_back_memory()  # as a worker does
    assert watch.fetching
    return watch.fetching, whole


def fill(studio: LabelStudioServer, case: Case) -> None:
    """Annotated tasks, and others that have no annotation, each with an upload of its own."""
    studio.configs[PROJECT] = CONFIG
    distinct = [series(seed, case.rows) for seed in range(DISTINCT)]
    tasks: list[dict[str, Any]] = []
    for number in range(1, case.annotated + case.others + 1):
        address = f"/data/upload/{PROJECT}/{number:08x}-series.csv"
        studio.files[address] = distinct[number % DISTINCT]
        task = {"id": number, "data": {"csv": address}, "project": PROJECT, "annotations": []}
        tasks.append(task | {"updated_at": studio.now()})
        if number <= case.annotated:
            tasks[-1]["annotations"] = [annotation(number, case.rows)]
    studio.tasks[PROJECT] = tasks


def annotation(task: int, rows: int) -> dict[str, Any]:
    """What there is in the series of a task."""
    result = recorded.regions(*events(task % DISTINCT, rows))
    return {"id": task, "result": result, "was_cancelled": False, "ground_truth": False}


def events(seed: int, rows: int) -> list[tuple[int, int, str]]:
    """First and last rows of ten regions, and their labels."""
    length = rows // 30
    firsts = np.random.default_rng(seed).integers(0, length, 10) + np.arange(10) * rows // 10
    return [
        (int(first), int(first) + length, "Walk" if place % 2 else "Run")
        for place, first in enumerate(firsts)
    ]


def series(seed: int, rows: int) -> bytes:
    """A CSV file in which `Run` shakes all channels fast, and `Walk` slowly."""
    values = np.random.default_rng(seed).normal(0, 0.3, (rows, CHANNELS))
    for first, last, label in events(seed, rows):
        time = np.arange(last - first + 1)
        values[first : last + 1] += np.sin(time / (2 if label == "Run" else 9))[:, None] * 3
    file = io.StringIO()
    file.write(",".join(f"c{number}" for number in range(CHANNELS)) + "\n")
    np.savetxt(file, values, "%.4f", ",")
    return file.getvalue().encode()


if __name__ == "__main__":
    main()
