"""The bytes of a CSV file: whether they are text at all, and where its lines begin."""

import re
from collections.abc import Iterator

from timeseries_segmenter.errors import SeriesError

MAX_LINE = 1_000_000  # bytes
MAX_ROWS = 20_000_000  # lines of a file, which no browser shows

BOM = b"\xef\xbb\xbf"
_KINDS = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PAR1", "Parquet"),
    (b"\x89HDF", "HDF5"),
    (b"MATLAB 5.0", "a MAT file"),
    (b"%PDF-", "PDF"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_PAGE = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
_BLANK = b" \t\r\n\v\f"


def plain_text(content: bytes) -> bytes:
    """A file without byte-order mark, and without NUL bytes that a power cut left at its end.

    Raises:
        SeriesError: it is no text.

    """
    for start, kind in _KINDS:
        if content.startswith(start):
            raise SeriesError(f"the file is {kind}, not CSV text; save it as CSV, in UTF-8, and not packed")
    if _PAGE.match(content, 0, 1000):
        raise SeriesError(
            "the file is a web page (of a login, perhaps) or XML; give the address of a CSV file"
        )
    content = content.removeprefix(BOM)
    if b"\0" in content:
        text = content.rstrip(b"\0" + _BLANK)
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
            raise long_line(number)
        line = content[start:end]
        if line.strip():
            yield number, line
        start = end + 1


def long_line(number: int) -> SeriesError:
    """What to say of a line that is too long."""
    return SeriesError(
        f"line {number} of the file has more than {MAX_LINE} bytes; look whether it has one line a row"
    )
