"""A task's series: its channels as an array, and its time as Label Studio writes it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.tables.cells import CellError, Floats, Texts, shown
from timeseries_segmenter.labeling.tables.column_table import ColumnTable
from timeseries_segmenter.labeling.tables.csv_bytes import BOM
from timeseries_segmenter.labeling.tables.csv_table import CsvTable
from timeseries_segmenter.labeling.time.axis import Time, TimeAxis
from timeseries_segmenter.labeling.time.column import read_axis

__all__ = ["Series", "TimeAxis", "read_series"]

MAX_JSON = 128_000_000  # bytes: as Python objects they take some ten times as much
MAX_BRACKETS = 1_000_000
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*\{")


@dataclass(frozen=True, eq=False)
class Series:
    """The channels of one task and their time.

    `values` is `(T, C)` float32. Missing values are interpolated between their neighbours
    by row, and take the nearest value at the ends; a channel without any value is all NaN,
    which the network reads as the channel's mean. `channels` are the labeling config's names.
    """

    values: NDArray[np.float32]
    channels: tuple[str, ...]
    time: TimeAxis

    def __len__(self) -> int:
        return len(self.values)

    @property
    def empty_channels(self) -> tuple[str, ...]:
        """The channels without any value in this series."""
        empty = np.isnan(self.values[0])  # what is missing has its neighbour's value, where there is one
        return tuple(name for name, missing in zip(self.channels, empty, strict=True) if missing)

    def having_read(self, texts: Iterable[str]) -> "Series":
        """The same series, for which these starts and ends are read; see `TimeAxis.having_read`."""
        time = self.time.having_read(texts)
        return self if time is self.time else replace(self, time=time)

    def rows(self, start: object, end: object) -> tuple[int, int] | None:
        """The first and last row, both inclusive, of a region; see `TimeAxis.rows`."""
        return self.time.rows(start, end)

    def start_end(self, first: int, last: int) -> tuple[Time, Time]:
        """The start and end of a region over these rows; see `TimeAxis.start_ends`."""
        return self.time.start_end(first, last)


def read_series(
    content: bytes | str | Mapping[str, Sequence[object]] | Sequence[object], pair: LabelPair, task: int | str
) -> Series:
    """Read a task's series: the text of a CSV or JSON file, a dict of columns, or a list of them.

    Messages name the task, the column, the row and the value. Rows count from 1, without
    the header; those of a file are given with their line.

    Raises:
        SeriesError: a column is missing, a cell is text, a time is missing or decreases,
            rows or columns differ in length, there are none, or no channel has a value.

    """
    try:
        return _series(_table(content, pair), pair)
    except SeriesError as error:
        raise SeriesError(f"Task {task}: {error}.") from error


def _table(content: object, pair: LabelPair) -> CsvTable | ColumnTable:
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    if isinstance(content, bytes):
        if pair.value_type != "json" and not _JSON.match(content):
            wanted = [*pair.channels, *([pair.time_column] if pair.time_column else [])]
            return CsvTable(content, pair.separator, wanted)
        content = _json(content)
    if isinstance(content, Mapping) or _is_list_of_columns(content):
        return ColumnTable(content)
    raise SeriesError(f"the series is {shown(content)}; write a dict of columns")


def _json(content: bytes) -> Any:
    content = content.removeprefix(BOM)
    brackets = content.count(b"[") + content.count(b"{")
    if len(content) > MAX_JSON or brackets > MAX_BRACKETS:
        raise SeriesError(
            f"the series is JSON of {len(content)} bytes with {brackets} brackets (at most {MAX_JSON} and "
            f"{MAX_BRACKETS}); write a dict of columns, save the series as CSV, or cut it into shorter ones"
        )
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SeriesError(f"the series isn't JSON ({error}); write a dict of columns") from error


def _is_list_of_columns(content: object) -> TypeGuard[Sequence[object]]:
    """Whether this is a list of lists, whose names are their numbers to the editor."""
    return (
        isinstance(content, list | tuple)
        and bool(content)
        and all(isinstance(column, list | tuple) for column in content)
    )


def _series(table: CsvTable | ColumnTable, pair: LabelPair) -> Series:
    channels = [table.index(name) for name in pair.channels]
    if pair.time_column is None:
        columns = table.read(channels, [])
        values = _values([columns[channel] for channel in channels], pair.channels)
        return Series(values, pair.channels, TimeAxis(np.arange(len(values), dtype=np.float64)))
    time = table.index(pair.time_column, numbers_first=False)
    text = [time] if pair.time_format else []
    try:
        columns = table.read([column for column in (*channels, time) if column not in text], text)
    except CellError as error:
        if error.name != table.names[time]:
            raise
        raise SeriesError(f"{error.found}; correct the cell, or tell the column's timeFormat") from error
    times = columns[time]
    if pair.time_format and time in channels:
        columns[time] = ColumnTable({pair.time_column: times}).read([0], [])[0]
    values = _values([columns[channel] for channel in channels], pair.channels)
    axis = read_axis(table, time, times, pair.time_format)
    return Series(values, pair.channels, axis)


def _values(columns: Sequence[Floats | Texts], names: Sequence[str]) -> NDArray[np.float32]:
    length = len(columns[0])
    if not length:
        raise SeriesError("the series has no rows; add some")
    values = np.empty((length, len(columns)), dtype=np.float32)
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and so is missing
        for number, cells in enumerate(columns):
            values[:, number] = cells
    for channel in np.flatnonzero(~np.isfinite(values).all(axis=0)):
        column = values[:, channel]
        missing = ~np.isfinite(column)
        there = np.flatnonzero(~missing)
        column[missing] = np.interp(np.flatnonzero(missing), there, column[there]) if len(there) else np.nan
    if np.isnan(values[0]).all():
        raise SeriesError(
            f"no channel has a value in any row ({', '.join(names)[:200]}); look whether the columns that "
            "the config names hold the measurements"
        )
    return values
