"""Commands on Label Studio's export files alone: train, predict and evaluate."""

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from timeseries_segmenter.errors import ExportError, SegmenterError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.regions import drawn_segments, stored_segments
from timeseries_segmenter.labeling.targets import drawn_label_sets
from timeseries_segmenter.project.evaluation import Comparison, evaluate, table
from timeseries_segmenter.project.labelled_task import (
    LabelledTask,
    labels_of,
    read_labelled_tasks,
    remarks_on,
    shortened,
    task_ids,
)
from timeseries_segmenter.project.left_out import LeftOut
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.prediction import Complaints, PairSegmenter, draw, pair_segmenters
from timeseries_segmenter.segment import label_set_name
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.export_file import (
    WRITTEN,
    check_writable,
    read_config,
    read_split,
    read_tasks,
)
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.storage.model_file import load_folds, load_model, save_model

logger = logging.getLogger(__name__)


def train(options: argparse.Namespace, settings: Settings) -> None:
    """Fit a model on annotated tasks."""
    # scikit-learn is slow to import, and only training needs it
    from timeseries_segmenter.learning.training import Recipe
    from timeseries_segmenter.learning.training_loop import Epoch
    from timeseries_segmenter.project.training import Start, train_model
    from timeseries_segmenter.report.from_training import reported

    config = _config(options)
    check_writable(options.model, options.config, options.tasks)
    labelled, left_out = _labelled(_tasks(options, "train"), config, TaskSeries.of(settings))
    start = Start(_model(options.start), load_folds(options.start)) if options.start else None
    began = time.monotonic()
    with tqdm(desc="training", unit=" epochs", disable=None) as bar:

        def show(_: Recipe, epoch: Epoch) -> None:
            bar.update()
            bar.set_postfix(
                loss=f"{epoch.loss:.3f}",
                balanced_accuracy=f"{epoch.scores.balanced_accuracy:.3f}",
                min_f1=f"{epoch.scores.min_f1:.3f}",
            )

        def show_check(name: str, share: float) -> None:
            bar.set_postfix_str(f"checking {name}, {share:.0%}")

        training = train_model(labelled, config, settings, start, show, show_check)
    moment = datetime.now(UTC)
    about = {
        "created_at": moment.isoformat(timespec="seconds"),
        "title": options.model.stem,
        "tasks": task_ids(labelled),
        "skipped": shortened(left_out),
        "remarks": shortened([*config.unusable, *remarks_on(labelled)]),
        "seconds": {
            "fitting": round(time.monotonic() - began - training.check_seconds, 2),
            "checking": round(training.check_seconds, 2),
        },
    }
    model, metadata = reported(training, start.model.metadata if start else None, about)
    metadata |= {
        "version": f"{options.model.stem}-{moment:%Y%m%dT%H%M%SZ}",
        "label_config": options.config.read_text(encoding="utf-8-sig"),
    }
    try:
        save_model(options.model, model, metadata)
    except (OSError, RuntimeError) as error:
        raise ExportError(f"{options.model} can't be written: {error}") from error
    for remark in remarks_on(labelled):
        logger.warning("learned as far as possible: %s", remark)
    for name, reason in training.unlearned.items():
        logger.warning("nothing is drawn for %s yet: %s", name, reason)
    for name, each in training.pairs.items():
        fitted = each.fitted
        for labels in fitted.unlearned:
            logger.warning("no region with the label %s; it can't be predicted", label_set_name(labels))
        print(
            f"{options.model}, {name}: {len(labelled[name])} tasks, {fitted.epochs} epochs"
            + (f" on top of {options.start}" if fitted.continued else "")
            + f"; on these tasks macro F1 {fitted.scores.macro_f1:.3f}, "
            f"worst class {fitted.scores.min_f1:.3f}"
            + ("" if fitted.thresholds_met else " (the thresholds were not met)")
        )
    if left_out:
        print(f"{options.model}: {len(left_out)} annotated tasks were left out; the reasons are above")


