"""Generated configs, series, times and regions. `FUZZ_EFFORT=20` tries 20 times as many, and new ones."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from timeseries_segmenter.errors import LabelConfigError, SegmenterError, TimeFormatError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.regions import to_regions
from timeseries_segmenter.labeling.series import Series, TimeAxis, read_series
from timeseries_segmenter.labeling.targets import annotation_segments
from timeseries_segmenter.labeling.time.formats import TimeFormat
from timeseries_segmenter.segment import Segment

EFFORT = int(os.environ.get("FUZZ_EFFORT", "1"))


def tries(number: int) -> settings:
    """The same examples each time, unless more than those of every day are asked for."""
    return settings(max_examples=number * EFFORT, derandomize=EFFORT == 1, deadline=None)


# Time formats that lose nothing above their finest part

LAST = 253_402_300_799_999  # ms, the end of the year 9999
SECOND, MINUTE, DAY = 1000, 60_000, 86_400_000


@dataclass(frozen=True)
class Form:
    """A time format, its finest part and the times that it can hold, in ms."""

    text: str
    finest: int
    first: int = -59_011_459_200_000  # the year 100
    last: int = LAST

    def times(self) -> st.SearchStrategy[int]:
        return st.integers(-(-self.first // self.finest), self.last // self.finest).map(
            lambda count: count * self.finest
        )


# Text between two directives: no digit, blank or sign, so that each number's end is seen.
between = st.sampled_from(["-", "/", ":", ", ", "T", " of ", "年", " %% ", "é", "_", " | "])
padding = st.sampled_from(["", "0", "_", "-"])


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """A d3 time format with a date, and as much of the time of day as it likes."""
    if draw(st.booleans()) and draw(st.booleans()):
        return draw(
            st.sampled_from(
                [Form("%Q", 1, 0), Form("%s", SECOND, 0), Form("%s.%L", 1, 0), Form("t=%s %L ms", 1, 0)]
            )
        )

    def number(directive: str) -> str:
        return f"%{draw(padding)}{directive}"

    first, last = Form.first, LAST
    match draw(st.sampled_from(["date", "short year", "names", "day of year", "week", "iso week", "x"])):
        case "date":
            parts = draw(st.permutations([number("Y"), number("m"), number(draw(st.sampled_from("de")))]))
        case "short year":
            parts = [number("y"), number("m"), number("d")]
            first, last = -31_536_000_000, 3_124_223_999_999  # 1969 to 2068
        case "names":
            month = draw(st.sampled_from(["%b", "%B"]))
            parts = [draw(st.sampled_from(["%a", "%A"])), number("d"), month, number("Y")]
        case "day of year":
            parts = [number("Y"), number("j")]
        case "week":
            week, day = draw(st.sampled_from([("U", "%w"), ("U", "%a"), ("W", "%u"), ("W", "%A")]))
            parts = [number("Y"), number(week), day]
        case "iso week":
            parts = [number("G"), number("V"), draw(st.sampled_from(["%w", "%a", "%A"]))]
        case _:
            parts = ["%x"]
    finest = draw(st.sampled_from([DAY, MINUTE, SECOND, 1]))
    if finest < DAY:
        twelve = draw(st.booleans())
        parts += [number("I") + " %p", number("M")] if twelve else [number("H"), number("M")]
    if finest < MINUTE:
        parts.append(number("S"))
    text = parts[0] + "".join(draw(between) + part for part in parts[1:])
    if finest == 1:
        # after a dot, digits are a fraction: 5 ms have to be written 005
        fraction = st.sampled_from([".%L", ".%0L", ".%f"])
        text += draw(fraction | st.builds("{} %{}{}".format, between, padding, st.sampled_from("Lf")))
    if draw(st.booleans()):
        text += "%Z"
    return Form(text, finest, first, last)


# Labeling configs

XML_TEXT = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=12,
)
stripped = XML_TEXT.map(str.strip).filter(bool)
target_name = stripped.filter(lambda name: "," not in name)
SEPARATORS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "dot": ".", "auto": "auto", "": ","}
separators = st.sampled_from(sorted(SEPARATORS.items())) | st.sampled_from(
    [(written, written[0]) for written in (",", ";", "|", "||", " ", "\t", "x", ":;")]
)


@st.composite
def any_case(draw: st.DrawFn, name: str) -> str:
    upper = draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    return "".join(letter.upper() if big else letter.lower() for letter, big in zip(name, upper, strict=True))


@st.composite
def elements(draw: st.DrawFn, name: str, attributes: dict[str, str | None], *children: str) -> str:
    """A tag, its own and its attributes' names in any case, the attributes in any order."""
    there = [(key, value) for key, value in attributes.items() if value is not None]
    written = "".join(
        f" {draw(any_case(key))}={quoteattr(value)}" for key, value in draw(st.permutations(there))
    )
    tag = draw(any_case(name))
    return f"<{tag}{written}>{''.join(children)}</{tag}>"


