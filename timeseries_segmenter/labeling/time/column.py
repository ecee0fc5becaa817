"""The time column of a series as its time axis."""

import re

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import SeriesError, TimeFormatError
from timeseries_segmenter.labeling.tables.cells import (
    BLANKS,
    Floats,
    Texts,
    editor_number,
    encoding_hint,
    number_text,
    shown,
)
from timeseries_segmenter.labeling.tables.table import Table
from timeseries_segmenter.labeling.time.directives import MS_PER_DAY, Unit
from timeseries_segmenter.labeling.time.formats import Reading, TimeFormat, TimeTextError
from timeseries_segmenter.labeling.time.rollover import missing_unit
from timeseries_segmenter.labeling.time.text import as_bytes

# what a format lacks that writes the same again after a unit
_ADDED = {
    **{Unit.SECOND: "seconds", Unit.MINUTE: "minutes", Unit.HOUR: "hours", Unit.HALF_DAY: "AM or PM"},
    **{Unit.DAY: "the date", Unit.MONTH: "the month", Unit.YEAR: "the year"},
    Unit.CENTURY: "all digits of the year",
}
_SORT = "sort the rows by time"
_HOUR = Unit.HOUR.value[0]  # ms
_IN_NUMBERS = frozenset("0123456789+-.eE" + BLANKS)
_WIDTH = 16  # bytes of whole numbers that are printed with all of their digits, and one more
_WHOLE = re.compile(r"[1-9]\d{0,14}", re.ASCII)
_PADDED = re.compile(r"0+([1-9]\d{0,14}|0)", re.ASCII)
_DECIMAL = re.compile(r"0*([1-9]\d{0,13}|0)\.(\d{0,6}?)0*", re.ASCII)


class TimeColumn:
    """The time of a series from a column of a table, some rows after the others."""

    def __init__(self, table: Table, column: int, time_format: str | None) -> None:
        self.form = TimeFormat(time_format) if time_format else None
        self._table = table
        self._column = column
        self._rows = 0
        self._first = self._last = -np.inf

    def stamps(self, times: Floats | Texts) -> Floats:
        """What the numbers of the next rows, or their texts in the format, are on a `TimeAxis`.

        Raises:
            SeriesError: a time is missing, isn't of that format, or is before the one above it.

        """
        table, column = self._table, self._column
        missing = _are_missing(times) if self.form else ~np.isfinite(times.astype(np.float64))
        if missing.any():
            row = self._rows + int(np.argmax(missing))
            cell = table.cell(column, row)
            advice = "write one in every row, or take timeColumn out of the labeling config"
            raise SeriesError(
                f"{_where(table, column, row)}: {shown(cell)} is not a time{encoding_hint(cell)}; "
                f"{table.advice(row) or advice}"
            )
        form = self.form
        stamps = _read(form, table, column, times, self._rows) if form else times.astype(np.float64)
        if not self._rows and len(stamps):
            self._first = float(stamps[0])
        falls = np.flatnonzero(stamps < np.concatenate([[self._last], stamps[:-1]])[: len(stamps)])
        if len(falls):
            row = self._rows + int(falls[0])
            before, after = table.cell(column, row - 1), table.cell(column, row)
            above = stamps[falls[0] - 1] if falls[0] else self._last
            advice = self._advice(float(above), float(stamps[falls[0]]), row)
            raise SeriesError(
                f"{_where(table, column, row)}: the time falls from {shown(before)} to {shown(after)}; "
                f"{advice}{_number_hint(after, form, table)}"
            )
        self._rows += len(stamps)
        self._last = stamps[-1] if len(stamps) else self._last
        return stamps

    def _advice(self, above: float, stamp: float, row: int) -> str:
        """What to do about a time that falls: sorting is right only if the rows are out of order."""
        fall = above - stamp
        lacking = missing_unit(self.form) if self.form else None
        if lacking and fall > (lacking.value[0] or lacking.value[1] * 30 * MS_PER_DAY) / 2:
            return f"if the clock starts anew there, write {_ADDED[lacking]} too; otherwise {_SORT}"
        if self.form and _is_local(self.form) and _HOUR / 2 <= fall <= _HOUR:
            return (
                "if summer time ends there, write the times in UTC, or with their offsets (%Z); otherwise "
                f"{_SORT}"
            )
        if row > 1 and stamp <= self._first:
            return f"if another recording begins there, make it a task of its own; otherwise {_SORT}"
        return _SORT


def _is_local(form: TimeFormat) -> bool:
    """Whether a format has hours, which may be those of a place, and no offset from UTC."""
    parts = {directive.part for directive in form.directives}
    return "hour" in parts and "zone" not in parts


def _are_missing(cells: Floats | Texts) -> NDArray[np.bool_]:
    return np.array([cell is None or cell != cell for cell in cells.tolist()], dtype=np.bool_)


