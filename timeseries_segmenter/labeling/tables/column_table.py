"""A JSON object of columns as arrays."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.tables.cells import (
    MISSING,
    CellError,
    Floats,
    Texts,
    column_index,
    number_of,
    shown,
)

_MOST = 1e300  # numbers beyond it are infinite


class ColumnTable:
    """Columns of cells: numbers, numbers as text, `true` (1), `false` (0), and null where missing.

    A list of columns has the names `"0"`, `"1"`, …
    """

    numbers_first = False  # text stays text, also where it could be a number

    def __init__(self, columns: Mapping[str, object] | Sequence[object]) -> None:
        if isinstance(columns, Mapping):
            self.names = [str(name) for name in columns]
            self._columns = list(columns.values())
        else:
            self.names = [str(number) for number in range(len(columns))]
            self._columns = list(columns)

    def index(self, name: str, *, numbers_first: bool = False) -> int:
        """The column of that name, in any case, or of that number."""
        return column_index(name, self.names, numbers_first=numbers_first)

    def read(self, numeric: Iterable[int], text: Iterable[int]) -> dict[int, Floats | Texts]:
        """Columns as `(T,)` float64, NaN where missing, and as `(T,)` str, float or int, None where missing.

        Raises:
            SeriesError: a column is no list, a cell is no number, or lengths differ.

        """
        read: dict[int, Floats | Texts] = {column: self._floats(column) for column in numeric}
        for column in text:
            read[column] = np.array([_time(cell) for cell in self._cells(column)], dtype=np.object_)
        lengths = {self.names[column]: len(cells) for column, cells in read.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f'"{name}" has {length}' for name, length in lengths.items())
            raise SeriesError(f"the columns differ in length: {listed}; make them equally long")
        return read

    def place(self, row: int) -> str:
        """What a row, numbered from 0, is called."""
        return f"row {row + 1}"

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
            raise CellError(self.names[column], self.place(row), cell)
        return number


def _time(cell: object) -> str | int | float | None:
    """A time as the editor takes it; None where missing."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return None
    if isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) < _MOST:
        return cell
    text = cell if isinstance(cell, str) else shown(cell)
    return None if text.strip() in MISSING else text
