"""The command `train`."""

import argparse
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from timeseries_segmenter.cli.options import Commands, add_command
from timeseries_segmenter.errors import ExportError, SettingsError
from timeseries_segmenter.words import counted

if TYPE_CHECKING:
    from timeseries_segmenter.labeling.config import LabelConfig
    from timeseries_segmenter.project.card import Card, RecipeSearch
    from timeseries_segmenter.project.labelled_task import LabelledTask
    from timeseries_segmenter.project.training import ModelTraining
    from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)


def add_train(commands: Commands, files: argparse.ArgumentParser) -> None:
    """Add the command and its options."""
    parser = add_command(commands, train, files)
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

    from timeseries_segmenter.cli.inputs import (
        read_annotated,
        read_chosen_tasks,
        read_label_config,
        read_model,
    )
    from timeseries_segmenter.cli.training_bar import TrainingBar
    from timeseries_segmenter.cli.training_search import search_and_train
    from timeseries_segmenter.project.training import train_model
    from timeseries_segmenter.report.builder import reported
    from timeseries_segmenter.sources.export_file import check_writable
    from timeseries_segmenter.sources.task_series import TaskSeries
    from timeseries_segmenter.storage.model_file import load_folds, save_model

    if options.search and not settings.search_seconds:
        raise SettingsError("SEARCH_SECONDS is 0, which leaves no time for --search")
    config = read_label_config(options.config)
    check_writable(options.model, options.config, options.tasks)
    tasks = read_chosen_tasks(options, "train")
    labelled, left_out = read_annotated(tasks, config, TaskSeries.from_settings(settings))
    start = replace(read_model(options.start), folds=load_folds(options.start)) if options.start else None
    searches, found, searching = start.card.searches if start else {}, None, 0.0
    began = time.monotonic()
    with tqdm(desc="training", unit=" epochs", disable=None) as bar:
        observer = TrainingBar(bar)
        training = train_model(labelled, config, settings, start, observer, searches)
        if options.search:
            training, found, searching = search_and_train(
                training, labelled, config, settings, observer, searches
            )
    seconds = {
        "fitting": time.monotonic() - began - training.check_seconds - searching,
        "checking": training.check_seconds,
        **({"searching": searching} if options.search else {}),
    }
    card = _card(options, config, labelled, left_out, training, seconds)
    model = reported(training, card, start.card if start else None)
    try:
        save_model(options.model, model)
    except (OSError, RuntimeError) as error:
        raise ExportError(f"{options.model} can't be written: {error}") from error
    _warn(labelled, training)
    _print_outcome(options, labelled, training, model.card, found)
    if left_out:
        print(f"{options.model}: {counted(len(left_out), 'annotated task')} left out; the reasons are above")


def _card(
    options: argparse.Namespace,
    config: "LabelConfig",
    labelled: "Mapping[str, Sequence[LabelledTask]]",
    left_out: Sequence[str],
    training: "ModelTraining",
    seconds: Mapping[str, float],
) -> "Card":
    """The card of a version that is named after its file and the time."""
    from timeseries_segmenter.project.card import Card
    from timeseries_segmenter.project.labelled_task import remarks_on, shortened, task_ids

    moment = datetime.now(UTC).replace(microsecond=0)
    return Card(
        version=f"{options.model.stem}-{moment:%Y%m%dT%H%M%SZ}",
        title=options.model.stem,
        created_at=moment,
        label_config=options.config.read_text(encoding="utf-8-sig"),
        tasks=task_ids(labelled),
        skipped=shortened(left_out),
        remarks=shortened([*config.unusable, *remarks_on(labelled), *training.remarks]),
        seconds={step: round(took, 2) for step, took in seconds.items()},
    )


def _warn(labelled: "Mapping[str, Sequence[LabelledTask]]", training: "ModelTraining") -> None:
    """Have the log say what was not learned, or in part."""
    from timeseries_segmenter.project.labelled_task import remarks_on
    from timeseries_segmenter.segment import label_set_name

    for remark in [*remarks_on(labelled), *training.remarks]:
        logger.warning("learned as far as possible: %s", remark)
    for name, reason in training.unlearned.items():
        logger.warning("nothing is predicted for %s yet: %s", name, reason)
    for each in training.pairs.values():
        for labels in each.fitted.unlearned:
            logger.warning("no region with the label %s; it can't be predicted", label_set_name(labels))


def _print_outcome(
    options: argparse.Namespace,
    labelled: "Mapping[str, Sequence[LabelledTask]]",
    training: "ModelTraining",
    card: "Card",
    found: "Mapping[str, RecipeSearch] | None",
) -> None:
    """Print what was learned for each pair, and `found` if a search was asked for."""
    from timeseries_segmenter.learning.validation.held_out import LEAST_EXAMPLES

    for name, each in training.pairs.items():
        fitted, beginning = each.fitted, f"{options.model}, {name}:"
        print(
            f"{beginning} {counted(len(labelled[name]), 'task')}, {counted(fitted.epochs, 'epoch')}"
            + (f" on top of {options.start}" if fitted.warm_started else "")
            + f"; on these tasks macro F1 {fitted.scores.macro_f1:.3f}, "
            f"worst class {fitted.scores.min_f1:.3f}"
            + ("" if fitted.thresholds_met else " (the thresholds were not met)")
        )
        if sampling := card.pairs[name].sampling:
            print(f"{beginning} {sampling}")
        if found is not None:
            few = f"not searched: that takes {LEAST_EXAMPLES} annotated tasks"
            print(f"{beginning} {found[name].outcome if name in found else few}")
