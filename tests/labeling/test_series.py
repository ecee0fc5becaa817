import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series, TimeAxis, read_series
from timeseries_segmenter.labeling.time.formats import TimeFormat

DATA = Path(__file__).parents[1] / "data"
DATE = "%Y-%m-%d %H:%M:%S"


def pair(
    channels: tuple[str, ...] = ("value",),
    time_column: str | None = None,
    time_format: str | None = None,
    separator: str = ",",
    value_type: str = "url",
) -> LabelPair:
    return LabelPair(
        "label", "ts", "$x", value_type, separator, time_column, time_format, channels, ("Run", "Walk")
    )


def values(content: Any, *channels: str, **options: Any) -> list[Any]:
    columns: list[Any] = read_series(content, pair(channels or ("value",), **options), 7).values.T.tolist()
    return columns


def axis(stamps: Any, time_format: str | None = None) -> TimeAxis:
    return TimeAxis(np.array(stamps, dtype=float), TimeFormat(time_format) if time_format else None)


# Reading CSV


def test_reads_a_real_file_with_a_quoted_header() -> None:
    series = read_series((DATA / "time_series.csv").read_bytes(), pair(("sensorone", "SensorTwo"), "time"), 1)
    assert series.values.shape == (100, 2)
    assert series.values.dtype == np.float32
    assert series.channels == ("sensorone", "SensorTwo")
    np.testing.assert_allclose(series.values[0], [1.4189132761558783, 0.04295890639498677], rtol=1e-6)
    assert series.start_end(0, 99) == (0, 99)


def test_reads_a_real_file_without_a_time_column() -> None:
    series = read_series((DATA / "test_from_video_tutorial.csv").read_text(), pair(("value", "value2")), 1)
    assert series.values.shape == (1000, 2)
    assert len(series) == 1000
    assert series.time.stamps[-1] == 999


@pytest.mark.parametrize(
    "content",
    [
        *(b"\xef\xbb\xbfVALUE,b\n1,2\n3,4\n", b"value,b\r\n1,2\r\n3,4\r\n", b"value,b\r1,2\r3,4\r"),
        *(b" value , b\n 1, 2\n 3, 4", b'"value","b"\n"1","2"\n"3","4"\n', b"\nvalue,b\n\n1,2\n3,4\n\n"),
        *(b'b,value\n"x, y",1\n"z ""q""",3\n', b'{"value": [1, 3]}', "value,b\n1,ü\n3,ü\n"),
    ],
)
def test_reads_the_same_values_however_a_file_is_written(content: bytes) -> None:
    assert values(content) == [[1, 3]]


@pytest.mark.parametrize(
    ("separator", "content"),
    [
        *((";", b"b;value\n0;1\n0;3\n"), ("\t", b"b\tvalue\n0\t1\n0\t3\n"), (" ", b"b value\n0 1\n0 3\n")),
        *(
            (".", b"b.value\n0.1\n0.3\n"),
            ("auto", b"b;value\n0,5;1\n0,5;3\n"),
            ("auto", b"b,value\n0,1\n0,3\n"),
        ),
        *(("auto", b"b\tvalue\n0\t1\n0\t3\n"), ("auto", b"b value\n0 1\n0 3\n"), ("auto", b"value\n1\n3\n")),
    ],
)
def test_reads_every_separator(separator: str, content: bytes) -> None:
    assert values(content, separator=separator) == [[1, 3]]


def test_a_file_without_a_header_has_numbered_columns() -> None:
    assert values(b"1,2\n3,4\n", "1", "0") == [[2, 4], [1, 3]]


def test_dates_alone_make_no_header() -> None:
    content = b"2024-01-01,1\n2024-01-02,2\n"
    series = read_series(content, pair(("1",), "0", "%Y-%m-%d"), 1)
    assert series.start_end(0, 1) == ("2024-01-01", "2024-01-02")


def test_a_number_is_a_column_index_even_with_a_header() -> None:
    assert values(b"1,0\nx,5\nx,6\n", "1") == [[5, 6]]


def test_one_row_of_numbers_is_a_series() -> None:
    assert values(b"5,6\n", "0", "1") == [[5], [6]]


def test_a_header_above_missing_cells_is_a_header() -> None:
    assert values(b"value\nnan\n3\n") == [[3, 3]]


def test_missing_values_lie_between_their_neighbours() -> None:
    content = b"value,n\n,1\n2,1\n  ,1\nNA,1\n5,1\ninf,1\n1e39,1\n-inf,1\n"
    assert values(content) == [[2, 2, 3, 4, 5, 5, 5, 5]]


