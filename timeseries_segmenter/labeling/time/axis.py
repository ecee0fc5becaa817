"""The time of a series: where a region's start and end lie, and how they are written."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.tables.cells import Floats, shown
from timeseries_segmenter.labeling.time.formats import Reading, TimeFormat
from timeseries_segmenter.labeling.time.rollover import shortest_gap, written_alike

Time = int | float | str

_EXACT = 2**53  # whole numbers beyond it are no longer distinguished as floats
_NUMERIC = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


class TimeAxis:
    """When each row was measured: `stamps`, `(T,)` float64, at least one, never decreasing.

    Stamps are row numbers if a series has no time column, the column's own numbers, or
    milliseconds since 1970 with a `time_format`. `is_counted`: they are row numbers.
    """

    def __init__(
        self, stamps: Floats, time_format: TimeFormat | None = None, *, is_counted: bool = False
    ) -> None:
        self.stamps = stamps
        self.time_format = time_format
        self.is_counted = is_counted
        self._read: Mapping[str, float] = {}

    def having_read(self, texts: Iterable[str]) -> "TimeAxis":
        """The same axis, which has read these starts and ends: many at once cost little more than one."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return self
        axis = TimeAxis(self.stamps, self.time_format, is_counted=self.is_counted)
        axis._read = dict(zip(distinct, self._parse(distinct).tolist(), strict=True))
        return axis

    def __len__(self) -> int:
        return len(self.stamps)

    def stretch(self, first: int, last: int) -> "TimeAxis":
        """The axis of these rows alone; rows that are counted keep their numbers."""
        return TimeAxis(self.stamps[first : last + 1].copy(), self.time_format, is_counted=self.is_counted)

    def stamp(self, time: object) -> float:
        """A region's start or end in the unit of `stamps`.

        Raises:
            SeriesError: it is neither a finite number nor text that means a time.

        """
        stamp = np.nan
        if isinstance(time, str):
            stamp = self._read[time] if time in self._read else float(self._parse([time])[0])
        elif isinstance(time, int | float) and not isinstance(time, bool):
            stamp = float(time) if abs(time) < 1e300 else np.nan
        if not np.isfinite(stamp):
            form, advice = "number", "write one"
            if self.time_format:
                form, advice = f'time of the form "{self.time_format.text}"', "write it in that form"
            raise SeriesError(f"{shown(time)} is not a {form}; {advice}, or draw the region again")
        return stamp

    def rows(self, start: object, end: object) -> tuple[int, int] | None:
        """The first and last row, both inclusive, of a region from `start` to `end`.

        These are the samples inside, with all that have equal stamps. Between two samples
        it is the nearest one. Wholly out of range it is None.

        Raises:
            SeriesError: `start` or `end` is not a time, `start` comes after `end`, or the format
                restarts within the series and writes several such regions alike.

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
        """Start and end of a region over these rows, both inclusive; see `start_ends`."""
        return self.start_ends([(first, last)])[0]

    def start_ends(self, rows: Sequence[tuple[int, int]]) -> list[tuple[Time, Time]]:
        """Start and end of regions over these rows, first and last, as Label Studio reads them.

        Both are text, or both are numbers: the editor reads either by the form of `start`. Text
        that isn't read as the same time again (62:50 is written `02:50`) gives way to milliseconds.
        """
        stamps = [(float(self.stamps[first]), float(self.stamps[last])) for first, last in rows]
        texts = self._texts({stamp for ends in stamps for stamp in ends})
        return [
            (texts[start], texts[end]) if start in texts and end in texts else (_number(start), _number(end))
            for start, end in stamps
        ]

    def _texts(self, stamps: Iterable[float]) -> dict[float, str]:
        """What those of the stamps are written as whose text is read as the same time again."""
        if self.time_format is None:
            return {}
        texts = {stamp: self.time_format.format(stamp) for stamp in stamps}
        read = self._parse(list(texts.values())).tolist()
        return {
            stamp: text
            for (stamp, text), again in zip(texts.items(), read, strict=True)
            if again == stamp and (self._is_unique(stamp) or self._alike(stamp) == [stamp])
        }

    def _ends(self, start: object, end: object) -> tuple[float, float]:
        pairs = [
            (first, last) for first in self._meanings(start) for last in self._meanings(end) if first <= last
        ]
        if not pairs:
            raise SeriesError(f"start {shown(start)} comes after end {shown(end)}; draw the region again")
        if len(pairs) > 1 and self.time_format:
            raise SeriesError(
                f"start {shown(start)} and end {shown(end)} can be in {len(pairs)} places of the series, "
                f'which is longer than "{self.time_format.text}" can express; choose a timeFormat that '
                "distinguishes all times, and draw the region again"
            )
        return pairs[0]

    def _meanings(self, time: object) -> list[float]:
        """The times in the series that a start or end can mean; outside of it, the written one."""
        stamp = self.stamp(time)
        if self.time_format is None or not isinstance(time, str) or self._is_unique(stamp):
            return [stamp]
        written = self.time_format.format(stamp)
        if written != time and self._parse([written])[0] != stamp:
            return [stamp]
        return self._alike(stamp)

    def _is_unique(self, stamp: float) -> bool:
        """Whether the series is too short to hold another time that is written alike."""
        first, last = self._range
        return self._gap == np.inf or (first <= stamp <= last and last - first < self._gap)

    def _alike(self, stamp: float) -> list[float]:
        form = self.time_format
        return (written_alike(form, stamp, *self._range) if form else []) or [stamp]

    @cached_property
    def _gap(self) -> float:
        return shortest_gap(self.time_format) if self.time_format else np.inf

    @cached_property
    def _range(self) -> tuple[float, float]:
        """From the first to the last time that means a sample."""
        return float(self.stamps[0]) - self._tolerance, float(self.stamps[-1]) + self._tolerance

    def _parse(self, texts: Sequence[str]) -> Floats:
        """Texts in the unit of `stamps`, NaN if they mean none. `(T,)`."""
        stamps = np.full(len(texts), np.nan)
        if self.time_format:
            times, fits = self.time_format.try_parse(texts, Reading.REGION)
            stamps[fits] = times[fits]
        for place in np.flatnonzero(np.isnan(stamps)):
            if _NUMERIC.fullmatch(texts[place]):
                stamps[place] = float(texts[place])
        return stamps

    @cached_property
    def _tolerance(self) -> float:
        """How far a region's start or end may be from the sample that it means.

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
