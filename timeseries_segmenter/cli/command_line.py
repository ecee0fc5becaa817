"""The command line: models on Label Studio's export files, and the service's models and workers.

A command's modules are imported when it runs, so that `--help` does not wait for torch.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from timeseries_segmenter.errors import ExportError, SegmenterError, SettingsError
from timeseries_segmenter.project.task import TaskId, task_id

if TYPE_CHECKING:
    from timeseries_segmenter.labeling.config import LabelConfig
    from timeseries_segmenter.project.labelled_task import LabelledTask
    from timeseries_segmenter.project.left_out import LeftOut
    from timeseries_segmenter.project.model import Model
    from timeseries_segmenter.project.prediction import PairSegmenter
    from timeseries_segmenter.settings import Settings
    from timeseries_segmenter.sources.task_series import TaskSeries

logger = logging.getLogger(__name__)

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Command = Callable[[argparse.Namespace, "Settings"], None]

VERSION_COLUMNS = ("", "version", "created", "tasks", "macro F1", "measured on", "")


def main(arguments: Sequence[str] | None = None, prog: str = "timeseries-segmenter") -> int:
    """Run one command; the exit status is 0, 1 for an error, or 2 for unusable arguments."""
    options = command_line(prog).parse_args(arguments)
    import torch

    from timeseries_segmenter.logs import configure_logging
    from timeseries_segmenter.settings import read_settings

    torch.set_num_threads(1)  # as the service runs it; more gain nothing
    command: Command = options.command
    overrides: dict[str, object] = {} if command is worker else {"log_level": "WARNING"}
    if "tasks" in options:
        overrides["local_files_dir"] = options.tasks.absolute().parent
    try:
        settings = read_settings(**overrides)
        configure_logging(settings)
        command(options, settings)
    except SegmenterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def command_line(prog: str = "timeseries-segmenter") -> argparse.ArgumentParser:
    """The commands and their options."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog=prog, description=about)
    commands = parser.add_subparsers(required=True, metavar="command")
    files = argparse.ArgumentParser(add_help=False)
    files.add_argument("--config", type=Path, required=True, help="the project's labeling config, XML")
    files.add_argument(
        "--tasks", type=Path, required=True, help="a JSON export; paths of series are relative to it"
    )
    which = files.add_mutually_exclusive_group()
    which.add_argument("--task-ids", type=_task_ids, metavar="1,2,3", help="only these tasks")
    which.add_argument(
        "--split",
        type=Path,
        help='file with {"train": [ids], "test": [ids]}: train takes the one, others the other',
    )
    files.add_argument("--model", type=Path, required=True, help="the model file")
    for add in (_add_train, _add_predict, _add_evaluate):
        add(commands, files)
    for add_command in (_add_versions, _add_rollback, _add_worker, _add_report):
        add_command(commands)
    return parser


def _add(commands: Commands, command: Command, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """A parser for a command, with its name and its docstring."""
    about = (command.__doc__ or "").rstrip(".")
    parser: argparse.ArgumentParser = commands.add_parser(
        command.__name__, parents=parents, help=about, description=f"{about}."
    )
    parser.set_defaults(command=command)
    return parser


def _task_ids(text: str) -> list[TaskId]:
    ids = [task_id(part) for part in text.split(",")]
    known = [each for each in ids if each is not None]
    if len(known) < len(ids):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of task ids, such as 1,2,3")
    return known


def _add_project(
    parser: argparse._ActionsContainer, about: str = "the project's number", *, required: bool = True
) -> None:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal()):
            raise argparse.ArgumentTypeError(f"{text!r:.60} is not a project number")
        return int(text)

    parser.add_argument("--project", type=number, required=required, help=about)


def _add_train(commands: Commands, files: argparse.ArgumentParser) -> None:
    parser = _add(commands, train, files)
    parser.add_argument(
        "--start", type=Path, help="an earlier model: train on from it if that is as good as from scratch"
    )
    parser.add_argument(
        "--search",
        action="store_true",
        help="then search for a recipe that suits the tasks better, for SEARCH_SECONDS, and train with it",
    )


