"""Times that formats write alike: clocks that pass their hour, their day or their year."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.time.axis import TimeAxis
from timeseries_segmenter.labeling.time.formats import TimeFormat
from timeseries_segmenter.labeling.time.rollover import shortest_gap

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
YEAR_1900 = -2_208_988_800_000


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000


def axis(time_format: str, first: float, step: float, rows: int = 120) -> TimeAxis:
    return TimeAxis(first + np.arange(rows, dtype=float) * step, TimeFormat(time_format))


@pytest.mark.parametrize(
    ("time_format", "first", "step"),
    [
        ("%M:%S", YEAR_1900 + 57 * MINUTE, 5 * SECOND),
        ("%H:%M:%S", YEAR_1900 + 22 * HOUR, 3 * MINUTE),
        ("%H:%M", YEAR_1900 + 23 * HOUR, MINUTE),
        ("%H:%M:%S%Z", YEAR_1900 - HOUR, MINUTE),
        ("%I:%M", YEAR_1900 + 11 * HOUR, MINUTE),
        ("%Y-%m-%d %I:%M:%S", at("2024-05-01T11:00:00"), MINUTE),
        ("%S.%L", YEAR_1900 + 30 * SECOND, 500),
        ("%L", YEAR_1900, 10),
        ("%d %H:%M", at("1900-01-31T12:00:00"), 30 * MINUTE),
        ("%m-%d %H:%M", at("1900-12-31T12:00:00"), 30 * MINUTE),
        ("%j %H:%M", at("1900-12-31T12:00:00"), 30 * MINUTE),
        ("%b %e %H:%M:%S", at("1900-12-31T23:59:00"), SECOND),
        ("%y-%m-%d", at("2068-11-01"), DAY),
        ("%y-%m-%d", at("1968-11-01"), DAY),
        ("%Y-%m-%d %M:%S", at("2024-05-01T00:59:00"), SECOND),
        ("%Y-%m-%d %H:%M:%S", at("2024-12-31T23:59:00"), SECOND),
    ],
)
def test_ends_have_one_form_that_the_editor_reads_as_the_same_time(
    time_format: str, first: float, step: float
) -> None:
    times = axis(time_format, first, step)
    form = TimeFormat(time_format)
    for rows in [(0, 119), (20, 49), (70, 99), (0, 0), (119, 119), (59, 61), (0, 61)]:
        start, end = times.start_end(*rows)
        assert type(start) is type(end)
        stamps = times.stamps[list(rows)].tolist()
        # what the editor makes of them: text is parsed, a number is taken as it is
        read = (
            form.parse([start, end]).tolist()
            if isinstance(start, str) and isinstance(end, str)
            else [start, end]
        )
        assert read == stamps
        assert times.rows(start, end) == rows


@pytest.mark.parametrize(
    ("time_format", "first", "step", "drawn"),
    [
        ("%M:%S", YEAR_1900 + 57 * MINUTE, 5 * SECOND, ("02:50", "05:15")),
        ("%H:%M:%S", YEAR_1900 + 22 * HOUR, 3 * MINUTE, ("01:30:00", "02:57:00")),
        ("%H:%M:%S%Z", YEAR_1900 - HOUR, MINUTE, ("00:10:00+0000", "00:39:00+0000")),
        ("%I:%M", YEAR_1900 + 12 * HOUR, MINUTE, ("01:10", "01:39")),
        ("%I:%M:%S", YEAR_1900 + 11 * HOUR, MINUTE, ("12:10:00", "12:39:00")),
        ("%d %H:%M", at("1900-01-31T12:00:00"), 30 * MINUTE, ("01 23:00", "02 13:30")),
        ("%m-%d", at("1900-11-01"), DAY, ("01-10", "02-08")),
        ("%j", at("1900-11-01"), DAY, ("010", "039")),
        ("%y-%m-%d", at("2068-11-01"), DAY, ("69-01-10", "69-02-08")),
    ],
)
def test_regions_that_the_editor_writes_rolled_over_are_understood(
    time_format: str, first: float, step: float, drawn: tuple[str, str]
) -> None:
    times = axis(time_format, first, step)
    assert tuple(TimeFormat(time_format).format(times.stamps[row]) for row in (70, 99)) == drawn
    assert times.rows(*drawn) == (70, 99)


def test_a_start_before_and_an_end_behind_the_rollover_are_understood() -> None:
    times = axis("%M:%S", YEAR_1900 + 57 * MINUTE, 5 * SECOND)
    assert times.rows("59:00", "01:00") == (24, 48)
    assert times.rows("57:01", "01:02") == (1, 48)  # between samples, as imported regions may be


def test_text_that_tells_its_time_is_taken_as_it_is() -> None:
    times = axis("%M:%S", YEAR_1900 + 57 * MINUTE, 5 * SECOND)
    assert times.rows("62:50", "65:15") == (70, 99)
    assert times.rows("62:50", "05:15") == (70, 99)


def test_a_region_that_can_be_in_several_places_is_an_error_that_says_so() -> None:
    times = axis("%M:%S", YEAR_1900, MINUTE, 180)
    for start, end in [("02:50", "05:15"), ("02:00", "02:00"), ("50:00", "10:00")]:
        with pytest.raises(SeriesError, match=r"places of the series.*%M:%S.*timeFormat") as raised:
            times.rows(start, end)
        assert repr(start) in str(raised.value)
    assert times.rows("62:00", "65:00") == (62, 65)
    assert times.rows(YEAR_1900 + 62 * MINUTE, YEAR_1900 + 65 * MINUTE) == (62, 65)


def test_regions_in_several_places_are_drawn_as_numbers() -> None:
    times = axis("%M:%S", YEAR_1900, MINUTE, 180)
    assert times.start_end(2, 5) == (YEAR_1900 + 2 * MINUTE, YEAR_1900 + 5 * MINUTE)
    assert times.rows(*times.start_end(2, 5)) == (2, 5)


def test_one_order_of_start_and_end_may_tell_the_place() -> None:
    times = axis("%M:%S", YEAR_1900 + 30 * MINUTE, MINUTE, 61)  # 30:00 to 90:00
    assert times.rows("31:00", "29:00") == (1, 59)
    with pytest.raises(SeriesError, match="comes after"):
        axis("%M:%S", YEAR_1900 + 30 * MINUTE, MINUTE, 20).rows("40:00", "35:00")


def test_a_region_outside_of_the_series_stays_outside() -> None:
    times = axis("%M:%S", YEAR_1900 + 57 * MINUTE, 5 * SECOND)
    assert times.rows("10:00", "20:00") is None


@pytest.mark.parametrize("time_format", ["%a", "%u", "%Z", "%A %Z", "%p"])
def test_a_format_that_tells_no_time_has_a_place_too(time_format: str) -> None:
    stamps = TimeFormat(time_format).parse([TimeFormat(time_format).format(YEAR_1900)] * 3).astype(float)
    times = TimeAxis(stamps, TimeFormat(time_format))
    assert times.rows(*times.start_end(0, 2)) == (0, 2)


def test_regions_read_and_written_together_are_those_read_and_written_one_by_one() -> None:
    axes = [
        axis("%M:%S", YEAR_1900, MINUTE, 180),
        axis("%H:%M:%S", YEAR_1900 + 22 * HOUR, 3 * MINUTE),
        axis("%V %H:%M", at("2024-05-01"), HOUR),
        axis("%q", YEAR_1900, DAY, 40),
        axis("%Y-%m-%d %H:%M:%S", at("2024-02-28T23:00:00"), MINUTE),
    ]
    for times in axes:
        rows = [(0, 3), (5, 5), (len(times) - 2, len(times) - 1)]
        ends = times.start_ends(rows)
        assert ends == [times.start_end(*each) for each in rows]
        known = times.having_read([text for each in ends for text in each if isinstance(text, str)])
        assert [known.rows(*each) for each in ends] == [times.rows(*each) for each in ends]
        assert all(isinstance(start, str) == isinstance(end, str) for start, end in ends)


def test_texts_that_stand_for_no_time_harm_no_others_read_with_them() -> None:
    times = axis("%Y-%m-%d %H:%M:%S", at("2024-05-01"), MINUTE)
    number = str(int(at("2024-05-01T00:07:00")))
    known = times.having_read(["2024-05-01 00:05:00", "yesterday", number, "2024-05-01 00:09:00é", ""])
    assert known.rows("2024-05-01 00:05:00", number) == (5, 7)
    for text in ("yesterday", "2024-05-01 00:09:00é", ""):
        with pytest.raises(SeriesError, match="is not a time of the form"):
            known.rows(text, number)


@pytest.mark.parametrize(
    ("time_format", "gap"),
    [
        ("%Y-%m-%d", np.inf),
        ("%M:%S", HOUR),
        ("%H:%M", DAY),
        ("%m-%d", 28 * DAY),
        ("%d %H", 28 * DAY),
        ("%V %H", 0),
        ("%m", 0),
    ],
)
def test_how_close_times_that_are_written_alike_can_be(time_format: str, gap: float) -> None:
    assert shortest_gap(TimeFormat(time_format)) == gap


FORMATS = ["%M:%S", "%H:%M:%S", "%H:%M", "%I:%M:%S", "%S.%L", "%d %H:%M:%S", "%m-%d %H:%M", "%y-%m-%d", "%j"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(FORMATS),
    st.integers(0, 400 * DAY // SECOND),
    st.lists(st.sampled_from([1, 7, 60, 3600, 86_400]), min_size=1, max_size=40),
    st.data(),
)
def test_what_the_editor_writes_is_read_as_its_rows_or_refused(
    time_format: str, first: float, steps: list[int], data: st.DataObject
) -> None:
    form = TimeFormat(time_format)
    finest = {"%H:%M": 60, "%m-%d %H:%M": 60, "%y-%m-%d": 86_400, "%j": 86_400}.get(time_format, 1)
    stamps = np.unique((first + np.cumsum(steps)) // finest * finest) * 1000.0 + YEAR_1900
    times = TimeAxis(stamps, form)
    low = data.draw(st.integers(0, len(stamps) - 1))
    high = data.draw(st.integers(low, len(stamps) - 1))
    try:
        rows = times.rows(form.format(stamps[low]), form.format(stamps[high]))
    except SeriesError as error:
        if "places of the series" not in str(error):
            raise
        return
    assert rows == (low, high)