def test_missing_cells_in_the_last_column_are_no_short_rows() -> None:
    assert values(b"a,value\n1,1\n1,\n1,3\n") == [[1, 2, 3]]


def test_a_channel_without_any_value_stays_missing() -> None:
    assert np.isnan(values(b"value,b\n,1\n,2\n", "value", "b")[0]).all()


def test_numbers_are_read_exactly() -> None:
    numbers = ["163.14", "0.30000000000000004", "1e-7", "123456789.123456789", "1700000000.123456"]
    content = "value,time\n" + "".join(f"1,{number}\n" for number in sorted(numbers, key=float))
    series = read_series(content, pair(time_column="time"), 1)
    assert series.time.stamps.tolist() == sorted(map(float, numbers))


def test_one_column_may_be_both_channel_and_formatted_time() -> None:
    series = read_series(b"time,value\n5,1\n7,2\n", pair(("time", "value"), "time", "%s"), 1)
    assert series.values.tolist() == [[5, 1], [7, 2]]
    assert series.start_end(0, 1) == ("5", "7")


@pytest.mark.parametrize(
    ("content", "options", "messages"),
    [
        (b"", {}, ["file is empty"]),
        (b" \n\n", {}, ["file is empty"]),
        (b"value,b\n", {}, ["no rows"]),
        (b"wert \xb0,value\n1,2\n", {"channels": ("wert °",)}, ['no column "wert °"', "UTF-8"]),
        (b"wert,value\n1,2\n1,5\xb0\n", {}, ["row 2 (line 3 of the file)", "UTF-8"]),
        (b"value,t\n1,\xb0\n2,x\n", {"time_column": "t", "time_format": "%Y"}, ["UTF-8"]),
        ("value,b\n1,2\n".encode("utf-16"), {}, ["UTF-8"]),
        (b"a;b\n1;2\n", {}, ['no column "value"', "a;b", "sep"]),
        (b"a,b\n1,2\n", {"time_column": "a"}, ['no column "value"', "a, b"]),
        (b"1,2\n3,4\n", {"channels": ("2",)}, ['no column "2"', "0, 1"]),
        (b"value,b\n1,2\n\nabc,4\n", {}, ['"value"', "row 2 (line 4 of the file)", "'abc'"]),
        (b"value,b\n1,2\n1_0,4\n", {}, ['"value", row 2', "1_0"]),
        (b"value,b\n1,2\n3,4,5\n", {}, ["row 2 (line 3 of the file) has 3 cells"]),
        (b"value,b\n1,2\n3\n", {}, ["row 2 (line 3 of the file) has 1 cell"]),
        (b"value,b\n1,2\n3\n4,5,6\n", {}, ["row 2 (line 3 of the file) has 1 cell"]),
        (b"b,value,c\n1,2\n4,5,6,7\n", {}, ["row 1 (line 2 of the file) has 2 cells"]),
        (b"t,value\n0,1\n2,1\n1,1\n", {"time_column": "T"}, ['"t"', "row 3", "from '2' to '1'", "sort"]),
        (b"t,value\n0,1\n,1\n", {"time_column": "t"}, ['"t"', "row 2 (line 3 of the file)", "''"]),
        (b"t,value\n0,1\ninf,1\n", {"time_column": "t"}, ["row 2", "'inf'"]),
        (b"t,value\n2024-01-01,1\n2024-01-02,1\n", {"time_column": "t"}, ["'2024-01-01'", "timeFormat"]),
        (
            b"t,value\n2024-01-01,1\nsoon,1\n",
            {"time_column": "t", "time_format": "%Y-%m-%d"},
            ['"t"', "row 2 (line 3 of the file)", "'soon'", "%Y-%m-%d"],
        ),
        (b"t,value\n2024,1\n,1\n", {"time_column": "t", "time_format": "%Y"}, ["row 2", "''"]),
        (b"t,value\n2024,1\n2023,1\n", {"time_column": "t", "time_format": "%Y"}, ["'2024' to '2023'"]),
    ],
)
def test_an_unusable_file_is_named_with_its_place(
    content: bytes, options: dict[str, Any], messages: list[str]
) -> None:
    with pytest.raises(SeriesError) as raised:
        read_series(content, pair(**options), 7)
    for message in ["Task 7:", *messages]:
        assert message in str(raised.value)


