"""Quotation marks in lines of a CSV file: they count within a line only, as in Label Studio's editor."""

import re
from collections.abc import Collection
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

QUOTE = ord('"')
QUOTED_SEPARATOR = "\x01"  # stands for a separator between quotation marks
STRAY_QUOTE = "\x02"  # stands for a mark that quotes nothing
_LINE_END = np.array([10], dtype=np.uint8)

_Codes = NDArray[np.uint8]


def split_cells(line: str, separator: str) -> list[str]:
    """The cells of a line as they are written, with their quotation marks."""
    if '"' not in line:
        return line.split(separator)
    pattern = _cell(separator)
    cells = []
    place = 0
    while match := pattern.match(line, place):
        cells.append(match[0])
        if match.end() == len(line):
            break
        place = match.end() + 1
    return cells


def unquoted(cell: str) -> str:
    """A cell without the quotation marks around it."""
    cell = cell.strip()
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell


def editor_cells(line: str, separator: str) -> list[str]:
    """What the editor takes for the cells of a line: a mark that quotes nothing splits or moves them."""
    return _editor(separator).findall(line)


def misquoted_lines(codes: _Codes, ends: NDArray[np.int64], separator: int) -> NDArray[np.int64]:
    """The lines whose marks are not at both ends of a cell, or that have no other text."""
    marks = np.flatnonzero(codes == QUOTE)
    before = np.searchsorted(marks, ends)
    counts = np.diff(before, prepend=0)
    bad = counts % 2 == 1
    bad |= (counts > 0) & (counts == np.diff(ends, prepend=-1) - 1)
    opening = (np.arange(len(marks)) - np.repeat(before - counts, counts)) % 2 == 0
    beside = np.concatenate([_LINE_END, codes, _LINE_END])
    around = beside[marks + 2 * ~opening]
    fits = (around == separator) | (around == 10) | (around == QUOTE) | ((around == 13) & ~opening)
    if not fits.all():
        bad[np.repeat(np.arange(len(ends)), counts)[~fits]] = True
    return np.flatnonzero(bad)


def without_marks(codes: _Codes, separator: int) -> _Codes:
    """Lines that are quoted well, without their quotation marks."""
    separators = np.flatnonzero(codes == separator)
    inside = separators[np.searchsorted(np.flatnonzero(codes == QUOTE), separators) % 2 == 1]
    if len(inside):
        codes = codes.copy()
        codes[inside] = ord(QUOTED_SEPARATOR)
    return np.frombuffer(codes.tobytes().translate(None, b'"'), dtype=np.uint8)


def mend_line(line: str, separator: str, columns: Collection[int], length: int) -> str | None:
    """A line that is not quoted well, without quotation marks.

    None if the editor shows the file, with other cells than these in the `columns`.
    """
    cells = split_cells(line, separator)
    theirs = editor_cells(line, separator)
    if len(theirs) <= length:  # the editor refuses a file with a longer row
        for column in columns:
            if column < len(cells) and theirs[column : column + 1] != cells[column : column + 1]:
                return None
    if not "".join(map(unquoted, cells)).strip():
        return separator.join(["NaN"] * len(cells))  # a blank line would not be a row
    return separator.join(
        unquoted(cell).replace(separator, QUOTED_SEPARATOR).replace('"', STRAY_QUOTE) for cell in cells
    )


@lru_cache(maxsize=16)
def _cell(separator: str) -> re.Pattern[str]:
    blanks = "" if separator in " \t" else r"[ \t]*"
    mark = re.escape(separator)
    return re.compile(rf'{blanks}"(?>(?:""|[^"])*)"{blanks}(?={mark}|$)|[^{mark}]*')


@lru_cache(maxsize=16)
def _editor(separator: str) -> re.Pattern[str]:
    mark = re.escape(separator)
    return re.compile(rf'"(?:""|[^"])*"|[^"{mark}]+|(?={mark}(?:{mark}|$))|^(?={mark})')
