"""CSV files without pandas: slower, and all else as `CsvTable` has it."""

from collections.abc import Sequence

import numpy as np

from timeseries_segmenter.labeling.tables.cells import MISSING, Floats, Texts, number_of
from timeseries_segmenter.labeling.tables.csv_lines import lines_with_text
from timeseries_segmenter.labeling.tables.csv_table import CsvTable
from timeseries_segmenter.labeling.tables.table import CellError


class PlainCsvTable(CsvTable):
    """The columns of a CSV file."""

    def _read(self, block: bytes, kinds: dict[int, type], header: bool) -> dict[int, Floats | Texts]:
        lines = [line for _, line in lines_with_text([block])][int(header) :]
        rows = [line.decode("utf-8", "replace").rstrip("\r").split(self._separator) for line in lines]
        missing = {""} if set(kinds.values()) == {np.object_} else MISSING
        columns: dict[int, Floats | Texts] = {}
        for column, kind in kinds.items():
            cells = [row[column] for row in rows]
            if self._separator != " ":
                cells = [cell.lstrip(" ") for cell in cells]
            if kind is np.object_:
                columns[column] = np.array(
                    [np.nan if cell in missing else cell for cell in cells], np.object_
                )
            else:
                columns[column] = _numbers(cells)
        return columns

    def _floats(self, column: int, cells: Floats | Texts, first_row: int) -> Floats:
        try:
            return _numbers(cells.tolist())
        except ValueError:
            numbers = [number_of(str(cell)) for cell in cells]
            row = first_row + numbers.index(None)
            raise CellError(self.names[column], self.place(row), self.cell(column, row)) from None


def _numbers(cells: Sequence[str | float]) -> Floats:
    """Raises ValueError if a cell is neither a number nor missing."""
    numbers = [number_of(str(cell)) for cell in cells]
    if None in numbers:
        raise ValueError("a cell is not a number")
    return np.array(numbers, np.float64)
