"""A JSON object of columns as arrays."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.cells import (
    MISSING,
    CellError,
    Floats,
    Texts,
    column_index,
    is_number,
    shown,
)


class ColumnTable:
    """Columns of cells: numbers, numbers as text, `true` (1), `false` (0), and null where missing."""

    def __init__(self, columns: Mapping[str, object]) -> None:
        self.names = [str(name) for name in columns]
        self._columns = list(columns.values())

    def index(self, name: str) -> int:
        """The column of that name, in any case, or of that number."""
        return column_index(name, self.names, numbers_first=False)

    def read(self, numeric: Iterable[int], text: Iterable[int]) -> dict[int, Floats | Texts]:
        """Columns as `(T,)` float64, NaN where missing, and as `(T,)` str, None where missing.

        Raises:
            SeriesError: a column is no list, a cell is no number, or lengths differ.

        """
        read: dict[int, Floats | Texts] = {column: self._floats(column) for column in numeric}
        for column in text:
            read[column] = np.array([_text(cell) for cell in self._cells(column)], dtype=np.object_)
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
        text = str(float(cell)) if isinstance(cell, bool) else _text(cell)
        if text is None:
            return np.nan
        if isinstance(cell, str | int | float) and is_number(text):
            return float(text)
        raise CellError(self.names[column], self.place(row), cell)


def _text(cell: object) -> str | None:
    """A cell as JavaScript prints it, where whole numbers have no `.0`; None where missing."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = cell if isinstance(cell, str) else shown(cell)
    return None if text.strip() in MISSING else text
