"""A file that is read in parts is the series that it is as a whole."""

import errno
import os
import tempfile
from dataclasses import replace
from typing import BinaryIO
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series, parse_series
from timeseries_segmenter.labeling.tables import csv_text

PAIR = LabelPair("l", "t", "$x", "url", "auto", "time", None, ("a", "b"), ("R",))
CELLS = ["0", "1", "-2.5", "1e3", "", "nan", "NULL", "?", '"7"', '" 8"', "0x10", "x", "1e400", " 5", "5 "]
MARKS = ["\n", "\r\n", "\n\n", "\n \n", ",\n", "\n,"]


def in_parts(content: bytes, pair: LabelPair) -> Series:
    longest = max(map(len, content.split(b"\n"))) + 1
    with (
        tempfile.TemporaryFile() as file,
        patch.object(csv_text, "BLOCK", max(longest, 4)),
        patch("timeseries_segmenter.labeling.series._ROWS", 3),
        patch("timeseries_segmenter.labeling.rows.MOST_IN_MEMORY", 40),
    ):
        file.write(content)
        file.flush()
        with open(file.fileno(), "rb", closefd=False) as opened:
            return parse_series(opened, pair, spill=tempfile.TemporaryFile)


def outcome(read: object, content: bytes, pair: LabelPair) -> object:
    try:
        series = read(content, pair)  # type: ignore[operator]
    except SeriesError:
        return "refused"
    return series


def check(content: bytes, pair: LabelPair) -> Series | None:
    whole, parts = (outcome(read, content, pair) for read in (parse_series, in_parts))
    if not isinstance(whole, Series) or not isinstance(parts, Series):
        assert whole == parts
        return None
    np.testing.assert_array_equal(parts.values, whole.values)
    np.testing.assert_array_equal(parts.time.stamps, whole.time.stamps)
    return parts


@given(
    rows=st.lists(st.tuples(st.sampled_from(CELLS), st.sampled_from(CELLS)), min_size=1, max_size=40),
    marks=st.lists(st.sampled_from(MARKS), min_size=1, max_size=4),
    odd=st.integers(0, 40),
    end=st.sampled_from(["", "\n", "\n\n", "\0\0\0", "\n\0\0", "\n3", " \n", "\n\0\n\0"]),
    bom=st.sampled_from(["", "\ufeff"]),
    counted=st.booleans(),
)
@example(
    rows=[("", "")] * 9 + [("1", "")] + [("", "")] * 9, marks=["\n"], odd=40, end="", bom="", counted=False
)
@settings(max_examples=300, deadline=None)
def test_values_and_times_are_the_same(
    rows: list[tuple[str, str]], marks: list[str], odd: int, end: str, bom: str, counted: bool
) -> None:
    lines = ["time,a,b"] + [f"{number / 10},{a},{b}" for number, (a, b) in enumerate(rows)]
    ends = [marks[number % len(marks)] if number == odd else "\n" for number in range(len(lines) - 1)]
    text = bom + "".join(map("".join, zip(lines, [*ends, end], strict=True)))
    check(text.encode(), replace(PAIR, time_column=None) if counted else PAIR)


def test_times_in_a_format_are_the_same_and_the_row_of_a_wrong_one_is_named() -> None:
    lines = [f"2024-01-01 00:{number // 60:02}:{number % 60:02},{number},1" for number in range(200)]
    pair = replace(PAIR, time_format="%Y-%m-%d %H:%M:%S")
    text = "\n".join(["time,a,b", *lines])
    series = check(text.encode(), pair)
    assert series is not None
    assert series.start_end(100, 101) == ("2024-01-01 00:01:40", "2024-01-01 00:01:41")
    for wrong, message in (("soon", "is not a time of the form"), ("", "is not a time;")):
        changed = text.replace("2024-01-01 00:02:30", wrong).encode()
        with pytest.raises(SeriesError, match=rf"row 151 \(line 152 of the file\).*{message}"):
            in_parts(changed, pair)
    falling = text.replace("00:02:30", "00:00:30").encode()
    with pytest.raises(SeriesError, match=r"row 151 \(line 152 of the file\): the time falls from"):
        in_parts(falling, pair)


def test_the_row_of_a_wrong_cell_is_named() -> None:
    lines = [f"{number},{number},1" for number in range(200)]
    lines[170] = "170,much,1"
    with pytest.raises(SeriesError, match=r'column "a", row 171 \(line 172 of the file\): .much. is not'):
        in_parts("\n".join(["time,a,b", *lines]).encode(), PAIR)


def test_a_mapped_file_is_read_as_one_in_memory() -> None:
    content = b"\xef\xbb\xbftime,a,b\n0,1,2\n1,,4\n\0\0"
    np.testing.assert_array_equal(
        parse_series(memoryview(content), PAIR).values, parse_series(content, PAIR).values
    )
    columns = b'{"time": [0, 1], "a": [1, 2], "b": [3, 4]}'
    assert parse_series(memoryview(columns), PAIR).values.tolist() == [[1, 3], [2, 4]]


def test_a_full_disk_is_said() -> None:
    def spill() -> BinaryIO:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    content = "\n".join(["time,a,b", *(f"{row},{row},{row}" for row in range(50))]).encode()
    with (
        patch("timeseries_segmenter.labeling.rows.MOST_IN_MEMORY", 40),
        pytest.raises(SeriesError, match=r"temporary file \(No space left on device\); make room"),
    ):
        parse_series(content, PAIR, spill=spill)


def test_a_long_series_is_in_a_file() -> None:
    content = "\n".join(["time,a,b", *(f"{row},{row},{row}" for row in range(500))]).encode()
    assert isinstance(in_parts(content, PAIR).values, np.memmap)
    assert not isinstance(parse_series(content, PAIR).values, np.memmap)
