"""A labelled task as an example to learn from, or to measure against, and how a project's are read."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from timeseries_segmenter.errors import SegmenterError, SeriesError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.regions import stored_segments
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.targets import (
    AnnotatedSegments,
    choose_annotations,
    read_annotation,
)
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.project.agreement import Agreement, agree, row_classes
from timeseries_segmenter.project.evaluation import TOLERANCE, Comparison
from timeseries_segmenter.project.left_out import LeftOut
from timeseries_segmenter.project.series_reader import SeriesOfTask, SeriesReader
from timeseries_segmenter.project.task import TaskId, task_name
from timeseries_segmenter.segment import LabelSet, Segment

logger = logging.getLogger(__name__)

LOW_AGREEMENT = 0.5  # of several annotations: below it, more is disputed than learned
MOST_TOLD = 100  # tasks that are named, in the log, a job's state and a report


@dataclass(frozen=True, slots=True)
class LabelledTask:
    """A task's series and what people annotated on it, for one pair of tags.

    `labels` are those that they could choose from, `annotation` is the id of the newest one that counts, and
    `agreement` how far it agrees with the others, None if there is no other. `remarks` are sentences on what
    had to be guessed. Of a long series, it may be a stretch, which begins with the row `first`: it then has a
    part of the `whole` rows, and what is annotated there; the rest, agreement and remarks too, is the task's.
    """

    task: TaskId
    series: Series
    annotated: AnnotatedSegments
    labels: tuple[str, ...]
    annotation: int | None = None
    agreement: Agreement | None = None
    remarks: tuple[str, ...] = ()
    first: int = 0
    whole: int | None = None

    @property
    def segments(self) -> list[Segment]:
        """What is annotated, by the first row."""
        return self.annotated.segments

    @classmethod
    def read(cls, task: Mapping[str, Any], pair: LabelPair, series: SeriesOfTask) -> "LabelledTask | None":
        """The annotations of a task that count, on the task's series; None if there are none.

        Raises SeriesError, DownloadError, LabelStudioError; SeriesError, too, if no row teaches anything,
        RegionError if regions can't be placed.
        """
        name = task_name(task)
        annotations = choose_annotations(_annotations(task, name))
        if not annotations:
            return None
        read = series.read(pair)
        pair = pair.of_task(task.get("data"))
        try:
            annotated, agreement = _read_annotations(annotations, pair, read)
        except SeriesError as error:
            raise type(error)(f"Task {name}: {error}") from error
        number = annotations[0].get("id")
        used = (label for one in annotated.segments for label in one.labels)
        return cls(
            task["id"],
            read,
            annotated,
            tuple(dict.fromkeys([*pair.predicted_labels, *used])),
            number if isinstance(number, int) else None,
            agreement,
            tuple(
                f"Task {name}: {remark}"
                for remark in (
                    *_empty_channels(read),
                    *_coarse_channels(read),
                    *annotated.remarks,
                    *_low_agreement(agreement),
                )
            ),
        )

    def stretch(self, first: int, last: int) -> "LabelledTask":
        """A stretch of the task's series, from row `first` to row `last`."""
        return replace(
            self,
            series=self.series.stretch(first, last),
            annotated=self.annotated.stretch(first, last),
            first=first,
            whole=len(self.series),
        )

    def example(self, label_sets: Sequence[LabelSet]) -> Example:
        """The class of each row by the ranges, and the instants; class `i + 1` is `label_sets[i]`."""
        instants = {
            (segment.first, label_sets.index(segment.labels) + 1)
            for segment in self.segments
            if segment.instant and segment.labels in label_sets
        }
        rows = np.array(sorted(instants), np.int64).reshape(-1, 2)
        return Example(
            self.series.values,
            row_classes(self.annotated, label_sets, len(self.series)),
            rows[:, 0],
            rows[:, 1],
            self.series.times,
        )

    def compare(self, predicted: Sequence[Segment], tolerance: int = TOLERANCE) -> Comparison:
        """What is annotated with what is predicted of the series, where that is known."""
        stored = stored_segments(predicted, self.series)
        return Comparison.on_known_rows(self.segments, stored, self.annotated.known, tolerance)


