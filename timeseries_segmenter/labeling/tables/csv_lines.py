"""From the bytes of a CSV file to lines that pandas reads as Label Studio's editor does."""

from collections.abc import Collection, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.tables.cells import BLANKS
from timeseries_segmenter.labeling.tables.csv_quotes import (
    QUOTE,
    mend_line,
    misquoted_lines,
    split_cells,
    without_marks,
)
from timeseries_segmenter.labeling.tables.csv_text import MAX_LINE, long_line
from timeseries_segmenter.words import counted

MAX_ROWS = 200_000_000  # lines of a file

_CR, _LF = 13, 10
# What a line that has to be trimmed begins or ends with: ASCII blanks, and bytes of the others
_EDGES = np.isin(np.arange(256), [9, 11, 12, 32, *range(0x80, 0x8B), 0x9F, 0xA0, 0xA8, 0xA9, 0xAF, 0xBF])
_EDGES[[0xC2, 0xE1, 0xE2, 0xE3, 0xEF]] = True

_Codes = NDArray[np.uint8]
_Places = NDArray[np.int64]


def lines_with_text(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line of the blocks that isn't blank, and its number from 1.

    Raises:
        SeriesError: a line is longer than MAX_LINE.

    """
    number = 0
    for block in blocks:
        start = 0
        while start < len(block):
            end = block.find(b"\n", start)
            end = len(block) if end < 0 else end
            number += 1
            if end - start > MAX_LINE:
                raise long_line(number)
            line = block[start:end]
            if line.strip():
                yield number, line
            start = end + 1


class CleanLines:
    """Lines as pandas reads them, block by block: each has so many `cells`.

    Each line is trimmed and stays where it is. Quotation marks count within a line, and are taken off;
    those `columns` have to hold what the editor sees there. `rows` counts those so far that aren't blank,
    headers too.
    """

    def __init__(self, separator: str, cells: int, columns: Collection[int], header_rows: int) -> None:
        self.rows = 0
        self._separator = separator
        self._code = ord(separator)
        self._cells = cells
        self._columns = columns
        self._header_rows = header_rows
        self._has_cr = False
        self._number = 0  # lines so far
        self._indented = False
        self._empty_first = 0

    def clean(self, block: bytes, is_last: bool) -> bytes:
        """A block of whole lines. One that needs nothing is not copied.

        Raises:
            SeriesError: a line is too long, has more or fewer cells, or others than the editor sees.

        """
        cleaned = self._cleaned(block, is_last)
        if self._number > MAX_ROWS:
            raise SeriesError(f"the file has more than {MAX_ROWS} lines; cut it into shorter ones")
        if is_last:
            self._check_indents()
        return cleaned

    def _cleaned(self, block: bytes, is_last: bool) -> bytes:
        codes = np.frombuffer(block, dtype=np.uint8)
        self._has_cr = b"\r" in block
        has_quotes = b'"' in block
        if lines := 0 if has_quotes else self._count_plain(codes):
            self.rows += lines
            self._number += lines
            return block
        ends = _ends(codes)
        lengths = np.diff(ends, prepend=-1) - 1
        if lengths.max() > MAX_LINE:
            raise long_line(self._number + int(np.argmax(lengths)) + 1)
        changed = False
        if self._must_be_trimmed(codes, ends, lengths):
            codes, changed = self._trimmed(codes), True
        if has_quotes and bool((codes == QUOTE).any()):
            codes, changed = self._without_quotes(codes), True
        ends = _ends(codes)
        missing = self._check_lengths(codes, ends)
        if missing and is_last:
            codes, changed = np.append(codes, np.full(missing, self._code, dtype=np.uint8)), True
        self._number += len(ends)
        return codes.tobytes() if changed else block

    def _count_plain(self, codes: _Codes) -> int:
        """How many lines there are, 0 if one of them may need anything: a look at each byte, once."""
        marks = np.flatnonzero((codes == self._code) | (codes == _LF))
        kinds = codes[marks]
        if codes[-1] != _LF:
            marks, kinds = np.append(marks, len(codes)), np.append(kinds, np.uint8(_LF))
        if len(marks) % self._cells:
            return 0
        is_end = kinds.reshape(-1, self._cells) == _LF
        if not is_end[:, -1].all() or np.count_nonzero(is_end) != len(is_end):
            return 0
        ends = marks[self._cells - 1 :: self._cells]
        lengths = np.diff(ends, prepend=-1) - 1
        if not 0 < lengths.min() <= lengths.max() <= MAX_LINE or self._must_be_trimmed(codes, ends, lengths):
            return 0
        blank = self._has_cr and bool(((lengths == 1) & (codes[ends - 1] == _CR)).any())
        return 0 if blank else len(ends)

    def _check_indents(self) -> None:
        """If lines are indented by separators, one with a cell fewer doesn't say which is missing."""
        if self._indented and self._empty_first:
            raise SeriesError(
                f"line {self._empty_first} of the file is indented as others are, and has a cell fewer; "
                "write NaN for missing cells"
            )

    def _must_be_trimmed(self, codes: _Codes, ends: _Places, lengths: _Places) -> bool:
        if not lengths.all():
            there = lengths > 0
            ends, lengths = ends[there], lengths[there]
        first, last = codes[ends - lengths], codes[ends - 1]
        if self._has_cr:
            returns = last == _CR
            if np.count_nonzero(codes == _CR) != np.count_nonzero(returns):
                return True
            last = np.where(returns & (lengths > 1), codes[ends - 2], last)
        return bool(_EDGES[first].any() or _EDGES[last].any())

    def _trimmed(self, codes: _Codes) -> _Codes:
        blank = self._separator in " \t"
        if not blank:  # one at each line is the rule, and soon taken off
            codes = _without_edges(codes)
            ends = _ends(codes)
            if not self._must_be_trimmed(codes, ends, np.diff(ends, prepend=-1) - 1):
                return codes
        lines = codes.tobytes().split(b"\n")
        for number, line in enumerate(lines):
            text = line.strip()
            if not text.isascii():
                text = text.decode("utf-8", "replace").strip(BLANKS).encode()
            if self._has_cr:
                text = text.replace(b"\r", b" ")
            if blank and text:
                text = self._filled(line, text, self._number + number + 1)
            lines[number] = text
        return np.frombuffer(b"\n".join(lines), dtype=np.uint8)

    def _filled(self, line: bytes, text: bytes, number: int) -> bytes:
        """A trimmed line with the empty cells at its ends, if trimming took separators for blanks."""
        mark = self._separator.encode()
        cells = _count_cells(text, self._separator)
        before = line[: len(line) - len(line.lstrip())].count(mark)
        if cells >= self._cells:
            self._indented |= before > 0
            return text
        behind = line[len(line.rstrip()) :].count(mark)
        if before + cells > self._cells or before + cells + behind < self._cells:
            return text
        if before and not self._empty_first:
            self._empty_first = number
        return mark * before + text + mark * (self._cells - before - cells)

    def _without_quotes(self, codes: _Codes) -> _Codes:
        bad = misquoted_lines(codes, _ends(codes), self._code)
        if len(bad):
            lines = codes.tobytes().split(b"\n")
            for number in bad:
                line = lines[number].decode("utf-8", "replace").rstrip("\r")
                mended = mend_line(line, self._separator, self._columns, self._cells)
                if mended is None:
                    raise SeriesError(
                        f"line {self._number + int(number) + 1} of the file has a quotation mark that is "
                        "not closed, or is inside a cell, and Label Studio reads other cells there; "
                        "remove it"
                    )
                lines[number] = mended.encode()
            codes = np.frombuffer(b"\n".join(lines), dtype=np.uint8)
        return without_marks(codes, self._code)

    def _check_lengths(self, codes: _Codes, ends: _Places) -> int:
        """Count the rows; how many cells the last line lacks because it was cut off, without its end."""
        separators = np.flatnonzero(codes == self._code)
        counts = np.diff(np.searchsorted(separators, ends), prepend=0)
        lengths = np.diff(ends, prepend=-1) - 1
        there = lengths > 0
        if self._has_cr:
            there &= (lengths > 1) | (codes[ends - 1] != _CR)
        wrong = np.flatnonzero(there & (counts != self._cells - 1))
        rows = self.rows + np.cumsum(there)
        self.rows = int(rows[-1])
        if not len(wrong):
            return 0
        line = int(wrong[0])
        missing = self._cells - 1 - int(counts[line])
        if line == len(ends) - 1 and ends[-1] == len(codes) and missing > 0 and rows[line] > 2:
            return missing
        place = place_of(int(rows[line]) - self._header_rows - 1, self._number + line + 1)
        raise SeriesError(
            f"{place} has {counted(counts[line] + 1, 'cell')}, and the first line {self._cells}; give every "
            "row the same number of cells, remove lines that are not rows, and "
            f"look whether sep is {self._separator!r}"
        )


def place_of(row: int, line: int) -> str:
    """What a message calls a row, numbered from 0, and its line."""
    return f"row {row + 1} (line {line} of the file)"


def _ends(codes: _Codes) -> _Places:
    """Where each line ends, the last one too if it has no end of line."""
    ends = np.flatnonzero(codes == _LF)
    return ends if len(codes) and codes[-1] == _LF else np.append(ends, len(codes))


def _without_edges(codes: _Codes) -> _Codes:
    """Lines without the first of the blanks at either end."""
    text = b"\n" + codes.tobytes()
    for edge in (b"\r\n", b" \n", b"\n "):
        text = text.replace(edge, b"\n")
    return np.frombuffer(text, dtype=np.uint8)[1:]


def _count_cells(text: bytes, separator: str) -> int:
    if b'"' in text:
        return len(split_cells(text.decode("utf-8", "replace"), separator))
    return text.count(separator.encode()) + 1
