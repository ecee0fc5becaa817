"""The time column of a series as its time axis."""

import numpy as np
import pandas as pd

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.tables.cells import (
    Floats,
    Texts,
    editor_number,
    encoding_hint,
    number_text,
    shown,
)
from timeseries_segmenter.labeling.tables.column_table import ColumnTable
from timeseries_segmenter.labeling.tables.csv_table import CsvTable
from timeseries_segmenter.labeling.time.axis import TimeAxis
from timeseries_segmenter.labeling.time.cells import read_times
from timeseries_segmenter.labeling.time.formats import TimeFormat, TimeTextError

_Table = CsvTable | ColumnTable


def read_axis(table: _Table, column: int, times: Floats | Texts, time_format: str | None) -> TimeAxis:
    """The axis of a column that was read from a table: its numbers, or its texts in a format.

    Raises:
        SeriesError: a time is missing, isn't of that format, or is before the one above it.

    """
    missing = pd.isna(times) if time_format else ~np.isfinite(times.astype(np.float64))
    if missing.any():
        row = int(np.argmax(missing))
        cell = table.cell(column, row)
        raise SeriesError(
            f"{_where(table, column, row)}: {shown(cell)} is no time{encoding_hint(cell)}; write one in "
            "every row, or take timeColumn out of the labeling config"
        )
    form = TimeFormat(time_format) if time_format else None
    stamps = _read(form, table, column, times) if form else times.astype(np.float64)
    falls = np.flatnonzero(stamps[1:] < stamps[:-1])
    if len(falls):
        row = int(falls[0]) + 1
        before, after = table.cell(column, row - 1), table.cell(column, row)
        raise SeriesError(
            f"{_where(table, column, row)}: the time falls from {shown(before)} to {shown(after)}; sort the "
            f"rows by time{_number_hint(after, form, table)}"
        )
    return TimeAxis(stamps, form)


def _read(form: TimeFormat, table: _Table, column: int, times: Floats | Texts) -> Floats:
    inner = form
    if table.numbers_first and len(form.text) > 2 and form.text[0] == form.text[-1] == '"':
        inner = TimeFormat(form.text[1:-1])  # cells were taken out of their quotation marks
    try:
        read = read_times(inner, times.astype(np.object_), numbers_first=table.numbers_first)
    except TimeTextError as error:
        cell = table.cell(column, error.row)
        raise SeriesError(
            f'{_where(table, column, error.row)}: {shown(cell)} is no time of the form "{form.text}"'
            f"{encoding_hint(cell)}; correct the cell, or timeFormat{_number_hint(cell, form, table)}"
        ) from error
    return read.astype(np.float64)


def _where(table: _Table, column: int, row: int) -> str:
    return f'column "{table.names[column]}", {table.place(row)}'


def _number_hint(cell: object, form: TimeFormat | None, table: _Table) -> str:
    """That the editor makes another text of a cell, where it does."""
    number = editor_number(cell) if form and table.numbers_first and isinstance(cell, str) else None
    if number is None or not np.isfinite(number) or number_text(number) == str(cell).strip():
        return ""
    return (
        f" (Label Studio makes the number {number_text(number)} of the cell before it looks at timeFormat; "
        "put another character into the times, as in 08:00:20)"
    )