@st.composite
def nested(draw: st.DrawFn, *tags: str) -> str:
    """Tags one after the other, each in as many Views as it likes, beside tags of other kinds."""
    others = ['<Header value="Run"/>', "<!-- Label -->", '<Choices name="c"><Choice value="x"/></Choices>']
    written = []
    for tag in tags:
        depth = draw(st.integers(0, 3))
        written.append("<View>" * depth + tag + "</View>" * depth)
        written.append(draw(st.sampled_from(["", "\n  ", *others])))
    return "".join(written)


@st.composite
def written_configs(draw: st.DrawFn) -> tuple[str, LabelPair]:
    """A labeling config and what it should be read as."""
    from_name, to_name = draw(XML_TEXT.filter(str.strip)), draw(target_name)
    value_type = draw(st.sampled_from(["url", "json"]))
    value = draw(stripped if value_type == "url" else stripped | st.just(""))
    written_separator, separator = draw(separators)
    time_column = draw(st.none() | stripped)
    time_format = draw(st.none() | forms().map(lambda form: form.text))
    channels = draw(st.lists(stripped, min_size=1, max_size=5, unique_by=str.lower))
    labels = draw(st.lists(XML_TEXT, min_size=1, max_size=5, unique=True))
    label_tags = [
        draw(elements("Label", {"value": draw(XML_TEXT), "alias": label}))
        if draw(st.booleans())
        else draw(elements("Label", {"value": label, "background": "red"}))
        for label in labels
    ]
    channel_tags = [draw(elements("Channel", {"column": name, "units": "g"})) for name in channels]
    control = draw(
        elements(
            "TimeSeriesLabels",
            {"name": from_name, "toName": draw(st.sampled_from([to_name, f"text, {to_name} "]))},
            draw(nested(*label_tags)),
        )
    )
    grouped = draw(elements("MultiChannel", {}, *channel_tags)) if draw(st.booleans()) else ""
    series = draw(
        elements(
            "TimeSeries",
            {
                "name": to_name,
                "value": value,
                "valueType": draw(any_case(value_type)) if value_type != "url" or value else "url",
                "sep": written_separator,
                "timeColumn": time_column,
                "timeFormat": time_format,
            },
            grouped or draw(nested(*channel_tags)),
        )
    )
    xml = draw(elements("View", {}, draw(nested(*draw(st.permutations([control, series]))))))
    return xml, LabelPair(
        from_name,
        to_name,
        value,
        value_type,
        separator,
        time_column,
        time_format if time_column else None,
        tuple(channels),
        tuple(labels),
    )


@tries(100)
@given(written_configs())
def test_a_config_is_read_as_what_it_was_made_from(written: tuple[str, LabelPair]) -> None:
    xml, config = written
    assert parse_label_config(xml) == LabelConfig((config,))


