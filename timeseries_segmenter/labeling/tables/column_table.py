"""A JSON object of columns as arrays."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from io import BufferedReader
from typing import Any

import numpy as np

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.tables.cells import MISSING, Floats, Texts, number_of, shown
from timeseries_segmenter.labeling.tables.file_kind import beginning_of
from timeseries_segmenter.labeling.tables.table import CellError, Content, FileContent, FileForm, Table
from timeseries_segmenter.words import counted

MAX_JSON = 128_000_000  # bytes: as Python objects they take some ten times as much
MAX_BRACKETS = 1_000_000
_OBJECT = re.compile(rb"(\xef\xbb\xbf)?\s*\{(?!\\rtf)")
_LIST = re.compile(rb"(\xef\xbb\xbf)?\s*\[\s*[\[{]")
_MANY = 10  # times as many columns as rows: they are rows
_FORM = 'write a dict of columns, such as {"time": [0, 1], "value": [2.5, 3.5]}'
_MOST = 1e300  # numbers beyond it are infinite


class ColumnTable(Table):
    """Columns of cells: numbers, numbers as text, `true` (1), `false` (0), and null if missing.

    A list of columns has the names `"0"`, `"1"`, …
    """

    def __init__(self, columns: Mapping[str, object] | Sequence[object], first_row: int = 0) -> None:
        self._first_row = first_row  # in messages
        if isinstance(columns, Mapping):
            self.names = [str(name) for name in columns]
            self._columns = list(columns.values())
        else:
            self.names = [str(number) for number in range(len(columns))]
            self._columns = list(columns)

    @classmethod
    def from_content(cls, content: Content, form: FileForm) -> "ColumnTable | None":
        """A mapping or a list of columns, or their JSON. Raises SeriesError for what is not in columns."""
        columns: object = content
        if isinstance(content, FileContent):
            beginning = content if isinstance(content, bytes) else beginning_of(content)
            if form.value_type != "json" and _LIST.match(beginning):
                raise SeriesError(f"the file is a JSON list; {_FORM}")
            if form.value_type != "json" and not _OBJECT.match(beginning):
                return None
            columns = _parse(content.read() if isinstance(content, BufferedReader) else bytes(content))
        if isinstance(columns, Mapping) or (isinstance(columns, list | tuple) and _are_columns(columns)):
            table = cls(columns)
            if table._are_rows():
                cells, rows = len(table._cells(0)), len(table.names)
                raise SeriesError(
                    f"the series is a list of {counted(rows, 'list')} of {counted(cells, 'cell')}, which are "
                    f"its columns, but look like rows; {_FORM}"
                )
            return table
        raise SeriesError(f"the series is {shown(columns)}; write a dict of columns")

    def read(self, numeric: Iterable[int], text: Iterable[int]) -> dict[int, Floats | Texts]:
        """See `Table.read`."""
        read: dict[int, Floats | Texts] = {column: self._floats(column) for column in numeric}
        for column in text:
            read[column] = np.array([_time(cell) for cell in self._cells(column)], dtype=np.object_)
        lengths = {self.names[column]: len(cells) for column, cells in read.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f'"{name}" has {length}' for name, length in lengths.items())
            raise SeriesError(f"the columns differ in length: {listed}; make them equally long")
        return read

    def _are_rows(self) -> bool:
        """Whether numbered columns are many and short."""
        columns = self._columns
        if not columns or not all(isinstance(each, list | tuple) for each in columns):
            return False
        lengths = {len(each) for each in columns if isinstance(each, list | tuple)}
        return (
            len(lengths) == 1
            and 0 < lengths.pop() * _MANY < len(columns)
            and self.names == [str(number) for number in range(len(columns))]
        )

    def place(self, row: int) -> str:
        """See `Table.place`."""
        return super().place(self._first_row + row)

    def cell(self, column: int, row: int) -> object:
        """A cell as it is written."""
        return self._cells(column)[row]

    def _cells(self, column: int) -> Sequence[object]:
        cells = self._columns[column]
        if isinstance(cells, np.ndarray):
            return cells.tolist() if cells.ndim else [cells.item()]
        if not isinstance(cells, list | tuple):
            raise SeriesError(f'column "{self.names[column]}" is {shown(cells)}; write a list of cells')
        return cells

    def _floats(self, column: int) -> Floats:
        cells = self._cells(column)
        try:
            values = np.asarray(cells, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            values = np.empty(0)
        if values.shape == (len(cells),):
            return values
        return np.array([self._float(column, row, cell) for row, cell in enumerate(cells)], dtype=np.float64)

    def _float(self, column: int, row: int, cell: object) -> float:
        if cell is None:
            return np.nan
        number = number_of(cell) if isinstance(cell, str) else None
        if isinstance(cell, bool | int | float) and abs(cell) < _MOST:
            number = float(cell)
        elif isinstance(cell, int | float):
            number = np.inf
        if number is None:
            raise CellError(self.names[column], self.place(row), cell, row)
        return number


def _are_columns(columns: Sequence[object]) -> bool:
    return bool(columns) and all(isinstance(each, list | tuple) for each in columns)


def _parse(content: bytes) -> Any:
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


def _time(cell: object) -> str | int | float | None:
    """A time as the editor takes it; None if missing."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return None
    if isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) < _MOST:
        return cell
    text = cell if isinstance(cell, str) else shown(cell)
    return None if text.strip() in MISSING else text
