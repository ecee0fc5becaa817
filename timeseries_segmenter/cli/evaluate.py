"""The command `evaluate`."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from timeseries_segmenter.cli.options import Commands, add_command
from timeseries_segmenter.errors import ExportError
from timeseries_segmenter.words import counted

if TYPE_CHECKING:
    from timeseries_segmenter.project.labelled_task import LabelledTask
    from timeseries_segmenter.project.prediction import PairSegmenter
    from timeseries_segmenter.settings import Settings


def add_evaluate(commands: Commands, files: argparse.ArgumentParser) -> None:
    """Add the command and its options."""
    parser = add_command(commands, evaluate, files)
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")
    parser.add_argument("--tolerance", type=int, default=5, help="rows an instant may be off (default: 5)")


def evaluate(options: argparse.Namespace, settings: "Settings") -> None:
    """Compare predicted with annotated regions."""
    from tqdm import tqdm

    from timeseries_segmenter.cli.inputs import (
        read_annotated,
        read_chosen_tasks,
        read_label_config,
        read_model,
        read_segmenters,
    )
    from timeseries_segmenter.project.evaluation import table
    from timeseries_segmenter.sources.task_series import TaskSeries

    config, model = read_label_config(options.config), read_model(options.model, settings.device)
    segmenters = read_segmenters(model, config, options)
    tasks = tqdm(read_chosen_tasks(options, "test"), "evaluating", unit=" tasks", disable=None)
    labelled, left_out = read_annotated(tasks, config, TaskSeries.from_settings(settings))
    metrics = {
        each.pair.name: _measure(each, labelled[each.pair.name], options.tolerance)
        for each in segmenters
        if labelled[each.pair.name]
    }
    if not metrics:
        raise ExportError(f"no annotated task has regions of what {options.model} has learned")
    if options.json:
        print(json.dumps(metrics, indent=1))
    else:
        print("\n\n".join(f"{name}\n{table(measured)}" for name, measured in metrics.items()))
    if left_out:
        sys.stderr.write(f"{counted(len(left_out), 'annotated task')} left out of these metrics, see above\n")


def _measure(segmenter: "PairSegmenter", tasks: "Sequence[LabelledTask]", tolerance: int) -> dict[str, Any]:
    from timeseries_segmenter.labeling.regions import predicted_segments
    from timeseries_segmenter.labeling.targets import annotated_label_sets
    from timeseries_segmenter.project.evaluation import evaluate
    from timeseries_segmenter.project.labelled_task import labels_of

    labels = labels_of(tasks, segmenter.pair)
    comparisons = []
    for task in tasks:
        pair = replace(segmenter.pair, labels=task.labels)
        predicted = predicted_segments(segmenter.predict(task.series).segments, pair)
        comparisons.append(task.compare(predicted, tolerance))
    segments = [segment for each in comparisons for segment in (*each.true, *each.predicted)]
    return evaluate(comparisons, annotated_label_sets(segments, labels), tolerance)
