"""Time columns that fall, and what there is to do about it."""

import pytest

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import read_series


@pytest.mark.parametrize(
    ("time_format", "times", "advice"),
    [
        ("%H:%M:%S", "23:59:58 23:59:59 00:00:00", "if the clock starts anew there, write the date too"),
        ("%M:%S", "59:58 59:59 00:00", "if the clock starts anew there, write hours too"),
        ("%I:%M:%S", "12:59:59 01:00:00", "if the clock starts anew there, write AM or PM too"),
        ("%d %H:%M", "31#12:00 01#12:00", "if the clock starts anew there, write the month too"),
        ("%m-%d", "12-31 01-01", "if the clock starts anew there, write the year too"),
        ("%H:%M:%S", "10:00:00 10:00:03 10:00:01", "sort the rows by time"),
        (
            "%Y-%m-%d %H:%M",
            "2024-10-27#02:59 2024-10-27#02:00",
            "if summer time ends there, write the times in",
        ),
        ("%d.%m.%y %H:%M", "27.10.24#02:30 27.10.24#02:00", "if summer time ends there, write the times in"),
        ("%Y-%m-%d %H:%M%Z", "2024-10-27#02:59+0100 2024-10-27#02:00+0100", "sort the rows by time"),
        ("%Y-%m-%d", "2024-10-27 2024-10-26", "sort the rows by time"),
        (None, "0 1 2 3 0 1 2 3", "if another recording begins there, make it a task of its own"),
        (None, "5 6 7 6", "sort the rows by time"),
        (None, "9 8 7", "sort the rows by time"),
    ],
)
def test_only_rows_that_are_out_of_order_are_to_be_sorted(
    time_format: str | None, times: str, advice: str
) -> None:
    pair = LabelPair("label", "ts", "$x", "url", ",", "time", time_format, ("ax",), ("Run",))
    rows = "".join(f"{time.replace('#', ' ')},1\n" for time in times.split())
    with pytest.raises(SeriesError, match=r"the time falls from") as raised:
        read_series("time,ax\n" + rows, pair, 1)
    said = str(raised.value)
    assert f"; {advice}" in said
    assert ("; sort" in said) == advice.startswith("sort")
