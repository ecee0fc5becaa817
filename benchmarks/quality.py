"""Quality on held-out tasks: `python -m benchmarks.quality DATA`, a table in Markdown.

DATA holds one folder a data set, each with config.xml, tasks.json, split.json and the series. Every
figure is the mean over three seeds, on the split's test tasks, with one thread. The last row is a
model of all tasks but one, trained on with that one added; its epochs and seconds are those of the
second training.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from timeseries_segmenter.evaluation import Comparison, evaluate
from timeseries_segmenter.export import read_config, read_split, read_tasks
from timeseries_segmenter.learning.training import Recipe, fit
from timeseries_segmenter.service.labelled_task import LabelledTask
from timeseries_segmenter.service.task_series import TaskSeries
from timeseries_segmenter.settings import Settings

SEEDS = (0, 1, 2)
ANNOTATED = (1, 2, 3, 5, None)  # how many of the training tasks; None: all
COLUMNS = ("annotated", "macro F1", "min F1", "F1@50", "point F1", "predicted/true", "epochs", "CPU s")


def main() -> None:
    """Print one table a data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", help="names of data sets (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folders = sorted(path.parent for path in arguments.data.glob("*/split.json"))
    for folder in folders:
        if arguments.sets and folder.name not in arguments.sets:
            continue
        print(f"\n### {folder.name}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for annotated in ANNOTATED:
            print(_row(str(annotated or "all"), folder, annotated), flush=True)
        print(_row("one added", folder, None, added=True), flush=True)


def _row(name: str, folder: Path, annotated: int | None, added: bool = False) -> str:
    figures = [_run(folder, annotated, seed, added) for seed in tqdm(SEEDS, leave=False, disable=None)]
    means = {
        key: np.mean([each[key] for each in figures]) for key in figures[0] if figures[0][key] is not None
    }
    cells = [f"{means[key]:.3f}" if key in means else "-" for key in COLUMNS[1:6]]
    return f"| {name} | {' | '.join(cells)} | {means['epochs']:.0f} | {means['CPU s']:.1f} |"


def _run(folder: Path, annotated: int | None, seed: int, added: bool) -> dict[str, Any]:
    (pair,) = read_config(folder / "config.xml").pairs
    label_sets = [(label,) for label in pair.labels]
    series = TaskSeries.of(Settings(local_files_dir=folder))

    def labelled(part: str, most: int | None = None) -> list[LabelledTask]:
        tasks = read_tasks(folder / "tasks.json", read_split(folder / "split.json", part)[:most])
        return [task for each in tasks if (task := LabelledTask.read(each, pair, series.of_task(each)))]

    examples = [task.example(label_sets) for task in labelled("train", annotated)]
    recipe = Recipe(seed=seed)
    start = fit(examples[:-1], label_sets, pair.channels, recipe).segmenter if added else None
    began = time.process_time()
    fitted = fit(examples, label_sets, pair.channels, recipe, start=start)
    seconds = time.process_time() - began
    comparisons = [
        Comparison(task.segments, fitted.segmenter.segments(task.series.values), len(task.series))
        for task in labelled("test")
    ]
    figures = evaluate(comparisons, label_sets)
    return {
        "macro F1": figures["macro_f1"],
        "min F1": figures["min_f1"],
        "F1@50": figures["segment_f1"]["50"],
        "point F1": figures["point_f1"],
        "predicted/true": figures["segments"]["ratio"],
        "epochs": fitted.epochs,
        "CPU s": seconds,
    }


if __name__ == "__main__":
    main()
