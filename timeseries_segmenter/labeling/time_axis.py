"""The time of a series: where a region's start and end lie, and how they are written."""

import re
from functools import cached_property

import numpy as np

from timeseries_segmenter.errors import SeriesError, TimeFormatError
from timeseries_segmenter.labeling.cells import Floats, shown
from timeseries_segmenter.labeling.time_format import TimeFormat

Time = int | float | str

_EXACT = 2**53  # whole numbers beyond it are no longer told apart as floats
_NUMERIC = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


class TimeAxis:
    """When each row was measured: `stamps`, `(T,)` float64, at least one, never decreasing.

    Stamps are row numbers where a series has no time column, the column's own numbers, or
    milliseconds since 1970 with a `time_format`.
    """

    def __init__(self, stamps: Floats, time_format: TimeFormat | None = None) -> None:
        self.stamps = stamps
        self.time_format = time_format

    def __len__(self) -> int:
        return len(self.stamps)

    def stamp(self, time: object) -> float:
        """A region's start or end in the unit of `stamps`.

        Raises:
            SeriesError: it is neither a finite number nor text that stands for a time.

        """
        stamp = np.nan
        if isinstance(time, str):
            stamp = self._parse(time)
        elif isinstance(time, int | float) and not isinstance(time, bool):
            stamp = float(time) if abs(time) < 1e300 else np.nan
        if not np.isfinite(stamp):
            form = f'time of the form "{self.time_format.text}"' if self.time_format else "number"
            raise SeriesError(f"{shown(time)} is no {form}; draw the region again")
        return stamp

    def rows(self, start: object, end: object) -> tuple[int, int] | None:
        """The first and last row, both inclusive, of a region from `start` to `end`.

        These are the samples inside, with all that have equal stamps. Between two samples
        it is the nearest one. Wholly out of range it is None.

        Raises:
            SeriesError: `start` or `end` is no time, or `start` comes after `end`.

        """
        first, last = self._snap(self.stamp(start)), self._snap(self.stamp(end))
        if first > last:
            raise SeriesError(f"start {shown(start)} comes after end {shown(end)}; draw the region again")
        if last < self.stamps[0] or first > self.stamps[-1]:
            return None
        rows = self._between(first, last)
        if rows[0] > rows[1]:
            nearest = self._nearest(first + (last - first) / 2)
            rows = self._between(nearest, nearest)
        return rows

    def start_end(self, first: int, last: int) -> tuple[Time, Time]:
        """Start and end of a region over these rows, both inclusive, as Label Studio writes them."""
        return self._time(first), self._time(last)

    def _time(self, row: int) -> Time:
        stamp = float(self.stamps[row])
        number = int(stamp) if stamp.is_integer() and abs(stamp) < _EXACT else stamp
        if self.time_format is None:
            return number
        text = self.time_format.format(stamp)
        # What some formats print isn't read back as the same time (%I without %p): a number always is.
        return text if self._parse(text) == stamp else number

    def _parse(self, text: str) -> float:
        if self.time_format:
            try:
                return float(self.time_format.parse([text])[0])
            except TimeFormatError:
                pass
        return float(text) if _NUMERIC.fullmatch(text) else np.nan

    @cached_property
    def _tolerance(self) -> float:
        """How far a region's start or end may be from the sample that it stands for.

        A formatted time may have lost what is below its milliseconds; a number may have
        lost its last digits.
        """
        if self.time_format:
            return 1.0
        return 1e-12 * float(max(abs(self.stamps[0]), abs(self.stamps[-1])))

    def _snap(self, stamp: float) -> float:
        nearest = self._nearest(stamp)
        return nearest if abs(nearest - stamp) <= self._tolerance else stamp

    def _nearest(self, stamp: float) -> float:
        above = int(np.searchsorted(self.stamps, stamp))
        around = self.stamps[max(above - 1, 0) : above + 1]
        return float(around[np.argmin(np.abs(around - stamp))])

    def _between(self, first: float, last: float) -> tuple[int, int]:
        start = int(np.searchsorted(self.stamps, first, side="left"))
        return start, int(np.searchsorted(self.stamps, last, side="right")) - 1
