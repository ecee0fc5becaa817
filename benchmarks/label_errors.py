"""Are mistakes in annotations found: `python -m benchmarks.label_errors DATA`, a table in Markdown.

DATA holds one folder a data set, as for `benchmarks.quality`. In the split's training tasks, one region
in ten gets another label, and one in twenty is removed; then a model is trained and checked, and its
disagreements are compared with what was changed. Precision and recall are those of as many
disagreements as there are mistakes, the strongest first, recall of all is that of the whole list;
"chance" is the share of mistakes among all regions. Means over three seeds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.data_set import DataSet, argument_parser
from timeseries_segmenter.learning.training.fit import Recipe, fit
from timeseries_segmenter.learning.validation.cross_validation import assign_folds, cross_validate
from timeseries_segmenter.learning.validation.disagreement import Disagreement, disagreements
from timeseries_segmenter.project.evaluation import TOLERANCE
from timeseries_segmenter.segment import Segment

SWAPPED, REMOVED = 0.1, 0.05  # of all regions
COLUMNS = ("mistakes", "chance", "precision", "recall, swapped", "recall, removed", "listed", "recall of all")

Place = tuple[int, int]  # of a region: task and number in it


def main() -> None:
    """Print a table, a line a data set."""
    arguments = argument_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    print(f"| | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for data in DataSet.all_of(arguments.data, arguments.sets):
        runs = [_run(data, seed) for seed in tqdm(arguments.seeds, desc=data.name, disable=None)]
        cells = [f"{np.mean([run[key] for run in runs]):.2f}" for key in COLUMNS]
        print(f"| {data.name} | {' | '.join(cells)} |", flush=True)


def _run(data: DataSet, seed: int) -> dict[str, float]:
    random = np.random.default_rng(seed)
    places = [(task, number) for task, each in enumerate(data.train) for number in range(len(each.segments))]
    chosen = random.permutation(len(places))
    swapped = {places[each] for each in chosen[: round(SWAPPED * len(places))]}
    removed = {places[each] for each in chosen[len(swapped) :][: round(REMOVED * len(places))]}
    drawn = [
        [
            replace(segment, labels=_other(segment, data, random)) if (task, number) in swapped else segment
            for number, segment in enumerate(each.segments)
            if (task, number) not in removed
        ]
        for task, each in enumerate(data.train)
    ]
    examples = [
        replace(task, annotated=replace(task.annotated, segments=segments)).example(data.label_sets)
        for task, segments in zip(data.train, drawn, strict=True)
    ]
    fitted = fit(examples, data.label_sets, data.pair.channels, Recipe(seed=seed))
    folds = list(assign_folds(range(len(examples)), {}).values())
    validation = cross_validate(fitted, folds)
    assert validation, f"{data.name} has a single training task"
    listed = disagreements(drawn, validation, fitted.segmenter)
    mistakes = len(swapped) + len(removed)
    top = set(_places(listed[:mistakes], data))
    return {
        "mistakes": mistakes,
        "chance": mistakes / len(places),
        "precision": len(top & (swapped | removed)) / mistakes,
        "recall, swapped": len(top & swapped) / len(swapped),
        "recall, removed": len(top & removed) / len(removed),
        "listed": len(listed),
        "recall of all": len(set(_places(listed, data)) & (swapped | removed)) / mistakes,
    }


def _other(segment: Segment, data: DataSet, random: np.random.Generator) -> tuple[str, ...]:
    others = [labels for labels in data.label_sets if labels != segment.labels]
    return others[int(random.integers(len(others)))]


def _places(listed: Sequence[Disagreement], data: DataSet) -> Iterator[Place]:
    """The regions, as they were annotated before, that disagreements are about."""
    for each in listed:
        for number, segment in enumerate(data.train[each.example].segments):
            if _same(segment, each.segment):
                yield each.example, number


def _same(one: Segment, other: Segment) -> bool:
    if one.instant:
        return abs(one.first - other.first) <= TOLERANCE
    both = min(one.last, other.last) - max(one.first, other.first) + 1
    return both >= (len(one) + len(other) - both) / 2


if __name__ == "__main__":
    main()
