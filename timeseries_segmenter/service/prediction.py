"""Tasks in, one prediction each out."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from timeseries_segmenter.errors import SegmenterError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.regions import to_regions
from timeseries_segmenter.service.model_store import UNTRAINED, Model
from timeseries_segmenter.service.task_series import TaskSeries, task_name

logger = logging.getLogger(__name__)


Observe = Callable[[int, float], None]  # rows and seconds of a task that was predicted


def predict_tasks(
    tasks: Sequence[Mapping[str, Any]],
    config: LabelConfig,
    model: Model | None,
    series: TaskSeries,
    observe: Observe | None = None,
) -> list[dict[str, Any]]:
    """One Label Studio prediction per task, in their order.

    A task that can't be read gets one without regions, and a line in the log; so do all tasks
    without a model, or with one whose channels the labeling config no longer has.
    """
    version = model.version if model else UNTRAINED
    columns = model_columns(model, config) if model else None
    if columns is None:
        model = None
    return [_predict_task(task, config, model, columns or [], version, series, observe) for task in tasks]


def model_columns(model: Model, config: LabelConfig) -> list[int] | None:
    """Where the model's channels stand among the labeling config's; None where one is gone."""
    names = [_name(channel) for channel in config.channels]
    wanted = [_name(channel) for channel in model.segmenter.channels]
    missing = sorted(set(wanted) - set(names))
    if missing:
        logger.warning(
            "model %s needs the channels %s, which the labeling config no longer has; train again",
            model.version,
            ", ".join(missing),
        )
        return None
    return [names.index(name) for name in wanted]


def _predict_task(
    task: Mapping[str, Any],
    config: LabelConfig,
    model: Model | None,
    columns: list[int],
    version: str,
    series: TaskSeries,
    observe: Observe | None,
) -> dict[str, Any]:
    regions: list[dict[str, Any]] = []
    if model:
        began = time.monotonic()
        name = task_name(task)
        try:
            read = series.read(task, config)
            regions = to_regions(model.segmenter.segments(read.values[:, columns]), config, read)
        except SegmenterError as error:
            logger.warning("no prediction: %s", error)
        except Exception:  # one bad task must not cost the batch
            logger.exception("no prediction for task %s", name)
        else:
            seconds = time.monotonic() - began
            logger.info(
                "task %s: %d regions by %s in %.2f s",
                name,
                len(regions),
                version,
                seconds,
                extra={
                    "task": name,
                    "version": version,
                    "seconds": round(seconds, 4),
                    "rows": len(read),
                },
            )
            if observe:
                observe(len(read), seconds)
    score = sum(region["score"] for region in regions) / len(regions) if regions else 0.0
    return {"model_version": version, "score": score, "result": regions}


def _name(channel: str) -> str:
    return channel.strip().lower()  # Label Studio matches columns in any case