def labels_of(tasks: Iterable[LabelledTask], pair: LabelPair) -> tuple[str, ...]:
    """The labels of a pair, and after them those that the tasks bring."""
    return tuple(dict.fromkeys([*pair.predicted_labels, *(label for task in tasks for label in task.labels)]))


def count_tasks(tasks: Iterable[LabelledTask]) -> int:
    """How many tasks there are; stretches of one are one."""
    return len({task.task for task in tasks})


def task_ids(labelled: Mapping[str, Iterable[LabelledTask]]) -> list[TaskId]:
    """The tasks of all pairs, each once."""
    return list(dict.fromkeys(task.task for of_pair in labelled.values() for task in of_pair))


def remarks_on(labelled: Mapping[str, Iterable[LabelledTask]]) -> list[str]:
    """What had to be guessed of the tasks of all pairs, each sentence once."""
    tasks = [task for of_pair in labelled.values() for task in of_pair]
    several = len({task.task for task in tasks if task.agreement})
    people = (
        "1 task has annotations of several people and no ground truth"
        if several == 1
        else f"{several} tasks have annotations of several people and no ground truth"
    )
    remarks = [f"{people}: rows on which they differ teach nothing."] if several else []
    return list(dict.fromkeys([*remarks, *(remark for task in tasks for remark in task.remarks)]))


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
    """The annotated tasks of each pair, by its name; `errors` and `left_out` as in `read_each`."""
    labelled: dict[str, list[LabelledTask]] = {pair.name: [] for pair in config.pairs}
    for _, of_pairs in read_each(tasks, config, series, errors, left_out):
        for name, task in of_pairs.items():
            labelled[name].append(task)
    return labelled


def read_each(
    tasks: Iterable[Mapping[str, Any]],
    config: LabelConfig,
    series: SeriesReader,
    errors: tuple[type[SegmenterError], ...],
    left_out: Callable[[LeftOut], None],
) -> Iterator[tuple[Mapping[str, Any], dict[str, LabelledTask]]]:
    """Each task as its pairs learn from it, by their names.

    A task that can't be read, by one of `errors` or for whatever is not a SegmenterError, is left out
    of its pair: its rows must not pass for background. `left_out` hears of each task once.
    """
    for task, of_task in series.of_tasks(tasks, config.pairs):
        of_pairs: dict[str, LabelledTask] = {}
        reasons: dict[str, list[str]] = {}
        passing = False
        for pair in config.pairs:
            try:
                if read := LabelledTask.read(task, pair, of_task):
                    of_pairs[pair.name] = read
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
        yield task, of_pairs


def _read_annotations(
    annotations: Sequence[Mapping[str, object]], pair: LabelPair, series: Series
) -> tuple[AnnotatedSegments, Agreement | None]:
    """What they say together. Raises SeriesError if one can't be read, or no row teaches anything."""
    if len(annotations) == 1:
        annotated, agreement = read_annotation(annotations[0], pair, series), None
        if not annotated.known.any():
            raise SeriesError(
                "its annotation has no region, and without one, nothing is learned with "
                f'model_unlabeled="{pair.settings.unlabeled}"; draw one, or skip the task'
            )
        return annotated, agreement
    annotated, agreement = agree([read_annotation(each, pair, series) for each in annotations], len(series))
    if not annotated.known.any():
        raise SeriesError(
            f"its {len(annotations)} annotations agree on no row; correct them, or make one the ground truth"
        )
    return annotated, agreement


def _low_agreement(agreement: Agreement | None) -> Iterator[str]:
    if agreement and agreement.share < LOW_AGREEMENT:
        yield (
            f"its {agreement.annotations} annotations agree on {agreement.share:.0%} of what any of them "
            "labels, so little is learned from it; correct them, or make one the ground truth"
        )


def _empty_channels(series: Series) -> Iterator[str]:
    for channel in series.empty_channels:
        yield f'the channel "{channel}" has no value in any row, and counts as average; correct the file'


def _coarse_channels(series: Series) -> Iterator[str]:
    for channel, value, step in series.coarse_channels:
        yield (
            f'the channel "{channel}" hardly changes beside its values of up to {value:g}, of which steps of '
            f"{step:.2g} are kept; subtract a constant from it in the file, or remove the channel"
        )


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
