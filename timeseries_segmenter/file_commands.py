"""Commands on Label Studio's export files alone: train, predict and evaluate."""

import argparse
import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from timeseries_segmenter.errors import ExportError, SegmenterError
from timeseries_segmenter.evaluation import Comparison, evaluate, table
from timeseries_segmenter.export import read_config, read_split, read_tasks
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.regions import drawn_segments
from timeseries_segmenter.labeling.targets import drawn_label_sets
from timeseries_segmenter.learning.model_file import load_folds, load_model, save_model
from timeseries_segmenter.segment import label_set_name
from timeseries_segmenter.service.labelled_task import LabelledTask, labels_of, read_labelled_tasks, task_ids
from timeseries_segmenter.service.model_store import Model
from timeseries_segmenter.service.prediction import PairSegmenter, pair_segmenters, predict_tasks
from timeseries_segmenter.service.task_series import TaskSeries
from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)


def train(options: argparse.Namespace, settings: Settings) -> None:
    """Fit a model on annotated tasks."""
    # scikit-learn is slow to import, and only training needs it
    from timeseries_segmenter.learning.training import Recipe
    from timeseries_segmenter.learning.training_loop import Epoch
    from timeseries_segmenter.service.model_training import Start, train_model
    from timeseries_segmenter.service.report.from_training import reported

    config = read_config(options.config)
    labelled = _labelled(_tasks(options, "train"), config, TaskSeries.of(settings))
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
        "skipped": [],
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


def predict(options: argparse.Namespace, settings: Settings) -> None:
    """Write tasks with predictions, in the form that Label Studio imports."""
    config, model, series = read_config(options.config), _model(options.model), TaskSeries.of(settings)
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
    segmenters = pair_segmenters(model, config)
    if not segmenters:
        trained = "; ".join(
            f"{name or 'one pair'}: {', '.join(each.channels)}" for name, each in model.segmenters.items()
        )
        wanted = "; ".join(f"{pair.name}: {', '.join(pair.channels)}" for pair in config.pairs)
        raise ExportError(
            f"{options.model} was trained on the channels {trained}; {options.config} has {wanted}"
        )
    tasks = tqdm(_tasks(options, "test"), "evaluating", unit=" tasks", disable=None)
    labelled = _labelled(tasks, config, TaskSeries.of(settings))
    figures = {
        each.pair.name: _figures(each, labelled[each.pair.name], options.tolerance)
        for each in segmenters
        if labelled[each.pair.name]
    }
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        print("\n\n".join(f"{name}\n{table(figure)}" for name, figure in figures.items()))


def _figures(segmenter: PairSegmenter, tasks: list[LabelledTask], tolerance: int) -> dict[str, Any]:
    labels = labels_of(tasks, segmenter.pair)
    comparisons = []
    for task in tasks:
        pair = replace(segmenter.pair, labels=task.labels)
        predicted = drawn_segments(segmenter.predict(task.series).segments, pair)
        comparisons.append(Comparison(task.segments, predicted, len(task.series)))
    segments = [segment for each in comparisons for segment in (*each.true, *each.predicted)]
    return evaluate(comparisons, drawn_label_sets(segments, labels), tolerance)


def _labelled(
    tasks: Iterable[Mapping[str, Any]], config: LabelConfig, series: TaskSeries
) -> dict[str, list[LabelledTask]]:
    """The annotated ones that can be read; the log names the others. Raises ExportError for none."""

    def left_out(_: Mapping[str, Any], reason: str) -> None:
        logger.warning("left out: %s", reason)

    labelled = read_labelled_tasks(tasks, config, series, (SegmenterError,), left_out)
    if not any(labelled.values()):
        raise ExportError("none of the tasks is annotated and can be read")
    return labelled


def _tasks(options: argparse.Namespace, part: str) -> list[dict[str, Any]]:
    ids = read_split(options.split, part) if options.split else options.task_ids
    return read_tasks(options.tasks, ids)


def _model(path: Path) -> Model:
    segmenters, metadata = load_model(path)
    return Model(str(metadata.get("version", path.stem)), segmenters, metadata)