def is_config_or_refused(xml: str) -> bool:
    """Fails where anything but a usable config or a LabelConfigError comes of it."""
    try:
        config = parse_label_config(xml)
    except LabelConfigError:
        return False
    assert config.pairs
    for pair in config.pairs:
        assert pair.channels
        assert pair.labels or pair.labels_value
        assert pair.from_name
        assert pair.separator == "auto" or len(pair.separator) == 1
        if pair.time_format:
            TimeFormat(pair.time_format)
    return True


TAGS = ("View", "TimeSeriesLabels", "TimeSeries", "Label", "Channel", "MultiChannel", "x:y", "é")
ATTRIBUTES = ("name", "toName", "value", "valueType", "sep", "timeColumn", "timeFormat", "column", "alias")
odd_values = st.sampled_from(
    [
        "ts",
        "label",
        "$x",
        "",
        " ",
        "json",
        "URL",
        "csv",
        "%Y",
        "%k",
        "%",
        "\"'",
        "auto",
        "é",
        "ts, ts",
        "\r",
        "0",
    ]
) | st.text(max_size=5)


@st.composite
def odd_tags(draw: st.DrawFn, depth: int = 0) -> str:
    attributes = draw(st.lists(st.tuples(st.sampled_from(ATTRIBUTES), odd_values), max_size=6))
    written = "".join(f" {draw(any_case(key))}={quoteattr(value)}" for key, value in attributes)
    children = draw(st.lists(odd_tags(depth + 1), max_size=3)) if depth < 4 else []
    tag = draw(st.sampled_from(TAGS))
    return f"<{tag}{written}>{''.join(children)}</{tag}>"


PIECES = st.sampled_from(
    [
        *(
            "<View>",
            "</View>",
            "<TimeSeriesLabels name='l' toName='ts'>",
            "</TimeSeriesLabels>",
            "<Label value=",
        ),
        *("'Run'", "/>", "&a;", "&#0;", "&#xD800;", "&amp;", "]]>", "<![CDATA[", "<!--", "-->", "<?php ?>"),
        *("<?xml version='1.0' encoding='utf-16'?>", "<?xml version='1.0' encoding='no-such'?>", "\ufeff"),
        *("<!DOCTYPE a>", "<!DOCTYPE a [<!ENTITY a 'b'>]>", "<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/a.dtd'>"),
        *(
            "<!DOCTYPE a [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]>",
            "xmlns='u'",
            "<x:y/>",
            "\0",
            "\udcff",
        ),
    ]
)


@tries(120)
@given(st.text() | st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join) | odd_tags())
def test_any_text_is_a_config_or_refused(xml: str) -> None:
    is_config_or_refused(xml)


@tries(60)
@given(written_configs(), st.data())
def test_a_damaged_config_is_a_config_or_refused(written: tuple[str, LabelPair], data: st.DataObject) -> None:
    xml, _ = written
    start = data.draw(st.integers(0, len(xml)))
    end = data.draw(st.integers(start, min(len(xml), start + 20)))
    is_config_or_refused(xml[:start] + data.draw(PIECES | st.text(max_size=3)) + xml[end:])


BOMB = "".join(f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, 10))
USABLE = (
    '<View><TimeSeriesLabels name="l" toName="ts"><Label value="{}"/></TimeSeriesLabels>'
    '<TimeSeries name="ts" value="$x">{}</TimeSeries></View>'
)
MANY = 20_000