# Reading JSON


@pytest.mark.parametrize("as_text", [False, True])
def test_reads_a_dict_of_columns(as_text: bool) -> None:
    columns: dict[str, list[Any]] = {
        "Time": [0, 0.5, 2],
        "value": [1, None, "3"],
        "flag": [True, False, True],
    }
    content = json.dumps(columns) if as_text else columns
    series = read_series(content, pair(("value", "flag", "0"), "time", value_type="json"), 7)
    assert series.values.T.tolist() == [[1, 2, 3], [1, 0, 1], [0, 0.5, 2]]
    assert series.start_end(0, 1) == (0, 0.5)


def test_numbers_of_a_formatted_time_column_are_read_as_text() -> None:
    columns: dict[str, list[Any]] = {"time": [1_700_000_000, 1_700_000_060.0], "value": [1, 2]}
    series = read_series(columns, pair(time_column="time", time_format="%s", value_type="json"), 7)
    assert series.start_end(0, 1) == ("1700000000", "1700000060")


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        ("not json", ["isn't JSON"]),
        ("[1, 2]", ["[1, 2]", "dict of columns"]),
        (None, ["None"]),
        ({}, ['no column "value"']),
        ({"value": "abc", "time": [1]}, ['"value"', "list"]),
        ({"value": [], "time": []}, ["no rows"]),
        ({"value": [1], "time": [1, 2]}, ['"value" has 1', '"time" has 2']),
        ({"value": [1, "x"], "time": [1, 2]}, ['"value", row 2', "'x'"]),
        ({"value": [1, [2]], "time": [1, 2]}, ['"value", row 2', "[2]"]),
        ({"value": [[1], [2]], "time": [1, 2]}, ['"value", row 1', "[1]"]),
        ({"value": [1, 2], "time": [1, None]}, ['"time", row 2', "None"]),
        ({"value": [1, 2], "time": [2, 1]}, ['"time", row 2', "from 2 to 1"]),
    ],
)
def test_unusable_columns_are_named_with_their_place(content: Any, messages: list[str]) -> None:
    with pytest.raises(SeriesError) as raised:
        read_series(content, pair(time_column="time", value_type="json"), "x1")
    for message in ["Task x1:", *messages]:
        assert message in str(raised.value)


# Time to rows and back


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        *((1, 3, (1, 3)), ("1", "3.0", (1, 3)), (2, 2, (2, 2)), (0.6, 3.4, (1, 3))),
        *((1.4, 1.4, (1, 1)), (1.2, 1.4, (1, 1)), (1.7, 1.9, (2, 2)), (-5, 1, (0, 1)), (3, 99, (3, 4))),
        *((-9, 99, (0, 4)), (5, 9, None), (-3, -1, None), (4.5, 4.6, None)),
    ],
)
def test_rows_of_an_index_axis(start: object, end: object, rows: tuple[int, int] | None) -> None:
    assert axis(range(5)).rows(start, end) == rows


def test_rounding_loses_no_row() -> None:
    times = axis(np.arange(1000) * 0.1)
    assert times.rows(0.1 + 0.2, 0.7) == (3, 7)
    assert times.rows(0.3, 0.1 * 7) == (3, 7)
    assert times.rows(99.9, 99.9) == (999, 999)


def test_all_rows_with_an_equal_time_belong_to_a_region() -> None:
    times = axis([0, 1, 1, 1, 2])
    assert times.rows(1, 1) == (1, 3)
    assert times.rows(1.1, 1.2) == (1, 3)
    assert times.rows(0, 1) == (0, 3)


def test_formatted_times_are_met_within_a_millisecond() -> None:
    times = axis([1000.0, 2000.0, 3000.0], "%Q")
    assert times.rows(2000.6, 2000.6) == (1, 1)
    assert times.rows("2001", "3000") == (1, 2)
    assert times.rows("2002", "3000") == (2, 2)


def test_samples_a_millisecond_apart_are_told_apart() -> None:
    times = axis(np.arange(10.0), "%Q")
    assert times.rows("4", "6") == (4, 6)
    assert times.rows(*times.start_end(4, 6)) == (4, 6)


def test_formatted_times_may_be_given_as_epoch_milliseconds() -> None:
    times = axis([1_704_067_200_000 + minute * 60_000 for minute in range(60)], DATE)
    assert times.rows("2024-01-01 00:11:00", "2024-01-01 00:35:00") == (11, 35)
    assert times.rows(1_704_067_860_000, "1704069300000") == (11, 35)