def train(options: argparse.Namespace, settings: "Settings") -> None:
    """Fit a model on annotated tasks."""
    from tqdm import tqdm

    from timeseries_segmenter.learning.held_out import LEAST_EXAMPLES
    from timeseries_segmenter.learning.observer import Epoch, Observer
    from timeseries_segmenter.project.card import Card, RecipeSearch
    from timeseries_segmenter.project.labelled_task import remarks_on, shortened, task_ids
    from timeseries_segmenter.project.recipes import recipes, search_recipes
    from timeseries_segmenter.project.training import train_model
    from timeseries_segmenter.report.builder import reported
    from timeseries_segmenter.segment import label_set_name
    from timeseries_segmenter.sources.export_file import check_writable
    from timeseries_segmenter.sources.task_series import TaskSeries
    from timeseries_segmenter.storage.model_file import load_folds, save_model

    if options.search and not settings.search_seconds:
        raise SettingsError("SEARCH_SECONDS is 0, which leaves no time for --search")
    config = _config(options)
    check_writable(options.model, options.config, options.tasks)
    labelled, left_out = _labelled(_tasks(options, "train"), config, TaskSeries.from_settings(settings))
    start = replace(_model(options.start), folds=load_folds(options.start)) if options.start else None
    began = time.monotonic()
    with tqdm(desc="training", unit=" epochs", disable=None) as bar:

        class Bar(Observer):
            pair = ""

            def on_pair(self, name: str) -> None:
                self.pair = name

            def on_epoch(self, epoch: Epoch) -> None:
                bar.update()
                bar.set_postfix(
                    loss=f"{epoch.loss:.3f}",
                    balanced_accuracy=f"{epoch.scores.balanced_accuracy:.3f}",
                    min_f1=f"{epoch.scores.min_f1:.3f}",
                )

            def on_cross_validation(self, share: float) -> None:
                bar.set_postfix_str(f"checking {self.pair}, {share:.0%}")

            def on_candidate(self, name: str, number: int, most: int) -> None:
                bar.set_postfix_str(f"searching {self.pair}, recipe {number} of {most}: {name}")

        bars, searches = Bar(), start.card.searches if start else {}
        training = train_model(labelled, config, settings, start, bars, searches)
        found: dict[str, RecipeSearch] = {}
        searching = 0.0
        if options.search:
            trained = time.monotonic()
            found = search_recipes(labelled, config, training.segmenters, settings, bars)
            searching = time.monotonic() - trained
            training = training.with_searches(searches | found)
            if recipes(config, settings, searches | found) != recipes(config, settings, searches):
                training = train_model(labelled, config, settings, None, bars, searches | found)
    seconds = {
        "fitting": time.monotonic() - began - training.check_seconds - searching,
        "checking": training.check_seconds,
        **({"searching": searching} if options.search else {}),
    }
    moment = datetime.now(UTC).replace(microsecond=0)
    card = Card(
        version=f"{options.model.stem}-{moment:%Y%m%dT%H%M%SZ}",
        title=options.model.stem,
        created_at=moment,
        label_config=options.config.read_text(encoding="utf-8-sig"),
        tasks=task_ids(labelled),
        skipped=shortened(left_out),
        remarks=shortened([*config.unusable, *remarks_on(labelled), *training.remarks]),
        seconds={step: round(took, 2) for step, took in seconds.items()},
    )
    model = reported(training, card, start.card if start else None)
    try:
        save_model(options.model, model)
    except (OSError, RuntimeError) as error:
        raise ExportError(f"{options.model} can't be written: {error}") from error
    for remark in [*remarks_on(labelled), *training.remarks]:
        logger.warning("learned as far as possible: %s", remark)
    for name, reason in training.unlearned.items():
        logger.warning("nothing is predicted for %s yet: %s", name, reason)
    for name, each in training.pairs.items():
        fitted = each.fitted
        for labels in fitted.unlearned:
            logger.warning("no region with the label %s; it can't be predicted", label_set_name(labels))
        print(
            f"{options.model}, {name}: {len(labelled[name])} tasks, {fitted.epochs} epochs"
            + (f" on top of {options.start}" if fitted.warm_started else "")
            + f"; on these tasks macro F1 {fitted.scores.macro_f1:.3f}, "
            f"worst class {fitted.scores.min_f1:.3f}"
            + ("" if fitted.thresholds_met else " (the thresholds were not met)")
        )
        if sampling := model.card.pairs[name].sampling:
            print(f"{options.model}, {name}: {sampling}")
        if options.search:
            few = f"not searched: that takes {LEAST_EXAMPLES} annotated tasks"
            print(f"{options.model}, {name}: {found[name].outcome if name in found else few}")
    if left_out:
        print(f"{options.model}: {len(left_out)} annotated tasks were left out; the reasons are above")