@pytest.mark.parametrize(
    ("xml", "usable"),
    {
        "a million laughs": (f'<!DOCTYPE x [<!ENTITY e0 "ha">{BOMB}]><View>&e9;</View>', False),
        "a file": ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><View>&a;</View>', False),
        "an external DTD": (
            '<!DOCTYPE View SYSTEM "http://127.0.0.1:1/a.dtd">'
            + USABLE.format("Run", "<Channel column='a'/>"),
            False,
        ),
        "a deep one": (
            "<View>" * MANY + USABLE.format("Run", "<Channel column='a'/>") + "</View>" * MANY,
            True,
        ),
        "one that never ends": ("<View>" * MANY, False),
        "a huge attribute": (USABLE.format("R" * 5_000_000, "<Channel column='a'/>"), False),
        "many attributes": ("<View " + " ".join(f"a{n}='{n}'" for n in range(MANY)) + "/>", False),
        "many channels": (
            USABLE.format("Run", "".join(f"<Channel column='{n}'/>" for n in range(MANY))),
            False,
        ),
        "an attribute twice": ("<View name='a' name='b'/>", False),
    }.values(),
)
def test_an_outsized_or_hostile_config_is_a_config_or_refused(xml: str, usable: bool) -> None:
    assert is_config_or_refused(xml) == usable


# Series

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff")
words = st.text(CHARACTERS, max_size=6)
names = st.tuples(st.sampled_from("abcxyz"), words).map("".join).map(str.strip)
finite = st.floats(-(2.0**126), 2.0**126, width=32)
MISSING = ("", "NA", "nan", "NULL", "None")


@dataclass(frozen=True)
class Table:
    """A CSV file, the config to read it with, and what is in it; NaN is a missing value."""

    content: bytes
    config: LabelPair
    columns: NDArray[np.float32]
    stamps: list[float]


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


