"""Tasks in, one prediction each out."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from timeseries_segmenter.errors import SegmenterError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.regions import to_regions
from timeseries_segmenter.service.model_store import UNTRAINED, Model
from timeseries_segmenter.service.task_series import TaskSeries

logger = logging.getLogger(__name__)


def predict_tasks(
    tasks: Sequence[Mapping[str, Any]], config: LabelConfig, model: Model | None, series: TaskSeries
) -> list[dict[str, Any]]:
    """One Label Studio prediction per task, in their order.

    A task that can't be read gets one without regions, and a line in the log; so do all tasks
    without a model, or with one whose channels the labeling config no longer has.
    """
    version = model.version if model else UNTRAINED
    if model and not _fits(model, config):
        model = None
    return [_predict_task(task, config, model, version, series) for task in tasks]


def _predict_task(
    task: Mapping[str, Any], config: LabelConfig, model: Model | None, version: str, series: TaskSeries
) -> dict[str, Any]:
    regions: list[dict[str, Any]] = []
    if model:
        began = time.monotonic()
        try:
            regions = _regions(task, config, model, series)
        except SegmenterError as error:
            logger.warning("no prediction: %s", error)
        except Exception:  # one bad task must not cost the batch
            logger.exception("no prediction for task %s", task.get("id"))
        else:
            seconds = time.monotonic() - began
            logger.info("task %s: %d regions by %s in %.2f s", task.get("id"), len(regions), version, seconds)
    score = sum(region["score"] for region in regions) / len(regions) if regions else 0.0
    return {"model_version": version, "score": score, "result": regions}


def _regions(
    task: Mapping[str, Any], config: LabelConfig, model: Model, series: TaskSeries
) -> list[dict[str, Any]]:
    read = series.read(task, config)
    columns = [_name(channel) for channel in config.channels]
    order = [columns.index(_name(channel)) for channel in model.segmenter.channels]
    segments = model.segmenter.segments(read.values[:, order])
    return to_regions(segments, config, read)


def _fits(model: Model, config: LabelConfig) -> bool:
    missing = {_name(channel) for channel in model.segmenter.channels} - {_name(c) for c in config.channels}
    if missing:
        logger.warning(
            "model %s needs the channels %s, which the labeling config no longer has; train again",
            model.version,
            ", ".join(sorted(missing)),
        )
    return not missing


def _name(channel: str) -> str:
    return channel.strip().lower()  # Label Studio matches columns in any case
