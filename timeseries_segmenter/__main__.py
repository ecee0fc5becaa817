"""The command line: models on Label Studio's export files, and the service's models and workers."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from timeseries_segmenter.errors import ExportError, SegmenterError
from timeseries_segmenter.evaluation import TOLERANCE, Comparison, evaluate, table
from timeseries_segmenter.export import read_config, read_split, read_tasks
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.service.backend import project_number
from timeseries_segmenter.service.labelled_task import LabelledTask
from timeseries_segmenter.service.logs import configure_logging
from timeseries_segmenter.service.model_store import Model
from timeseries_segmenter.service.prediction import model_columns, predict_tasks
from timeseries_segmenter.service.task_series import TaskSeries
from timeseries_segmenter.service_commands import roll_back, versions, work
from timeseries_segmenter.settings import Settings, read_settings

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 for an error, or 2 for unusable arguments."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)  # as the service runs it; more gain nothing
    command: Callable[[argparse.Namespace, Settings], None] = options.command
    try:
        overrides: dict[str, object] = {} if command is work else {"log_level": "WARNING"}
        if "tasks" in options:
            overrides["local_files_dir"] = options.tasks.absolute().parent
        settings = read_settings(**overrides)
        configure_logging(settings)
        command(options, settings)
    except SegmenterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def train(options: argparse.Namespace, settings: Settings) -> None:
    """Fit a model on annotated tasks."""
    # scikit-learn is slow to import, and only training needs it
    from timeseries_segmenter.learning.training import Epoch, fit
    from timeseries_segmenter.service.project_training import metrics, recipe

    config = read_config(options.config)
    labelled = list(_labelled(_tasks(options, "train"), config, _series(settings)))
    examples = [task.example(config) for task in labelled]
    start = _model(options.start).segmenter if options.start else None
    with tqdm(desc="training", unit=" epochs", disable=None) as bar:

        def show(epoch: Epoch) -> None:
            bar.update()
            bar.set_postfix(
                loss=f"{epoch.loss:.3f}",
                balanced_accuracy=f"{epoch.scores.balanced_accuracy:.3f}",
                min_f1=f"{epoch.scores.min_f1:.3f}",
            )

        fitted = fit(examples, config.labels, config.channels, recipe(settings), show, start)
    moment = datetime.now(UTC)
    metadata = {
        "version": f"{options.model.stem}-{moment:%Y%m%dT%H%M%SZ}",
        "created_at": moment.isoformat(timespec="seconds"),
        "label_config": options.config.read_text(encoding="utf-8-sig"),
        "tasks": [task.task for task in labelled],
        "metrics": metrics(fitted),
    }
    try:
        fitted.segmenter.save(options.model, metadata)
    except (OSError, RuntimeError) as error:
        raise ExportError(f"{options.model} can't be written: {error}") from error
    for label in fitted.unlearned:
        logger.warning("no region with the label %s; it can't be predicted", label)
    print(
        f"{options.model}: {len(labelled)} tasks, {fitted.epochs} epochs"
        + (f" on top of {options.start}" if fitted.continued else "")
        + f"; on these tasks macro F1 {fitted.scores.macro_f1:.3f}, "
        f"worst class {fitted.scores.min_f1:.3f}"
        + ("" if fitted.thresholds_met else " (the thresholds were not met)")
    )


def predict(options: argparse.Namespace, settings: Settings) -> None:
    """Write tasks with predictions, in the form that Label Studio imports."""
    config, model, series = read_config(options.config), _model(options.model), _series(settings)
    predicted = [
        {
            **{key: task[key] for key in ("id", "data") if key in task},
            "predictions": predict_tasks([task], config, model, series),
        }
        for task in tqdm(_tasks(options, "test"), "predicting", unit=" tasks", disable=None)
    ]
    try:
        options.output.write_text(json.dumps(predicted, allow_nan=False, indent=1), encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{options.output} can't be written: {error.strerror}") from error
    regions = sum(len(task["predictions"][0]["result"]) for task in predicted)
    print(f"{options.output}: {len(predicted)} tasks, {regions} regions")


def evaluate_model(options: argparse.Namespace, settings: Settings) -> None:
    """Compare predicted with drawn regions."""
    config, model = read_config(options.config), _model(options.model)
    columns = model_columns(model, config)
    if columns is None:
        raise ExportError(
            f"{options.model} was trained on the channels {', '.join(model.segmenter.channels)}; "
            f"{options.config} has {', '.join(config.channels)}"
        )
    tasks = tqdm(_tasks(options, "test"), "evaluating", unit=" tasks", disable=None)
    comparisons = [
        Comparison(
            task.segments,
            [s for s in model.segmenter.segments(task.series.values[:, columns]) if s.label in config.labels],
            len(task.series),
        )
        for task in _labelled(tasks, config, _series(settings))
    ]
    figures = evaluate(comparisons, config.labels, options.tolerance)
    print(json.dumps(figures, indent=1) if options.json else table(figures))


def _labelled(
    tasks: Iterable[dict[str, Any]], config: LabelConfig, series: TaskSeries
) -> Iterator[LabelledTask]:
    """The annotated ones that can be read; the log names the others. Raises ExportError for none."""
    none = True
    for task in tasks:
        try:
            labelled = LabelledTask.read(task, config, series)
        except SegmenterError as error:
            logger.warning("left out: %s", error)
            continue
        if labelled:
            none = False
            yield labelled
    if none:
        raise ExportError("none of the tasks is annotated and can be read")


def _tasks(options: argparse.Namespace, part: str) -> list[dict[str, Any]]:
    ids = read_split(options.split, part) if options.split else options.task_ids
    return read_tasks(options.tasks, ids)


def _series(settings: Settings) -> TaskSeries:
    return TaskSeries.of(settings)


def _model(path: Path) -> Model:
    segmenter, metadata = Segmenter.load(path)
    return Model(str(metadata.get("version", path.stem)), segmenter, metadata)


def _ids(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _project(text: str) -> int:
    try:
        return project_number(text or "nothing")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m timeseries_segmenter", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, required=True, help="the project's labeling config, XML")
    common.add_argument(
        "--tasks", type=Path, required=True, help="a JSON export; paths of series are relative to it"
    )
    which = common.add_mutually_exclusive_group()
    which.add_argument("--task-ids", type=_ids, metavar="1,2,3", help="only these tasks")
    which.add_argument(
        "--split",
        type=Path,
        help='file with {"train": [ids], "test": [ids]}: train takes the one, others the other',
    )
    common.add_argument("--model", type=Path, required=True, help="the model file")
    for name, command in (("train", train), ("predict", predict), ("evaluate", evaluate_model)):
        told = (command.__doc__ or "").rstrip(".")
        sub = commands.add_parser(name, parents=[common], help=told, description=told + ".")
        sub.set_defaults(command=command)
        if command is train:
            sub.add_argument(
                "--start", type=Path, help="an earlier model to train on from, where that is as good"
            )
        if command is predict:
            sub.add_argument("--output", type=Path, required=True, help="file to write the predictions to")
        if command is evaluate_model:
            sub.add_argument("--json", action="store_true", help="print the figures as JSON")
            sub.add_argument(
                "--tolerance", type=int, default=TOLERANCE, help="rows an instant may be off (default: 5)"
            )
    for name, command in (("versions", versions), ("rollback", roll_back), ("worker", work)):
        told = (command.__doc__ or "").rstrip(".")
        sub = commands.add_parser(name, help=told, description=told + ".")
        sub.set_defaults(command=command)
        if command is not work:
            sub.add_argument("--project", type=_project, required=True, help="the project's number")
        if command is roll_back:
            sub.add_argument("--to", metavar="VERSION", help="the version to serve again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
