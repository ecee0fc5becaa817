"""A task's series, wherever its data is."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from timeseries_segmenter.errors import LabelStudioError, SegmenterError, SeriesError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series, read_series
from timeseries_segmenter.labeling.tables.cells import shown
from timeseries_segmenter.project.task import task_name
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.download_cache import File
from timeseries_segmenter.sources.downloads import Downloader
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.patience import Patience
from timeseries_segmenter.sources.series_cache import SeriesCache
from timeseries_segmenter.sources.side_by_side import AHEAD, AHEAD_IN_ALL, side_by_side
from timeseries_segmenter.sources.vouching import Voucher

T = TypeVar("T")


class Source(Protocol):
    """What finds the file that a task's data names."""

    def find(self, source: str, task: int | str) -> File:
        """As `Downloader.find`."""


class TaskSeries:
    """Reads the series of tasks: inline, or from where the downloader finds it."""

    def __init__(self, downloader: Downloader, cache: SeriesCache | None = None) -> None:
        self._downloader = downloader
        self._cache = cache
        self._source: Source = downloader
        self._ahead = threading.BoundedSemaphore(AHEAD_IN_ALL)

    @classmethod
    def from_settings(
        cls, settings: Settings, on_cache: Callable[[bool], None] | None = None
    ) -> "TaskSeries":
        """With a downloader and a Label Studio client of its own; `on_cache` as in `Downloader`."""
        label_studio = LabelStudioClient(settings, timeout=settings.download_timeout)
        return cls(Downloader(settings, label_studio, on_cache=on_cache), SeriesCache.from_settings(settings))

    def read(self, task: Mapping[str, Any], pair: LabelPair) -> Series:
        """The series of a Label Studio task. Raises SeriesError, DownloadError, LabelStudioError."""
        number = task_name(task)
        data = task.get("data")
        if not isinstance(data, Mapping):
            raise SeriesError(f"Task {number}: its data is {type(data).__name__}, not a set of keys")
        try:
            value = pair.find_value(data)
            content = self._content(value, pair, number)
        except SeriesError as error:
            raise SeriesError(f"Task {number}: {error}") from error
        if isinstance(content, File):
            return self._read_file(content, pair, number, f"{value!r:.300}")
        return read_series(content, pair, number, name="the series")

    def _read_file(self, file: File, pair: LabelPair, number: int | str, name: str) -> Series:
        with file:
            known = self._cache.get(file.identity, pair) if self._cache else None
            if known:
                return known
            series = read_series(file.content, pair, number, name=name, spill=self._downloader.spill)
        return self._cache.put(file.identity, pair, series) if self._cache else series

    def _content(
        self, value: object, pair: LabelPair, number: int | str
    ) -> File | str | Mapping[str, Sequence[object]]:
        """The series that a task holds or names. Raises SeriesError, DownloadError, LabelStudioError."""
        if pair.value_type != "json" and (key := _key_of_address(value)) is not None:
            raise SeriesError(
                f"{pair.value} is {shown(value)}, where the address of a file is expected; write "
                f'value="{pair.value}{key}" for the first'
            )
        if isinstance(value, Mapping):
            return value
        text = value.strip() if isinstance(value, str) else ""
        if pair.value_type == "json":
            if isinstance(value, list | tuple):
                return _columns(value, pair)
            if text[:1] in ("{", "["):
                return text
            if text:
                raise SeriesError(
                    f'{pair.value} is {text!r:.60}, but valueType="json" of TimeSeries "{pair.to_name}" says '
                    'that the task holds the series itself; write valueType="url" for the address of a file, '
                    "or give the task a set of columns"
                )
        elif text[:1] in ("{", "[") or isinstance(value, list | tuple):
            raise SeriesError(
                f'{pair.value} holds JSON, {str(value)!r:.60}, but TimeSeries "{pair.to_name}" expects the '
                'address of a file; write valueType="json"'
            )
        elif len(text.splitlines()) > 1:
            raise SeriesError(
                f"{pair.value} holds the text of a file, {text!r:.60}, where its address is expected; save "
                'it as a file and name that, or write valueType="json" and give the task a set of columns'
            )
        elif text:
            return self._file(text, number)
        raise SeriesError(
            f"{pair.value} is {value!r:.60}; it should be "
            + ("a set of columns" if pair.value_type == "json" else "the address of a file")
        )

    def _file(self, source: str, number: int | str) -> File:
        try:
            return self._source.find(source, number)
        except LabelStudioError as error:
            failure = LabelStudioError(f"Task {number}: {source!r:.300} is a file of Label Studio: {error}")
            failure.passing = error.passing
            raise failure from error

    def holds(self, task: Mapping[str, Any], pairs: Sequence[LabelPair]) -> bool:
        """Whether no series of a task has to be downloaded, or maybe not again."""
        return all(
            self._downloader.holds(source)
            for source in _sources(task, pairs)
            if self._downloader.is_remote(source)
        )

    def of_task(self, task: Mapping[str, Any]) -> "SeriesOfTask":
        """The series of one task, for all pairs of tags."""
        return SeriesOfTask(self, task)

    def of_tasks(
        self,
        tasks: Iterable[Mapping[str, Any]],
        pairs: Sequence[LabelPair],
        patience: Patience | None = None,
        voucher: Voucher | None = None,
    ) -> Iterator[tuple[Mapping[str, Any], "SeriesOfTask"]]:
        """Tasks in their order, each with its series, while those of the next ones are downloaded.

        `patience` is what they share, by default that of a training run; `voucher` says what may be read.
        """
        patience = patience or Patience()
        with side_by_side(self._downloader, patience, self._ahead, voucher) as downloads:
            reader = TaskSeries(self._downloader, self._cache)
            reader._source = downloads
            waiting: deque[tuple[Mapping[str, Any], SeriesOfTask]] = deque()
            try:
                for task in tasks:
                    waiting.append((task, SeriesOfTask(reader, task)))
                    for source in _sources(task, pairs):
                        downloads.begin(source, task_name(task))
                    if len(waiting) > AHEAD:
                        yield waiting.popleft()
            except SegmenterError:  # of who lists the tasks: the ones before can be read
                yield from _emptied(waiting)
                raise
            yield from _emptied(waiting)


