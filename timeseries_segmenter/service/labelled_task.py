"""A labelled task as an example to learn from, or to measure against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.targets import annotation_segments, choose_annotation, class_indices
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.segment import Segment
from timeseries_segmenter.service.task_series import TaskSeries


@dataclass(frozen=True, slots=True)
class LabelledTask:
    """A task's series and the segments that a person drew on it."""

    task: int
    series: Series
    segments: list[Segment]

    @classmethod
    def read(cls, task: Mapping[str, Any], config: LabelConfig, series: TaskSeries) -> "LabelledTask | None":
        """The annotation of a task that counts, on the task's series; None where there is none.

        Raises SeriesError, DownloadError, LabelStudioError.
        """
        annotation = choose_annotation(task.get("annotations") or [])
        if annotation is None:
            return None
        read = series.read(task, config)
        try:
            return cls(task["id"], read, annotation_segments(annotation, config, read))
        except SeriesError as error:
            raise SeriesError(f"Task {task['id']}: {error}") from error

    def example(self, config: LabelConfig) -> Example:
        """The class of each row by the ranges, and the instants."""
        ranges = [segment for segment in self.segments if not segment.instant]
        instants = {
            (segment.first, config.labels.index(segment.label) + 1)
            for segment in self.segments
            if segment.instant
        }
        rows = np.array(sorted(instants), np.int64).reshape(-1, 2)
        return Example(
            self.series.values,
            class_indices(ranges, config.labels, len(self.series)),
            rows[:, 0],
            rows[:, 1],
        )
