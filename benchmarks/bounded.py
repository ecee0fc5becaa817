"""Quality of projects that are too large for one training run: `python -m benchmarks.bounded DATA`.

DATA is as for `benchmarks.quality`. The training series of a data set are cut into some forty tasks, which
are annotated in random order. After every few of them a run trains as the service does, with warm starts.
One project learns from all annotated tasks each time, the other one from a quarter of the rows that there
are at the end. Both are measured on the split's test tasks after the last annotation. "CPU s" and "learned
from" are those of the last run. The table is Markdown.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.data_set import DataSet, argument_parser, means, print_header, print_row
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.project.annotated_task import AnnotatedTask
from timeseries_segmenter.project.card import Card, PairCard
from timeseries_segmenter.project.labelled_task import LabelledTask
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.selection import in_turns, selection_after
from timeseries_segmenter.project.stretches import cuts
from timeseries_segmenter.project.training import Rest, train_model
from timeseries_segmenter.settings import Settings

TASKS = 40
SHARE = 1 / 4  # of the rows, for the bounded project
COLUMNS = ("data set", "rows", "learned from", "macro F1", "F1@50 or point F1", "CPU s", "warm starts")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last model of a project, and how its runs came to it; `rows` and CPU `seconds` of the last run."""

    model: Model
    rows: int
    seconds: float
    warm_starts: int


def main() -> None:
    """Print two rows a data set: all annotated tasks, and a part of them in turns."""
    parser = argument_parser(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="training runs of each project (default: 5)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print_header(COLUMNS)
    for data in DataSet.all_of(arguments.data, arguments.sets):
        tasks = short_tasks(data)
        rows = sum(len(each.series) for each in tasks)
        for name, room in (("all", rows), ("in turns", int(rows * SHARE))):
            runs = []
            for seed in tqdm(arguments.seeds, f"{data.name}, {name}", leave=False, disable=None):
                outcome = grow(data, tasks, arguments.runs, room, seed)
                (segmenter,) = outcome.model.segmenters.values()
                runs.append(
                    data.summary(data.metrics(segmenter))
                    | {"rows": rows, "learned from": outcome.rows, "CPU s": outcome.seconds}
                    | {"warm starts": outcome.warm_starts}
                )
            print_row(f"{data.name}, {name}", means(runs), COLUMNS)


def short_tasks(data: DataSet) -> list[LabelledTask]:
    """The training series as about TASKS tasks of similar lengths."""
    most = sum(len(task.series) for task in data.train) / TASKS
    tasks = []
    for task in data.train:
        places = cuts(task.segments, len(task.series), max(1, round(len(task.series) / most)))
        tasks += [task.stretch(first, end - 1) for first, end in pairwise(places)]
    return [replace(task, task=number, whole=None) for number, task in enumerate(tasks, 1)]


def grow(data: DataSet, tasks: Sequence[LabelledTask], runs: int, room: int, seed: int) -> Outcome:
    """Annotate the `tasks` and train after every part of them, on as many rows as there is `room` for."""
    order = np.random.default_rng(seed).permutation(len(tasks))
    config, settings = LabelConfig((data.pair,)), Settings(random_seed=seed)
    annotated: list[AnnotatedTask] = []
    by_id = {each.task: each for each in tasks}
    model: Model | None = None
    rows, seconds, warm_starts = 0, 0.0, 0
    for run, part in enumerate(np.array_split(order, runs), 1):
        annotated += [_annotated(tasks[place], run) for place in part]
        before = model.card if model else Card()
        taken = _within(by_id, in_turns(annotated, before, seed), room)
        began = time.process_time()
        ids = [each.task for each in taken]
        selection = selection_after(annotated, before, ids, ids)
        others = {task for tasks_of_run in selection.turns.values() for task in tasks_of_run}
        rest = Rest(model, others) if len(taken) < len(annotated) else None
        training = train_model({data.pair.name: taken}, config, settings, model, rest=rest)
        seconds = time.process_time() - began
        of_pair = training.pairs[data.pair.name]
        card = Card(
            tasks=ids,
            selection=selection,
            pairs={data.pair.name: PairCard(folds=dict(of_pair.folds))},
        )
        model = Model(card, training.segmenters, training.folds, remembered=training.remembered)
        rows, warm_starts = sum(len(each.series) for each in taken), warm_starts + of_pair.fitted.warm_started
    assert model
    return Outcome(model, rows, seconds, warm_starts)


def _annotated(task: LabelledTask, run: int) -> AnnotatedTask:
    kinds = Counter(("label", "ts", segment.labels, segment.instant) for segment in task.segments)
    return AnnotatedTask(id=int(task.task), regions=tuple(kinds.items()), changed_at=run)


def _within(
    by_id: dict[int | str, LabelledTask], ordered: Sequence[AnnotatedTask], room: int
) -> list[LabelledTask]:
    """The first tasks for which there is room, in the order in which they are listed."""
    taken: list[LabelledTask] = []
    for each in ordered:
        if sum(len(task.series) for task in taken) >= room:
            break
        taken.append(by_id[each.id])
    return sorted(taken, key=lambda task: int(task.task))


if __name__ == "__main__":
    main()
