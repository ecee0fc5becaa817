"""The order in which a project's tasks are best annotated, as the scores that Label Studio sorts by."""

import logging
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from timeseries_segmenter.learning.coverage import Described, order_by_coverage
from timeseries_segmenter.project.prediction import Describes, describe_task
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.known_tasks import KnownTasks
from timeseries_segmenter.sources.patience import Patience
from timeseries_segmenter.sources.stored_predictions import PredictionsClient
from timeseries_segmenter.sources.task_series import TaskSeries

logger = logging.getLogger(__name__)

MOST_COVERED = 100  # annotated tasks, by chance: more of them say much the same
TASKS_AT_ONCE = 100  # that Label Studio lists
SECONDS = 30.0  # people wait for predictions
LAST = 1.0  # the score of a task without a place in the order


class LabelingOrder:
    """Reads the series of a project's tasks, and puts them in an order, with one set of settings."""

    def __init__(self, settings: Settings, label_studio: PredictionsClient, series: TaskSeries) -> None:
        self._most = settings.predict_after_training
        self._seed = settings.random_seed
        self._label_studio = label_studio
        self._known_tasks = KnownTasks(settings, label_studio)
        self._series = series

    def scores(
        self, project: int, label_config: str, pairs: Sequence[Describes], version: str, until: float
    ) -> dict[int, float]:
        """The places of the first PREDICT_AFTER_TRAINING tasks without annotations, evenly from 0 to LAST.

        The lowest one is that of the task which adds most to what the annotated tasks hold, the next one that
        of the task which then adds most. Tasks that `version` gave a score keep it, and the others come
        between them: to rewrite all scores would take a request for each. What can't be read within SECONDS,
        and before `until` by the monotonic clock, is left out. Raises LabelStudioError.
        """
        began = time.monotonic()
        until = min(until, began + SECONDS)
        annotated = self._annotated(project, label_config)
        covered = self._described(annotated, pairs, until)
        kept: dict[int, float] = {}
        unlabelled = islice(self._unlabelled(project, version, kept), self._most)
        waiting = self._described(unlabelled, pairs, until)
        tasks = list(waiting)
        order = list(order_by_coverage(list(waiting.values()), list(covered.values())))
        logger.info(
            "project %d: %d tasks are in order, by what %d annotated ones hold already, in %.1f s",
            project,
            len(tasks),
            len(covered),
            time.monotonic() - began,
            extra={"project": project, "seconds": round(time.monotonic() - began, 4)},
        )
        return place_between([tasks[place] for place in order], kept)

    def _annotated(self, project: int, label_config: str) -> Iterator[dict[str, Any]]:
        """Some of the annotated tasks, by chance."""
        ids = [each.id for each in self._known_tasks.annotated(project, label_config)]
        some = random.Random(self._seed).sample(ids, min(len(ids), MOST_COVERED))
        return self._known_tasks.read(project, some)

    def _unlabelled(self, project: int, version: str, kept: dict[int, float]) -> Iterator[dict[str, Any]]:
        """Those tasks; what scores they have by the version goes to `kept`."""
        last = 0
        while True:
            most = min(TASKS_AT_ONCE, self._most)
            tasks, _ = self._label_studio.unlabelled_after(project, last, most)
            if not tasks:
                return
            for task in tasks:
                if (score := task.score(version)) is not None:
                    kept[task.id] = score
                yield {"id": task.id, "data": task.data}
            last = tasks[-1].id

    def _described(
        self, tasks: Iterable[Mapping[str, Any]], pairs: Sequence[Describes], until: float
    ) -> dict[int, Described]:
        """The windows of each task that can be read in time."""
        found: dict[int, Described] = {}
        left = until - time.monotonic()
        if left <= 0:
            return found
        read = [each.pair for each in pairs]
        for task, series in self._series.of_tasks(tasks, read, Patience(left)):
            if described := describe_task(task, pairs, series):
                found[task["id"]] = described
            if time.monotonic() >= until:
                break
        return found


def place_between(order: Sequence[int], kept: Mapping[int, float]) -> dict[int, float]:
    """Scores from 0 to LAST of the tasks in an order: those that are `kept` as they are, and others between.

    A task comes after as many of those that are kept as the order has before it.
    """
    ends = [0.0, *sorted(kept[task] for task in order if task in kept), LAST]
    scores: dict[int, float] = {}
    before = 0
    for is_kept, run in groupby(order, key=kept.__contains__):
        tasks = list(run)
        if is_kept:
            scores |= {task: kept[task] for task in tasks}
            before += len(tasks)
            continue
        low, high = ends[before : before + 2]
        for number, task in enumerate(tasks, 1):
            scores[task] = low + (high - low) * number / (len(tasks) + 1)
    return scores
