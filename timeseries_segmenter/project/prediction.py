"""Tasks in, one prediction each out."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from timeseries_segmenter.errors import OutOfTimeError, SegmenterError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.regions import to_regions
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.learning.coverage import COLD_WINDOW, Described, FloatArray, describe
from timeseries_segmenter.learning.segmenter import Segmentation, Segmenter
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.project.drawn import Drawn
from timeseries_segmenter.project.long_series import LongSeries, stretches_around
from timeseries_segmenter.project.model import UNTRAINED, Model
from timeseries_segmenter.project.series_reader import SeriesOfTask, SeriesReader
from timeseries_segmenter.project.task import TaskId, task_name

logger = logging.getLogger(__name__)

Observe = Callable[[int, float], None]  # rows and seconds of a task that was predicted


class Describes(Protocol):
    """What describes the series of one pair, so that they can be put in an order."""

    @property
    def pair(self) -> LabelPair:
        """The pair."""

    def describe(self, series: Series) -> FloatArray:
        """Its windows, as `learning.coverage` compares them."""


@dataclass(frozen=True, slots=True)
class PairWindows:
    """The same before there is a model."""

    pair: LabelPair

    def describe(self, series: Series) -> FloatArray:
        """Its windows, of a length that suits most, in the rows of the file."""
        return describe(series.values, COLD_WINDOW)


@dataclass(frozen=True, slots=True)
class PairSegmenter:
    """What predicts the regions of one pair; `columns` are its channels among the pair's."""

    pair: LabelPair
    segmenter: Segmenter
    columns: list[int]

    def predict(self, series: Series) -> Segmentation:
        """What the model says about a series that the pair labels, with labels of its own."""
        return self.segmenter.predict(self._values(series), series.times)

    def describe(self, series: Series) -> FloatArray:
        """Its windows, as `learning.coverage` compares them."""
        resampling = self.segmenter.sampling.resampling(series.times)
        return describe(resampling.values(self._values(series)), self.segmenter.window)

    def long_series(self, task: TaskId, series: Series, windows: FloatArray) -> LongSeries | None:
        """Its stretches, around the described `windows`, if nobody annotates it at a sitting."""
        resampling = self.segmenter.sampling.resampling(series.times)
        common_rows = resampling.count_rows(len(series))
        rows = stretches_around(len(windows), self.segmenter.window, common_rows, resampling)
        return (
            None if rows is None else LongSeries.from_series(task, self.pair.to_name, series, windows, rows)
        )

    def _values(self, series: Series) -> FloatArray:
        values = series.values
        return values if self.columns == list(range(values.shape[1])) else values[:, self.columns]


@dataclass(frozen=True, slots=True)
class TaskPrediction:
    """What is predicted of one task: its regions, how sure the least sure pair is of its series, from 0
    to 1, the number of rows that were read; 0 if none could be, and why something could not.
    """

    regions: list[dict[str, Any]]
    score: float
    rows: int
    problems: tuple[str, ...] = ()

    def scored(self, score: float) -> "TaskPrediction":
        """The same with another score."""
        return replace(self, score=score)

    def as_json(self, version: str) -> dict[str, Any]:
        """A prediction as Label Studio takes it."""
        return {"model_version": version, "score": self.score, "result": self.regions}


NOTHING = TaskPrediction([], 0.0, 0)


@dataclass(slots=True)
class Complaints:
    """What one request, or one look at tasks, could not read: in the log if that is news."""

    once: OnceLogger = field(default_factory=lambda: OnceLogger(logger))
    level: int = logging.WARNING
    known: set[int | str] = field(default_factory=set)

    def add(self, task: Mapping[str, Any], pair: str, error: Exception) -> None:
        """A pair of a task could not be predicted."""
        name = task_name(task)
        if not self.once.is_news((name, pair), f"{type(error).__name__}: {error}"):
            self.known.add(name)
        elif isinstance(error, SegmenterError):
            logger.log(self.level, "no prediction: %s", error)
        else:
            logger.error("no prediction for task %s", name, exc_info=error)

    def withdraw(self, task: Mapping[str, Any], pair: str) -> None:
        """A pair of a task was predicted: if it can't be again, that is news."""
        self.once.forget((task_name(task), pair))


@dataclass(frozen=True, slots=True)
class PredictionRequest:
    """What one request for predictions brings, and who watches it.

    `series` reads for as long as the request may wait, and what it may read; `once` is shared by the
    requests of a process, `observe` hears of each task that was predicted. `drawn` is what an annotator has
    drawn of the one task, if somebody draws just now.
    """

    tasks: Sequence[Mapping[str, Any]]
    config: LabelConfig
    series: SeriesReader
    once: OnceLogger = field(default_factory=lambda: OnceLogger(logger))
    observe: Observe = lambda _rows, _seconds: None
    drawn: Drawn | None = None


