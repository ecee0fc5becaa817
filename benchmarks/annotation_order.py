"""The order of the scores, or a random one: `python -m benchmarks.annotation_order DATA`, tables in Markdown.

DATA holds one folder a data set, as for `benchmarks.quality`. The split's training tasks are annotated in the
order in which Label Studio shows them by the scores that predicting stores: from the very first task on, or
after a random one; or all at random. One at a time at first, two at a time from the sixth on, until all are,
or `--most`; then the training with all follows. Each model is trained from scratch and measured on the test
tasks. Every start is another random order and another of three seeds. `--quick` grows the forest alone, a
hundred times as fast; it learns no instants.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchmarks.data_set import DataSet, FindsSegments, argument_parser
from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.learning.coverage import COLD_WINDOW, FloatArray, describe, order_by_coverage
from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.inputs.resampling import Times
from timeseries_segmenter.learning.opinions.forest import Forest
from timeseries_segmenter.learning.training.fit import fit
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.segment import Segment

SEEDS = 3
STARTS = 6
ONE_BY_ONE = 6  # tasks; then two at a time
SHARES = (0.9, 0.95)  # of what all tasks together reach
COLD, ORDERED, RANDOM = "in order", "in order after a random task", "at random"


@dataclass(frozen=True, slots=True)
class ForestModel:
    """The forest of our models, without their network."""

    prepared: Prepared
    forest: Forest
    decoding: Decoding

    @classmethod
    def fit(cls, prepared: Prepared) -> "ForestModel":
        """Raises TrainingError for instants."""
        forest = prepared.grow_forest()
        if forest is None:
            raise TrainingError("a forest learns no instants")
        ranges = [example.classes for example in prepared.examples]
        return cls(prepared, forest, Decoding.fit(ranges, prepared.dimensions.classes))

    def segments(self, values: FloatArray, times: Times | None) -> list[Segment]:
        """As `Segmenter.segments`."""
        prepared, resampling = self.prepared, self.prepared.sampling.resampling(times)
        samples = prepared.inputs.standardisation.apply(resampling.values(values))
        rolling = prepared.inputs.rolling
        assert rolling is not None
        timesteps = self.forest.probabilities(rolling.apply(samples))
        rows = np.repeat(timesteps, self.forest.every * prepared.stride, axis=0)[: len(samples)]
        return resampling.file_segments(self.decoding.segments(rows, prepared.label_sets), ())


@dataclass
class Simulation:
    """One data set, annotated in one order or another.

    `known` keeps the metric that each set of tasks reaches, and the window of its model.
    """

    data: DataSet
    recipe: Recipe
    steps: list[int]
    quick: bool
    known: dict[str, tuple[float, int]] = field(default_factory=dict)

    def ordered(self, annotated: Sequence[int]) -> list[float]:
        """Metrics along the way: what covers most comes next, by the windows of the model of those before."""
        tasks, window = [*annotated], COLD_WINDOW
        metrics = []
        for count in self.steps:
            if count > len(tasks):
                tasks += self._others(tasks, window)[: count - len(tasks)]
            metric, window = self._look_up(tasks)
            metrics.append(metric)
        return metrics

    def random(self, order: Sequence[int]) -> list[float]:
        """Metrics along the way."""
        return [self._look_up(order[:count])[0] for count in self.steps]

    def _others(self, annotated: Sequence[int], window: int) -> list[int]:
        others = [place for place in range(len(self.data.train)) if place not in annotated]
        described = [{"": describe(task.series.values, window)} for task in self.data.train]
        order = order_by_coverage(
            [described[place] for place in others], [described[place] for place in annotated]
        )
        return [others[place] for place in order]

    def _look_up(self, annotated: Sequence[int]) -> tuple[float, int]:
        places = sorted(annotated)
        key = f"{self.data.name} {self.recipe.seed} {'quick' if self.quick else 'whole'} {places}"
        if key not in self.known:
            metric, window = 0.0, COLD_WINDOW
            if any(self.data.train[place].segments for place in places):
                model, window = self._model(places)
                metric = self.data.main_metric(self.data.metrics(model))
            self.known[key] = metric, window
            print(key, *self.known[key], file=sys.stderr, flush=True)
        return self.known[key]

    def _model(self, places: Sequence[int]) -> tuple[FindsSegments, int]:
        """One of the tasks in these places, and its window."""
        data = self.data
        examples = data.examples(places)
        if self.quick:
            prepared = Prepared.from_examples(examples, data.label_sets, data.pair.channels, self.recipe)
            return ForestModel.fit(prepared), prepared.window
        segmenter = fit(examples, data.label_sets, data.pair.channels, self.recipe).segmenter
        return segmenter, segmenter.window


def counts(tasks: int, most: int | None) -> list[int]:
    """How many of the tasks are annotated at each training."""
    steps = [*range(1, min(ONE_BY_ONE, tasks - 1) + 1), *range(ONE_BY_ONE + 2, tasks, 2)]
    return [*(step for step in steps if most is None or step <= most), tasks]


def main() -> None:
    """Print two tables a data set: the curves, and the tasks that it takes to reach a metric."""
    parser = argument_parser(__doc__)
    parser.add_argument("--starts", type=int, default=STARTS, help=f"random orders (default: {STARTS})")
    parser.add_argument("--most", type=int, help="tasks that are annotated in turn (default: all)")
    parser.add_argument("--quick", action="store_true", help="the forest alone")
    parser.add_argument("--known", type=Path, help="a file that keeps metrics from one run to the next")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(arguments.known.read_text()) if arguments.known and arguments.known.exists() else {}
    for data in DataSet.all_of(arguments.data, arguments.sets):
        steps = counts(len(data.train), arguments.most)
        curves: dict[str, list[list[float]]] = {COLD: [], ORDERED: [], RANDOM: []}
        for start in range(arguments.starts):
            simulation = Simulation(data, Recipe(seed=start % SEEDS), steps, arguments.quick, known)
            order = np.random.default_rng(start).permutation(len(data.train)).tolist()
            curves[RANDOM].append(simulation.random(order))
            curves[ORDERED].append(simulation.ordered(order[:1]))
            if start < SEEDS:
                curves[COLD].append(simulation.ordered([]))
            if arguments.known:
                arguments.known.write_text(json.dumps(known))
        print(tables(data, steps, curves), flush=True)


def tables(data: DataSet, steps: Sequence[int], curves: dict[str, list[list[float]]]) -> str:
    """The curves' means, and how many tasks they need: of the mean over the starts, beside a random order."""
    lines = [
        f"\n#### {data.name}: {data.metric_name}\n",
        f"| annotated | {' | '.join(map(str, steps))} |",
        f"|{'---|' * (len(steps) + 1)}",
    ]
    for name, runs in curves.items():
        lines.append(f"| {name} | {' | '.join(f'{metric:.3f}' for metric in np.mean(runs, axis=0))} |")
    whole = float(np.mean([run[-1] for run in curves[RANDOM]]))
    names = [f"{share:.0%} of all ({share * whole:.3f})" for share in SHARES]
    lines += [f"\n| tasks to reach | {' | '.join(names)} |", f"|{'---|' * (len(SHARES) + 1)}"]
    needs = {name: [_needs(runs, steps, share * whole) for share in SHARES] for name, runs in curves.items()}
    for name, of_shares in needs.items():
        cells = [
            f"{np.mean(each):.1f} ({min(each)} to {max(each)}), {np.mean(each) / np.mean(random):.0%}"
            for each, random in zip(of_shares, needs[RANDOM], strict=True)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _needs(runs: Sequence[Sequence[float]], steps: Sequence[int], level: float) -> list[int]:
    """Of each run, the tasks after which the metric is at the level; all of them if it never is."""
    return [
        next((count for count, metric in zip(steps, run, strict=True) if metric >= level), steps[-1])
        for run in runs
    ]


if __name__ == "__main__":
    main()
