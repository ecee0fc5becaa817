"""The command `predict`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from timeseries_segmenter.cli.options import Commands, add_command, add_task_choice, add_tasks
from timeseries_segmenter.errors import ExportError
from timeseries_segmenter.words import counted

if TYPE_CHECKING:
    from timeseries_segmenter.settings import Settings


def add_predict(commands: Commands) -> None:
    """Add the command and its options."""
    parser = add_command(commands, predict)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("files", nargs="*", default=[], type=Path, help="files of series, such as *.csv")
    what.add_argument(
        "--watch", type=Path, metavar="FOLDER", help="predict files as they appear in a folder, until Ctrl-C"
    )
    add_tasks(what, required=False)
    add_task_choice(parser)
    parser.add_argument("--model", type=Path, required=True, help="the model file")
    parser.add_argument(
        "--config",
        type=Path,
        help="the labeling config, XML (default: the one that the model was trained by)",
    )
    parser.add_argument(
        "--series",
        metavar="NAME",
        help="the TimeSeries that the files are, if the labeling config has several",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="file to write to: for tasks JSON, for files .csv or .jsonl by its name",
    )


def predict(options: argparse.Namespace, settings: "Settings") -> None:
    """Predict tasks of an export, in the form that Label Studio imports, or plain files of series."""
    from timeseries_segmenter.cli.predict_files import predict_files, watch_folder

    if not options.tasks and (options.task_ids or options.split):
        raise ExportError("--task-ids and --split choose tasks of a JSON export; name it with --tasks")
    if options.tasks:
        _predict_tasks(options, settings)
    elif options.watch:
        watch_folder(options, settings)
    else:
        predict_files(options, settings)


def _predict_tasks(options: argparse.Namespace, settings: "Settings") -> None:
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

    model = read_model(options.model, settings.device)
    config = read_label_config(options.config, model)
    series = TaskSeries.from_settings(settings)
    check_writable(options.output, *filter(None, (options.config, options.tasks, options.model)))
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
        raise ExportError(f"none of {counted(len(tasks), 'task')} could be read: {unread[0]}")
    try:
        options.output.write_text(json.dumps(predicted, allow_nan=False, indent=1), encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{options.output} can't be written: {error.strerror}") from error
    regions = sum(len(task["predictions"][0]["result"]) for task in predicted)
    failed = f"; {counted(len(unread), 'task')} could not be read, see above" if unread else ""
    print(f"{options.output}: {counted(len(predicted), 'task')}, {counted(regions, 'region')}{failed}")
