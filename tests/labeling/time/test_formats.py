import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeseries_segmenter.errors import TimeFormatError
from timeseries_segmenter.labeling.time.directives import DIRECTIVES
from timeseries_segmenter.labeling.time.formats import TimeFormat, TimeTextError

# What d3-time-format 2.3 prints for 2024-02-29 05:06:07.089 UTC, a Thursday.
MOMENT = 1_709_183_167_089
PRINTED = {
    **{"%a": "Thu", "%A": "Thursday", "%b": "Feb", "%B": "February", "%c": "2/29/2024, 5:06:07 AM"},
    **{"%d": "29", "%e": "29", "%f": "089000", "%g": "24", "%G": "2024", "%H": "05", "%I": "05"},
    **{"%j": "060", "%L": "089", "%m": "02", "%M": "06", "%p": "AM", "%q": "1", "%Q": "1709183167089"},
    **{"%s": "1709183167", "%S": "07", "%u": "4", "%U": "08", "%V": "09", "%w": "4", "%W": "09"},
    **{"%x": "2/29/2024", "%X": "5:06:07 AM", "%y": "24", "%Y": "2024", "%Z": "+0000", "%%%Y": "%2024"},
    **{"%-m": "2", "%_m": " 2", "%0m": "02", "%-H": "5", "%_H": " 5", "%-j": "60", "%_L": " 89"},
}

LOSSLESS = (
    *("%Q", "%s.%L", "%Y-%m-%d %H:%M:%S.%L", "%Y-%m-%dT%H:%M:%S.%f%Z", "%-d/%-m/%Y %-H:%-M:%-S %L"),
    *("%A %d %B %Y %I:%M:%S.%L %p", "%e %b %Y, %_I:%M:%S %_L %p", "%Y%m%d%H%M%S%L", "%Y-%j %H:%M:%S.%L"),
    *("%Y %W %w %H:%M:%S.%L", "%U of %Y, %a, %X %L", "%c .%L", "%x %X %L", "%Y年%m月%d日 %H:%M:%S.%L"),
)
TIMES = st.integers(0, 253_402_300_799_999)


@pytest.mark.parametrize(("text", "printed"), PRINTED.items())
def test_prints_as_d3_does(text: str, printed: str) -> None:
    assert TimeFormat(text).format(MOMENT) == printed


@pytest.mark.parametrize(
    ("text", "milliseconds", "printed"),
    [
        ("%e|%_d|%-d", 1_704_067_200_000, " 1| 1|1"),
        ("%I %p", 0, "12 AM"),
        ("%u %w", 1_704_585_600_000, "7 0"),
        ("%G-W%V", 1_735_516_800_000, "2025-W01"),
        ("%Y-%m-%d", -1, "1969-12-31"),
        ("%y", 946_684_800_000, "00"),
        ("%s", -500, "-1"),
    ],
)
def test_prints_the_edges_as_d3_does(text: str, milliseconds: int, printed: str) -> None:
    assert TimeFormat(text).format(milliseconds) == printed


@pytest.mark.parametrize(
    ("text", "written", "milliseconds"),
    [
        ("%Y-%m-%d %H:%M:%S", "2024-02-29 05:06:07", 1_709_183_167_000),
        ("%Y-%m-%d", "2024-2-9", 1_707_436_800_000),
        ("%d.%m.%Y", "09.02.2024", 1_707_436_800_000),
        ("%d/%m/%Y", " 9/ 2/2024", 1_707_436_800_000),
        ("%Y-%m-%d", "2024-02-31", 1_709_337_600_000),  # rolls over, as the editor does
        ("%y", "68", 3_092_601_600_000),
        ("%y", "69", -31_536_000_000),
        ("%d %B %Y", "9 fEBRUARY 2024", 1_707_436_800_000),
        ("%I:%M %p", "12:30 am", -2_208_987_000_000),
        ("%Y q%q", "2024 q2", 1_711_929_600_000),
        ("%Y-%j", "2024-60", 1_709_164_800_000),
        ("%G-W%V-%w", "2025-W01-3", 1_735_689_600_000),
        ("%Y %U", "2024 1", 1_704_585_600_000),
        ("%Y %W %u", "2024 1 7", 1_704_585_600_000),
        ("%H:%M:%S.%L", "00:00:01.5", -2_208_988_798_500),
        ("%H:%M:%S.%f", "00:00:01.123456", -2_208_988_798_877),
        ("%H:%M:%S %L", "00:00:01 5", -2_208_988_798_995),
        ("%s", "1700000660", 1_700_000_660_000),
        ("%s.%L", "1700000660.250", 1_700_000_660_250),
        ("%Q", "1700000660250", 1_700_000_660_250),
        ("%Y-%m-%dT%H:%M%Z", "2024-01-01T02:00Z", 1_704_074_400_000),
        ("%Y-%m-%dT%H:%M%Z", "2024-01-01T02:00+02", 1_704_067_200_000),
        ("%Y-%m-%dT%H:%M%Z", "2024-01-01T02:00-0130", 1_704_079_800_000),
        ("%Y-%m-%dT%H:%M%Z", "2024-01-01T02:00+05:45", 1_704_053_700_000),
        ("%c", "2/29/2024, 5:06:07 AM", 1_709_183_167_000),
    ],
)
def test_reads_as_the_editor_does(text: str, written: str, milliseconds: int) -> None:
    assert TimeFormat(text).parse([written]).tolist() == [milliseconds]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        *(
            ("%Y-%m-%d", written)
            for written in ("2024-01", "2024-01-01 ", "2024-01-01x", "", "x", "20é4-01-01")
        ),
        *(("%d %b", "1 Foo"), ("%Q", "-5"), ("%Q", "9999999999999999"), ("%s", "99999999999999999")),
        *(("%s", "1700000660.25"), ("%V %Y", "54 2024"), ("%Y%Z", "2024+5"), ("%Y%%", "2024")),
    ],
)
def test_text_in_another_form_is_an_error_with_its_row(text: str, written: str) -> None:
    good = TimeFormat(text).format(MOMENT)
    with pytest.raises(TimeTextError) as raised:
        TimeFormat(text).parse([good, good, written, good])
    assert (raised.value.row, raised.value.text) == (2, written)
    assert repr(written) in str(raised.value)
    assert text in str(raised.value)