def _add_predict(commands: Commands, files: argparse.ArgumentParser) -> None:
    parser = _add(commands, predict, files)
    parser.add_argument("--output", type=Path, required=True, help="file to write the predictions to")


def predict(options: argparse.Namespace, settings: "Settings") -> None:
    """Write tasks with predictions, in the form that Label Studio imports."""
    from tqdm import tqdm

    from timeseries_segmenter.project.prediction import Complaints, predict_task
    from timeseries_segmenter.sources.export_file import WRITTEN, check_writable
    from timeseries_segmenter.sources.task_series import TaskSeries

    config, model, series = _config(options), _model(options.model), TaskSeries.from_settings(settings)
    check_writable(options.output, options.config, options.tasks, options.model)
    segmenters = _segmenters(model, config, options)
    tasks = _tasks(options, "test")
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


def _add_evaluate(commands: Commands, files: argparse.ArgumentParser) -> None:
    parser = _add(commands, evaluate, files)
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")
    parser.add_argument("--tolerance", type=int, default=5, help="rows an instant may be off (default: 5)")


def evaluate(options: argparse.Namespace, settings: "Settings") -> None:
    """Compare predicted with annotated regions."""
    from tqdm import tqdm

    from timeseries_segmenter.project.evaluation import table
    from timeseries_segmenter.sources.task_series import TaskSeries

    config, model = _config(options), _model(options.model)
    segmenters = _segmenters(model, config, options)
    tasks = tqdm(_tasks(options, "test"), "evaluating", unit=" tasks", disable=None)
    labelled, left_out = _labelled(tasks, config, TaskSeries.from_settings(settings))
    metrics = {
        each.pair.name: _metrics(each, labelled[each.pair.name], options.tolerance)
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
        sys.stderr.write(f"{len(left_out)} annotated tasks were left out of these metrics, see above\n")


def _segmenters(model: "Model", config: "LabelConfig", options: argparse.Namespace) -> "list[PairSegmenter]":
    """What of the model can predict regions of the labeling config. Raises ExportError for nothing."""
    from timeseries_segmenter.project.prediction import pair_segmenters

    if segmenters := pair_segmenters(model, config):
        return segmenters
    trained = "; ".join(
        f"{name or 'one pair'}: {', '.join(each.channels)}" for name, each in model.segmenters.items()
    )
    wanted = "; ".join(f"{pair.name}: {', '.join(pair.channels)}" for pair in config.pairs)
    raise ExportError(f"{options.model} was trained on the channels {trained}; {options.config} has {wanted}")


def _metrics(segmenter: "PairSegmenter", tasks: "Sequence[LabelledTask]", tolerance: int) -> dict[str, Any]:
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


def _labelled(
    tasks: Iterable[Mapping[str, Any]], config: "LabelConfig", series: "TaskSeries"
) -> "tuple[dict[str, list[LabelledTask]], list[str]]":
    """The annotated tasks of each pair, and why others are left out, which the log says too.

    Raises ExportError if none can be learned from.
    """
    from timeseries_segmenter.project.labelled_task import read_labelled_tasks

    listed = list(tasks)
    reasons: list[str] = []

    def left_out(task: "LeftOut") -> None:
        reasons.append(task.reason)
        logger.warning("left out: %s", task.reason)

    labelled = read_labelled_tasks(listed, config, series, (SegmenterError,), left_out)
    if not any(labelled.values()):
        raise ExportError(
            f"none of {len(listed)} tasks is annotated and can be read: {_why(listed, reasons)}"
        )
    return labelled, reasons


def _why(tasks: Sequence[Mapping[str, Any]], reasons: Sequence[str]) -> str:
    if reasons:
        return f"{len(reasons)} left out, the first since {reasons[0]}"
    if any(task.get("annotations") for task in tasks):
        return "all annotations are skipped ones; submit at least one"
    if any(task.get("predictions") for task in tasks):
        return "there are predictions alone; accept them in Label Studio, and submit the annotation"
    if any(task.get("drafts") for task in tasks):
        return "there are drafts alone; submit them in Label Studio"
    return "annotate at least one, and export the project as JSON"


def _config(options: argparse.Namespace) -> "LabelConfig":
    from timeseries_segmenter.sources.export_file import read_config

    config = read_config(options.config)
    for reason in config.unusable:
        logger.warning("passed over: %s", reason)
    return config


def _tasks(options: argparse.Namespace, part: str) -> list[dict[str, Any]]:
    from timeseries_segmenter.sources.export_file import read_split, read_tasks

    ids = read_split(options.split, part) if options.split else options.task_ids
    return read_tasks(options.tasks, ids)


def _model(path: Path) -> "Model":
    from timeseries_segmenter.storage.model_file import load_model

    model = load_model(path)
    named = model.card.model_copy(update={"version": model.version or path.stem})
    return replace(model, card=named)


def _add_versions(commands: Commands) -> None:
    _add_project(_add(commands, versions))


def versions(options: argparse.Namespace, settings: "Settings") -> None:
    """List the versions of a project's model, newest first; * marks the one that is served."""
    from timeseries_segmenter.storage.model_store import ModelStore

    store = ModelStore(settings)
    current = store.version(options.project)
    rows = []
    for summary in store.summaries(options.project):
        quality = summary.quality
        rows.append(
            (
                "*" if summary.version == current else "",
                summary.version,
                summary.created_at.isoformat() if summary.created_at else "",
                str(summary.tasks),
                f"{quality.macro_f1:.3f}" if quality else "",
                quality.measured_on if quality else "",
                summary.unreadable or (f"is {summary.restored} again" if summary.restored else ""),
            )
        )
    trouble = store.trouble(options.project)
    if not rows:
        raise ExportError(trouble or f"project {options.project} has no model in {settings.model_dir}")
    widths = [max(map(len, column)) for column in zip(VERSION_COLUMNS, *rows, strict=True)]
    for row in (VERSION_COLUMNS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if trouble:
        print(f"The newest model can't be used: {trouble}")


def _add_rollback(commands: Commands) -> None:
    parser = _add(commands, rollback)
    _add_project(parser)
    parser.add_argument("--to", metavar="VERSION", help="the version to serve again")


def rollback(options: argparse.Namespace, settings: "Settings") -> None:
    """Serve an earlier version of a project's model again, by default the one before."""
    from timeseries_segmenter.storage.model_store import ModelStore

    store = ModelStore(settings)
    try:
        version = store.roll_back(options.project, options.to)
    except OSError as error:
        raise ExportError(f"{settings.model_dir} can't be written: {error.strerror}") from error
    restored = store.card(options.project, version).restored
    print(f"project {options.project}: {version} is {restored} again; retrieve predictions in Label Studio")


def _add_worker(commands: Commands) -> None:
    _add(commands, worker)


def worker(options: argparse.Namespace, settings: "Settings") -> None:
    """Train what the service hands out through Redis (REDIS_URL), until Ctrl-C."""
    del options  # it has none
    if not settings.redis_url.get_secret_value():
        raise SettingsError("REDIS_URL is not set; without Redis the service trains by itself")
    from timeseries_segmenter.trainings.redis_worker import serve

    serve(settings)


def _add_report(commands: Commands) -> None:
    parser = _add(commands, report)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, help="a model file")
    _add_project(source, "a project's number: its current model", required=False)
    parser.add_argument("--output", type=Path, required=True, help="file to write the page to")


def report(options: argparse.Namespace, settings: "Settings") -> None:
    """Write what a model has learned, and how far it can be trusted, as an HTML page."""
    from timeseries_segmenter.report.saved import saved_report
    from timeseries_segmenter.storage.model_store import ModelStore

    path: Path
    if options.model:
        path, label_studio = options.model, None
    else:
        path, label_studio = ModelStore(settings).served_path(options.project), settings.label_studio_link
        if not path.exists():
            raise ExportError(f"project {options.project} has no model in {settings.model_dir}")
    page = saved_report(path, label_studio)
    try:
        options.output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{options.output} can't be written: {error.strerror}") from error
    print(f"{options.output}: the report of {path.name}")
