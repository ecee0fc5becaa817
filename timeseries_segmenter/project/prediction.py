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
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.project.model import UNTRAINED, Model
from timeseries_segmenter.project.task import task_name
from timeseries_segmenter.sources.patience import Patience
from timeseries_segmenter.sources.task_series import SeriesOfTask, TaskSeries
from timeseries_segmenter.sources.vouching import Voucher

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
    to 1, the number of rows that were read; 0 where none could be, and why something could not.
    """

    regions: list[dict[str, Any]]
    score: float
    rows: int
    problems: tuple[str, ...] = ()


NOTHING = Drawing([], 0.0, 0)


class Complaints:
    """What one request, or one look at tasks, could not read: in the log where that is news."""

    def __init__(self, told: OnceLogger | None = None, level: int = logging.WARNING) -> None:
        self._told = told or OnceLogger(logger)
        self._level = level
        self._known: set[int | str] = set()

    def add(self, task: Mapping[str, Any], pair: str, error: Exception) -> None:
        """A pair of a task could not be predicted."""
        name = task_name(task)
        if not self._told.is_news((name, pair), f"{type(error).__name__}: {error}"):
            self._known.add(name)
        elif isinstance(error, SegmenterError):
            logger.log(self._level, "no prediction: %s", error)
        else:
            logger.error("no prediction for task %s", name, exc_info=error)

    def withdraw(self, task: Mapping[str, Any], pair: str) -> None:
        """A pair of a task was predicted: what it is not is news again."""
        self._told.forget((task_name(task), pair))

    def tell_known(self) -> None:
        """One line on all that was said before."""
        if self._known:
            logger.info(
                "no prediction for %d more tasks, whose reasons were named before (the first is %s)",
                len(self._known),
                min(self._known, key=str),
            )


def predict_tasks(
    tasks: Sequence[Mapping[str, Any]],
    config: LabelConfig,
    model: Model | None,
    series: TaskSeries,
    observe: Observe | None = None,
    patience: Patience | None = None,
    told: OnceLogger | None = None,
    voucher: Voucher | None = None,
) -> list[dict[str, Any]]:
    """One Label Studio prediction per task, in their order; an empty one once `patience` is over.

    A pair of tags that can't be read in a task gets no regions there, and a line in the log, where `told`
    does not hold it yet; so does one that the model has not learned, or whose channels the labeling
    config no longer has.
    """
    version = model.version if model else UNTRAINED
    segmenters = pair_segmenters(model, config, told) if model else []
    patience = patience or Patience()
    complaints = Complaints(told)
    drawings: list[Drawing] = []
    pairs = [each.pair for each in segmenters]
    for task, of_task in series.of_tasks(tasks, pairs, patience, voucher):
        if not patience.still_wanted():
            break
        began = time.monotonic()
        drawing = draw(task, segmenters, of_task, complaints)
        if drawing.rows:
            seconds = time.monotonic() - began
            _tell(task, drawing, version, seconds)
            if observe:
                observe(drawing.rows, seconds)
        drawings.append(drawing)
    complaints.tell_known()
    _tell_late(patience, len(drawings), len(tasks))
    drawings += [NOTHING] * (len(tasks) - len(drawings))
    return [{"model_version": version, "score": each.score, "result": each.regions} for each in drawings]


def pair_segmenters(model: Model, config: LabelConfig, told: OnceLogger | None = None) -> list[PairSegmenter]:
    """What of the model can draw regions of the labeling config; in the log what can't, where it is news."""
    told = told or OnceLogger(logger)
    found = []
    for pair in config.pairs:
        segmenter = model.segmenter(pair, config)
        if segmenter is None:
            continue
        names = [_name(channel) for channel in pair.channels]
        wanted = [_name(channel) for channel in segmenter.channels]
        missing = sorted(set(wanted) - set(names))
        if missing:
            text = (
                f"model {model.version} needs the channels {', '.join(missing)}, which {pair.to_name} no "
                "longer has; train again"
            )
            if told.is_news((model.version, pair.name), text):
                logger.warning("%s", text)
            continue
        found.append(PairSegmenter(pair, segmenter, [names.index(name) for name in wanted]))
    return found


def draw(
    task: Mapping[str, Any],
    segmenters: Sequence[PairSegmenter],
    series: SeriesOfTask,
    complaints: Complaints,
) -> Drawing:
    """The regions of all pairs on one task; what can't be read is added to the `complaints`."""
    regions: list[dict[str, Any]] = []
    scores: list[float] = []
    rows = 0
    problems: list[str] = []
    for each in segmenters:
        try:
            pair = each.pair.of_task(task.get("data"))
            read = series.read(pair)
            segmentation = each.predict(read)
            regions += to_regions(segmentation.segments, pair, read)
        except OutOfTimeError as error:
            logger.debug("no prediction: %s", error)  # those of a request are told in one line
        except Exception as error:  # noqa: BLE001  one bad task must not cost the batch
            complaints.add(task, each.pair.name, error)
            known = isinstance(error, SegmenterError)
            problems.append(
                str(error) if known else f"Task {task_name(task)}: {type(error).__name__}; see the log"
            )
        else:
            complaints.withdraw(task, each.pair.name)
            scores.append(segmentation.confidence)
            rows += len(read)
    return Drawing(regions, min(scores, default=0.0), rows, tuple(problems))


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