# With what a directive doesn't tell by itself
IN_CONTEXT = {
    **dict.fromkeys("aAwUW", "%Y %W %U %a %A %w"),
    **{"u": "%Y %W %u", "V": "%G %V", "G": "%G %V", "g": "%g %V", "j": "%Y %j"},
}


@pytest.mark.parametrize("letter", DIRECTIVES)
def test_each_directive_of_the_table_reads_what_it_prints(letter: str) -> None:
    form = TimeFormat(IN_CONTEXT.get(letter, f"%{letter}"))
    printed = [form.format(moment) for moment in (MOMENT, 0, 1_735_689_599_999)]
    assert [form.format(time) for time in form.parse(printed).tolist()] == printed


def test_the_row_of_an_error_is_right_far_into_the_texts() -> None:
    texts = ["2024"] * 100_000
    texts[77_777] = "later"
    with pytest.raises(TimeTextError) as raised:
        TimeFormat("%Y").parse(texts)
    assert raised.value.row == 77_777


def test_texts_of_different_lengths_are_read_together() -> None:
    texts = ["1 May 2024 9:05", "12 September 2023 10:00", "3 March 999 0:1", "31 December 2024 23:59"]
    expected = [1_714_554_300_000, 1_694_512_800_000, -30_636_489_540_000, 1_735_689_540_000]
    assert TimeFormat("%d %B %Y %H:%M").parse(texts).tolist() == expected


@pytest.mark.parametrize("text", ["%k", "%Y-%", "%-", "date", "", "%%"])
def test_a_format_that_means_nothing_is_an_error(text: str) -> None:
    with pytest.raises(TimeFormatError, match="timeFormat"):
        TimeFormat(text)


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("YYYY-MM-DD HH:mm:ss.SSS", "%Y-%m-%d %H:%M:%S.%L"),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", "%Y-%m-%dT%H:%M:%S%Z"),
        ("dd.MM.yy hh:mm a", "%d.%m.%y %I:%M %p"),
        ("DD MMMM YYYY", "%d %B %Y"),
        ("%Y-%m-%dT%H:%M:%S%z", "%Z"),
        ("%F %H:%M", "%Y-%m-%d"),
    ],
)
def test_a_format_of_another_language_is_an_error_with_its_translation(text: str, translated: str) -> None:
    with pytest.raises(TimeFormatError, match=rf"write {re.escape(translated)} instead"):
        TimeFormat(text)


@pytest.mark.parametrize("text", ["seconds", "%E", "HH:mm"])
def test_what_is_no_format_of_another_language_is_not_translated(text: str) -> None:
    with pytest.raises(TimeFormatError) as error:
        TimeFormat(text)
    assert "instead" not in str(error.value)


def test_reads_no_texts() -> None:
    assert TimeFormat("%Y").parse([]).shape == (0,)


@settings(max_examples=150, deadline=None)
@given(text=st.sampled_from(LOSSLESS), times=st.lists(TIMES, min_size=1, max_size=6))
def test_what_is_printed_is_read_back(text: str, times: list[int]) -> None:
    form = TimeFormat(text)
    assert form.parse([form.format(time) for time in times]).tolist() == times


@settings(max_examples=50, deadline=None)
@given(text=st.sampled_from(["%Y-%m-%d", "%s", "%d %B %y"]), written=st.text(max_size=20))
def test_any_text_is_refused_or_read_as_a_time_that_is_printed(text: str, written: str) -> None:
    form = TimeFormat(text)
    try:
        (time,) = form.parse([written])
    except TimeFormatError:
        return
    assert form.parse([form.format(time)]).tolist() == [time]


def test_a_million_dates_take_no_more_than_two_seconds() -> None:
    moments = 1_700_000_000_000 + np.arange(1_000_000) * 1000
    texts = np.datetime_as_string(moments.astype("datetime64[ms]"), unit="s").astype(object)
    started = time.process_time()
    times = TimeFormat("%Y-%m-%dT%H:%M:%S").parse(texts)
    assert time.process_time() - started < 2
    assert (times == moments).all()


def test_a_format_has_at_most_200_characters() -> None:
    assert TimeFormat("%Y" * 100).format(MOMENT) == "2024" * 100
    with pytest.raises(TimeFormatError, match=r"300000 characters.*at most 200"):
        TimeFormat("%Y" * 150_000)
