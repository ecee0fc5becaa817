"""A labelled task as an example to learn from, or to measure against, and how a project's are read."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timeseries_segmenter.errors import SegmenterError, SeriesError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.targets import choose_annotation, class_indices, read_annotation
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.project.left_out import LeftOut
from timeseries_segmenter.project.series_reader import SeriesOfTask, SeriesReader
from timeseries_segmenter.project.task import TaskId, task_name
from timeseries_segmenter.segment import LabelSet, Segment

logger = logging.getLogger(__name__)

MOST_TOLD = 100  # tasks that are named, in the log, a job's state and a report


@dataclass(frozen=True, slots=True)
class LabelledTask:
    """A task's series and the segments that a person drew on it, for one pair of tags.

    `labels` are those that the person could choose from, `annotation` is the id of the one that counts.
    `remarks` are sentences on what had to be guessed.
    """

    task: TaskId
    series: Series
    segments: list[Segment]
    labels: tuple[str, ...]
    annotation: int | None = None
    remarks: tuple[str, ...] = ()

    @classmethod
    def read(cls, task: Mapping[str, Any], pair: LabelPair, series: SeriesOfTask) -> "LabelledTask | None":
        """The annotation of a task that counts, on the task's series; None where there is none.

        Raises SeriesError, DownloadError, LabelStudioError; RegionError where regions can't be placed.
        """
        name = task_name(task)
        annotation = choose_annotation(_annotations(task, name))
        if annotation is None:
            return None
        read = series.read(pair)
        pair = pair.of_task(task.get("data"))
        try:
            annotated = read_annotation(annotation, pair, read)
        except SeriesError as error:
            raise type(error)(f"Task {name}: {error}") from error
        number = annotation.get("id")
        return cls(
            task["id"],
            read,
            annotated.segments,
            tuple(
                dict.fromkeys([*pair.labels, *(name for one in annotated.segments for name in one.labels)])
            ),
            number if isinstance(number, int) else None,
            tuple(f"Task {name}: {remark}" for remark in (*_empty_channels(read), *annotated.remarks)),
        )

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


def task_ids(labelled: Mapping[str, Iterable[LabelledTask]]) -> list[TaskId]:
    """The tasks of all pairs, each once."""
    return list(dict.fromkeys(task.task for of_pair in labelled.values() for task in of_pair))


def remarks_on(labelled: Mapping[str, Iterable[LabelledTask]]) -> list[str]:
    """What had to be guessed of the tasks of all pairs, each sentence once."""
    return list(
        dict.fromkeys(remark for of_pair in labelled.values() for task in of_pair for remark in task.remarks)
    )


def shortened(sentences: Sequence[str]) -> list[str]:
    """As many as people read, and how many more there are."""
    more = len(sentences) - MOST_TOLD
    return [*sentences[:MOST_TOLD], *([f"{more} more, for reasons such as these."] if more > 0 else [])]


def read_labelled_tasks(
    tasks: Iterable[Mapping[str, Any]],
    config: LabelConfig,
    series: SeriesReader,
    errors: tuple[type[SegmenterError], ...],
    left_out: Callable[[LeftOut], None],
) -> dict[str, list[LabelledTask]]:
    """The annotated tasks of each pair, by its name.

    A task that can't be read, by one of `errors` or for whatever is not a SegmenterError, is left out
    of its pair: its rows must not pass for background. `left_out` hears of each task once.
    """
    labelled: dict[str, list[LabelledTask]] = {pair.name: [] for pair in config.pairs}
    for task, of_task in series.of_tasks(tasks, config.pairs):
        reasons: dict[str, list[str]] = {}
        passing = False
        for pair in config.pairs:
            try:
                if read := LabelledTask.read(task, pair, of_task):
                    labelled[pair.name].append(read)
                continue
            except errors as error:
                reason = str(error)
                passing |= error.passing
            except SegmenterError:
                raise
            except Exception as error:  # one bad task must not cost the rest
                logger.exception("task %s can't be read", task_name(task))
                reason = f"Task {task_name(task)}: {type(error).__name__}; see the log"
                passing |= isinstance(error, OSError | MemoryError)
            reasons.setdefault(reason, []).append(pair.name)
        if reasons:
            pairs = tuple(name for names in reasons.values() for name in names)
            left_out(LeftOut(task["id"], _joined(reasons, len(config.pairs)), pairs, passing))
    return labelled


def _empty_channels(series: Series) -> Iterator[str]:
    for channel in series.empty_channels:
        yield f'the channel "{channel}" has no value in any row, and counts as average; correct the file'


def _joined(reasons: Mapping[str, Sequence[str]], pairs: int) -> str:
    """Why a task is left out, each reason with the pairs that it concerns where others are learned."""
    return " ".join(
        reason if len(names) == pairs else f"{reason.rstrip('.')} (left out of {', '.join(names)})."
        for reason, names in reasons.items()
    )


def _annotations(task: Mapping[str, Any], name: TaskId) -> list[Mapping[str, Any]]:
    """The annotations of a task. Raises SeriesError where they are none, but numbers, say."""
    annotations = task.get("annotations") or []
    if isinstance(annotations, list) and all(isinstance(each, Mapping) for each in annotations):
        return annotations
    raise SeriesError(
        f"Task {name}: its annotations are {annotations!r:.60}; export the project as JSON, with whole "
        "annotations"
    )
