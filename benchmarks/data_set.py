"""A folder with config.xml, tasks.json, split.json and the series, read for a benchmark."""

from argparse import ArgumentParser
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.observer import NOBODY, Observer
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.validation.cross_validation import assign_folds
from timeseries_segmenter.learning.validation.validated import Validated, fit_and_validate
from timeseries_segmenter.project.evaluation import evaluate
from timeseries_segmenter.project.labelled_task import LabelledTask
from timeseries_segmenter.segment import LabelSet, Segment
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.export_file import read_config, read_split, read_tasks
from timeseries_segmenter.sources.task_series import TaskSeries

MAIN = "F1@50 or point F1"
FORMATS = {
    "CPU s": ".1f",
    "CPU s, cross-validation": ".1f",
    "tasks": ".0f",
    "rows": ".0f",
    "learned from": ".0f",
    "warm starts": ".1f",
    "epochs": ".0f",
    "steps": ".0f",
    "difference": "+.3f",
}


class FindsSegments(Protocol):
    """A model of whatever kind."""

    def segments(self, values: NDArray[np.float32], times: NDArray[np.float64] | None, /) -> list[Segment]:
        """Those of a series `(T, C)`, by first row, with the times of its rows, `(T,)`, if it has any."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """The annotated tasks of both parts of the split."""

    name: str
    pair: LabelPair
    train: list[LabelledTask]
    test: list[LabelledTask]

    @classmethod
    def read(cls, folder: Path) -> "DataSet":
        """A data set with one pair of tags. Raises ExportError, LabelConfigError, SeriesError."""
        (pair,) = read_config(folder / "config.xml").pairs
        series = TaskSeries.from_settings(Settings(local_files_dir=folder))

        def labelled(part: str) -> list[LabelledTask]:
            tasks = read_tasks(folder / "tasks.json", read_split(folder / "split.json", part))
            return [task for each in tasks if (task := LabelledTask.read(each, pair, series.of_task(each)))]

        return cls(folder.name, pair, labelled("train"), labelled("test"))

    @classmethod
    def all_of(cls, folder: Path, names: Collection[str] | None = None) -> Iterator["DataSet"]:
        """Those of a folder's data sets with one of `names`, or all."""
        for split in sorted(folder.glob("*/split.json")):
            if not names or split.parent.name in names:
                yield cls.read(split.parent)

    @property
    def label_sets(self) -> list[LabelSet]:
        """One a label."""
        return [(label,) for label in self.pair.labels]

    def examples(self, places: Iterable[int] | None = None) -> list[Example]:
        """The training tasks at these places, or all."""
        tasks = self.train if places is None else [self.train[place] for place in places]
        return [task.example(self.label_sets) for task in tasks]

    def validate(
        self,
        examples: Sequence[Example],
        recipe: Recipe,
        start: Segmenter | None = None,
        observer: Observer = NOBODY,
    ) -> Validated:
        """A model as the service makes it, with its cross-validation."""
        folds = assign_folds(range(len(examples)), {})
        return fit_and_validate(
            examples, self.label_sets, self.pair.channels, recipe, list(folds.values()), observer, start
        )

    def metrics(self, segmenter: FindsSegments) -> dict[str, Any]:
        """How well a model does on the test tasks."""
        comparisons = [
            task.compare(segmenter.segments(task.series.values, task.series.times)) for task in self.test
        ]
        return evaluate(comparisons, self.label_sets)

    @property
    def metric_name(self) -> str:
        """Point F1 if there are instants, else segment F1@50."""
        instants = any(segment.instant for task in self.test for segment in task.segments)
        return "point F1" if instants else "F1@50"

    def main_metric(self, metrics: dict[str, Any]) -> float:
        """The one of `metric_name`; 0 if nothing is annotated or predicted."""
        metric = metrics["point_f1"] if self.metric_name == "point F1" else metrics["segment_f1"]["50"]
        return float(metric or 0.0)

    def summary(self, metrics: dict[str, Any]) -> dict[str, float | None]:
        """What sets of all kinds are compared by; rows say little about instants."""
        return {
            "macro F1": None if self.metric_name == "point F1" else metrics["macro_f1"],
            MAIN: self.main_metric(metrics),
            "corrections per region": metrics["corrections"]["per_region"],
        }


def means(runs: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Of the metrics that apply."""
    keys = dict.fromkeys(key for run in runs for key in run)
    values = {key: [value for run in runs if (value := run.get(key)) is not None] for key in keys}
    return {key: float(np.mean(each)) for key, each in values.items() if each}


def print_header(columns: Sequence[str]) -> None:
    """The first two lines of a table in Markdown."""
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def print_row(name: str, row: Mapping[str, float], columns: Sequence[str]) -> None:
    """A line of it: a name, and what `row` has of the other columns."""
    cells = [f"{row[key]:{FORMATS.get(key, '.3f')}}" if key in row else "-" for key in columns[1:]]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def argument_parser(description: str | None) -> ArgumentParser:
    """What every benchmark on data sets takes."""
    parser = ArgumentParser(description=description)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", help="names of data sets (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="(default: 0 1 2)")
    return parser