@st.composite
def time_columns(draw: st.DrawFn, rows: int) -> tuple[list[str], list[float], str | None]:
    """Cells, what they mean, and their format; equal stamps may follow each other."""
    # the editor makes a number of 5.500, and prints it as 5.5, which is 5 ms then
    form = draw(st.none() | forms().filter(lambda form: form.text != "%s.%L"))
    if form:
        stamps = sorted(draw(st.lists(form.times(), min_size=rows, max_size=rows)))
        printed = TimeFormat(form.text)
        return [printed.format(stamp) for stamp in stamps], [float(stamp) for stamp in stamps], form.text
    numbers = st.integers(-(10**6), 10**6) | st.floats(-1e12, 1e12)
    ordered = sorted(draw(st.lists(numbers, min_size=rows, max_size=rows)))
    return [repr(number) for number in ordered], [float(number) for number in ordered], None


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Columns in any order: a time, one or more channels, and some that nobody asks for."""
    rows = draw(st.integers(1, 12))
    separator = draw(st.sampled_from([",", ";", "\t", " ", "|", "auto"]))
    character = draw(st.sampled_from(",;\t")) if separator == "auto" else separator
    header = draw(st.lists(names, min_size=1, max_size=6, unique_by=str.lower))
    kinds = ["channel"] + [draw(st.sampled_from(["channel", "note"])) for _ in header[1:]]
    cells: dict[str, list[str]] = {}
    columns: list[list[float]] = []
    time_column = time_format = None
    stamps = [float(row) for row in range(rows)]
    # alone on its line, an empty cell is not a row at all
    missing = st.sampled_from(MISSING if len(header) > 1 else MISSING[1:])
    for name, kind in zip(header, kinds, strict=True):
        if kind == "channel":
            values = draw(st.lists(st.none() | finite, min_size=rows, max_size=rows))
            columns.append([np.nan if value is None else value for value in values])
            cells[name] = [draw(missing) if value is None else repr(value) for value in values]
        elif time_column is None and draw(st.booleans()):
            time_column = name
            cells[name], stamps, time_format = draw(time_columns(rows))
        else:
            cells[name] = draw(st.lists(words, min_size=rows, max_size=rows))

    def written(cell: str, force: bool) -> str:
        must = force or character in cell or '"' in cell or cell != cell.strip()
        return quoted(cell) if must else cell

    order = draw(st.permutations(header))
    force = draw(st.booleans())
    # a guess goes by separators, and quotes hide those of names and notes from it
    in_quotes = separator == "auto" or force
    lines = [character.join(written(name, in_quotes) for name in order)]
    lines += [
        character.join(
            written(cells[name][row], in_quotes or (name not in header[:1] and cells[name][row] == ""))
            for name in order
        )
        for row in range(rows)
    ]
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(lines) + draw(st.sampled_from(["", newline]))
    content = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()
    channels = [name for name, kind in zip(header, kinds, strict=True) if kind == "channel"]
    config = LabelPair(
        *("label", "ts", "$x", "url", separator, time_column, time_format),
        channels=tuple(draw(any_case(name)) if name.isascii() else name for name in channels),
        labels=("Run",),
    )
    return Table(content, config, np.array(columns).T, stamps)


def has_values(table: Table) -> bool:
    return bool(np.isfinite(table.columns).any())


def assert_usable(series: Series, config: LabelPair) -> None:
    """What the network relies on."""
    assert series.values.dtype == np.float32
    assert series.values.shape == (len(series.time), len(config.channels))
    assert len(series) > 0
    known = np.isfinite(series.values)
    assert (known.all(axis=0) | ~known.any(axis=0)).all()  # a channel without any value stays missing
    assert np.isfinite(series.time.stamps).all()
    assert (np.diff(series.time.stamps) >= 0).all()


@tries(150)
@given(tables().filter(has_values))
def test_a_table_is_read_back(table: Table) -> None:
    series = read_series(table.content, table.config, 1)
    assert_usable(series, table.config)
    assert series.time.stamps.tolist() == table.stamps
    for column, read in zip(table.columns.T, series.values.T, strict=True):
        there = np.flatnonzero(np.isfinite(column))
        np.testing.assert_array_equal(read[there], column[there].astype(np.float32))
        if not len(there):
            assert np.isnan(read).all()
            continue
        filled = np.interp(np.arange(len(column)), there, column[there])
        np.testing.assert_allclose(read, filled, rtol=1e-5, atol=1e-30)


def is_series_or_refused(content: Any, config: LabelPair) -> bool:
    """Fails where anything but a usable series or an error of this package comes of it."""
    try:
        series = read_series(content, config, 1)
    except SegmenterError as error:
        message = str(error)
    else:
        assert_usable(series, config)
        return True
    assert message.startswith("Task 1: ")
    return False


odd_columns = st.sampled_from(["a", "A", "0", "1", "7", "time", "é", "²", " ", '"'])
odd_configs = st.builds(
    LabelPair,
    from_name=st.just("label"),
    to_name=st.just("ts"),
    value=st.just("$x"),
    value_type=st.sampled_from(["url", "json"]),
    separator=st.sampled_from([",", ";", "\t", " ", ".", "a", "'", "\0", "auto"]),
    time_column=st.none() | odd_columns,
    time_format=st.sampled_from([None, "%Y-%m-%d", "%s", "%Q", "%H:%M:%S.%L"]),
    channels=st.lists(odd_columns, min_size=1, max_size=3, unique_by=str.lower).map(tuple),
    labels=st.just(("Run",)),
)
csv_words = [b"a", b"time", b"0", b"1", b"-2.5", b"1e400", b"nan", b"inf", b"2024-01-01", b"1700000000", b"{"]
csv_marks = [b",", b";", b"\t", b" ", b"\n", b"\r\n", b"\r", b'"', b'""', b"'", b"#", b"\0", b"\x1a", b"\xff"]
csv_pieces = st.sampled_from([*csv_words, *csv_marks, b"\xef\xbb\xbf", b"\xc3\xa9"])
csv_cells = st.sampled_from(["a", "time", "0", "1", "2", "", "nan", "2024-01-01", '"x"'])
csv_rows = st.lists(csv_cells, min_size=1, max_size=4).map(",".join)
csv_lines = st.lists(csv_rows, max_size=6).map("\n".join)


@tries(400)
@given(
    st.binary(max_size=60)
    | st.lists(csv_pieces, max_size=25).map(b"".join)
    | csv_lines.map(str.encode)
    | csv_lines,
    odd_configs,
)
@example(b"a\n" + b"x" * 200_000, LabelPair("l", "t", "$x", "url", ",", None, None, ("a",), ("R",)))
@example(b'a,b\n1,"' + b"x" * 200_000, LabelPair("l", "t", "$x", "url", ",", None, None, ("a",), ("R",)))
@example(b'a,time\n5,7\n""', LabelPair("l", "t", "$x", "url", ",", "time", None, ("a",), ("R",)))
@example(b"a,time\n5,7\n1\r,", LabelPair("l", "t", "$x", "url", ",", "time", None, ("a",), ("R",)))
@example("[" * 100_000, LabelPair("l", "t", "$x", "json", ",", None, None, ("a",), ("R",)))
def test_any_content_is_a_series_or_refused(content: bytes | str, config: LabelPair) -> None:
    is_series_or_refused(content, config)


@tries(100)
@given(tables(), st.data())
def test_a_damaged_table_is_a_series_or_refused(table: Table, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(table.content)))
    end = data.draw(st.integers(start, min(len(table.content), start + 5)))
    damaged = table.content[:start] + data.draw(csv_pieces) + table.content[end:]
    is_series_or_refused(damaged, table.config)


odd_cells = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [10**400, -(10**400), 2**63, 1e400, float("nan"), "1", "1e999", "2024-01-01", "\ud800", ""]
    )
    | st.floats()
    | st.text(max_size=4),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=2), children, max_size=2)
    ),
    max_leaves=4,
)
column_names = st.sampled_from(["a", "A", "time", "0", "1", "\ud800", ""])


@tries(300)
@given(
    st.dictionaries(
        column_names,
        st.lists(odd_cells, max_size=4) | st.lists(st.integers() | st.floats(), max_size=4) | odd_cells,
        max_size=4,
    )
    | odd_cells,
    odd_configs,
    st.booleans(),
)
def test_any_json_is_a_series_or_refused(columns: object, config: LabelPair, as_text: bool) -> None:
    is_series_or_refused(json.dumps(columns) if as_text else columns, config)


@pytest.mark.parametrize("depth", [2, 31, 33, 64, 500, 800])
@pytest.mark.parametrize("form", ["[{}]", '{{"a": {}}}', '{{"a": [{}]}}'])
@pytest.mark.parametrize("time_column", [None, "a"])
def test_deep_cells_are_refused(depth: int, form: str, time_column: str | None) -> None:
    config = LabelPair("l", "t", "$x", "json", ",", time_column, "%Y", ("a",), ("R",))
    text = form.format("[" * depth + "1" + "]" * depth)
    assert not is_series_or_refused(text, config)
    assert not is_series_or_refused(json.loads(text), config)


@pytest.mark.parametrize("form", ["[{}]", '{{"a": {}}}', '{{"a": [{}]}}'])
@pytest.mark.parametrize("time_column", [None, "a"])
def test_cells_as_deep_as_a_reader_of_json_goes_are_refused(form: str, time_column: str | None) -> None:
    config = LabelPair("l", "t", "$x", "json", ",", time_column, "%Y", ("a",), ("R",))
    limit = sys.getrecursionlimit()
    for depth in range(limit - 150, limit):
        assert not is_series_or_refused(form.format("[" * depth + "1" + "]" * depth), config)


# Times


@tries(300)
@given(forms(), st.data())
def test_what_a_format_prints_is_read_as_the_same_time(form: Form, data: st.DataObject) -> None:
    times = data.draw(st.lists(form.times(), min_size=1, max_size=8))
    format_ = TimeFormat(form.text)
    read = format_.parse([format_.format(time) for time in times])
    assert np.abs(read - np.array(times)).max() <= 1


@tries(200)
@given(forms().map(lambda form: form.text) | st.text(max_size=10), st.lists(st.text(max_size=12), max_size=4))
def test_any_format_and_text_are_read_or_refused(text: str, written: list[str]) -> None:
    try:
        read = TimeFormat(text).parse(written)
    except TimeFormatError:
        return
    assert (np.abs(read) <= 8_640_000_000_000_000).all()


@tries(200)
@given(st.text(max_size=10).map(lambda text: "%Y" + text), st.integers(-(10**17), 10**17))
def test_any_time_is_printed_in_any_format(text: str, time: int) -> None:
    try:
        form = TimeFormat(text)
    except TimeFormatError:
        return
    assert isinstance(form.format(time), str)


# Regions

LABELS = ("Run", "Walk", "é")


def drawn(pairs: Sequence[tuple[int, int, str]]) -> list[Segment]:
    spans = ((min(pair[:2]), max(pair[:2]), pair[2]) for pair in pairs)
    return sorted(
        (Segment(first, last, (label,), instant=first == last) for first, last, label in spans),
        key=lambda segment: (segment.first, segment.last),
    )


@st.composite
def axes(draw: st.DrawFn) -> TimeAxis:
    """Times that differ from row to row: none of its own, numeric or formatted ones."""
    form = draw(st.none() | forms())
    if form:
        times = draw(st.lists(form.times(), min_size=1, max_size=20, unique=True))
        return TimeAxis(np.array(sorted(times), dtype=np.float64), TimeFormat(form.text))
    if draw(st.booleans()):
        return TimeAxis(np.arange(draw(st.integers(1, 1000)), dtype=np.float64))
    numbers = st.floats(-1e15, 1e15) | st.integers(-(2**53), 2**53).map(float)
    return TimeAxis(np.array(sorted(draw(st.lists(numbers, min_size=1, max_size=20, unique=True)))))


@tries(150)
@given(axes(), st.data())
def test_segments_become_regions_and_the_same_segments_again(axis: TimeAxis, data: st.DataObject) -> None:
    config = LabelPair("label", "ts", "$x", "url", ",", None, None, ("value",), LABELS)
    series = Series(np.zeros((len(axis), 1), np.float32), ("value",), axis)
    row = st.integers(0, len(axis) - 1)
    segments = drawn(data.draw(st.lists(st.tuples(row, row, st.sampled_from(LABELS)), max_size=6)))
    sent = json.loads(json.dumps(to_regions(segments, config, series), allow_nan=False))
    assert [region["value"]["instant"] for region in sent] == [segment.instant for segment in segments]
    assert annotation_segments({"result": sent}, config, series) == segments
    assert len({region["id"] for region in sent}) == len(sent)
    if axis.time_format:
        written = [region["value"][end] for region in sent for end in ("start", "end")]
        assert all(isinstance(time, str) for time in written)


@tries(80)
@given(tables().filter(has_values), st.data())
def test_regions_of_a_read_table_cover_their_rows_and_those_of_equal_stamps(
    table: Table, data: st.DataObject
) -> None:
    series = read_series(table.content, table.config, 1)
    row = st.integers(0, len(series) - 1)
    (segment,) = drawn([(data.draw(row), data.draw(row), "Run")])
    sent = json.loads(json.dumps(to_regions([segment], table.config, series), allow_nan=False))
    (read,) = annotation_segments({"result": sent}, table.config, series)
    equal = [list(rows) for _, rows in groupby(range(len(series)), key=lambda row: table.stamps[row])]
    first = next(rows[0] for rows in equal if segment.first in rows)
    last = next(rows[-1] for rows in equal if segment.last in rows)
    if table.stamps[first] == table.stamps[last]:  # Label Studio knows it as an instant
        first = last = (first + last) // 2
    assert (read.first, read.last, read.labels) == (first, last, ("Run",))
