"""A task's series: its channels as an array, and its time as Label Studio writes it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.cells import CellError, Floats, Texts, shown
from timeseries_segmenter.labeling.column_table import ColumnTable
from timeseries_segmenter.labeling.csv_table import CsvTable
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.time_axis import Time, TimeAxis
from timeseries_segmenter.labeling.time_format import TimeFormat, TimeTextError

__all__ = ["Series", "TimeAxis", "read_series"]


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

    def rows(self, start: object, end: object) -> tuple[int, int] | None:
        """The first and last row, both inclusive, of a region; see `TimeAxis.rows`."""
        return self.time.rows(start, end)

    def start_end(self, first: int, last: int) -> tuple[Time, Time]:
        """The start and end of a region over these rows; see `TimeAxis.start_end`."""
        return self.time.start_end(first, last)


def read_series(
    content: bytes | str | Mapping[str, Sequence[object]], pair: LabelPair, task: int | str
) -> Series:
    """Read a task's series: the text of a CSV or JSON file, or a dict of columns.

    Messages name the task, the column, the row and the value. Rows count from 1, without
    the header; those of a file are given with their line.

    Raises:
        SeriesError: a column is missing, a cell is text, a time is missing or decreases,
            rows or columns differ in length, or there are none.

    """
    try:
        return _series(_table(content, pair), pair)
    except SeriesError as error:
        raise SeriesError(f"Task {task}: {error}.") from error


def _table(content: object, pair: LabelPair) -> CsvTable | ColumnTable:
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    if isinstance(content, Mapping):
        return ColumnTable(content)
    if not isinstance(content, bytes):
        raise SeriesError(f"the series is {shown(content)}; write a dict of columns, or CSV text")
    if pair.value_type == "json" or content.startswith(b"{"):
        try:
            columns = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise SeriesError(f"the series isn't JSON ({error}); write a dict of columns") from error
        if not isinstance(columns, dict):
            raise SeriesError(f"the series is {shown(columns)}; write a dict of columns")
        return ColumnTable(columns)
    wanted = [*pair.channels, *([pair.time_column] if pair.time_column else [])]
    return CsvTable(content, pair.separator, wanted)


def _series(table: CsvTable | ColumnTable, pair: LabelPair) -> Series:
    channels = [table.index(name) for name in pair.channels]
    if pair.time_column is None:
        columns = table.read(channels, [])
        values = _values([columns[channel] for channel in channels])
        return Series(values, pair.channels, TimeAxis(np.arange(len(values), dtype=np.float64)))
    time = table.index(pair.time_column)
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
    values = _values([columns[channel] for channel in channels])
    axis = _axis(table, time, times, pair.time_format)
    return Series(values, pair.channels, axis)


def _values(columns: Sequence[Floats | Texts]) -> NDArray[np.float32]:
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
    return values


def _axis(
    table: CsvTable | ColumnTable, column: int, times: Floats | Texts, time_format: str | None
) -> TimeAxis:
    def where(row: int) -> str:
        return f'column "{table.names[column]}", {table.place(row)}'

    missing = pd.isna(times) if time_format else ~np.isfinite(times.astype(np.float64))
    if missing.any():
        row = int(np.argmax(missing))
        raise SeriesError(
            f"{where(row)}: {shown(table.cell(column, row))} is no time; write one in every row, "
            "or take timeColumn out of the labeling config"
        )
    form = TimeFormat(time_format) if time_format else None
    try:
        stamps = (form.parse(times.astype(np.object_)) if form else times).astype(np.float64)
    except TimeTextError as error:
        raise SeriesError(f"{where(error.row)}: {error}; correct the cell, or timeFormat") from error
    falls = np.flatnonzero(stamps[1:] < stamps[:-1])
    if len(falls):
        row = int(falls[0]) + 1
        raise SeriesError(
            f"{where(row)}: the time falls from {shown(table.cell(column, row - 1))} "
            f"to {shown(table.cell(column, row))}; sort the rows by time"
        )
    return TimeAxis(stamps, form)
