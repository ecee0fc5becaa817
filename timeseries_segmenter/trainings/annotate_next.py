"""Which tasks to annotate next: those that hold most of what the annotated ones do not."""

import logging
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from timeseries_segmenter.errors import SegmenterError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.learning.coverage import Described, order_by_coverage
from timeseries_segmenter.project.long_series import LongSeries, most_worthwhile
from timeseries_segmenter.project.prediction import (
    Complaints,
    PairSegmenter,
    TaskPrediction,
    describe_task,
    long_series_of_task,
    predict_task,
)
from timeseries_segmenter.project.task import TaskId
from timeseries_segmenter.report.content import Unlabelled, WorthAnnotating
from timeseries_segmenter.sources.patience import Patience
from timeseries_segmenter.sources.task_series import TaskSeries

logger = logging.getLogger(__name__)

MOST_LOOKED_AT = 100  # tasks
MOST_DOWNLOADED = 15  # of these, for one training run; the next one has them at hand
MOST_NAMED = 10
SECONDS = 3.0  # until the new model is saved


@dataclass(frozen=True, slots=True)
class Look:
    """What is predicted of a task, the windows of its series, and those of them that are long."""

    prediction: TaskPrediction
    described: Described
    long: Sequence[LongSeries] = ()


LookedAt = Mapping[TaskId, Look]


def look_at(
    tasks: Iterable[Mapping[str, Any]], segmenters: Sequence[PairSegmenter], series: TaskSeries
) -> LookedAt:
    """What is predicted of the first tasks, as many as can be read in a moment.

    Few of them are downloaded, by chance, so that other ones are after each training run. Never raises for
    what keeps Label Studio or a file from being read: a training run does without.
    """
    began = time.monotonic()
    found: dict[TaskId, Look] = {}
    complaints = Complaints(level=logging.DEBUG)  # the log says it to a person who wants predictions
    unreadable = 0
    try:
        pairs = [each.pair for each in segmenters]
        chosen = _at_hand(islice(tasks, MOST_LOOKED_AT), pairs, series)
        for task, of_task in series.of_tasks(chosen, pairs, Patience(SECONDS)):
            predicted = predict_task(task, segmenters, of_task, complaints)
            if predicted.rows:
                described = describe_task(task, segmenters, of_task)
                long = long_series_of_task(task, segmenters, of_task, described)
                found[task["id"]] = Look(predicted, described, long)
            else:
                unreadable += 1
            if time.monotonic() - began > SECONDS:
                break
    except SegmenterError as error:
        logger.warning("no further tasks are looked at for what to annotate next: %s", error)
    if unreadable:
        logger.info(
            "%d of %d tasks without annotations can't be predicted: retrieve their predictions, and the log "
            "says why",
            unreadable,
            unreadable + len(found),
        )
    return found


def covering_most(looked_at: LookedAt, annotated: Sequence[Described]) -> list[Unlabelled]:
    """Those that add most to what the annotated tasks hold, in their order."""
    tasks = list(looked_at)
    order = order_by_coverage([looked_at[task].described for task in tasks], annotated)
    return [
        Unlabelled(task=tasks[place], score=looked_at[tasks[place]].prediction.score)
        for place in islice(order, MOST_NAMED)
    ]


def stretches_of_most(
    looked_at: LookedAt, annotated: Sequence[Described], rest: Sequence[LongSeries]
) -> list[WorthAnnotating]:
    """The stretches of long series that add most to what is annotated.

    They are of the `rest` of annotated series, and of series that nobody has annotated.
    """
    chosen = most_worthwhile([*rest, *(long for look in looked_at.values() for long in look.long)], annotated)
    found = []
    for series, place in chosen:
        start, end = series.ends[place]
        found.append(WorthAnnotating(task=series.task, series=series.name, start=start, end=end))
    return found


def _at_hand(
    tasks: Iterable[Mapping[str, Any]], pairs: Sequence[LabelPair], series: TaskSeries
) -> Iterator[Mapping[str, Any]]:
    """The tasks whose series are here, and some of the others. Raises what `tasks` raises, at the end."""
    others, failure = [], None
    try:
        for task in tasks:
            if series.holds(task, pairs):
                yield task
            else:
                others.append(task)
    except SegmenterError as error:
        failure = error
    yield from random.sample(others, min(len(others), MOST_DOWNLOADED))
    if failure:
        raise failure
