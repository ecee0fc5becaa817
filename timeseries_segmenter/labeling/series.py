"""A task's series: its channels as an array, and its time as Label Studio writes it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.tables.cells import Floats, Texts
from timeseries_segmenter.labeling.tables.column_table import ColumnTable
from timeseries_segmenter.labeling.tables.csv_table import CsvTable
from timeseries_segmenter.labeling.tables.file_kind import unreadable_kind
from timeseries_segmenter.labeling.tables.table import CellError, Content, FileForm, Reader, Table
from timeseries_segmenter.labeling.time.axis import Time, TimeAxis
from timeseries_segmenter.labeling.time.column import read_axis

__all__ = ["Series", "TimeAxis", "parse_series", "read_series"]

READING = 1  # raise it when files are read as other values or times, so that what was kept is read anew
READERS: tuple[Reader, ...] = (ColumnTable.from_content, CsvTable.from_content)  # the first that can, reads


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
        empty = np.isnan(self.values[0])  # what is missing has its neighbour's value, if there is one
        return tuple(name for name, missing in zip(self.channels, empty, strict=True) if missing)

    @property
    def times(self) -> Floats | None:
        """When each row was measured, `(T,)`; None without a time column."""
        return None if self.time.is_counted else self.time.stamps

    def stretch(self, first: int, last: int) -> "Series":
        """These rows as a series of their own, which keeps nothing of the others in memory."""
        return Series(self.values[first : last + 1].copy(), self.channels, self.time.stretch(first, last))

    def start_end(self, first: int, last: int) -> tuple[Time, Time]:
        """The start and end of a region over these rows; see `TimeAxis.start_ends`."""
        return self.time.start_end(first, last)


def read_series(
    content: Content | str,
    form: FileForm,
    task: int | str,
    *,
    name: str = "the file",
    readers: Sequence[Reader] = READERS,
) -> Series:
    """Read a task's series: the text of a CSV or JSON file, a dict of columns, or a list of them.

    Messages name the task, the column, the row and the value; rows count from 1, without the header, and
    those of a file are given with their line. A file that none of the `readers` knows is called `name`.

    Raises:
        SeriesError: a column is missing, a cell is text, a time is missing or decreases,
            rows or columns differ in length, there are none, or no channel has a value.

    """
    try:
        return parse_series(content, form, name=name, readers=readers)
    except SeriesError as error:
        raise SeriesError(f"Task {task}: {error}.") from error


def parse_series(
    content: Content | str, form: FileForm, *, name: str = "the file", readers: Sequence[Reader] = READERS
) -> Series:
    """The same of a series that no task names. Raises SeriesError with the reason alone."""
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    for reader in readers:
        if (table := reader(content, form)) is not None:
            return _series(table, form)
    kind = unreadable_kind(content) if isinstance(content, bytes) else ""
    raise SeriesError(f"{name} is {kind or 'not a series that can be read'}")


def _series(table: Table, form: FileForm) -> Series:
    channels = [table.index(name) for name in form.channels]
    if form.time_column is None:
        columns = table.read(channels, [])
        values = _values([columns[channel] for channel in channels], form.channels)
        axis = TimeAxis(np.arange(len(values), dtype=np.float64), is_counted=True)
        return Series(values, form.channels, axis)
    time = table.index(form.time_column, is_time=True)
    text = [time] if form.time_format else []
    try:
        columns = table.read([column for column in (*channels, time) if column not in text], text)
    except CellError as error:
        if error.name != table.names[time]:
            raise
        raise SeriesError(f"{error.found}; correct the cell, or set the column's timeFormat") from error
    times = columns[time]
    if form.time_format and time in channels:
        columns[time] = ColumnTable({form.time_column: times}).read([0], [])[0]
    values = _values([columns[channel] for channel in channels], form.channels)
    axis = read_axis(table, time, times, form.time_format)
    return Series(values, form.channels, axis)


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
