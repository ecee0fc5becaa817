"""A CSV file as arrays with named columns."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import BinaryIO

import numpy as np

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.tables.cells import (
    BLANKS,
    MISSING,
    Floats,
    Texts,
    editor_number,
    encoding_hint,
    is_number_elsewhere,
    number_of,
    shown,
)
from timeseries_segmenter.labeling.tables.csv_lines import (
    CleanLines,
    lines_with_text,
    place_of,
)
from timeseries_segmenter.labeling.tables.csv_quotes import (
    QUOTED_SEPARATOR,
    STRAY_QUOTE,
    editor_cells,
    split_cells,
    unquoted,
)
from timeseries_segmenter.labeling.tables.csv_text import CsvText
from timeseries_segmenter.labeling.tables.file_kind import beginning_of, unreadable_kind
from timeseries_segmenter.labeling.tables.table import (
    CellError,
    Content,
    FileContent,
    FileForm,
    OddCellsError,
    Table,
    find_column,
)

MAX_COLUMNS = 10_000
MAX_CELLS = 2_000_000_000  # of those columns that are read
_SEPARATORS = re.compile(r"[,;\s]")
_MOST_ABOVE = 100  # lines that are looked at for a header
_MISCOUNTED = ".|"  # separators by which the editor counts empty columns between the others


class CsvTable(Table):
    """The columns of a CSV file; names in lower case, `"0"`, `"1"`, … without a header row.

    A first row is a header if one of its cells is a number and the one below is not, or the other way
    round, or if it holds one of the `expected` names. `separator` is one character or `"auto"`.

    Raises:
        SeriesError: the file is empty, has no rows, too many columns, or is not text.

    """

    numbers_first = True

    def __init__(
        self, content: bytes | memoryview | BinaryIO, separator: str, expected: Iterable[str]
    ) -> None:
        self._text = CsvText(content)
        self._columns: Collection[int] = ()  # that are read
        lines = [
            line.decode("utf-8", "replace").strip(BLANKS)
            for _, line in islice(lines_with_text(block for block, _ in self._text.blocks()), 2)
        ]
        if not lines:
            raise SeriesError("the file is empty; it needs a header row and rows of numbers")
        self._first_line = lines[0]
        self._separator = _guess_separator(lines) if separator == "auto" else separator
        first = split_cells(lines[0], self._separator)
        if len(first) > MAX_COLUMNS:
            raise SeriesError(f"the file has {len(first)} columns; use one with at most {MAX_COLUMNS}")
        self._written = [cell.lower() for cell in first]
        names = _names(lines[0], self._separator)
        self._has_header = _is_header(lines, self._separator, [*names, *self._written], expected)
        if self._has_header and len(lines) == 1:
            raise SeriesError(
                f"the file has a header row and no rows (it begins {shown(self._first_line)}); add the "
                "series' rows"
            )
        self.names = names if self._has_header else [str(number) for number in range(len(first))]

    @classmethod
    def from_content(cls, content: Content, form: FileForm) -> "CsvTable | None":
        """Bytes that may be text. Raises SeriesError as the constructor does."""
        if not isinstance(content, FileContent) or unreadable_kind(beginning_of(content)):
            return None
        return cls(
            content, form.separator, [*form.channels, *([form.time_column] if form.time_column else [])]
        )

    def index(self, name: str, *, is_time: bool = False) -> int:
        """The column of that number, or of that name in any case, with its quotation marks or without.

        Of a time column the editor looks for the name first.

        Raises:
            SeriesError: there is none, or there are several.

        """
        if self._has_header and name.lower() in self._written and (is_time or not name.isdecimal()):
            column = self._written.index(name.lower())
        else:
            column = find_column(
                name,
                self.names,
                numbers_first=self.numbers_first and not is_time,
                advice=lambda: self._column_advice(name),
            )
        if self._has_header and self._written.count(self._written[column]) > 1:
            raise SeriesError(
                f'several columns are called "{self.names[column]}", which Label Studio takes for one; '
                "give each a name of its own"
            )
        if self._separator in _MISCOUNTED and name.isdecimal():
            raise SeriesError(
                f"Label Studio counts columns differently if sep is {self._separator!r}; name the column "
                f"{name}, or use another separator"
            )
        return column

    def read(self, numeric: Iterable[int], text: Iterable[int]) -> dict[int, Floats | Texts]:
        """Columns as `(T,)` float64 and as `(T,)` str, NaN if missing.

        Raises:
            SeriesError: a cell of a numeric column is text, or a row is longer or shorter.

        """
        numeric, text = list(numeric), list(text)
        try:
            parts = list(self.parts(numeric, text))
        except OddCellsError:
            parts = list(self.parts(numeric, text, exact=True))
        if not parts:
            return {column: np.zeros(0) for column in (*numeric, *text)}
        return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}

    def parts(
        self, numeric: Iterable[int], text: Iterable[int], *, exact: bool = False
    ) -> Iterator[dict[int, Floats | Texts]]:
        """See `Table.parts`."""
        kinds: dict[int, type] = dict.fromkeys(numeric, np.float64)
        kinds.update(dict.fromkeys(text, np.object_))
        self._columns = kinds.keys()
        before = 0
        for block, rows in self._clean_blocks():
            header = self._has_header and before == 0 and rows > 0
            if rows * len(kinds) > MAX_CELLS:
                raise SeriesError(
                    f"the file has more than {before} rows, of which {len(kinds)} columns are read; cut it "
                    f"into shorter ones (at most {MAX_CELLS} cells)"
                )
            if rows > before + header:
                yield self._part(block, kinds, before + header - self._has_header, rows, header, exact)
            before = rows

    def _part(
        self, block: bytes, kinds: dict[int, type], first_row: int, rows: int, header: bool, exact: bool
    ) -> dict[int, Floats | Texts]:
        """Clean lines as columns: the rows from a first one to `rows`, which counts the header."""
        try:
            columns = self._read(block, kinds if not exact else dict.fromkeys(kinds, np.object_), header)
        except ValueError as error:
            if exact:
                raise
            raise OddCellsError from error
        if exact:
            columns = {
                column: self._floats(column, columns[column], first_row)
                if kind is np.float64
                else columns[column]
                for column, kind in kinds.items()
            }
        expected = rows - self._has_header - first_row
        if any(len(cells) != expected for cells in columns.values()):
            raise SeriesError(
                f"the file can't be read as CSV: it has {expected} rows from {self.place(first_row)} on, and "
                "others are found"
            )
        if any(mark.encode() in block for mark in (QUOTED_SEPARATOR, STRAY_QUOTE)):
            for column, kind in kinds.items():
                if kind is np.object_:
                    cells = columns[column].tolist()
                    written = [self._as_written(cell) if isinstance(cell, str) else cell for cell in cells]
                    columns[column] = np.array(written, dtype=np.object_)
        return columns

    def _clean_blocks(self) -> Iterator[tuple[bytes, int]]:
        """Blocks of clean lines, and the number of rows up to their ends, with the header."""
        lines = CleanLines(self._separator, len(self.names), self._columns, int(self._has_header))
        for block, is_last in self._text.blocks():
            yield lines.clean(block, is_last), lines.rows

    def place(self, row: int) -> str:
        """A row, numbered from 0, and its line in the file."""
        line, _ = self._row(row)
        return place_of(row, line)

    def cell(self, column: int, row: int) -> object:
        """A cell as it is written."""
        _, cells = self._row(row)
        return self._as_written(cells[column])

    def _as_written(self, cell: str) -> str:
        return cell.replace(QUOTED_SEPARATOR, self._separator).replace(STRAY_QUOTE, '"')

    def _read(self, block: bytes, kinds: dict[int, type], header: bool) -> dict[int, Floats | Texts]:
        # here: 0.3 s and 30 MB that a service has no use for until it reads a file
        import pandas as pd

        texts = set(kinds.values()) == {np.object_}
        frame = pd.read_csv(
            io.BytesIO(block),
            sep=self._separator,
            header=0 if header else None,
            names=list(range(len(self.names))),
            usecols=sorted(kinds),
            dtype=kinds,
            index_col=False,
            keep_default_na=False,
            na_values=[""] if texts else list(MISSING),
            quoting=csv.QUOTE_NONE,
            skipinitialspace=self._separator != " ",
            encoding_errors="replace",
        )
        return {column: frame[column].to_numpy() for column in kinds}

    def _floats(self, column: int, cells: Floats | Texts, first_row: int) -> Floats:
        """Cells as numbers, if pandas finds some that it doesn't know."""
        import pandas as pd

        codes, texts = pd.factorize(cells)
        numbers = [number_of(str(text)) for text in texts]
        bad = {code for code, number in enumerate(numbers) if number is None}
        if bad:
            row = first_row + int(np.argmax(np.isin(codes, list(bad))))
            raise CellError(self.names[column], self.place(row), self.cell(column, row), row)
        known = np.array([*numbers, np.nan], dtype=np.float64)  # code -1 is a missing cell
        return known[codes]

    def advice(self, row: int) -> str:
        """See `Table.advice`."""
        cells = [unquoted(self._as_written(cell)) for cell in self._row(row)[1]]
        if not any(cells):
            return "remove the line, which has empty cells alone"
        if self._has_header and [cell.lower() for cell in cells] == self.names:
            return "remove the line, which repeats the header"
        if self._has_header and row == 0 and not any(map(_may_be_number, cells)):
            return "remove the line if it holds units or the like, or write numbers"
        return ""

    def _column_advice(self, name: str) -> str:
        """Where else in the file a name is that no column has."""
        begins = f" (the file begins {shown(self._first_line)}){encoding_hint(self._first_line)}. "
        for mark in ",;\t| " if len(self.names) == 1 else "":
            if mark != self._separator and name.lower() in _names(self._first_line, mark):
                return f"{begins}Set sep in the config to {mark!r}, or correct the name there"
        lines = lines_with_text(block for block, _ in self._text.blocks())
        for number, line in islice(lines, 1, _MOST_ABOVE):
            if name.lower() in _names(line.decode("utf-8", "replace"), self._separator):
                return f"{begins}Line {number} has it: remove the lines above"
        if len(self.names) > 1 and not self._has_header and not name.isdecimal():
            return f"{begins}The file has no header row: add one, or name columns by number in the config"
        return f"{begins}Correct the name in the config, or its sep if these are not the columns"

    def _row(self, row: int) -> tuple[int, list[str]]:
        """A row's line in the file, from 1, and its cells."""
        blocks = (block for block, _ in self._clean_blocks())
        number, line = next(islice(lines_with_text(blocks), row + self._has_header, None))
        return number, line.decode("utf-8", "replace").rstrip("\r").split(self._separator)