def predict(options: argparse.Namespace, settings: Settings) -> None:
    """Write tasks with predictions, in the form that Label Studio imports."""
    config, model, series = _config(options), _model(options.model), TaskSeries.of(settings)
    check_writable(options.output, options.config, options.tasks, options.model)
    segmenters = _segmenters(model, config, options)
    tasks = _tasks(options, "test")
    predicted = []
    unread: list[str] = []
    complaints = Complaints()
    shown = tqdm(tasks, "predicting", unit=" tasks", disable=None)
    for task, of_task in series.of_tasks(shown, [each.pair for each in segmenters]):
        drawing = draw(task, segmenters, of_task, complaints)
        if not drawing.rows:
            unread += drawing.problems[:1]
        prediction = {"model_version": model.version, "score": drawing.score, "result": drawing.regions}
        predicted.append({**_as_written(task), "predictions": [prediction]})
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


def evaluate_model(options: argparse.Namespace, settings: Settings) -> None:
    """Compare predicted with drawn regions."""
    config, model = _config(options), _model(options.model)
    segmenters = _segmenters(model, config, options)
    tasks = tqdm(_tasks(options, "test"), "evaluating", unit=" tasks", disable=None)
    labelled, left_out = _labelled(tasks, config, TaskSeries.of(settings))
    figures = {
        each.pair.name: _figures(each, labelled[each.pair.name], options.tolerance)
        for each in segmenters
        if labelled[each.pair.name]
    }
    if not figures:
        raise ExportError(f"no annotated task has regions of what {options.model} has learned")
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        print("\n\n".join(f"{name}\n{table(figure)}" for name, figure in figures.items()))
    if left_out:
        sys.stderr.write(f"{len(left_out)} annotated tasks were left out of these figures, see above\n")


def _segmenters(model: Model, config: LabelConfig, options: argparse.Namespace) -> list[PairSegmenter]:
    """What of the model can draw regions of the labeling config. Raises ExportError for nothing."""
    if segmenters := pair_segmenters(model, config):
        return segmenters
    trained = "; ".join(
        f"{name or 'one pair'}: {', '.join(each.channels)}" for name, each in model.segmenters.items()
    )
    wanted = "; ".join(f"{pair.name}: {', '.join(pair.channels)}" for pair in config.pairs)
    raise ExportError(f"{options.model} was trained on the channels {trained}; {options.config} has {wanted}")


def _figures(segmenter: PairSegmenter, tasks: list[LabelledTask], tolerance: int) -> dict[str, Any]:
    labels = labels_of(tasks, segmenter.pair)
    comparisons = []
    for task in tasks:
        pair = replace(segmenter.pair, labels=task.labels)
        predicted = drawn_segments(segmenter.predict(task.series).segments, pair)
        stored = stored_segments(predicted, task.series)
        comparisons.append(Comparison(task.segments, stored, len(task.series)))
    segments = [segment for each in comparisons for segment in (*each.true, *each.predicted)]
    return evaluate(comparisons, drawn_label_sets(segments, labels), tolerance)


def _labelled(
    tasks: Iterable[Mapping[str, Any]], config: LabelConfig, series: TaskSeries
) -> tuple[dict[str, list[LabelledTask]], list[str]]:
    """The annotated ones of each pair, and why others are left out, which the log says too.

    Raises ExportError where none can be learned from.
    """
    listed = list(tasks)
    reasons: list[str] = []

    def left_out(task: LeftOut) -> None:
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


def _config(options: argparse.Namespace) -> LabelConfig:
    config = read_config(options.config)
    for reason in config.unusable:
        logger.warning("passed over: %s", reason)
    return config


def _as_written(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task's data, and its id if it has one, as they are in the file."""
    return dict(task[WRITTEN]) | {"data": task["data"]}


def _tasks(options: argparse.Namespace, part: str) -> list[dict[str, Any]]:
    ids = read_split(options.split, part) if options.split else options.task_ids
    return read_tasks(options.tasks, ids)


def _model(path: Path) -> Model:
    segmenters, metadata = load_model(path)
    return Model(str(metadata.get("version", path.stem)), segmenters, metadata)
