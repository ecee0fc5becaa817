"""Tasks in, one prediction each out."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timeseries_segmenter.errors import OutOfTimeError, SegmenterError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.regions import to_regions
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.learning.segmenter import Segmentation, Segmenter
from timeseries_segmenter.service.model_store import UNTRAINED, Model
from timeseries_segmenter.service.patience import Patience
from timeseries_segmenter.service.task_series import SeriesOfTask, TaskSeries, task_name

logger = logging.getLogger(__name__)

MOST_NAMED = 10  # tasks in one line of the log

Observe = Callable[[int, float], None]  # rows and seconds of a task that was predicted


@dataclass(frozen=True, slots=True)
class PairSegmenter:
    """What draws the regions of one pair; `columns` are its channels among the pair's."""

    pair: LabelPair
    segmenter: Segmenter
    columns: list[int]

    def predict(self, series: Series) -> Segmentation:
        """What the model says about a series that the pair labels, with labels of its own."""
        return self.segmenter.predict(series.values[:, self.columns])


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn on one task: its regions, how sure the least sure pair is of its series, from 0
    to 1, and the number of rows that were read; 0 where none could be.
    """

    regions: list[dict[str, Any]]
    score: float
    rows: int


NOTHING = Drawing([], 0.0, 0)


def predict_tasks(
    tasks: Sequence[Mapping[str, Any]],
    config: LabelConfig,
    model: Model | None,
    series: TaskSeries,
    observe: Observe | None = None,
    patience: Patience | None = None,
) -> list[dict[str, Any]]:
    """One Label Studio prediction per task, in their order; an empty one once `patience` is over.

    A pair of tags that can't be read in a task gets no regions there, and a line in the log; so does
    one that the model has not learned, or whose channels the labeling config no longer has.
    """
    version = model.version if model else UNTRAINED
    segmenters = pair_segmenters(model, config) if model else []
    patience = patience or Patience()
    drawings: list[Drawing] = []
    for task, of_task in series.of_tasks(tasks, [each.pair for each in segmenters], patience):
        if not patience.still_wanted():
            break
        began = time.monotonic()
        drawing = draw(task, segmenters, of_task)
        if drawing.rows:
            seconds = time.monotonic() - began
            _tell(task, drawing, version, seconds)
            if observe:
                observe(drawing.rows, seconds)
        drawings.append(drawing)
    _tell_late(patience, len(drawings), len(tasks))
    drawings += [NOTHING] * (len(tasks) - len(drawings))
    return [{"model_version": version, "score": each.score, "result": each.regions} for each in drawings]


def pair_segmenters(model: Model, config: LabelConfig) -> list[PairSegmenter]:
    """What of the model can draw regions of the labeling config."""
    found = []
    for pair in config.pairs:
        segmenter = model.segmenter(pair, config)
        if segmenter is None:
            continue
        names = [_name(channel) for channel in pair.channels]
        wanted = [_name(channel) for channel in segmenter.channels]
        missing = sorted(set(wanted) - set(names))
        if missing:
            logger.warning(
                "model %s needs the channels %s, which %s no longer has; train again",
                model.version,
                ", ".join(missing),
                pair.to_name,
            )
            continue
        found.append(PairSegmenter(pair, segmenter, [names.index(name) for name in wanted]))
    return found


def draw(task: Mapping[str, Any], segmenters: Sequence[PairSegmenter], series: SeriesOfTask) -> Drawing:
    """The regions of all pairs on one task; what can't be read is named in the log."""
    regions: list[dict[str, Any]] = []
    scores: list[float] = []
    rows = 0
    for each in segmenters:
        try:
            pair = each.pair.of_task(task.get("data"))
            read = series.read(pair)
            segmentation = each.predict(read)
            regions += to_regions(segmentation.segments, pair, read)
        except OutOfTimeError as error:
            logger.debug("no prediction: %s", error)  # those of a request are told in one line
        except SegmenterError as error:
            logger.warning("no prediction: %s", error)
        except Exception:  # one bad task must not cost the batch
            logger.exception("no prediction for task %s", task_name(task))
        else:
            scores.append(segmentation.confidence)
            rows += len(read)
    return Drawing(regions, min(scores, default=0.0), rows)


def _tell(task: Mapping[str, Any], drawing: Drawing, version: str, seconds: float) -> None:
    name = task_name(task)
    logger.info(
        "task %s: %d regions by %s in %.2f s",
        name,
        len(drawing.regions),
        version,
        seconds,
        extra={"task": name, "version": version, "seconds": round(seconds, 4), "rows": drawing.rows},
    )


def _tell_late(patience: Patience, done: int, asked: int) -> None:
    if not patience.still_wanted():
        logger.warning(
            "the client has left after %d of %d tasks, and the rest is not predicted; Label Studio waits "
            "100 s: retrieve predictions for fewer tasks at a time",
            done - len(patience.late),
            asked,
        )
    elif patience.late:
        named = ", ".join(map(str, patience.late[:MOST_NAMED]))
        logger.warning(
            "no prediction for %d of %d tasks (%s%s): the %g s that downloads of one request may take were "
            "over; retrieve predictions for fewer tasks at a time, see why their hosts are slow, or raise "
            "PREDICT_DOWNLOAD_TIMEOUT",
            len(patience.late),
            asked,
            named,
            ", …" if len(patience.late) > MOST_NAMED else "",
            patience.seconds,
        )


def _name(channel: str) -> str:
    return channel.strip().lower()  # Label Studio matches columns in any case
