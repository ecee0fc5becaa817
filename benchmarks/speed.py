"""CPU seconds of a prediction, part by part: `python -m benchmarks.speed`, a table in Markdown.

The bundled series, repeated to a number of rows, by a model of the default settings, with one
thread; the median of several runs. Beside them are the limits, measured in the same run: a bare
`pandas.read_csv` of the same bytes, and bare forward passes over as many windows, in batches of the
size that is fastest.
"""

import argparse
import io
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from timeseries_segmenter.labeling.regions import to_regions
from timeseries_segmenter.labeling.series import read_series
from timeseries_segmenter.learning.opinions import opinions_by_stretch
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training import Recipe, fit
from timeseries_segmenter.learning.windows import FloatArray, window_starts
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
    "peak MB",
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
        table = pd.concat([text] * (rows // len(text) + 1)).iloc[:rows]
        content = table.assign(time=np.arange(rows) / 10).to_csv(index=False).encode()

        def read(content: bytes = content) -> object:
            return pd.read_csv(io.BytesIO(content))

        values = read_series(content, pair, 0)
        segments = segmenter.segments(values.values, values.times)

        def ask(values: FloatArray = values.values) -> None:
            for _ in opinions_by_stretch(segmenter, values):
                pass

        opinions = _seconds(arguments.runs, ask)
        parts = [
            _seconds(arguments.runs, read_series, content, pair, 0),
            opinions,
            _seconds(arguments.runs, segmenter.predict, values.values, values.times) - opinions,
            _seconds(arguments.runs, to_regions, segments, pair, values),
        ]
        limits = [_seconds(arguments.runs, read), _bare_forward(segmenter, rows, arguments.runs)]
        cells = [*parts, sum(parts), *limits, sum(parts) / sum(limits)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"| {rows} | {' | '.join(f'{cell:.3f}' for cell in cells)} | {peak} |", flush=True)


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
