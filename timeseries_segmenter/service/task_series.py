"""A task's series, wherever its data is."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from timeseries_segmenter.errors import SegmenterError, SeriesError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series, read_series
from timeseries_segmenter.service.downloads import Downloader
from timeseries_segmenter.service.label_studio import LabelStudioClient
from timeseries_segmenter.service.patience import Patience
from timeseries_segmenter.service.side_by_side import AHEAD, AHEAD_IN_ALL, SideBySide, side_by_side
from timeseries_segmenter.settings import Settings

T = TypeVar("T")


class Source(Protocol):
    """What fetches the bytes that a task's data names."""

    def fetch(self, source: str, task: int | str) -> bytes:
        """As `Downloader.fetch`."""


class TaskSeries:
    """Reads the series of tasks: inline, or from where the downloader finds it."""

    def __init__(self, downloader: Downloader) -> None:
        self._downloader = downloader
        self._source: Source = downloader
        self._ahead = threading.BoundedSemaphore(AHEAD_IN_ALL)

    @classmethod
    def of(cls, settings: Settings, on_cache: Callable[[bool], None] | None = None) -> "TaskSeries":
        """With a downloader and a Label Studio client of its own; `on_cache` as in `Downloader`."""
        label_studio = LabelStudioClient(settings, timeout=settings.download_timeout)
        return cls(Downloader(settings, label_studio, on_cache=on_cache))

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
            return read_series(self._source.fetch(value.strip(), number), pair, number)
        raise SeriesError(
            f"Task {number}: {pair.value} is {value!r:.60}; it should be "
            + ("a set of columns" if pair.value_type == "json" else "the address of a file")
        )

    def of_task(self, task: Mapping[str, Any]) -> "SeriesOfTask":
        """The series of one task, for all pairs of tags."""
        return SeriesOfTask(self, task)

    def of_tasks(
        self,
        tasks: Iterable[Mapping[str, Any]],
        pairs: Sequence[LabelPair],
        patience: Patience | None = None,
    ) -> Iterator[tuple[Mapping[str, Any], "SeriesOfTask"]]:
        """Tasks in their order, each with its series, while those of the next ones are downloaded.

        `patience` is what they share; by default it is that of a training run.
        """
        patience = patience or Patience()
        with side_by_side(self._downloader, patience, self._ahead) as downloads:
            reader = TaskSeries(self._downloader)
            reader._source = downloads
            waiting: deque[tuple[Mapping[str, Any], SeriesOfTask]] = deque()
            try:
                for task in tasks:
                    waiting.append((task, SeriesOfTask(reader, task)))
                    _begin(downloads, task, pairs)
                    if len(waiting) > AHEAD:
                        yield waiting.popleft()
            except SegmenterError:  # of who lists the tasks: the ones before can be read
                yield from _emptied(waiting)
                raise
            yield from _emptied(waiting)


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


def _emptied(waiting: deque[T]) -> Iterator[T]:
    while waiting:  # nothing that was given is kept
        yield waiting.popleft()


def _begin(downloads: SideBySide, task: Mapping[str, Any], pairs: Sequence[LabelPair]) -> None:
    """Fetch ahead what `TaskSeries.read` will ask for; that also says what is wrong with the others."""
    data = task.get("data")
    for pair in {each.to_name: each for each in pairs}.values():
        if not isinstance(data, Mapping) or pair.value_type == "json":
            continue
        try:
            value = pair.find_value(data)
        except SeriesError:
            continue
        if isinstance(value, str) and value.strip():
            downloads.begin(value.strip(), task_name(task))


def task_name(task: Mapping[str, Any]) -> int | str:
    """A task's id as messages may hold it: a number, or a short text on one line."""
    name = task.get("id")
    if isinstance(name, int):
        return name
    return repr(name[:30]) if isinstance(name, str) else "without an id"
