"""Files as Label Studio's editor reads them: each expected value is what its own parser makes of the file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series, read_series
from timeseries_segmenter.labeling.tables.cells import editor_number, number_of, number_text
from timeseries_segmenter.labeling.tables.column_table import MAX_BRACKETS
from timeseries_segmenter.labeling.tables.csv_table import MAX_COLUMNS
from timeseries_segmenter.labeling.tables.csv_text import MAX_LINE
from timeseries_segmenter.labeling.time.formats import TimeFormat

YEAR_1900 = -2_208_988_800_000


def pair(
    channels: Sequence[str] = ("ax", "ay"),
    time: str | None = None,
    time_format: str | None = None,
    sep: str = ",",
    value_type: str = "url",
) -> LabelPair:
    return LabelPair("label", "ts", "$x", value_type, sep, time, time_format, tuple(channels), ("Run",))


def read(content: Any, *channels: str, **options: Any) -> Series:
    return read_series(content, pair(channels or ("ax", "ay"), **options), 7)


def columns(content: Any, *channels: str, **options: Any) -> list[Any]:
    columns: list[Any] = read(content, *channels, **options).values.T.tolist()
    return columns


def refusal(content: Any, *channels: str, **options: Any) -> str:
    with pytest.raises(SeriesError) as raised:
        read(content, *channels, **options)
    return str(raised.value)


# Lines


@pytest.mark.parametrize(
    "content",
    {
        "blanks before the rows": b"ax ay\n 1 2\n 3 4\n",
        "blanks before the header": b"  ax ay\n1 2\n3 4\n",
        "blanks behind rows": b"ax ay\n1 2  \n3 4 \n",
        "a blank line with blanks": b"ax ay\n1 2\n   \n3 4\n",
        "ends of lines of Windows": b"ax ay\r\n 1 2 \r\n3 4\r\n",
        "returns twice": b"ax ay\r\r\n1 2\r\r\n3 4\r\r\n",
        "ends of lines of old Macs": b"ax ay\r1 2\r3 4\r",
        "no-break blanks behind": "ax ay\u00a0\n1 2\u00a0\n3 4\u2003\n".encode(),
        "form feeds": b"ax ay\n\f1 2\n3 4\v\n",
        "NUL bytes at the end": b"ax ay\n1 2\n3 4\n\0\0\0\0",
        "NUL bytes in the last line": b"ax ay\n1 2\n3 4\0\0",
        "NUL bytes and an end of line": b"ax ay\n1 2\n3 4\n\0\0\r\n",
    }.values(),
)
def test_lines_are_trimmed(content: bytes) -> None:
    assert columns(content, sep=" ") == [[1, 3], [2, 4]]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("rare", [" ", "  ", "\t", " \t ", "\u00a0", " \u2003"])
@pytest.mark.parametrize("mark", ["", '"'])
def test_lines_that_all_end_in_a_blank_may_have_some_of_other_ends(mark: str, rare: str, end: str) -> None:
    rows = [f"{mark}{row}{mark},{mark}{row + 1}{mark}" for row in range(6)]
    rows[2], rows[4] = f"{rare}{rows[2]}", f"{rows[4]}{rare}"
    lines = ["ax,ay", *rows, rare]
    assert columns(f" {end}".join(lines).encode()) == [[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]]
    assert columns(f"{end} ".join(lines).encode()) == [[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]]


def test_quoted_separators_and_marks_stand_beside_rows_that_are_quoted_otherwise() -> None:
    lines = ["ax,note,ay", '"1","a,b","2"', '3,"c",4', '"5",d,6', '7,"say ""so"", he",8', '"9","",10']
    assert columns("\n".join(lines).encode()) == [[1, 3, 5, 7, 9], [2, 4, 6, 8, 10]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"ax\tay\n1\t2\t\n3\t4\t\n", [[1, 3], [2, 4]]),
        (b"ax\tay\n\t1\t2\n\t3\t4\n", [[1, 3], [2, 4]]),
        (b"\tax\tay\n1\t2\n3\t4\n", [[1, 3], [2, 4]]),
        (b"ax\tay\n1\t2\n3\t\n5\t6\n", [[1, 3, 5], [2, 4, 6]]),  # the missing cell is filled in
        (b"ax\tay\n1\t2\n\t4\n5\t6\n", [[1, 3, 5], [2, 4, 6]]),
        (b"ax\tay\n1\t2\n\t\n5\t6\n", [[1, 5], [2, 6]]),  # a blank line is not a row
    ],
)
def test_tabs_at_the_ends_of_lines_are_trimmed_where_they_separate_nothing(
    content: bytes, expected: list[list[int]]
) -> None:
    assert columns(content, sep="\t") == expected


def test_an_indented_line_with_a_cell_fewer_is_refused_by_its_number() -> None:
    assert "line 3 of the file is indented" in refusal(b"\t1\t2\n\t3\t4\n\t5\n", "0", "1", sep="\t")


def test_blanks_before_lines_without_a_header_move_no_column() -> None:
    assert columns(b" 0.0 1.5 7\n 0.1 2.5 8\n", "1", sep=" ") == [[1.5, 2.5]]
    matlab = b"   5.0377000e+01   4.9646000e+01\n   4.9441000e+01   4.9817000e+01\n"
    assert columns(matlab, "0", "3", sep=" ") == [
        [pytest.approx(50.377), pytest.approx(49.441)],
        [pytest.approx(49.646), pytest.approx(49.817)],
    ]


@pytest.mark.parametrize("end", [b"", b"\0\0\0"])
def test_a_last_line_that_was_cut_off_is_a_row_with_missing_cells(end: bytes) -> None:
    series = read(b"time,ax,ay\n0,1,2\n1,3,4\n2,5" + end, time="time")
    assert series.values.T.tolist() == [[1, 3, 5], [2, 4, 4]]
    assert series.time.stamps.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (b"time,ax,ay\n0,1,2\n10,3,4\n2", ["line 4", "falls from '10' to '2'"]),
        (b"ax,ay\n1,2\n3\n5,6", ["row 2 (line 3 of the file) has 1 cell"]),
        (b"ax,ay\n1,2\n# made by x\n5,6", ["row 2 (line 3 of the file) has 1 cell"]),
        (b"ax,ay\n1,2\r3,4\n5,6\n", ["row 1 (line 2 of the file) has 3 cells"]),
        (b"ax,ay\n1,2\n3\0,4\n5,6\n", ["line 3 of the file has NUL bytes"]),
        (
            b"ax,ay\n1,2\n" + b"3" * (MAX_LINE + 1) + b",4\n",
            ["line 3 of the file has more than 1000000 bytes"],
        ),
        (b"x" * 5_000_000, ["line 1 of the file has more than"]),
        (b"ax,ay\n1,2\n" + b"," * 5_000_000, ["line 3 of the file has more than"]),
        (b"," * (MAX_COLUMNS + 1) + b"\n1\n", [f"{MAX_COLUMNS + 2} columns"]),
    ],
)
def test_other_lines_are_refused_by_their_number(content: bytes, messages: list[str]) -> None:
    time = "time" if content.startswith(b"time") else None
    message = refusal(content, time=time)
    for part in messages:
        assert part in message


# Quotation marks


@pytest.mark.parametrize("remark", ['"', '"open', 'ditto "', '"a"b', '"" ""', '"a ""b"', 'a "b" c'])
def test_quotation_marks_join_no_lines(remark: str) -> None:
    lines = [f"{row},{row + 0.5},{remark if row in (30, 80) else ''}" for row in range(120)]
    content = "ax,ay,remark\n" + "\n".join(lines) + "\n"
    assert columns(content) == [list(range(120)), [row + 0.5 for row in range(120)]]


def test_quoted_cells_may_hold_separators_and_marks() -> None:
    content = b'note,ax,ay\n"a, b",1,2\n"c ""d"", e",3,"4"\n"",5,6\n'
    assert columns(content) == [[1, 3, 5], [2, 4, 6]]


def test_a_line_of_quotation_marks_alone_is_a_row() -> None:
    assert columns(b'ax\n1\n""\n3\n', "ax") == [[1, 2, 3]]


def test_a_mark_that_moves_cells_in_the_editor_is_refused_by_its_line() -> None:
    message = refusal(b'note,ax,ay\nok,1,2\n",3,4\n')
    assert "line 3 of the file has a quotation mark" in message


def test_a_quoted_time_may_hold_the_separator() -> None:
    content = b'time,ax\n"2024-05-01, 10:00",1\n"2024-05-01, 10:01",2\n'
    series = read(content, "ax", time="time", time_format="%Y-%m-%d, %H:%M")
    assert series.start_end(0, 1) == ("2024-05-01, 10:00", "2024-05-01, 10:01")


def test_a_format_in_quotation_marks_is_that_of_quoted_cells() -> None:
    content = b'"time",ax\n"2024-05-01",1\n"2024-05-02",2\n'
    series = read(content, "ax", time='"time"', time_format='"%Y-%m-%d"')
    assert series.start_end(0, 1) == ('"2024-05-01"', '"2024-05-02"')


@pytest.mark.parametrize("channels", [("ax", "ay"), ('"ax"', '"AY"'), ("1", "2")])
def test_quoted_names_are_found_with_their_marks_and_without(channels: tuple[str, str]) -> None:
    assert columns(b'"time","ax","ay"\n0,1,2\n1,3,4\n', *channels) == [[1, 3], [2, 4]]


# Headers and columns


@pytest.mark.parametrize(
    ("content", "channels", "expected"),
    [
        (b"1,2\n3,4\n5,6\n", ("0", "1"), [[1, 3, 5], [2, 4, 6]]),
        (b"1,2,3\n4,NaN,6\n7,8,9\n", ("0", "2"), [[4, 7], [6, 9]]),  # NaN below 2: a header to the editor
        (b"1,,3\n4,5,6\n", ("0", "2"), [[1, 4], [3, 6]]),  # an empty cell is a number to it
        (b"1,NaN\n2,NaN\n", ("0",), [[1, 2]]),
        (b"1,NaN\n2,5\n3,6\n", ("1",), [[5, 6]]),
        (b"0x10,2\n3,4\n", ("0",), [[16, 3]]),
        (b"a,1e5\nb,2\n", ("1",), [[100000, 2]]),
    ],
)
def test_the_first_line_is_a_header_where_the_editor_takes_it_for_one(
    content: bytes, channels: tuple[str, ...], expected: list[list[int]]
) -> None:
    assert columns(content, *channels) == expected


def test_a_time_column_is_looked_for_by_its_name_first() -> None:
    assert read(b"5,7\n6,9\n8,9\n", "0", time="0").time.stamps.tolist() == [5, 6, 8]
    assert read(b"a,0\n5,7\n6,9\n8,9\n", "0", time="0").time.stamps.tolist() == [7, 9, 9]


@pytest.mark.parametrize("channel", ["ax", "1"])
def test_columns_of_one_name_are_refused(channel: str) -> None:
    assert 'several columns are called "ax"' in refusal(b"time,ax,AX\n0,1,2\n1,3,4\n", channel)


def test_columns_are_not_counted_with_a_separator_that_the_editor_miscounts() -> None:
    assert columns(b"ax|ay\n1|2\n3|4\n", sep="|") == [[1, 3], [2, 4]]
    assert "name the column 1" in refusal(b"1|2\n3|4\n", "1", sep="|")


@pytest.mark.parametrize(
    ("content", "channel", "advice"),
    [
        (b"time;ax\n0;1\n", "ax", "Set sep in the config to ';'"),
        (b"time;ax\n0,5;1\n", "ax", "Set sep in the config to ';'"),
        (b"time\tax\n0\t1\n", "AX", r"Set sep in the config to '\t'"),
        (b"# device 7\n\n# 10 Hz\ntime,ax\n0,1\n", "ax", "Line 4 has it: remove the lines above"),
        (b"sep=;\ntime,ax\n0,1\n", "ax", "Line 2 has it: remove the lines above"),
        (b"0,1\n1,2\n", "ax", "The file has no header row: add one, or name columns by number"),
        (b"time,ay\n0,1\n", "ax", "Correct the name in the config, or its sep"),
        (b"ax [g],ay\n0,1\n", "ax", "Correct the name in the config, or its sep"),
        (b"Not found\n1\n", "ax", "Correct the name in the config, or its sep"),
        (
            "time,ho\u0308he\n0,1\n".encode(),
            "h\u00f6he",
            '("ho\u0308he" differs in blanks or form of characters',
        ),
        (b"time,acc  x\n0,1\n", "acc x", '("acc  x" differs in blanks or form of characters alone)'),
        (b"Not found\n", "ax", "no rows (it begins 'Not found')"),
    ],
)
def test_a_column_that_is_not_there_is_looked_for(content: bytes, channel: str, advice: str) -> None:
    assert advice in refusal(content, channel)


def test_nothing_is_said_of_sep_where_there_is_none() -> None:
    message = refusal({"acc": [1]}, value_type="json")
    assert message == 'Task 7: there is no column "ax"; the columns are: acc. Correct the name in the config.'
    assert "the columns are: none." in refusal({}, value_type="json")


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (
            b"time,ax,ay\ns,m/s2,m/s2\n0,1,2\n",
            "line 2 of the file): 'm/s2' is not a number; remove the line if",
        ),
        (b"time,ax,ay\n-,g,-\n0,1,2\n", "remove the line if it holds units"),
        (b"time,ax,ay\n0,1,2\nTIME,ax,ay\n1,3,4\n", "remove the line, which repeats the header"),
        (
            b"time,ax,ay\n0,1,2\n,,\n",
            "line 3 of the file): '' is not a time; remove the line, which has empty",
        ),
        (b"time,ax,ay\n0,x,2\n1,3,4\n", "write one, or leave the cell empty"),
        (b"time,ax,ay\n0,1,2\n1,y,z\n", "write one, or leave the cell empty"),
        (b'time,ax,ay\n"0,1",1,2\n', "write numbers with a decimal point"),
        (b'time,ax,ay\n"0,1","0,2","0,3"\n', "write numbers with a decimal point"),
        (b"time,ax,ay\n0,1,2\n# end\n1,3,4\n", "remove lines that are not rows"),
    ],
)
def test_a_line_that_is_not_a_row_is_told(content: bytes, advice: str) -> None:
    assert advice in refusal(content, time="time")


def test_rows_that_are_counted_stay_where_the_editor_has_them() -> None:
    message = refusal(b"ax,ay\ng,g\n1,2\n")  # the editor counts the units as a row
    assert "write one, or leave the cell empty" in message


def test_text_as_time_is_no_channel() -> None:
    message = refusal(b"time,ax\n2024-05-01,1\n", "time", time="time", time_format="%Y-%m-%d")
    assert "remove the Channel that is the time" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"ax;ay\n1;2\n3;4", [[1, 3], [2, 4]]), (b"ax\tay\n1\t2\n3\t4", [[1, 3], [2, 4]])],
)
def test_the_separator_is_the_one_mark_of_the_second_line(content: bytes, expected: list[list[int]]) -> None:
    assert columns(content, sep="auto") == expected


# Cells


MISSING = [
    *("", " ", "NaN", "NaN  ", "  nan", "nan(ind)", "-nan(ind)", "1.#QNAN", "-1.#IND", "1.#IND00", "1.#INF"),
    *("-1.#INF", "?", "-", "--", "---", ".", "*", "N/A", "n.a.", "null", "NULL", "None", "#N/A", "#DIV/0!"),
    *("inf", "-Infinity", "1e400", "NaN\u00a0", "NA\u2009", "\\N", "NaT", "#VALUE!"),
]


@pytest.mark.parametrize("cell", MISSING)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_cell_without_a_number_is_missing(cell: str, as_json: bool) -> None:
    content = {"ax": [1, cell, 3], "ay": [4, 5, 6]} if as_json else f"ax,ay\n1,4\n{cell},5\n3,6\n"
    assert columns(content, value_type="json" if as_json else "url") == [[1, 2, 3], [4, 5, 6]]


NUMBERS = {
    **{"5": 5, "+5": 5, "5.": 5, ".5": 0.5, "1e5": 1e5, "1E-2": 0.01, " 7 ": 7, "\t8": 8, "\u00a09\u00a0": 9},
    **{"0x1F": 31, "0b11": 3, "0o17": 15, "007": 7, "-0": 0, "1e-400": 0},
}


@pytest.mark.parametrize(("cell", "number"), NUMBERS.items())
def test_a_number_is_what_javascript_takes_for_one(cell: str, number: float) -> None:
    assert columns(f"ax,ay\n1,4\n{cell},5\n3,6\n")[0] == [1, np.float32(number), 3]
    assert editor_number(cell) == number


NUMBERS_ELSEWHERE = ("1,5", "1.234,5", "1,234.5", "1 234", "1'234", "1_000", "1.234.567,8")


@pytest.mark.parametrize(
    "cell", ["abc", "1_0", "5-", "1.2.3", "12:30", "yes", "0x", "²", "1d5", *NUMBERS_ELSEWHERE]
)
def test_other_text_is_refused_with_its_column_and_line(cell: str) -> None:
    message = refusal(f"ax;ay\n1;4\n\n{cell};5\n3;6\n", sep=";")
    assert f'column "ax", row 2 (line 4 of the file): {cell!r} is not a number' in message
    advised = "with a decimal point, and without a separator of thousands" in message
    assert advised == (cell in NUMBERS_ELSEWHERE)


@pytest.mark.parametrize("other", ["5", "?", ""])
@pytest.mark.parametrize("yes", ["true", "True", "TRUE"])
def test_truth_is_one_whatever_other_cells_hold(yes: str, other: str) -> None:
    no = {"true": "false", "True": "False", "TRUE": "FALSE"}[yes]
    assert columns(f"ax,ay\n{yes},4\n{no},{other}\n{yes},6\n") == [[1, 0, 1], [4, 5, 6]]
    assert columns(f"ax,ay\n{yes},4\n{no},5\n1,6\n") == [[1, 0, 1], [4, 5, 6]]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((5.0, "5"), (0.1, "0.1"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-7, "1e-7")),
        *((0.000001, "0.000001"), (1714550400.05, "1714550400.05"), (-2.5, "-2.5"), (1.5e-9, "1.5e-9")),
        *((123456789012345680.0, "123456789012345680"), (0.0, "0")),
    ],
)
def test_numbers_are_printed_as_javascript_does(number: float, text: str) -> None:
    assert number_text(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_is_printed_of_a_number_is_that_number(number: float) -> None:
    assert editor_number(number_text(number)) == number
    assert number_of(number_text(number)) == number


def test_a_series_without_any_value_is_refused() -> None:
    message = refusal(b"time,ax,ay\n0,,NaN\n1,,NaN\n", time="time")
    assert "no channel has a value in any row (ax, ay)" in message


def test_channels_without_any_value_are_known() -> None:
    assert read(b"ax,ay\n,1\n,2\n").empty_channels == ("ax",)
    assert read(b"ax,ay\n,1\n3,\n").empty_channels == ()


# Encodings and other kinds of files


def test_text_that_is_not_utf8_harms_no_other_column() -> None:
    assert columns("Temp [°C],ax,ay\n21.5,1,2\n21.5,3,4\n".encode("cp1252")) == [[1, 3], [2, 4]]
    assert columns("note,ax,ay\nété,1,2\n,3,4\n".encode("cp1252")) == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\x1f\x8b\x08\0abc", "gzip"),
        (b"PK\x03\x04abc", "ZIP"),
        ("ax,ay\n1,2\n".encode("utf-16"), "UTF-16"),
        ("ax,ay\n1,2\n".encode("utf-16-le"), "UTF-16"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"<!-- cached -->\n<!DOCTYPE html>\n", "web page"),
        (b"<head><title>Log in</title></head>\n<body>\n", "web page"),
        (b"<Error><Code>AccessDenied</Code></Error>", "answer that something is wrong; open the address"),
        (b"<?xml version='1.0'?>\n<Error><Code>NoSuchKey</Code></Error>", "answer that something is wrong"),
        (b"<?xml version='1.0'?>\n<gpx></gpx>", "an XML file"),
        (b"{\\rtf1\\ansi ax,ay\\par 1,2}", "rich text"),
        (b'[{"ax": 1, "ay": 2}]', "a JSON list; write a dict of columns"),
        (b"\xef\xbb\xbf [\n [1, 2], [3, 4]]", "a JSON list; write a dict of columns"),
        (b"\x7fELF\0a\n1\n", "not text at all"),
        (b"PAR1\x15\x04", "Parquet"),
    ],
)
def test_a_file_of_another_kind_is_named(content: bytes, word: str) -> None:
    assert word in refusal(content)


@pytest.mark.parametrize("name", ["PAR1", "BZh9", "ORC", "ID3", "<DATE>", "[s]", "<a> b"])
def test_a_column_may_be_called_as_other_files_begin(name: str) -> None:
    assert columns(f"{name},ax,ay\n0,1,2\n0,3,4\n") == [[1, 3], [2, 4]]


# Times


@dataclass
class Times:
    """Cells of a time column, their format, and what the editor makes of them in ms."""

    time_format: str
    cells: list[str]
    stamps: list[int]


TIMES = [
    # 080020 is the number 80020 to the editor, and so 80:02:00
    Times("%H%M%S", ["080001", "080020"], [YEAR_1900 + 288_001_000, YEAR_1900 + 288_120_000]),
    Times("%H%M%S", ["100000", "100001"], [YEAR_1900 + 36_000_000, YEAR_1900 + 36_001_000]),
    Times("%s.%L", ["1714550400.05", "1714550400.15"], [1_714_550_400_005, 1_714_550_400_015]),
    Times("%s.%L", ["1714550400.150", "1714550400.25"], [1_714_550_400_015, 1_714_550_400_025]),
    Times("%S.%L", ["1.5", "2.25"], [YEAR_1900 + 1005, YEAR_1900 + 2025]),
    Times("%H:%M:%S.%L", ["00:00:01.5", "00:00:02.25"], [YEAR_1900 + 1500, YEAR_1900 + 2250]),
    Times("%H:%M:%S.%f", ["00:00:01.5", "00:00:02.250000"], [YEAR_1900 + 1500, YEAR_1900 + 2250]),
    Times("%s", ["1.7e9", "1700000001"], [1_700_000_000_000, 1_700_000_001_000]),
    Times("%Q", ["0x10", "17"], [16, 17]),
    Times("%Y", ["2024", "2025.0"], [1_704_067_200_000, 1_735_689_600_000]),
    Times("%Y-%m-%d", ["2024-05-01", "2024-05-02 "], [1_714_521_600_000, 1_714_608_000_000]),
    Times("%M:%S", ["59:59", "61:40"], [YEAR_1900 + 3_599_000, YEAR_1900 + 3_700_000]),
]


@pytest.mark.parametrize("times", TIMES, ids=str)
def test_cells_that_are_numbers_are_numbers_before_they_are_times(times: Times) -> None:
    content = "time,ax\n" + "".join(f"{cell},{row}\n" for row, cell in enumerate(times.cells))
    series = read(content, "ax", time="time", time_format=times.time_format)
    assert series.time.stamps.tolist() == times.stamps
    start, end = series.start_end(0, 1)
    parsed = (
        TimeFormat(times.time_format).parse([start, end]).tolist()
        if isinstance(start, str) and isinstance(end, str)
        else [start, end]
    )
    assert parsed == times.stamps
    assert series.time.rows(start, end) == (0, 1)


def test_text_of_json_is_no_number() -> None:
    series = read({"time": ["080000", "080001"], "ax": [1, 2]}, "ax", time="time", time_format="%H%M%S")
    assert series.time.stamps.tolist() == [YEAR_1900 + 28_800_000, YEAR_1900 + 28_801_000]
    numbers = read(
        {"time": [1714550400.05, 1714550400.15], "ax": [1, 2]}, "ax", time="time", time_format="%s.%L"
    )
    assert numbers.time.stamps.tolist() == [1_714_550_400_005, 1_714_550_400_015]


def test_what_the_editor_writes_for_such_times_is_understood() -> None:
    rows = [f"{80000 + row // 60 * 100 + row % 60:06d},{row}\n" for row in range(120)]
    series = read("time,ax\n" + "".join(rows), "ax", time="time", time_format="%H%M%S")
    assert series.time.rows("080200", "080409") == (20, 49)


@pytest.mark.parametrize("cells", [["0959", "1000"], ["9.95", "10.0"]])
def test_a_number_that_makes_time_fall_is_told(cells: list[str]) -> None:
    time_format = "%H%M" if len(cells[0]) == 4 and "." not in cells[0] else "%S.%L"
    content = "time,ax\n" + "".join(f"{cell},{row}\n" for row, cell in enumerate(cells))
    message = refusal(content, "ax", time="time", time_format=time_format)
    assert "line 3 of the file" in message


# JSON


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
@pytest.mark.parametrize("value_type", ["url", "json"])
def test_json_may_have_a_byte_order_mark(start: bytes, value_type: str) -> None:
    content = start + json.dumps({"ax": [1, 3], "ay": [2, 4]}).encode()
    assert columns(content, value_type=value_type) == [[1, 3], [2, 4]]


@pytest.mark.parametrize("as_text", [False, True])
def test_json_may_be_a_list_of_columns(as_text: bool) -> None:
    content = [[0, 5], [1, 3], [2, None]]
    series = read(json.dumps(content) if as_text else content, "1", "2", time="0", value_type="json")
    assert series.values.T.tolist() == [[1, 3], [2, 2]]
    assert series.time.stamps.tolist() == [0, 5]


def test_a_list_of_rows_is_not_read_as_columns() -> None:
    rows = [[row, row + 0.5, -row] for row in range(40)]
    said = "a list of 40 lists of 3 cells, which are its columns, but look like rows; write a dict of columns"
    assert said in refusal(json.dumps(rows), "1", "2", time="0", value_type="json")
    assert said in refusal({str(place): row for place, row in enumerate(rows)}, "1", "2", value_type="json")
    assert len(read({f"a{place}": row for place, row in enumerate(rows)}, "a1", value_type="json")) == 3
    assert len(read([list(column) for column in zip(*rows, strict=True)], "1", value_type="json")) == 40


@pytest.mark.parametrize("content", [[{"ax": 1, "ay": 2}], [1, 2], [], "x", 5, [[1], 2]])
def test_other_json_is_refused_with_the_form_that_is_needed(content: object) -> None:
    assert "write a dict of columns" in refusal(json.dumps(content), value_type="json")


def test_json_of_a_million_brackets_is_refused() -> None:
    assert "brackets" in refusal("[" + "{}," * MAX_BRACKETS + "{}]", value_type="json")


def test_separators_in_a_quoted_time_stay_as_they_are() -> None:
    content = b'time,ax\n"5, 1, 24",1\n"5, 2, 24",2\n'
    series = read(content, "ax", time="time", time_format="%m, %d, %y")
    assert series.start_end(0, 1) == ("05, 01, 24", "05, 02, 24")


def test_a_quoted_cell_is_shown_as_it_is_written() -> None:
    assert "'a,b' is not a number" in refusal(b'ax,ay\n1,2\n"a,b",3\n')
