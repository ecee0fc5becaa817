"""What a cell of a series may hold."""

import re
import unicodedata
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]

# What JavaScript trims from a line, and from a cell before it makes a number of it.
BLANKS = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
MISSING = frozenset(
    (
        *("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "Null", "null", "None", "none"),
        *("nan", "NaN", "NAN", "-nan", "-NaN", "NaT", "?", "-", "--", "."),
    )
)
_MISSING_IN_ANY_CASE = frozenset(
    (
        *("", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "null", "#null!", "(null)", "none", "nil", "nat"),
        *("missing", "undefined", "\\n", "?", "??", "???", "-", "--", "---", ".", "..", "...", "*", "**"),
        *("#value!", "#div/0!", "#num!", "#ref!", "#name?", "_"),
    )
)
# NaN, and what C runtimes of Windows print for it and for infinity
_NOT_A_NUMBER = re.compile(r"[+-]?(nan(\(\w*\))?|1\.#[a-z]+\d*|[qs]nan)", re.IGNORECASE)
_NUMBER = re.compile(
    r"[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf|infinity)|0x[\da-f]+|0o[0-7]+|0b[01]+",
    re.ASCII | re.IGNORECASE,
)
_TRUTHS = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}  # as in pandas
_DECIMAL_COMMA = re.compile(r"[+-]?\d[\d.]*,\d+([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(
    r"[+-]?\d{1,3}(?P<mark>[,.'\u2019_ \u00a0\u2009\u202f])\d{3}((?P=mark)\d{3})*([.,]\d+)?"
)


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    cell = cell.strip(BLANKS)
    return cell.lower() in _MISSING_IN_ANY_CASE or bool(_NOT_A_NUMBER.fullmatch(cell))


def is_number_elsewhere(cell: object) -> bool:
    """Whether a cell is a number to people who write a decimal comma, or separate thousands: `1 234.5`."""
    if not isinstance(cell, str):
        return False
    return any(form.fullmatch(cell.strip(BLANKS)) for form in (_DECIMAL_COMMA, _THOUSANDS))


def number_of(cell: str) -> float | None:
    """A cell as a number, 1 or 0 if it is true or false, NaN if missing, None if it is none of these."""
    cell = cell.strip(BLANKS)
    if cell in _TRUTHS:
        return _TRUTHS[cell]
    if _NUMBER.fullmatch(cell):
        return float(int(cell, 0)) if cell[1:2] in tuple("xXoObB") else float(cell)
    return np.nan if is_missing(cell) else None


def editor_number(cell: str) -> float | None:
    """The number that JavaScript makes of a cell, 0 of an empty one; None if it makes none."""
    cell = cell.strip(BLANKS)
    if not cell:
        return 0.0
    if not _NUMBER.fullmatch(cell) or "in" in cell.lower():
        infinite = {"Infinity": np.inf, "+Infinity": np.inf, "-Infinity": -np.inf}
        return infinite.get(cell)
    return number_of(cell)


def number_text(number: float) -> str:
    """A finite number as JavaScript prints it: 1e-7, 0.5, 100000000000000000000."""
    if number == int(number) and abs(number) < 1e21:
        return str(int(number))
    if 1e-6 <= abs(number) < 1e21:
        return format(Decimal(repr(number)), "f")
    return re.sub(r"e([+-])0*", r"e\1", repr(number))


def plain(name: str) -> str:
    """A name without what nobody sees of it: case, blanks, and the form of its characters."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def shown(cell: object) -> str:
    """A cell as a message quotes it."""
    try:
        text = repr(cell)
    except RecursionError:
        text = f"a deeply nested {type(cell).__name__}"
    return text if len(text) <= 60 else text[:59] + "…"


def encoding_hint(text: object) -> str:
    """What to say of text that was decoded as UTF-8 and is not."""
    wrong = isinstance(text, str) and "\ufffd" in text[:60]
    return " (it isn't UTF-8: save the file as UTF-8)" if wrong else ""
