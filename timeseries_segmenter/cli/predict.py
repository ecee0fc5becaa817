"""The command `predict`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from timeseries_segmenter.cli.options import Commands, add_command
from timeseries_segmenter.errors import ExportError

if TYPE_CHECKING:
    from timeseries_segmenter.settings import Settings


def add_predict(commands: Commands, files: argparse.ArgumentParser) -> None:
    """Add the command and its options."""
    parser = add_command(commands, predict, files)
    parser.add_argument("--output", type=Path, required=True, help="file to write the predictions to")


def predict(options: argparse.Namespace, settings: "Settings") -> None:
    """Write tasks with predictions, in the form that Label Studio imports."""
    from tqdm import tqdm

    from timeseries_segmenter.cli.inputs import (
        read_chosen_tasks,
        read_label_config,
        read_model,
        read_segmenters,
    )
    from timeseries_segmenter.project.prediction import Complaints, predict_task
    from timeseries_segmenter.sources.export_file import WRITTEN, check_writable
    from timeseries_segmenter.sources.task_series import TaskSeries

    config, model = read_label_config(options.config), read_model(options.model)
    series = TaskSeries.from_settings(settings)
    check_writable(options.output, options.config, options.tasks, options.model)
    segmenters = read_segmenters(model, config, options)
    tasks = read_chosen_tasks(options, "test")
    predicted = []
    unread: list[str] = []
    complaints = Complaints()
    shown = tqdm(tasks, "predicting", unit=" tasks", disable=None)
    for task, of_task in series.of_tasks(shown, [each.pair for each in segmenters]):
        prediction = predict_task(task, segmenters, of_task, complaints)
        if not prediction.rows:
            unread += prediction.problems[:1]
        written = prediction.as_json(model.version)
        predicted.append({**task[WRITTEN], "data": task["data"], "predictions": [written]})
    if not tasks:
        raise ExportError(f"{options.tasks} holds no task to predict")
    if len(unread) == len(tasks):
        raise ExportError(f"none of {len(tasks)} tasks could be read: {unread[0]}")
    try:
        options.output.write_text(json.dumps(predicted, allow_nan=False, indent=1), encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{options.output} can't be written: {error.strerror}") from error
    regions = sum(len(task["predictions"][0]["result"]) for task in predicted)
    failed = f"; {len(unread)} tasks could not be read, see above" if unread else ""
    print(f"{options.output}: {len(predicted)} tasks, {regions} regions{failed}")
