"""What a series is read from: named columns, whichever file or object holds them."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BufferedReader
from typing import Protocol

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.tables.cells import (
    Floats,
    Texts,
    encoding_hint,
    is_number_elsewhere,
    plain,
    shown,
)

FileContent = bytes | memoryview | BufferedReader  # in memory, mapped, or open
Content = FileContent | Mapping[str, Sequence[object]] | Sequence[object]


class Table(Protocol):
    """Columns of equal length; they are numbered from 0, as rows are."""

    names: Sequence[str]
    numbers_first: bool = False  # to the editor, text that can be a number is one, before any time format

    def index(self, name: str, *, is_time: bool = False) -> int:
        """The column of that name, in any case, or of that number. Raises SeriesError if there is none."""
        return find_column(name, self.names, numbers_first=self.numbers_first and not is_time)

    @abstractmethod
    def read(self, numeric: Iterable[int], text: Iterable[int]) -> dict[int, Floats | Texts]:
        """Columns as `(T,)` float64, NaN if missing, and as `(T,)` str, float or int, NaN or None if missing.

        Raises:
            SeriesError: they can't be read, or differ in length; a CellError if a cell is not a number.

        """

    def parts(
        self,
        numeric: Iterable[int],
        text: Iterable[int],
        *,
        exact: bool = False,  # noqa: ARG002
    ) -> Iterator[dict[int, Floats | Texts]]:
        """The columns of `read`, some rows after the others, in memory that does not grow with them.

        Raises:
            OddCellsError: a cell needs a closer look than most; take all parts anew, as `exact` ones.
            SeriesError: as `read`.

        """
        yield self.read(numeric, text)

    def place(self, row: int) -> str:
        """What a message calls a row."""
        return f"row {row + 1}"

    @abstractmethod
    def cell(self, column: int, row: int) -> object:
        """A cell as it is written."""

    def advice(self, row: int) -> str:  # noqa: ARG002
        """What to do about a row that may not be meant as one; empty if nothing speaks for that."""
        return ""


class FileForm(Protocol):
    """How a series is written, as a `LabelPair` says it."""

    @property
    def value_type(self) -> str:
        """`url` for a file, `json` for columns."""

    @property
    def separator(self) -> str:
        """One character, or `auto`."""

    @property
    def time_column(self) -> str | None:
        """Its name or number; None if rows are counted."""

    @property
    def time_format(self) -> str | None:
        """How times are written; None for numbers."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names or numbers of columns."""


Reader = Callable[[Content, FileForm], Table | None]
"""Makes a table of the content of a task's series; None if it is of another kind."""


class OddCellsError(Exception):
    """Cells are not numbers as most files write them."""


class CellError(SeriesError):
    """A cell of the column `name`, at a `place`, that is neither a number nor missing; and its `row`."""

    def __init__(self, name: str, place: str, cell: object, row: int | None = None) -> None:
        self.name = name
        self.row = row
        self.found = f'column "{name}", {place}: {shown(cell)} is not a number{encoding_hint(cell)}'
        self.is_number_elsewhere = is_number_elsewhere(cell)
        self.advice = "write one, or leave the cell empty"
        if self.is_number_elsewhere:
            self.advice = "write numbers with a decimal point, and without a separator of thousands"
        super().__init__(f"{self.found}; {self.advice}")


def find_column(
    name: str,
    names: Sequence[str],
    *,
    numbers_first: bool,
    advice: Callable[[], str] = lambda: ". Correct the name in the config",
) -> int:
    """The column of that name, in any case, or of that number; an error ends with the `advice`.

    Raises:
        SeriesError: there is none.

    """
    lower = [other.lower() for other in names]
    number = int(name) if name.isascii() and name.isdecimal() and len(name) < 10 else len(names)
    if numbers_first and number < len(names):
        return number
    if name in names:
        return names.index(name)
    if name.lower() in lower:
        return lower.index(name.lower())
    if number < len(names):
        return number
    listed = ", ".join(names[:20])[:1000] + (", …" if len(names) > 20 else "") or "none"
    alike = [other for other in names if plain(other) == plain(name)]
    same = f' ("{alike[0]}" differs in blanks or form of characters alone)' if alike else ""
    raise SeriesError(f'there is no column "{name}"; the columns are: {listed}{same}{advice()}')
