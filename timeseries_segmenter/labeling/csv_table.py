"""A CSV file as arrays with named columns."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import pandas as pd

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.cells import (
    MISSING,
    CellError,
    Floats,
    Texts,
    column_index,
    is_number_or_missing,
    shown,
)

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20


class CsvTable:
    """The columns of a CSV file; names in lower case, `"0"`, `"1"`, … without a header row.

    A first row is a header where a cell of it is text above a number, or where it holds
    one of the `expected` names. `separator` is one character or `"auto"`.

    Raises:
        SeriesError: the file is empty, has no rows, or isn't UTF-8.

    """

    def __init__(self, content: bytes, separator: str, expected: Iterable[str]) -> None:
        content = content.removeprefix(_BOM)
        if b"\n" not in content:
            content = content.replace(b"\r", b"\n")
        try:
            with io.TextIOWrapper(io.BytesIO(content), "utf-8") as file:
                lines = list(islice((line.rstrip("\n") for line in file if line.strip()), 2))
        except UnicodeDecodeError as error:
            raise _not_utf8(error) from error
        if not lines:
            raise SeriesError("the file is empty; it needs a header row and rows of numbers")
        self._content = content
        self._first_line = shown(lines[0])
        self._separator = _guess_separator(lines) if separator == "auto" else separator
        first, *second = (_split(line, self._separator) for line in lines)
        first = [name.strip().lower() for name in first]
        self._has_header = _is_header(first, second[0] if second else None, expected)
        if self._has_header and not second:
            raise SeriesError("the file has a header row and no rows; add the series' rows")
        self.names = first if self._has_header else [str(number) for number in range(len(first))]

    def index(self, name: str) -> int:
        """The column of that number, or of that name in any case."""
        return column_index(
            name, self.names, numbers_first=True, hint=f" (the file begins {self._first_line})"
        )

    def read(self, numeric: Iterable[int], text: Iterable[int]) -> dict[int, Floats | Texts]:
        """Columns as `(T,)` float64, NaN where missing, and as `(T,)` str, NaN where missing.

        Raises:
            SeriesError: a cell of a numeric column is text, or a row is longer or shorter.

        """
        last = len(self.names) - 1
        kinds: dict[int, type] = dict.fromkeys(numeric, np.float64)
        kinds.update(dict.fromkeys(text, np.object_))
        try:
            frame = pd.read_csv(
                io.BytesIO(self._content),
                sep=self._separator,
                header=0 if self._has_header else None,
                names=list(range(len(self.names))),
                usecols=sorted({*kinds, last}),
                dtype={last: np.object_, **kinds},
                index_col=False,
                keep_default_na=False,
                na_values=list(MISSING),
                skipinitialspace=_skips_blanks(self._separator),
            )
        except UnicodeDecodeError as error:
            raise _not_utf8(error) from error
        except ValueError as error:
            self._check([column for column, kind in kinds.items() if kind is np.float64])
            raise SeriesError(
                f"the file can't be read as CSV ({error}); look for a stray quote or an odd number"
            ) from error
        # pandas cuts long rows and fills short ones. But a short row ends in a missing cell, and a
        # long one has a separator too many, so that a look at each line is rarely needed.
        lines = len(frame) + self._has_header
        if self._count_separators() != last * lines or bool(frame[last].isna().any()):
            self._check_lengths()
        return {column: frame[column].to_numpy() for column in kinds}

    def place(self, row: int) -> str:
        """Where a row, numbered from 0, stands in the file."""
        line, _ = self._row(row)
        return _place(row, line) if line else f"row {row + 1}"

    def cell(self, column: int, row: int) -> object:
        """A cell as it is written."""
        _, cells = self._row(row)
        return cells[column] if column < len(cells) else ""

    def _row(self, row: int) -> tuple[int, list[str]]:
        """A row's line in the file and its cells; 0 and none where only pandas sees such a row."""
        return next(islice(self._rows(), row, None), (0, []))

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row's line in the file, from 1, and its cells."""
        with io.TextIOWrapper(io.BytesIO(self._content), "utf-8", errors="replace", newline="") as file:
            reader = csv.reader(
                file, delimiter=self._separator, skipinitialspace=_skips_blanks(self._separator)
            )
            header = self._has_header
            try:
                for cells in reader:
                    if len(cells) < 2 and not "".join(cells).strip():
                        continue
                    if not header:
                        yield reader.line_num, cells
                    header = False
            except csv.Error as error:
                raise SeriesError(
                    f"line {reader.line_num} of the file can't be read as CSV ({error})"
                ) from error

    def _check(self, numeric: Sequence[int]) -> None:
        """Raise what is wrong with the first row that is not as long as the others, or holds text."""
        for row, (line, cells) in enumerate(self._rows()):
            if len(cells) != len(self.names):
                raise SeriesError(
                    f"{_place(row, line)} has {len(cells)} cells, and the first line {len(self.names)}; "
                    f"give every row the same number of cells, and look whether sep is {self._separator!r}"
                )
            try:
                for column in numeric:
                    float(cells[column].replace("_", "?"))  # Python reads 1_000, pandas doesn't
            except ValueError:
                for column in numeric:
                    if not is_number_or_missing(cells[column]):
                        raise CellError(self.names[column], _place(row, line), cells[column]) from None

    def _check_lengths(self) -> None:
        codes = np.frombuffer(self._content, dtype=np.uint8)
        separators = np.flatnonzero(codes == ord(self._separator))
        ends = np.append(np.flatnonzero(codes == ord("\n")), len(codes))
        counts = np.diff(np.searchsorted(separators, ends), prepend=0)
        empty = np.diff(ends, prepend=-1) == 1
        if not ((counts == len(self.names) - 1) | empty).all():
            self._check([])

    def _count_separators(self) -> int:
        codes = np.frombuffer(self._content, dtype=np.uint8)
        blocks = (codes[start : start + _BLOCK] for start in range(0, len(codes), _BLOCK))
        return sum(int(np.count_nonzero(block == ord(self._separator))) for block in blocks)


def _place(row: int, line: int) -> str:
    return f"row {row + 1} (line {line} of the file)"


def _skips_blanks(separator: str) -> bool:
    return separator != " "


def _split(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=_skips_blanks(separator)))
    except csv.Error as error:
        raise SeriesError(f"the first lines of the file can't be read as CSV ({error})") from error


def _guess_separator(lines: Sequence[str]) -> str:
    """The first separator that splits all lines into the same number of cells, above one."""
    for separator in "\t;, ":
        lengths = {len(_split(line.strip(" "), separator)) for line in lines}
        if len(lengths) == 1 and lengths != {1}:
            return separator
    return ","


def _is_header(first: Sequence[str], second: Sequence[str] | None, expected: Iterable[str]) -> bool:
    names = [cell for cell in first if not is_number_or_missing(cell)]
    if second is None or any(name.lower() in names for name in expected):
        return bool(names)
    pairs = zip(first, second, strict=False)
    return any(is_number_or_missing(above) != is_number_or_missing(below) for above, below in pairs)


def _not_utf8(error: UnicodeDecodeError) -> SeriesError:
    return SeriesError(
        f"the file isn't UTF-8 text (byte {error.object[error.start]:#04x}: {error.reason}); save it as UTF-8"
    )