def _may_be_number(cell: str) -> bool:
    number = number_of(cell)
    return is_number_elsewhere(cell) or not (number is None or np.isnan(number))


def _names(line: str, separator: str) -> list[str]:
    """The cells of a line as names of columns."""
    return [unquoted(cell).lower() for cell in split_cells(line.strip(BLANKS), separator)]


def _guess_separator(lines: Sequence[str]) -> str:
    """The editor's guess, else the first that splits all lines into the same number of cells, above one."""
    marks = sorted(set(_SEPARATORS.findall(lines[-1])))
    if len(marks) == 1 and marks[0].isascii() and len({len(line.split(marks[0])) for line in lines}) == 1:
        return str(marks[0])
    for separator in "\t;, ":
        lengths = {len(split_cells(line.strip(" "), separator)) for line in lines}
        if len(lengths) == 1 and lengths != {1}:
            return separator
    return ","


def _is_header(lines: Sequence[str], separator: str, names: Sequence[str], expected: Iterable[str]) -> bool:
    words = [name for name in names if number_of(name) is None]
    if len(lines) == 1 or any(name.lower() in words for name in expected):
        return bool(words)
    # as in the editor, which takes a missing cell for text
    first, second = ([editor_number(cell) for cell in editor_cells(line, separator)] for line in lines)
    below = [*second, *[None] * len(first)]
    return any((cell is None) != (other is None) for cell, other in zip(first, below, strict=False))