def _key_of_address(value: object) -> str | None:
    """The path to the first of a list or an object of texts; None if it is not one."""
    if isinstance(value, list | tuple) and value and all(isinstance(each, str) for each in value):
        return "[0]"
    if isinstance(value, Mapping) and value and all(isinstance(each, str) for each in value.values()):
        return f".{next(iter(value))}"
    return None


def _columns(listed: Sequence[object], pair: LabelPair) -> dict[str, Sequence[object]]:
    """A list of columns, which a labeling config names by their numbers, as the editor does."""
    columns: dict[str, Sequence[object]] = {}
    for number, column in enumerate(listed):
        if not isinstance(column, list | tuple):
            rows = " (a list of rows)" if isinstance(column, Mapping) else ""
            raise SeriesError(
                f'{pair.value} is {listed!r:.60}{rows}; write a set of columns, such as {{"time": [0, 1], '
                '"value": [2.5, 3.5]}'
            )
        columns[str(number)] = column
    return columns


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


def _sources(task: Mapping[str, Any], pairs: Sequence[LabelPair]) -> Iterator[str]:
    """What `TaskSeries.read` will ask for; that also says what is wrong with the others."""
    data = task.get("data")
    for pair in {each.to_name: each for each in pairs}.values():
        if not isinstance(data, Mapping) or pair.value_type == "json":
            continue
        try:
            value = pair.find_value(data)
        except SeriesError:
            continue
        if isinstance(value, str) and value.strip():
            yield value.strip()