def _read(form: TimeFormat, table: Table, column: int, times: Floats | Texts, first_row: int) -> Floats:
    inner = form
    if table.numbers_first and len(form.text) > 2 and form.text[0] == form.text[-1] == '"':
        inner = TimeFormat(form.text[1:-1])  # cells were taken out of their quotation marks
    try:
        read = _read_times(inner, times.astype(np.object_), numbers_first=table.numbers_first)
    except TimeTextError as error:
        row = first_row + error.row
        cell = table.cell(column, row)
        raise SeriesError(
            f'{_where(table, column, row)}: {shown(cell)} is not a time of the form "{form.text}"'
            f"{encoding_hint(cell)}; {table.advice(row) or 'correct the cell, or timeFormat'}"
            f"{_number_hint(cell, form, table)}"
        ) from error
    return read.astype(np.float64)


def _read_times(form: TimeFormat, cells: Texts, *, numbers_first: bool) -> NDArray[np.int64]:
    """Milliseconds since 1970 of text, and of numbers as JavaScript prints them. `(T,)` int64.

    With `numbers_first`, as in CSV files, text that is a number counts as one: `080020` is 80020. Digits
    after a dot are a fraction in text alone.

    Raises:
        TimeTextError: a cell doesn't match the format; its `row` is the first such.

    """
    texts, numbers = _as_texts(cells) if not numbers_first else _numbers_first(form, cells)
    if not numbers.any():
        return _parse(form, texts, Reading.CELL)
    if numbers.all():
        return _parse(form, texts, Reading.NUMBER)
    times = np.empty(len(texts), dtype=np.int64)
    for rows, reading in ((~numbers, Reading.CELL), (numbers, Reading.NUMBER)):
        places = np.flatnonzero(rows)
        try:
            times[places] = _parse(form, texts[places], reading)
        except TimeTextError as error:
            raise TimeTextError(int(places[error.row]), error.text, form.text) from error
    return times


def _parse(form: TimeFormat, texts: Texts, reading: Reading) -> NDArray[np.int64]:
    try:
        return form.parse(texts, reading)
    except TimeFormatError:
        return form.parse(np.array([text.strip(BLANKS) for text in texts], dtype=np.object_), reading)


def _as_texts(cells: Texts) -> tuple[Texts, NDArray[np.bool_]]:
    numbers = np.array([not isinstance(cell, str) for cell in cells], dtype=np.bool_)
    if not numbers.any():
        return cells, numbers
    return np.array(
        [cell if isinstance(cell, str) else number_text(cell) for cell in cells], np.object_
    ), numbers


def _numbers_first(form: TimeFormat, cells: Texts) -> tuple[Texts, NDArray[np.bool_]]:
    if any(directive.names for directive in form.directives) or not _IN_NUMBERS.issuperset(form.literals):
        return cells, np.zeros(len(cells), dtype=np.bool_)
    if _are_whole(cells):
        return cells, np.ones(len(cells), dtype=np.bool_)
    texts = [_as_number(cell) for cell in cells]
    numbers = np.array([text is not None for text in texts], dtype=np.bool_)
    filled = [cell if text is None else text for text, cell in zip(texts, cells, strict=True)]
    return np.array(filled, dtype=np.object_), numbers


def _are_whole(cells: Texts) -> bool:
    """Whether all are digits without a leading zero, which JavaScript prints as they are."""
    codes = as_bytes(cells, _WIDTH).view(np.uint8).reshape(-1, _WIDTH)
    digits = (codes - np.uint8(ord("0"))) < 10
    leading = (codes[:, 0] == ord("0")) | (codes[:, -1] != 0)
    return bool((digits | (codes == 0)).all()) and not bool(leading.any())


def _as_number(cell: str) -> str | None:
    """What JavaScript prints of the number that a cell is, None if it is not one."""
    if _WHOLE.fullmatch(cell):
        return cell
    if match := _PADDED.fullmatch(cell):
        return match[1]
    if match := _DECIMAL.fullmatch(cell):
        whole, fraction = match.groups()
        if len(whole) + len(fraction) <= 15 and (whole != "0" or not fraction):
            return f"{whole}.{fraction}" if fraction else whole
    number = editor_number(cell)
    return None if number is None or not np.isfinite(number) else number_text(number)


def _where(table: Table, column: int, row: int) -> str:
    return f'column "{table.names[column]}", {table.place(row)}'


def _number_hint(cell: object, form: TimeFormat | None, table: Table) -> str:
    """That the editor makes another text of a cell, if it does."""
    number = editor_number(cell) if form and table.numbers_first and isinstance(cell, str) else None
    if number is None or not np.isfinite(number) or number_text(number) == str(cell).strip():
        return ""
    return (
        f" (Label Studio makes the number {number_text(number)} of the cell before it looks at timeFormat; "
        "put another character into the times, as in 08:00:20)"
    )
