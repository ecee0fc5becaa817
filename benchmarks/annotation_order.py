"""Lowest score first, or at random: `python -m benchmarks.annotation_order DATA`, tables in Markdown.

DATA holds one folder a data set, as for `benchmarks.quality`. One of the split's training tasks is
annotated; then come those that the model of all tasks so far scores lowest, or random ones, until
all are annotated: one at a time, two at a time from the sixth on. Each model is trained from scratch
and measured on the test tasks. Every start is another first task, with other random orders; networks have
one of three seeds. With `--most` tasks at the most, the training with all of them follows at once.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.data_set import DataSet, argument_parser
from timeseries_segmenter.learning.cross_validation import assign_folds, cross_validate
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training import Recipe, fit

SEEDS = 3
RANDOM_ORDERS = 2  # a start
ONE_BY_ONE = 6  # tasks; then two at a time
SHARES = (0.9, 0.95, 0.98)  # of what all tasks together reach
ORDERED, RANDOM = "least sure first", "at random"


@dataclass
class Simulation:
    """One data set's orders of annotation, with one seed.

    `known` keeps the metric that each set of tasks reaches, and the others, lowest score first.
    """

    data: DataSet
    seed: int
    steps: list[int]
    known: dict[str, tuple[float, list[int]]] = field(default_factory=dict)

    def ordered(self, first: int) -> list[float]:
        """Metrics along the way, the tasks of the lowest scores next."""
        annotated, metrics = [first], []
        for count in [*self.steps[1:], None]:
            metric, others = self._look_up(annotated, ranked=count is not None)
            metrics.append(metric)
            if count == len(self.data.train):
                annotated = [*range(count)]
            elif count:
                annotated += others[: count - len(annotated)]
        return metrics

    def random(self, first: int, order: int) -> list[float]:
        """Metrics along the way, in a random order."""
        others = [place for place in range(len(self.data.train)) if place != first]
        np.random.default_rng((first, order)).shuffle(others)
        tasks = [first, *others]
        return [self._look_up(tasks[:count], ranked=False)[0] for count in self.steps]

    def _look_up(self, annotated: Sequence[int], ranked: bool) -> tuple[float, list[int]]:
        """Metric of a model of these tasks; if they are `ranked`, the others too, lowest score first."""
        places = sorted(annotated)
        key = f"{self.data.name} {self.seed} {places}"
        if key not in self.known or (ranked and not self.known[key][1]):
            segmenter = self._model(places, calibrated=ranked)
            metric = self.data.main_metric(self.data.metrics(segmenter))
            self.known[key] = (metric, self._others(segmenter, places) if ranked else [])
            print(key, *self.known[key], file=sys.stderr, flush=True)
        return self.known[key]

    def _model(self, places: Sequence[int], calibrated: bool) -> Segmenter:
        data = self.data
        recipe = Recipe(seed=self.seed)
        fitted = fit(data.examples(places), data.label_sets, data.pair.channels, recipe)
        folds = list(assign_folds(places, {}).values())
        validation = cross_validate(fitted, folds) if calibrated else None
        if validation is None:
            return fitted.segmenter
        return replace(fitted.segmenter, calibration=validation.calibration)

    def _others(self, segmenter: Segmenter, annotated: Sequence[int]) -> list[int]:
        others = [place for place in range(len(self.data.train)) if place not in annotated]
        series = {place: self.data.train[place].series for place in others}
        sure = {
            place: segmenter.predict(each.values, each.times).confidence for place, each in series.items()
        }
        return sorted(others, key=sure.__getitem__)


def counts(tasks: int, most: int | None) -> list[int]:
    """How many of the tasks are annotated at each training."""
    steps = [*range(1, min(ONE_BY_ONE, tasks - 1) + 1), *range(ONE_BY_ONE + 2, tasks, 2)]
    return [*(step for step in steps if most is None or step <= most), tasks]


def main() -> None:
    """Print two tables a data set: the curves, and the tasks that it takes to reach a metric."""
    parser = argument_parser(__doc__)
    parser.add_argument("--starts", type=int, help="how many first tasks (default: every training task)")
    parser.add_argument("--most", type=int, help="tasks that are annotated in turn (default: all)")
    parser.add_argument("--known", type=Path, help="a file that keeps metrics from one run to the next")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(arguments.known.read_text()) if arguments.known and arguments.known.exists() else {}
    for data in DataSet.all_of(arguments.data, arguments.sets):
        curves: dict[str, list[list[float]]] = {ORDERED: [], RANDOM: []}
        steps = counts(len(data.train), arguments.most)
        for first in np.random.default_rng(0).permutation(len(data.train))[: arguments.starts].tolist():
            simulation = Simulation(data, first % SEEDS, steps, known)
            curves[ORDERED].append(simulation.ordered(first))
            for order in range(RANDOM_ORDERS):
                curves[RANDOM].append(simulation.random(first, order))
            if arguments.known:
                arguments.known.write_text(json.dumps(known))
        print(_tables(data, steps, curves), flush=True)


def _tables(data: DataSet, steps: list[int], curves: dict[str, list[list[float]]]) -> str:
    lines = [
        f"\n#### {data.name}: {data.metric_name}\n",
        f"| annotated | {' | '.join(map(str, steps))} |",
        f"|{'---|' * (len(steps) + 1)}",
    ]
    for name, runs in curves.items():
        lines.append(f"| {name} | {' | '.join(f'{metric:.3f}' for metric in np.mean(runs, axis=0))} |")
    whole = float(np.mean([run[-1] for run in curves[ORDERED]]))
    names = [f"{share:.0%} of all ({share * whole:.3f})" for share in SHARES]
    lines += [f"\n| tasks to reach | {' | '.join(names)} |", f"|{'---|' * (len(SHARES) + 1)}"]
    for name, runs in curves.items():
        needed = [[_needed(run, steps, share * whole) for run in runs] for share in SHARES]
        cells = [f"{np.mean(each):.1f} ({min(each)} to {max(each)})" for each in needed]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _needed(run: Sequence[float], steps: Sequence[int], level: float) -> int:
    """Tasks after which the metric is at the level; all of them if it never is."""
    return next((count for count, metric in zip(steps, run, strict=True) if metric >= level), steps[-1])


if __name__ == "__main__":
    main()
