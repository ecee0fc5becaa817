"""What a long series costs: `python -m benchmarks.long_series`, two tables in Markdown.

One task whose CSV of six channels another process sends, as many rows as are asked for. It is downloaded,
read, predicted and written as regions by a model that has learned its first rows; and learned from by a
training run, as after an annotation, with what follows it. Memory is anonymous, beside pages of files, which
the system may take back at any time; the process before the first row is part of it.
"""

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from pydantic import SecretStr

from benchmarks.growth import CONFIG, PROJECT, Watch, events, series
from benchmarks.speed import anonymous_megabytes
from tests.support import recorded
from tests.support.http_server import Reply
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.regions import to_regions
from timeseries_segmenter.labeling.series import parse_series
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.fit import fit
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.segment import Segment, class_by_row
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.trainings.run import TrainingRun

BLOCK = 100_000  # rows that are repeated, with ten regions
LABELS = ("Run", "Walk")
PATH = "/series.csv"
ROWS = (5_000_000, 50_000_000, 100_000_000)
PREDICTED = ("rows", "regions", "download and read, CPU s", "predict, CPU s", "regions, CPU s", "s", "MB")
LEARNED = ("rows", "regions", "download and read, CPU s", "s", "whole run, CPU s", "s", "MB")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predict", type=int, nargs="*", default=ROWS, help="so many rows")
    parser.add_argument("--learn", type=int, nargs="*", default=ROWS[:2], help="so many rows")
    arguments = parser.parse_args()
    for columns, rows, measure in (
        (PREDICTED, arguments.predict, predict),
        (LEARNED, arguments.learn, learn),
    ):
        print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
        for each in rows:
            with served(each) as url, TemporaryDirectory() as folder:
                settings = make_settings(url, Path(folder))
                with multiprocessing.get_context("spawn").Pool(1) as process:
                    print(f"| {' | '.join(process.apply(measure, (settings, each)))} |", flush=True)
        print()


def predict(settings: Settings, rows: int) -> list[str]:
    """In a process of its own: the cells of a row of the first table."""
    torch.set_num_threads(1)  # as in the service
    (pair,) = parse_label_config(CONFIG).pairs
    segmenter = _learn_first_block()
    task = {"id": 1, "data": {"csv": settings.label_studio_host + PATH}}
    began, times = time.monotonic(), [time.process_time()]
    with anonymous_megabytes() as megabytes:
        read = TaskSeries.from_settings(settings).read(task, pair)
        assert len(read) == rows
        times.append(time.process_time())
        segments = segmenter.predict(read.values, read.times).segments
        times.append(time.process_time())
        regions = to_regions(segments, pair, read)
        times.append(time.process_time())
    seconds = [f"{end - start:.1f}" for start, end in pairwise(times)]
    return [f"{rows:,}", f"{len(regions):,}", *seconds, _since(began), str(max(megabytes))]


def learn(settings: Settings, rows: int) -> list[str]:
    """In a process of its own: the cells of a row of the second table."""
    torch.set_num_threads(1)  # as in the service
    with anonymous_megabytes() as megabytes:
        watch = Watch(training=True)
        TrainingRun(settings).run(PROJECT, watch)
        whole = watch.cost()
    assert watch.fetching
    parts = [f"{each.cpu:.1f} | {each.seconds:.1f}" for each in (watch.fetching, whole)]
    return [f"{rows:,}", f"{10 * rows // BLOCK:,}", *parts, str(max(megabytes))]


def make_settings(url: str, folder: Path) -> Settings:
    """Those of a service that may read long series."""
    return Settings(
        label_studio_host=url,
        label_studio_api_key=SecretStr(TOKEN),
        model_dir=folder,
        max_series_mb=100_000,
        download_timeout=600,
        search_seconds=0,
        log_level="ERROR",
    )


@contextmanager
def served(rows: int) -> Iterator[str]:
    """The address of a process that stands in for Label Studio, with one annotated task."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(rows, theirs))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


def _serve(rows: int, end: Connection) -> None:
    with LabelStudioServer() as studio:
        studio.configs[PROJECT] = CONFIG
        studio.routes[PATH] = lambda _: Reply(_text(rows))
        block = events(0, BLOCK)
        found = [
            (first + start, first + last, label)
            for first in range(0, rows, BLOCK)
            for start, last, label in block
            if first + last < rows
        ]
        task = {"id": 1, "data": {"csv": studio.url + PATH}, "project": PROJECT, "updated_at": studio.now()}
        result = recorded.regions(*found)
        annotations = [{"id": 1, "result": result, "was_cancelled": False, "ground_truth": False}]
        studio.tasks[PROJECT] = [task | {"annotations": annotations}]
        end.send(studio.url)
        end.recv()


def _text(rows: int) -> Iterator[bytes]:
    """The file, block by block."""
    header, block = series(0, BLOCK).split(b"\n", 1)
    yield header + b"\n"
    for first in range(0, rows, BLOCK):
        missing = rows - first
        yield block if missing >= BLOCK else b"".join(block.splitlines(keepends=True)[:missing])


def _learn_first_block() -> Segmenter:
    (pair,) = parse_label_config(CONFIG).pairs
    values = parse_series(series(0, BLOCK), pair).values
    segments = [Segment(first, last, (label,)) for first, last, label in events(0, BLOCK)]
    classes = class_by_row(segments, lambda each: LABELS.index(each.labels[0]) + 1, BLOCK)
    label_sets = [(label,) for label in LABELS]
    return fit([Example(values, classes)], label_sets, pair.channels, Recipe()).segmenter


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f}"


if __name__ == "__main__":
    main()
