"""What missing annotations cost: `python -m benchmarks.missing_labels DATA`, a table in Markdown.

DATA holds one folder a data set, as for `benchmarks.quality`; without `--sets`, those in TASKS are measured.
Random training tasks are learned with all of their regions, without three regions in ten, and without those
that begin in the second half of a series: as background, as `model_unlabeled="background"` has it, and with
`model_unlabeled="span"`. F1@50 (point F1 for instants) on all test tasks, means over the seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.data_set import MAIN, DataSet, argument_parser, means, print_header, print_row
from timeseries_segmenter.labeling.pair_settings import Unlabeled
from timeseries_segmenter.labeling.targets import known_rows
from timeseries_segmenter.learning.training.fit import Recipe
from timeseries_segmenter.project.labelled_task import LabelledTask
from timeseries_segmenter.segment import Segment

TASKS = {"watch": 6, "basicmotions": 5}  # that are annotated; of other data sets all
MISSING = 0.3  # of the regions
WHOLE = "all regions"


def main() -> None:
    """Print a table, a line a data set."""
    arguments = argument_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    columns = ["data set", "tasks", WHOLE, *(f"{name}{part}" for name in CASES for part in ("", ", change"))]
    print_header(columns)
    for data in DataSet.all_of(arguments.data, arguments.sets or TASKS):
        count = min(TASKS.get(data.name, len(data.train)), len(data.train))
        seeds = tqdm(arguments.seeds, data.name, leave=False, disable=None)
        row = means([_run(data, count, seed) for seed in seeds])
        row |= {f"{name}, change": row[name] - row[WHOLE] for name in CASES}
        print_row(data.name, row | {"tasks": count}, columns)


def _run(data: DataSet, count: int, seed: int) -> dict[str, float | None]:
    random = np.random.default_rng(seed)
    tasks = [data.train[place] for place in random.choice(len(data.train), count, replace=False)]
    return {
        WHOLE: _main_metric(data, tasks, seed),
        **{name: _main_metric(data, remove(tasks, random), seed) for name, remove in CASES.items()},
    }


def _main_metric(data: DataSet, tasks: Sequence[LabelledTask], seed: int) -> float | None:
    examples = [task.example(data.label_sets) for task in tasks]
    return data.summary(data.metrics(data.validate(examples, Recipe(seed=seed)).segmenter))[MAIN]


def without_some(tasks: Sequence[LabelledTask], random: np.random.Generator) -> list[LabelledTask]:
    """Without a share MISSING of the regions, drawn from all tasks alike."""
    counts = [len(task.segments) for task in tasks]
    kept = np.ones(sum(counts), np.bool_)
    kept[random.choice(len(kept), round(MISSING * len(kept)), replace=False)] = False
    return [
        _with_segments(task, [segment for segment, keep in zip(task.segments, of_task, strict=True) if keep])
        for task, of_task in zip(tasks, np.split(kept, np.cumsum(counts)[:-1]), strict=True)
    ]


def first_halves(tasks: Sequence[LabelledTask], unlabeled: Unlabeled = "background") -> list[LabelledTask]:
    """Without the regions that begin in the second half of a series."""
    return [
        _with_segments(
            task, [segment for segment in task.segments if segment.first < len(task.series) / 2], unlabeled
        )
        for task in tasks
    ]


def _with_segments(
    task: LabelledTask, segments: list[Segment], unlabeled: Unlabeled = "background"
) -> LabelledTask:
    known = known_rows(segments, len(task.series), unlabeled)
    return replace(task, annotated=replace(task.annotated, segments=segments, known=known))


CASES: dict[str, Callable[[Sequence[LabelledTask], np.random.Generator], list[LabelledTask]]] = {
    "30% missing": without_some,
    "first halves": lambda tasks, _: first_halves(tasks),
    "first halves, span": lambda tasks, _: first_halves(tasks, "span"),
}


if __name__ == "__main__":
    main()
