"""What the project asks of whoever finds the series of tasks; `sources` does."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series


class SeriesOfTask(Protocol):
    """The series of one task."""

    def read(self, pair: LabelPair) -> Series:
        """The series `(T, C)` that a pair labels. Raises SeriesError, DownloadError, LabelStudioError."""


class SeriesReader(Protocol):
    """Reads the series of many tasks."""

    def of_tasks(
        self, tasks: Iterable[Mapping[str, Any]], pairs: Sequence[LabelPair]
    ) -> Iterator[tuple[Mapping[str, Any], SeriesOfTask]]:
        """Tasks in their order, each with its series; it may end early, if nobody waits for the rest."""
