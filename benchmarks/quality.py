"""Quality on held-out tasks: `python -m benchmarks.quality DATA`, a table in Markdown.

DATA holds one folder a data set, each with config.xml, tasks.json, split.json and the series. Every
metric is the mean over three seeds, on the split's test tasks, with one thread. The last row is a
model of all tasks but one, trained on with that one added; its epochs and seconds are those of the
second training.
"""

import time
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.data_set import DataSet, argument_parser
from timeseries_segmenter.learning.training import Recipe, fit

SEEDS = (0, 1, 2)
ANNOTATED = (1, 2, 3, 5, None)  # how many of the training tasks; None: all
COLUMNS = ("annotated", "macro F1", "min F1", "F1@50", "point F1", "predicted/true", "epochs", "CPU s")


def main() -> None:
    """Print one table a data set."""
    arguments = argument_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    for data in DataSet.all_of(arguments.data, arguments.sets):
        print(f"\n### {data.name}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for annotated in ANNOTATED:
            print(_row(str(annotated or "all"), data, annotated), flush=True)
        print(_row("one added", data, None, added=True), flush=True)


def _row(name: str, data: DataSet, annotated: int | None, added: bool = False) -> str:
    metrics = [_run(data, annotated, seed, added) for seed in tqdm(SEEDS, leave=False, disable=None)]
    means = {
        key: np.mean([each[key] for each in metrics]) for key in metrics[0] if metrics[0][key] is not None
    }
    cells = [f"{means[key]:.3f}" if key in means else "-" for key in COLUMNS[1:6]]
    return f"| {name} | {' | '.join(cells)} | {means['epochs']:.0f} | {means['CPU s']:.1f} |"


def _run(data: DataSet, annotated: int | None, seed: int, added: bool) -> dict[str, Any]:
    examples = data.examples()[:annotated]
    recipe, channels = Recipe(seed=seed), data.pair.channels
    start = fit(examples[:-1], data.label_sets, channels, recipe).segmenter if added else None
    began = time.process_time()
    fitted = fit(examples, data.label_sets, channels, recipe, start=start)
    seconds = time.process_time() - began
    metrics = data.metrics(fitted.segmenter)
    return {
        "macro F1": metrics["macro_f1"],
        "min F1": metrics["min_f1"],
        "F1@50": metrics["segment_f1"]["50"],
        "point F1": metrics["point_f1"],
        "predicted/true": metrics["segments"]["ratio"],
        "epochs": fitted.epochs,
        "CPU s": seconds,
    }


if __name__ == "__main__":
    main()
