"""A task's series: its channels as an array, and its time as Label Studio writes it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.rows import Rows, Spill
from timeseries_segmenter.labeling.tables.cells import Floats, Texts
from timeseries_segmenter.labeling.tables.column_table import ColumnTable
from timeseries_segmenter.labeling.tables.csv_table import CsvTable
from timeseries_segmenter.labeling.tables.file_kind import beginning_of, unreadable_kind
from timeseries_segmenter.labeling.tables.table import (
    CellError,
    Content,
    FileContent,
    FileForm,
    OddCellsError,
    Reader,
    Table,
)
from timeseries_segmenter.labeling.time.axis import Time, TimeAxis
from timeseries_segmenter.labeling.time.column import TimeColumn
from timeseries_segmenter.labeling.time.formats import TimeFormat

__all__ = ["Series", "TimeAxis", "parse_series", "read_series"]

READING = 1  # raise it when files are read as other values or times, so that what was kept is read anew
READERS: tuple[Reader, ...] = (ColumnTable.from_content, CsvTable.from_content)  # the first that can, reads
LEAST_STEPS = 32  # of float32 between the smallest and the largest value of a channel
_ROWS = 1 << 16  # that are looked at at once


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
    def coarse_channels(self) -> tuple[tuple[str, float, float], ...]:
        """The channels whose changes are lost in float32: by name, the largest value, and the step there.

        They have fewer than LEAST_STEPS steps between their smallest and their largest value, or are so
        large that a constant may have been none.
        """
        low, high = self.values.min(axis=0), self.values.max(axis=0)
        largest = np.maximum(np.abs(low), np.abs(high))
        step = np.spacing(largest)
        spread = high - low
        coarse = np.where(spread > 0, spread < LEAST_STEPS * step, step > 1)  # not if it is all NaN
        return tuple(
            (name, float(value), float(least))
            for name, value, least, is_coarse in zip(self.channels, largest, step, coarse, strict=True)
            if is_coarse
        )

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
    spill: Spill | None = None,
) -> Series:
    """Read a task's series: the text of a CSV or JSON file, in memory or open, a dict of columns, or a list
    of them.

    Messages name the task, the column, the row and the value; rows count from 1, without the header, and
    those of a file are given with their line. A file that none of the `readers` knows is called `name`.
    With `spill`, a long series is kept in temporary files.

    Raises:
        SeriesError: a column is missing, a cell is text, a time is missing or decreases,
            rows or columns differ in length, there are none, or no channel has a value.

    """
    try:
        return parse_series(content, form, name=name, readers=readers, spill=spill)
    except SeriesError as error:
        raise SeriesError(f"Task {task}: {error}.") from error


def parse_series(
    content: Content | str,
    form: FileForm,
    *,
    name: str = "the file",
    readers: Sequence[Reader] = READERS,
    spill: Spill | None = None,
) -> Series:
    """The same of a series that no task names. Raises SeriesError with the reason alone."""
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    for reader in readers:
        if (table := reader(content, form)) is not None:
            return _series(table, form, spill)
    kind = unreadable_kind(beginning_of(content)) if isinstance(content, FileContent) else ""
    raise SeriesError(f"{name} is {kind or 'not a series that can be read'}")


def _series(table: Table, form: FileForm, spill: Spill | None) -> Series:
    try:
        return _collected(table, form, spill, exact=False)
    except OddCellsError:
        return _collected(table, form, spill, exact=True)


def _collected(table: Table, form: FileForm, spill: Spill | None, *, exact: bool) -> Series:
    with Rows(spill) as values, Rows(spill) as stamps:
        time_format = _collect(table, form, values, stamps, exact=exact)
        if not len(values):
            raise SeriesError("the series has no rows; add some")
        axis = TimeAxis(stamps.array(), time_format, is_counted=form.time_column is None)
        return Series(_filled(values.array(), form.channels), form.channels, axis)


def _collect(table: Table, form: FileForm, values: Rows, stamps: Rows, *, exact: bool) -> TimeFormat | None:
    channels = [table.index(name) for name in form.channels]
    if form.time_column is None:
        for part in table.parts(channels, [], exact=exact):
            values.append(_values([part[channel] for channel in channels]))
            stamps.append(np.arange(len(stamps), len(values), dtype=np.float64))
        return None
    time = table.index(form.time_column, is_time=True)
    text = [time] if form.time_format else []
    numeric = [column for column in (*channels, time) if column not in text]
    column = TimeColumn(table, time, form.time_format)
    try:
        for part in table.parts(numeric, text, exact=exact):
            times = part[time]
            if form.time_format and time in channels:
                part[time] = _time_as_channel(form.time_column, times, len(stamps))
            values.append(_values([part[channel] for channel in channels]))
            stamps.append(column.stamps(times))
    except CellError as error:
        advice = error.advice
        if error.name == table.names[time] and not error.is_number_elsewhere:
            advice = "correct the cell, or set the column's timeFormat"
        if error.row is not None:
            advice = table.advice(error.row) or advice
        raise SeriesError(f"{error.found}; {advice}") from error
    return column.form


def _time_as_channel(name: str, times: Floats | Texts, first_row: int) -> Floats | Texts:
    """Times that are a channel too, some rows of them. Raises SeriesError if they are not numbers."""
    try:
        return ColumnTable({name: times}, first_row).read([0], [])[0]
    except CellError as error:
        raise SeriesError(
            f"{error.found}; a channel takes numbers: remove the Channel that is the time from the labeling "
            "config"
        ) from error


def _values(columns: Sequence[Floats | Texts]) -> NDArray[np.float32]:
    values = np.empty((len(columns[0]), len(columns)), dtype=np.float32)
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and so is missing
        for number, cells in enumerate(columns):
            values[:, number] = cells
    return values


def _filled(values: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
    for channel in range(values.shape[1]):
        _fill(values[:, channel])
    if np.isnan(values[0]).all():
        raise SeriesError(
            f"no channel has a value in any row ({', '.join(names)[:200]}); look whether the columns that "
            "the config names hold the measurements"
        )
    return values


def _fill(column: NDArray[np.float32]) -> None:
    """Interpolate what is missing in `(T,)`, in place, from one known row to the next."""
    before: NDArray[np.int64] = np.zeros(0, np.int64)  # the last known row, if there is one yet
    for first in range(0, len(column), _ROWS):
        part = column[first : first + _ROWS]
        is_known = np.isfinite(part)
        if is_known.all() and (before[0] if len(before) else -1) == first - 1:
            before = np.array([first + len(part) - 1])
            continue
        known = first + np.flatnonzero(is_known)
        if len(known):
            _interpolate(column, np.concatenate([before, known]), before[0] + 1 if len(before) else 0)
            before = known[-1:]
    column[before[0] + 1 if len(before) else 0 :] = column[before[0]] if len(before) else np.nan


def _interpolate(column: NDArray[np.float32], known: NDArray[np.int64], first: int) -> None:
    """What is missing in the rows from `first` to the last known one."""
    end, values = int(known[-1]), column[known]
    for start in range(first, end, _ROWS):
        part = column[start : min(start + _ROWS, end)]
        missing = np.flatnonzero(~np.isfinite(part))
        part[missing] = np.interp(start + missing, known, values)