@pytest.mark.parametrize(
    "time", ["soon", "", None, True, float("nan"), float("inf"), [1], {}, 10**400, "1_0"]
)
@pytest.mark.parametrize("time_format", [None, DATE])
def test_what_is_no_time_is_an_error_that_names_it(time: object, time_format: str | None) -> None:
    with pytest.raises(SeriesError, match=r"is not a (number|time of the form)") as raised:
        axis(range(5), time_format).rows(time, 3)
    assert repr(time)[:50] in str(raised.value)


def test_start_after_end_is_an_error() -> None:
    with pytest.raises(SeriesError, match="start 3 comes after end 1"):
        axis(range(5)).rows(3, 1)


def test_whole_numbers_are_given_as_integers() -> None:
    start, end = axis([5.5, 30.0]).start_end(0, 1)
    assert (start, end) == (5.5, 30)
    assert (type(start), type(end)) == (float, int)


def test_a_time_that_its_format_cannot_hold_is_given_in_milliseconds() -> None:
    assert axis([46_800_000 - 2_208_988_800_000], "%I:%M").start_end(0, 0) == (
        46_800_000 - 2_208_988_800_000,
        46_800_000 - 2_208_988_800_000,
    )


STEPS = st.lists(st.integers(1, 10**6), min_size=1, max_size=40)


@st.composite
def axes(draw: st.DrawFn) -> TimeAxis:
    """An index, numeric or formatted axis with strictly increasing times."""
    whole = np.cumsum(draw(STEPS)).astype(float)
    match draw(st.sampled_from(["index", "numeric", "decimal", "formatted"])):
        case "index":
            return TimeAxis(np.arange(len(whole), dtype=float))
        case "numeric":
            return TimeAxis(whole / draw(st.sampled_from([1, 3, 7, 360])) - draw(st.integers(0, 10**6)))
        case "decimal":
            return TimeAxis(np.round(whole * 0.02, 2))
    text, step = draw(
        st.sampled_from([(DATE, 1000), ("%Q", 1), ("%s", 1000), (f"{DATE}.%L", 1), ("%x %X", 1000)])
    )
    return TimeAxis(whole * step + draw(st.integers(0, 10**9)) * 1000, TimeFormat(text))


@settings(max_examples=200, deadline=None)
@given(times=axes(), data=st.data())
def test_rows_become_start_and_end_and_rows_again(times: TimeAxis, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(times) - 1))
    last = data.draw(st.integers(first, len(times) - 1))
    start_end = times.start_end(first, last)
    assert times.rows(*start_end) == (first, last)
    assert json.loads(json.dumps(start_end)) == list(start_end)


@settings(max_examples=200, deadline=None)
@given(
    stamps=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    ends=st.tuples(st.floats(-2e6, 2e6), st.floats(-2e6, 2e6)).map(sorted),
)
def test_rows_are_the_samples_inside_and_never_outside_the_series(
    stamps: list[float], ends: list[float]
) -> None:
    times = axis(sorted(stamps))
    rows = times.rows(*ends)
    inside = [row for row, stamp in enumerate(sorted(stamps)) if ends[0] <= stamp <= ends[1]]
    if rows is None:
        assert not inside
    else:
        assert 0 <= rows[0] <= rows[1] < len(stamps)
        assert set(inside) <= set(range(rows[0], rows[1] + 1))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.floats(-(2.0**99), 2.0**99, width=32) | st.none()] * 2), min_size=1, max_size=20
    ).filter(lambda rows: any(a is not None for a, _ in rows))
)
def test_csv_and_json_give_the_same_series(rows: list[tuple[float | None, float | None]]) -> None:
    def cell(value: float | None) -> str:
        return "" if value is None else repr(value)

    text = "value,b\n" + "".join(f"{cell(a)},{cell(b)}\n" for a, b in rows)
    columns = {"value": [a for a, _ in rows], "b": [b for _, b in rows]}
    of_csv = read_series(text, pair(("value", "b")), 1)
    of_json = read_series(columns, pair(("value", "b"), value_type="json"), 1)
    np.testing.assert_array_equal(of_csv.values, of_json.values)


def test_a_series_answers_for_its_time() -> None:
    series = Series(np.zeros((3, 1), np.float32), ("value",), axis([0, 0.5, 1]))
    assert series.time.rows(0.5, 1) == (1, 2)
    assert series.start_end(1, 2) == (0.5, 1)