def predict_tasks(request: PredictionRequest, model: Model | None) -> list[dict[str, Any]]:
    """One Label Studio prediction per task, in their order; an empty one for tasks that are not read.

    A pair of tags that can't be read in a task gets no regions there, and a line in the log if that is
    news; so does one that the model has not learned, or whose channels the labeling config no longer has.
    What an annotator has drawn is completed: the regions are those that `Drawn` suggests.
    """
    version, drawn = model.version if model else UNTRAINED, request.drawn
    segmenters = pair_segmenters(model, request.config, request.once) if model else []
    if drawn:
        segmenters = [each for each in segmenters if drawn.invites(each.pair)]
    complaints = Complaints(request.once)
    predictions: list[TaskPrediction] = []
    for task, series in request.series.of_tasks(request.tasks, [each.pair for each in segmenters]):
        began = time.monotonic()
        predicted = predict_task(task, segmenters, series, complaints, drawn)
        seconds = time.monotonic() - began
        if predicted.rows:
            name = task_name(task)
            logger.info(
                "task %s: %d regions by %s in %.2f s",
                name,
                len(predicted.regions),
                version,
                seconds,
                extra={
                    "task": name,
                    "version": version,
                    "seconds": round(seconds, 4),
                    "rows": predicted.rows,
                },
            )
            request.observe(predicted.rows, seconds)
        predictions.append(predicted)
    if complaints.known:
        logger.info(
            "no prediction for %d more tasks, whose reasons were named before (the first is %s)",
            len(complaints.known),
            min(complaints.known, key=str),
        )
    predictions += [NOTHING] * (len(request.tasks) - len(predictions))
    return [each.as_json(version) for each in predictions]


def pair_segmenters(model: Model, config: LabelConfig, once: OnceLogger | None = None) -> list[PairSegmenter]:
    """What of the model can predict regions of the labeling config; in the log what can't, if it is news."""
    once = once or OnceLogger(logger)
    found = []
    for pair in config.pairs:
        segmenter = model.segmenter(pair, config)
        if segmenter is None:
            continue
        # Label Studio matches columns in any case
        names = [channel.strip().lower() for channel in pair.channels]
        wanted = [channel.strip().lower() for channel in segmenter.channels]
        missing = sorted(set(wanted) - set(names))
        if missing:
            text = (
                f"model {model.version} needs the channels {', '.join(missing)}, which {pair.to_name} no "
                "longer has; train again"
            )
            if once.is_news((model.version, pair.name), text):
                logger.warning("%s", text)
            continue
        found.append(PairSegmenter(pair, segmenter, [names.index(name) for name in wanted]))
    return found


def predict_task(
    task: Mapping[str, Any],
    segmenters: Sequence[PairSegmenter],
    series: SeriesOfTask,
    complaints: Complaints,
    drawn: Drawn | None = None,
) -> TaskPrediction:
    """The regions of all pairs of one task, or what is suggested after what is `drawn` of it.

    What can't be read is added to the `complaints`.
    """
    regions: list[dict[str, Any]] = []
    scores: list[float] = []
    rows = 0
    problems: list[str] = []
    for each in segmenters:
        try:
            pair = each.pair.of_task(task.get("data"))
            read = series.read(pair)
            segmentation = each.predict(read)
            segments = segmentation.segments
            regions += to_regions(drawn.suggested(segments, pair, read) if drawn else segments, pair, read)
        except OutOfTimeError as error:
            logger.debug("no prediction: %s", error)  # those of a request share one line
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
    return TaskPrediction(regions, min(scores, default=0.0), rows, tuple(problems))


def describe_task(task: Mapping[str, Any], pairs: Sequence[Describes], series: SeriesOfTask) -> Described:
    """The windows of a task's series, by the names of their TimeSeries; none of one that can't be read.

    Whoever predicts the task hears why.
    """
    found: dict[str, FloatArray] = {}
    for each in pairs:
        if each.pair.to_name in found:
            continue
        try:
            found[each.pair.to_name] = each.describe(series.read(each.pair.of_task(task.get("data"))))
        except Exception as error:  # noqa: BLE001  one bad task must not cost the others their order
            logger.debug("task %s: %s has no place in the order: %s", task_name(task), each.pair.name, error)
    return found


def long_series_of_task(
    task: Mapping[str, Any], segmenters: Sequence[PairSegmenter], series: SeriesOfTask, described: Described
) -> list[LongSeries]:
    """Those of the `described` series of a task that nobody annotates at a sitting."""
    by_name = {each.pair.to_name: each for each in reversed(segmenters)}
    found = []
    for name, windows in described.items():
        read = series.read(by_name[name].pair.of_task(task.get("data")))
        if long := by_name[name].long_series(task["id"], read, windows):
            found.append(long)
    return found
