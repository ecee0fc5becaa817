"""A task's series, wherever its data is."""

from collections.abc import Callable, Mapping
from typing import Any

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series, read_series
from timeseries_segmenter.service.downloads import Downloader
from timeseries_segmenter.service.label_studio import LabelStudioClient
from timeseries_segmenter.settings import Settings


class TaskSeries:
    """Reads the series of tasks: inline, or from where the downloader finds it."""

    def __init__(self, downloader: Downloader) -> None:
        self._downloader = downloader

    @classmethod
    def of(cls, settings: Settings, on_cache: Callable[[bool], None] | None = None) -> "TaskSeries":
        """With a downloader and a Label Studio client of its own; `on_cache` as in `Downloader`."""
        return cls(Downloader(settings, LabelStudioClient(settings), on_cache=on_cache))

    def read(self, task: Mapping[str, Any], pair: LabelPair) -> Series:
        """The series of a Label Studio task. Raises SeriesError, DownloadError, LabelStudioError."""
        number = task_name(task)
        data = task.get("data")
        if not isinstance(data, Mapping):
            raise SeriesError(f"Task {number}: its data is {type(data).__name__}, not a set of keys")
        try:
            value = pair.find_value(data)
        except SeriesError as error:
            raise SeriesError(f"Task {number}: {error}") from error
        if isinstance(value, Mapping) or (pair.value_type == "json" and isinstance(value, str)):
            return read_series(value, pair, number)
        if isinstance(value, str) and value.strip():
            return read_series(self._downloader.fetch(value.strip(), number), pair, number)
        raise SeriesError(
            f"Task {number}: {pair.value} is {value!r:.60}; it should be "
            + ("a set of columns" if pair.value_type == "json" else "the address of a file")
        )

    def of_task(self, task: Mapping[str, Any]) -> "SeriesOfTask":
        """The series of one task, for all pairs of tags."""
        return SeriesOfTask(self, task)


class SeriesOfTask:
    """The series of one task: each is read once, however many pairs label it."""

    def __init__(self, reader: TaskSeries, task: Mapping[str, Any]) -> None:
        self._reader = reader
        self._task = task
        self._known: dict[str, Series] = {}

    def read(self, pair: LabelPair) -> Series:
        """The series that a pair labels. Raises SeriesError, DownloadError, LabelStudioError."""
        if pair.to_name not in self._known:
            self._known[pair.to_name] = self._reader.read(self._task, pair)
        return self._known[pair.to_name]


def task_name(task: Mapping[str, Any]) -> int | str:
    """A task's id as messages may hold it: a number, or a short text on one line."""
    name = task.get("id")
    if isinstance(name, int):
        return name
    return repr(name[:30]) if isinstance(name, str) else "without an id"
