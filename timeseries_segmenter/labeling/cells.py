"""What a cell of a series may hold, and how its columns are found."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import SeriesError

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]

MISSING = frozenset(
    (
        *("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "Null", "null", "None", "none"),
        *("nan", "NaN", "NAN", "-nan", "-NaN"),
    )
)
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf|infinity)", re.ASCII | re.IGNORECASE)


class CellError(SeriesError):
    """A cell of the column `name`, at a `place`, that is neither a number nor missing."""

    def __init__(self, name: str, place: str, cell: object) -> None:
        self.name = name
        self.found = f'column "{name}", {place}: {shown(cell)} is no number'
        super().__init__(f"{self.found}; write one, or leave the cell empty")


def is_number(cell: str) -> bool:
    """Whether a cell is a number, infinity included."""
    return bool(_NUMBER.fullmatch(cell.strip()))


def is_number_or_missing(cell: str) -> bool:
    """Whether a cell may stand in a column of numbers."""
    return cell.lstrip(" ") in MISSING or is_number(cell)


def shown(cell: object) -> str:
    """A cell as a message quotes it."""
    try:
        text = repr(cell)
    except RecursionError:
        text = f"a deeply nested {type(cell).__name__}"
    return text if len(text) <= 60 else text[:59] + "…"


def column_index(name: str, names: Sequence[str], *, numbers_first: bool, hint: str = "") -> int:
    """The column of that name, in any case, or of that number; `hint` ends what an error tells.

    Raises:
        SeriesError: there is none.

    """
    lower = [other.lower() for other in names]
    number = int(name) if name.isascii() and name.isdecimal() else len(names)
    if numbers_first and number < len(names):
        return number
    if name in names:
        return names.index(name)
    if name.lower() in lower:
        return lower.index(name.lower())
    if number < len(names):
        return number
    listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    raise SeriesError(
        f'there is no column "{name}"; the columns are: {listed}{hint}. Correct the name in the config, '
        "or its sep where these are not the columns"
    )
