"""A labelled task as an example to learn from, or to measure against, and how a project's are read."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timeseries_segmenter.errors import SegmenterError, SeriesError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.targets import annotation_segments, choose_annotation, class_indices
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.segment import LabelSet, Segment
from timeseries_segmenter.service.task_series import SeriesOfTask, TaskSeries, task_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LabelledTask:
    """A task's series and the segments that a person drew on it, for one pair of tags.

    `labels` are those that the person could choose from, `annotation` is the id of the one that counts.
    """

    task: int
    series: Series
    segments: list[Segment]
    labels: tuple[str, ...]
    annotation: int | None = None

    @classmethod
    def read(cls, task: Mapping[str, Any], pair: LabelPair, series: SeriesOfTask) -> "LabelledTask | None":
        """The annotation of a task that counts, on the task's series; None where there is none.

        Raises SeriesError, DownloadError, LabelStudioError.
        """
        annotation = choose_annotation(task.get("annotations") or [])
        if annotation is None:
            return None
        read = series.read(pair)
        pair = pair.of_task(task.get("data"))
        try:
            segments = annotation_segments(annotation, pair, read)
        except SeriesError as error:
            raise SeriesError(f"Task {task['id']}: {error}") from error
        number = annotation.get("id")
        return cls(task["id"], read, segments, pair.labels, number if isinstance(number, int) else None)

    def example(self, label_sets: Sequence[LabelSet]) -> Example:
        """The class of each row by the ranges, and the instants; class `i + 1` is `label_sets[i]`."""
        ranges = [segment for segment in self.segments if not segment.instant]
        instants = {
            (segment.first, label_sets.index(segment.labels) + 1)
            for segment in self.segments
            if segment.instant and segment.labels in label_sets
        }
        rows = np.array(sorted(instants), np.int64).reshape(-1, 2)
        return Example(
            self.series.values,
            class_indices(ranges, label_sets, len(self.series)),
            rows[:, 0],
            rows[:, 1],
        )


def labels_of(tasks: Iterable[LabelledTask], pair: LabelPair) -> tuple[str, ...]:
    """The labels of a pair, and after them those that the tasks bring."""
    return tuple(dict.fromkeys([*pair.labels, *(label for task in tasks for label in task.labels)]))


def task_ids(labelled: Mapping[str, Iterable[LabelledTask]]) -> list[int]:
    """The tasks of all pairs, each once."""
    return list(dict.fromkeys(task.task for of_pair in labelled.values() for task in of_pair))


LeftOut = Callable[[Mapping[str, Any], str], None]  # a task, and why


def read_labelled_tasks(
    tasks: Iterable[Mapping[str, Any]],
    config: LabelConfig,
    series: TaskSeries,
    errors: tuple[type[SegmenterError], ...],
    left_out: LeftOut,
) -> dict[str, list[LabelledTask]]:
    """The annotated tasks of each pair, by its name.

    A task that can't be read, by one of `errors` or for whatever is not a SegmenterError, is left out
    of its pair.
    """
    labelled: dict[str, list[LabelledTask]] = {pair.name: [] for pair in config.pairs}
    for task, of_task in series.of_tasks(tasks, config.pairs):
        told: set[str] = set()
        for pair in config.pairs:
            try:
                if read := LabelledTask.read(task, pair, of_task):
                    labelled[pair.name].append(read)
                continue
            except errors as error:
                reason = str(error)
            except SegmenterError:
                raise
            except Exception as error:  # one bad task must not cost the rest
                logger.exception("task %s can't be read", task_name(task))
                reason = f"Task {task_name(task)}: {type(error).__name__}; see the log"
            if reason not in told:
                told.add(reason)
                left_out(task, reason)
    return labelled
