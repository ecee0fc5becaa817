"""The time of a series: where a region's start and end lie, and how they are written."""

import re
from functools import cached_property

import numpy as np

from timeseries_segmenter.errors import SeriesError, TimeFormatError
from timeseries_segmenter.labeling.cells import Floats, shown
from timeseries_segmenter.labeling.rollover import written_alike
from timeseries_segmenter.labeling.time_format import Reading, TimeFormat

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
            SeriesError: `start` or `end` is no time, `start` comes after `end`, or the format
                starts anew within the series and writes several such regions alike.

        """
        first, last = map(self._snap, self._ends(start, end))
        if last < self.stamps[0] or first > self.stamps[-1]:
            return None
        rows = self._between(first, last)
        if rows[0] > rows[1]:
            nearest = self._nearest(first + (last - first) / 2)
            rows = self._between(nearest, nearest)
        return rows

    def start_end(self, first: int, last: int) -> tuple[Time, Time]:
        """Start and end of a region over these rows, both inclusive, as Label Studio reads them.

        Both are text, or both are numbers: the editor reads either by the form of `start`. Text
        that isn't read as the same time again (62:50 is written `02:50`) gives way to milliseconds.
        """
        stamps = float(self.stamps[first]), float(self.stamps[last])
        if self.time_format:
            texts = [self.time_format.format(stamp) for stamp in stamps]
            if all(map(self._is_read_as, texts, stamps)):
                return texts[0], texts[1]
        return _number(stamps[0]), _number(stamps[1])

    def _is_read_as(self, text: str, stamp: float) -> bool:
        return self._parse(text) == stamp and self._meanings(text) == [stamp]

    def _ends(self, start: object, end: object) -> tuple[float, float]:
        pairs = [
            (first, last) for first in self._meanings(start) for last in self._meanings(end) if first <= last
        ]
        if not pairs:
            raise SeriesError(f"start {shown(start)} comes after end {shown(end)}; draw the region again")
        if len(pairs) > 1 and self.time_format:
            raise SeriesError(
                f"start {shown(start)} and end {shown(end)} can be in {len(pairs)} places of the series, "
                f'which is longer than "{self.time_format.text}" can tell; choose a timeFormat that tells '
                "all times apart, and draw the region again"
            )
        return pairs[0]

    def _meanings(self, time: object) -> list[float]:
        """The times in the series that a start or end can mean; outside of it, the one that is written."""
        stamp = self.stamp(time)
        form = self.time_format
        if form is None or not isinstance(time, str) or self._parse(form.format(stamp)) != stamp:
            return [stamp]
        margin = self._tolerance
        first, last = float(self.stamps[0]) - margin, float(self.stamps[-1]) + margin
        return written_alike(form, stamp, first, last) or [stamp]

    def _parse(self, text: str) -> float:
        if self.time_format:
            try:
                return float(self.time_format.parse([text], Reading.REGION)[0])
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


def _number(stamp: float) -> int | float:
    return int(stamp) if stamp.is_integer() and abs(stamp) < _EXACT else stamp
