"""From the bytes of a CSV file to lines that pandas reads as Label Studio's editor does."""

from collections.abc import Collection, Iterator

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

MAX_LINE = 1_000_000  # bytes
MAX_ROWS = 20_000_000  # lines of a file, which no browser shows

_BLOCK = 1 << 22  # bytes
_CR, _LF = 13, 10
# What a line that has to be trimmed begins or ends with: ASCII blanks, and bytes of the others
_EDGES = np.isin(np.arange(256), [9, 11, 12, 32, *range(0x80, 0x8B), 0x9F, 0xA0, 0xA8, 0xA9, 0xAF, 0xBF])
_EDGES[[0xC2, 0xE1, 0xE2, 0xE3, 0xEF]] = True

_Codes = NDArray[np.uint8]
_Places = NDArray[np.int64]


def plain_text(content: bytes) -> bytes:
    """A file without byte-order mark, and without NUL bytes that a power cut left at its end.

    Raises:
        SeriesError: it is not text, or has too many lines.

    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in content:
        text = content.rstrip(b"\0 \t\r\n\v\f")
        ended = b"\n" in content[len(text) :].split(b"\0", 1)[0]
        if b"\0" in text:
            line = text.count(b"\n", 0, text.index(b"\0")) + 1
            raise SeriesError(
                f"line {line} of the file has NUL bytes: it is damaged, or UTF-16; remove the line, or save "
                "the file as UTF-8"
            )
        content = text + b"\n" if ended else text
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    if content.count(b"\n") > MAX_ROWS:
        raise SeriesError(f"the file has more than {MAX_ROWS} lines; cut it into shorter ones")
    return content


def lines_with_text(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Each line that isn't blank, and its number from 1.

    Raises:
        SeriesError: a line is longer than MAX_LINE.

    """
    start = number = 0
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        number += 1
        if end - start > MAX_LINE:
            raise _long_line(number)
        line = content[start:end]
        if line.strip():
            yield number, line
        start = end + 1


def clean_lines(
    content: bytes, separator: str, cells: int, columns: Collection[int], header_rows: int
) -> tuple[bytes, int]:
    """A file whose lines have so many `cells`, and the number of its rows without header and blank lines.

    Each line is trimmed and stays where it is. Quotation marks count within a line, and are taken off;
    those `columns` have to hold what the editor sees there. A file that needs nothing is not copied.

    Raises:
        SeriesError: a line is too long, has more or fewer cells, or others than the editor sees.

    """
    lines = _Lines(content, separator, cells, columns, header_rows)
    pieces = []
    kept = start = 0
    while start < len(content):
        end = lines.block_end(start)
        if (block := lines.clean(start, end)) is not None:
            pieces += [content[kept:start], block]
            kept = end
        start = end
    lines.check_indents()
    return (b"".join([*pieces, content[kept:]]) if pieces else content), lines.rows - header_rows


class _Lines:
    """Lines, block by block; `rows` counts those so far that aren't blank."""

    def __init__(
        self, content: bytes, separator: str, cells: int, columns: Collection[int], header_rows: int
    ) -> None:
        self.rows = 0
        self._content = content
        self._codes = np.frombuffer(content, dtype=np.uint8)
        self._separator = separator
        self._code = ord(separator)
        self._cells = cells
        self._columns = columns
        self._header_rows = header_rows
        self._has_cr = b"\r" in content
        self._has_quotes = b'"' in content
        self._number = 0  # lines so far
        self._indented = False
        self._empty_first = 0

    def block_end(self, start: int) -> int:
        end = start + _BLOCK
        if end >= len(self._content):
            return len(self._content)
        end = self._content.rfind(b"\n", start, end) + 1
        if not end:
            raise _long_line(self._number + 1)
        return end

    def clean(self, start: int, end: int) -> bytes | None:
        """A block of whole lines; None if it can stay as it is."""
        codes = self._codes[start:end]
        if lines := self._count_plain(codes):
            self.rows += lines
            self._number += lines
            return None
        ends = _ends(codes)
        lengths = np.diff(ends, prepend=-1) - 1
        if lengths.max() > MAX_LINE:
            raise _long_line(self._number + int(np.argmax(lengths)) + 1)
        changed = False
        if self._must_be_trimmed(codes, ends, lengths):
            codes, changed = self._trimmed(codes), True
        if self._has_quotes and bool((codes == QUOTE).any()):
            codes, changed = self._without_quotes(codes), True
        ends = _ends(codes)
        missing = self._check_lengths(codes, ends)
        if missing and end == len(self._content):
            codes, changed = np.append(codes, np.full(missing, self._code, dtype=np.uint8)), True
        self._number += len(ends)
        return codes.tobytes() if changed else None

    def _count_plain(self, codes: _Codes) -> int:
        """How many lines there are, 0 if one of them may need anything: a look at each byte, once."""
        if self._has_quotes:
            return 0
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

    def check_indents(self) -> None:
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
        row = int(rows[line]) - self._header_rows - 1
        raise SeriesError(
            f"{place_of(row, self._number + line + 1)} has {counts[line] + 1} cells, and the first line "
            f"{self._cells}; give every row the same number of cells, and look whether sep is "
            f"{self._separator!r}"
        )


def place_of(row: int, line: int) -> str:
    """What a message calls a row, numbered from 0, and its line."""
    return f"row {row + 1} (line {line} of the file)"


def _long_line(number: int) -> SeriesError:
    return SeriesError(
        f"line {number} of the file has more than {MAX_LINE} bytes; look whether it has one line a row"
    )


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
