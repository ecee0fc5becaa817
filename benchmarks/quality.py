"""Quality on held-out tasks: `python -m benchmarks.quality DATA`, tables in Markdown.

DATA holds one folder a data set, each with config.xml, tasks.json, split.json and the series. Every
metric is the mean over the seeds, on the split's test tasks, with one thread; seconds are those of the fit,
and of the cross-validation, from which the decoding follows.

The first table has a row a data set: a model of all training tasks, beside a random forest of them
(`benchmarks.forest`). Rows say little about instants, so these have no macro F1. Then one table a data set
shows how quality grows with the annotated tasks, of those with regions: the first ones, and six random
triples, each with one of the seeds in turn. "one added" is a model of all tasks but one after a warm start
with that one added; its epochs and seconds are those of the warm start.
"""

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from benchmarks import forest
from benchmarks.data_set import MAIN, DataSet, argument_parser, means, print_header, print_row
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.observer import Observer, Step
from timeseries_segmenter.learning.training.fit import Recipe, fit

FIRST = (1, 2, 5)  # training tasks that are annotated
TRIPLES = 6
SUMMARY = (
    *("data set", "macro F1", MAIN, "corrections per region", "CPU s", "CPU s, cross-validation", "steps"),
    *("forest", "difference"),
)
CURVE = (
    *("annotated", "macro F1", "min F1", "F1@50", "point F1", "predicted/true"),
    "corrections per region",
    *("epochs", "CPU s"),
)

Item = TypeVar("Item")
Run = Mapping[str, float | None]


def main() -> None:
    """Print a table of all data sets, and one a data set."""
    parser = argument_parser(__doc__)
    parser.add_argument("--summary", action="store_true", help="the first table alone")
    parser.add_argument("--no-forest", action="store_true", help="leave the forest out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data_sets = list(DataSet.all_of(arguments.data, arguments.sets))
    runs = _print_summary(data_sets, arguments.seeds, not arguments.no_forest)
    if not arguments.summary:
        for data, of_all in zip(data_sets, runs, strict=True):
            _print_curve(data, arguments.seeds, of_all)


def _print_summary(data_sets: Sequence[DataSet], seeds: Sequence[int], with_forest: bool) -> list[list[Run]]:
    """The table of all data sets, a row as soon as it is measured; gives the runs of each."""
    columns = SUMMARY if with_forest else SUMMARY[:-2]
    print_header(columns)
    runs, rows = [], []
    for data in data_sets:
        runs.append([_run(data, data.examples(), seed) for seed in _bar(seeds, data.name)])
        row = means(runs[-1])
        if with_forest:
            row["forest"] = means([forest.measure(data, seed) for seed in _bar(seeds, "forest")])[MAIN]
            row["difference"] = row[MAIN] - row["forest"]
        rows.append(row)
        print_row(data.name, row, columns)
    print_row("mean", means(rows), columns)
    return runs


def _print_curve(data: DataSet, seeds: Sequence[int], of_all: Sequence[Run]) -> None:
    """How quality grows with the annotated tasks."""
    print(f"\n### {data.name}\n")
    print_header(CURVE)
    examples = data.examples()
    with_regions = [place for place, task in enumerate(data.train) if task.segments]
    for count in FIRST:
        if count < len(with_regions):
            first = data.examples(with_regions[:count])
            runs = [_run(data, first, seed) for seed in _bar(seeds, f"{data.name}, {count}")]
            print_row(str(count), means(runs), CURVE)
    if len(with_regions) > 3:
        random = np.random.default_rng(0)
        triples = [data.examples(random.choice(with_regions, 3, replace=False)) for _ in range(TRIPLES)]
        pairs = zip(triples, itertools.cycle(seeds), strict=False)
        runs = [_run(data, each, seed) for each, seed in _bar(list(pairs), f"{data.name}, triples")]
        print_row("random triples", means(runs), CURVE)
    print_row("all", means(of_all), CURVE)
    added = [_run(data, examples, seed, added=True) for seed in _bar(seeds, f"{data.name}, one added")]
    print_row("one added", means(added), CURVE)


def _bar(items: Sequence[Item], name: str) -> Iterable[Item]:
    return tqdm(items, name, leave=False, disable=None)


class _Watch(Observer):
    """Notes the CPU time at which the model is fitted, before its cross-validation if there is one."""

    def __init__(self) -> None:
        self.began = time.process_time()
        self._checking: float | None = None

    @property
    def fitted(self) -> float:
        return self._checking or time.process_time()

    def on_step(self, step: Step) -> None:
        if step is Step.CHECKING:
            self._checking = time.process_time()


def _run(data: DataSet, examples: Sequence[Example], seed: int, added: bool = False) -> Run:
    recipe, channels = Recipe(seed=seed), data.pair.channels
    start = fit(examples[:-1], data.label_sets, channels, recipe).segmenter if added else None
    watch = _Watch()
    validated = data.validate(examples, recipe, start, watch)
    fitted_at, ended = watch.fitted, time.process_time()
    metrics, fitted = data.metrics(validated.segmenter), validated.fitted
    return data.summary(metrics) | {
        "min F1": metrics["min_f1"],
        "F1@50": metrics["segment_f1"]["50"],
        "point F1": metrics["point_f1"],
        "predicted/true": metrics["segments"]["ratio"],
        "CPU s": fitted_at - watch.began,
        "CPU s, cross-validation": ended - fitted_at,
        "epochs": fitted.epochs,
        "steps": fitted.history[-1].steps,
    }


if __name__ == "__main__":
    main()
