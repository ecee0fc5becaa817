"""CPU seconds of a prediction, part by part: `python -m benchmarks.speed`, a table in Markdown.

The bundled series, repeated to a number of rows, by a model of the default settings, with one
thread; the median of several runs. Beside them are the limits, measured in the same run: a bare
`pandas.read_csv` of the same bytes, and bare forward passes over as many windows, in batches of the
size that is fastest.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.regions import to_regions
from timeseries_segmenter.labeling.series import Series, parse_series
from timeseries_segmenter.learning.inputs.windows import window_starts
from timeseries_segmenter.learning.opinions.by_stretch import opinions_by_stretch
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.fit import Recipe, fit
from timeseries_segmenter.project.labelled_task import LabelledTask
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.export_file import read_config, read_tasks
from timeseries_segmenter.sources.task_series import TaskSeries

DATA = Path(__file__).resolve().parent.parent / "examples" / "activity"
ROWS = (10_000, 100_000, 1_000_000)
COLUMNS = (
    "rows",
    "read",
    "network, forest",
    "pool, decode",
    "regions",
    "all",
    "bare read",
    "bare forward",
    "ratio",
    "anonymous MB",
)
BATCHES = (64, 128, 256, 512)  # windows; the fastest is the limit


def main() -> None:
    """Print one row a number of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    (pair,) = read_config(DATA / "config.xml").pairs
    label_sets = [(label,) for label in pair.labels]
    series = TaskSeries.from_settings(Settings(local_files_dir=DATA))
    tasks = [LabelledTask.read(task, pair, series.of_task(task)) for task in read_tasks(DATA / "tasks.json")]
    examples = [task.example(label_sets) for task in tasks if task]
    segmenter = fit(examples, label_sets, pair.channels, Recipe()).segmenter
    text = pd.concat([pd.read_csv(path) for path in sorted(DATA.glob("*.csv"))])
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for rows in arguments.rows:
        with tempfile.NamedTemporaryFile() as file:
            path = Path(file.name)
            _write(text, rows, path)
            parts, most = _seconds_of_parts(path, pair, segmenter, arguments.runs)
            limits = [
                _seconds(arguments.runs, pd.read_csv, path),
                _bare_forward(segmenter, rows, arguments.runs),
            ]
        cells = [*parts, sum(parts), *limits, sum(parts) / sum(limits)]
        print(f"| {rows} | {' | '.join(f'{cell:.3f}' for cell in cells)} | {most} |", flush=True)


def _write(text: pd.DataFrame, rows: int, path: Path) -> None:
    """The series over and over again, with a time of its own."""
    for first in range(0, rows, len(text)):
        part = text.iloc[: rows - first].assign(time=np.arange(first, min(first + len(text), rows)) / 10)
        part.to_csv(path, mode="a", header=not first, index=False)


def _seconds_of_parts(
    path: Path, pair: LabelPair, segmenter: Segmenter, runs: int
) -> tuple[list[float], int]:
    """CPU seconds of each part, and the most megabytes of anonymous memory: pages of files, which the system
    may take back at any time, do not count.
    """

    def read() -> Series:
        with path.open("rb") as file:
            return parse_series(file, pair, spill=tempfile.TemporaryFile)

    def ask(series: Series) -> None:
        for _ in opinions_by_stretch(segmenter, series.values):
            pass

    with anonymous_megabytes() as megabytes:
        reading = _seconds(runs, read)
        series = read()
        predicting = _seconds(runs, segmenter.predict, series.values, series.times)
        segments = segmenter.segments(series.values, series.times)
        writing = _seconds(runs, to_regions, segments, pair, series)
    opinions = _seconds(runs, ask, series)
    return [reading, opinions, predicting - opinions, writing], max(megabytes)


@contextmanager
def anonymous_megabytes() -> Iterator[list[int]]:
    """Looks twenty times a second."""
    megabytes: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while True:
            status = Path("/proc/self/status").read_text()
            megabytes.append(int(status.partition("RssAnon:")[2].split()[0]) // 1024)
            if ended.wait(0.05):
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield megabytes
    finally:
        ended.set()
        thread.join()


def _bare_forward(segmenter: Segmenter, rows: int, runs: int) -> float:
    each = []
    with torch.inference_mode():
        for batch in BATCHES:
            windows = torch.zeros(batch, segmenter.window, segmenter.standardisation.inputs)
            dimensions = segmenter.network.dimensions
            rolling = torch.zeros(batch, segmenter.window // dimensions.stride, dimensions.features)
            each.append(_seconds(5 * runs, segmenter.network, windows, rolling) / batch)
    return min(each) * len(window_starts(rows, segmenter.window))


def _seconds(runs: int, work: Callable[..., object], *arguments: object) -> float:
    times = []
    for _ in range(runs):
        began = time.process_time()
        work(*arguments)
        times.append(time.process_time() - began)
    return statistics.median(times)


if __name__ == "__main__":
    main()
