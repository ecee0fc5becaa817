"""The bytes of a CSV file in blocks of whole lines, so that a long file need not be in memory."""

import os
from collections.abc import Iterator
from typing import BinaryIO

from timeseries_segmenter.errors import SeriesError

BLOCK = 1 << 22  # bytes
MAX_LINE = 1_000_000  # bytes
_BLANKS = b"\0 \t\r\n\v\f"


class CsvText:
    """The text of a file, in memory, mapped or open, without byte-order mark, and without NUL bytes that a
    power cut left at its end.
    """

    def __init__(self, content: bytes | memoryview | BinaryIO) -> None:
        self._content = content
        self._length = _length(content)
        self._start = 3 if self._read(0, 3) == b"\xef\xbb\xbf" else 0
        self._end, self._cut_off = self._find_end()
        self._has_line_feeds = any(b"\n" in block for block in self._raw_blocks())

    def blocks(self) -> Iterator[tuple[bytes, bool]]:
        """Each block of whole lines, and whether it is the last one.

        Raises:
            SeriesError: a line has more than MAX_LINE bytes, or NUL bytes.

        """
        lines, start = 0, self._start
        while start < self._end:
            end = min(start + BLOCK, self._end)
            block = self._read(start, end)
            if not self._has_line_feeds:
                block = block.replace(b"\r", b"\n")
            if b"\0" in block:
                line = lines + block.count(b"\n", 0, block.index(b"\0")) + 1
                raise SeriesError(
                    f"line {line} of the file has NUL bytes: it is damaged, UTF-16, or not text at all; "
                    "remove the line, save the file as UTF-8, or convert it to CSV"
                )
            if end < self._end:
                block = block[: block.rfind(b"\n") + 1]
                if not block:
                    raise long_line(lines + 1)
            start += len(block)
            is_last = start == self._end
            lines += block.count(b"\n")
            yield (block + b"\n" if is_last and self._cut_off else block), is_last

    def _read(self, start: int, end: int) -> bytes:
        end = min(end, self._length)
        if isinstance(self._content, bytes | memoryview):
            return bytes(self._content[start:end])
        block = os.pread(self._content.fileno(), end - start, start)
        if len(block) < end - start:
            raise SeriesError("the file became shorter while it was read; try again")
        return block

    def _raw_blocks(self) -> Iterator[bytes]:
        for start in range(self._start, self._end, BLOCK):
            yield self._read(start, min(start + BLOCK, self._end))

    def _find_end(self) -> tuple[int, bool]:
        """Where NUL bytes at the end begin, and whether they cut off the end of a line."""
        end, tail = self._length, b""
        while end > self._start:
            block = self._read(max(self._start, end - BLOCK), end)
            text = block.rstrip(_BLANKS)
            end -= len(block) - len(text)
            tail = block[len(text) :] + tail
            if text:
                break
        if b"\0" not in tail:
            return self._length, False
        return end, b"\n" in tail.split(b"\0", 1)[0]


def _length(content: bytes | memoryview | BinaryIO) -> int:
    if isinstance(content, bytes | memoryview):
        return len(content)
    return os.fstat(content.fileno()).st_size


def long_line(number: int) -> SeriesError:
    """What to say of a line with more than MAX_LINE bytes."""
    return SeriesError(
        f"line {number} of the file has more than {MAX_LINE} bytes; look whether it has one line a row"
    )
