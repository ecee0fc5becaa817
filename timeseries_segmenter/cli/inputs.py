"""What commands read: the labeling config, tasks and their series, and models."""

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from timeseries_segmenter.errors import ExportError, SegmenterError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.learning.device import choose_device
from timeseries_segmenter.project.labelled_task import LabelledTask, read_labelled_tasks
from timeseries_segmenter.project.left_out import LeftOut
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.prediction import PairSegmenter, pair_segmenters
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.export_file import read_config, read_split, read_tasks
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.storage.model_file import load_model
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.words import counted

logger = logging.getLogger(__name__)


def read_label_config(path: Path | None, model: Model | None = None) -> LabelConfig:
    """The labeling config in a file, or that of the model; the log says what of it is passed over."""
    if path:
        config = read_config(path)
    elif model and model.card.label_config:
        config = parse_label_config(model.card.label_config)
    else:
        raise ExportError("the model holds no labeling config; name its file with --config")
    for reason in config.unusable:
        logger.warning("passed over: %s", reason)
    if config.settings_remark:
        logger.warning("%s", config.settings_remark)
    return config


def read_chosen_tasks(options: argparse.Namespace, part: str) -> list[dict[str, Any]]:
    """The tasks that the options choose; `part` of a split is `train` or `test`."""
    ids = read_split(options.split, part) if options.split else options.task_ids
    return read_tasks(options.tasks, ids)


def find_model(options: argparse.Namespace, settings: Settings) -> Path:
    """The model file that the options name, or that of the project. Raises ExportError if that has none."""
    if options.model:
        return Path(options.model)
    path = ModelStore(settings).served_path(options.project)
    if not path.exists():
        raise ExportError(f"project {options.project} has no model in {settings.model_dir}")
    return path


def read_model(path: Path, device: str = "cpu") -> Model:
    """The model in a file, which gives it a name if its card has none, for predictions on a device."""
    model = load_model(path, choose_device(device))
    named = model.card.model_copy(update={"version": model.version or path.stem})
    return replace(model, card=named)


def read_segmenters(model: Model, config: LabelConfig, options: argparse.Namespace) -> list[PairSegmenter]:
    """What of the model can predict regions of the labeling config. Raises ExportError for nothing."""
    if segmenters := pair_segmenters(model, config):
        return segmenters
    trained = "; ".join(
        f"{name or 'one pair'}: {', '.join(each.channels)}" for name, each in model.segmenters.items()
    )
    wanted = "; ".join(f"{pair.name}: {', '.join(pair.channels)}" for pair in config.pairs)
    asking = options.config or "its labeling config"
    raise ExportError(f"{options.model} was trained on the channels {trained}; {asking} has {wanted}")


def for_files(segmenter: PairSegmenter) -> PairSegmenter:
    """The same for series in files, and without tasks that could bring labels."""
    pair = segmenter.pair
    if pair.value_type == "json":  # the labeling config doesn't say what separates the cells
        pair = replace(pair, value_type="url", separator="auto")
    if pair.labels_value:
        learned = (label for labels in segmenter.segmenter.label_sets for label in labels)
        pair = replace(pair, labels=tuple(dict.fromkeys((*pair.labels, *learned))))
    return replace(segmenter, pair=pair)


def read_annotated(
    tasks: Iterable[Mapping[str, Any]], config: LabelConfig, series: TaskSeries
) -> tuple[dict[str, list[LabelledTask]], list[str]]:
    """The annotated tasks of each pair, and why others are left out, which the log says too.

    Raises ExportError if none can be learned from.
    """
    listed = list(tasks)
    reasons: list[str] = []

    def left_out(task: LeftOut) -> None:
        reasons.append(task.reason)
        logger.warning("left out: %s", task.reason)

    labelled = read_labelled_tasks(listed, config, series, (SegmenterError,), left_out)
    if not any(labelled.values()):
        raise ExportError(
            f"none of {counted(len(listed), 'task')} is annotated and can be read: {_why(listed, reasons)}"
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
