"""Series that were sampled at different rates, or unevenly, brought to a common rate, and back.

Values are interpolated linearly where common rows are closer together than those of the file, and averaged
where they are further apart. A series that is at about the common rate already keeps its rows.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.segment import LabelSet, Segment

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Times = NDArray[np.float64]

DIFFERENT = 1.9  # between the intervals of two series: twice, but for the rounding of times
NEAR = 2**0.5  # to the common interval: two series that keep their rows differ by less than twice
UNEVEN_SHARE = 0.1  # of the intervals of a series that are twice or half as long as its usual one
FINE_QUANTILE = 0.25  # of the series' intervals: as fine as many are, whatever the finest one is
MOST_GROWTH = 2.0  # of the rows of all training series; of one, beside what its rate asks for
GAP = 10  # common rows, at most; what is longer is shortened, since nothing is known of what lies in it
MOST_FINER = 8.0  # common rows for one of the file; a series that needs more keeps its own
ROWS_AT_ONCE = 1 << 16  # whose times are looked at
MOST_COARSER = 32.0  # rows of the file for a common one; beyond it, times are likely in another unit


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """How the rows of one file become common rows, and common rows those of the file.

    `positions` are the places of the file's rows among the common rows, `(T,)` float64 from 0 on; None if
    they are the same rows.
    """

    positions: Times | None = None

    def values(self, values: FloatArray) -> FloatArray:
        """The file's `(T, C)` in common rows, `(N, C)`."""
        if self.positions is None:
            return values
        rows = self._common_rows(self.positions)
        edges = np.append(rows - 0.5, len(rows) - 0.5)
        averaged = np.diff(np.searchsorted(self.positions, edges)) > 1
        edges = np.clip(edges, 0, self.positions[-1])
        widths = np.diff(edges)[averaged]
        common = np.empty((len(rows), values.shape[1]), np.float32)
        for channel, column in enumerate(values.T.astype(np.float64)):
            common[:, channel] = np.interp(rows, self.positions, column)
            if averaged.any():
                areas = np.diff(_area_up_to(edges, self.positions, column))[averaged]
                common[averaged, channel] = areas / widths
        return common

    def example(self, example: Example) -> Example:
        """The same annotated series in common rows. Each has the class of the file's nearest row."""
        if self.positions is None:
            return example
        classes = example.classes[self._nearest(self.positions)]
        for number, start, end in runs_of(example.classes):
            if number > 0:  # no range is too short to be learned from
                middle = (start + end - 1) // 2
                classes[_row_of(self.positions[middle : middle + 1])] = number
        return replace(
            example,
            values=self.values(example.values),
            classes=classes,
            instants=_row_of(self.positions[example.instants]),
        )

    def file_segments(self, segments: Sequence[Segment], instants: Collection[LabelSet]) -> list[Segment]:
        """Segments of common rows in the file's rows, by first row.

        Each has at least the one that is nearest, and not more if it is an instant with one of the label
        sets that were annotated as `instants`.
        """
        if self.positions is None:
            return list(segments)
        nearest = self._nearest(self.positions)
        found = []
        for segment in segments:
            first, end = np.searchsorted(self.positions, [segment.first - 0.5, segment.last + 0.5]).tolist()
            if first == end or (segment.instant and segment.labels in instants):
                first = int(nearest[(segment.first + segment.last) // 2])
                end = first + 1
            found.append(replace(segment, first=first, last=end - 1, instant=end - first == 1))
        return sorted(found, key=lambda segment: segment.first)

    def count_rows(self, file_rows: int) -> int:
        """How many common rows a file of so many rows has."""
        return file_rows if self.positions is None else int(_row_of(self.positions[-1:])[0]) + 1

    def file_rows(self, rows: IntArray) -> IntArray:
        """The file's rows that are nearest to common `rows`, of the same shape."""
        return rows if self.positions is None else self._nearest(self.positions)[rows]

    def file_probabilities(self, probabilities: FloatArray) -> FloatArray:
        """`(N, classes)` of common rows for the file's rows, `(T, classes)`."""
        if self.positions is None:
            return probabilities
        rows = self._common_rows(self.positions)
        columns = [np.interp(self.positions, rows, column) for column in probabilities.T]
        return np.stack(columns, axis=1).astype(np.float32)

    def file_classes(self, classes: IntArray) -> IntArray:
        """`(N,)` of common rows for the file's rows, `(T,)`."""
        return classes if self.positions is None else classes[_row_of(self.positions)]

    @staticmethod
    def _common_rows(positions: Times) -> IntArray:
        return np.arange(_row_of(positions[-1:])[0] + 1)

    @classmethod
    def _nearest(cls, positions: Times) -> IntArray:
        """The file's row next to each common row."""
        return np.searchsorted((positions[1:] + positions[:-1]) / 2, cls._common_rows(positions))


SAME_ROWS = Resampling()


@dataclass(frozen=True, slots=True)
class Sampling:
    """The common rate of a model's series: `interval` is the time from row to row, in the unit of their
    time axes; 0 if they have none.
    """

    interval: float = 0.0

    @classmethod
    def fit(cls, times: Iterable[Times | None]) -> "Sampling":
        """What suits training series, given the time of each row, `(T,)`, which never decreases."""
        known = [each for each in times if each is not None]
        intervals = sorted(filter(None, map(usual_interval, known)))
        if not intervals:
            return cls()
        if intervals[-1] < DIFFERENT * intervals[0]:
            return cls(float(np.sqrt(intervals[0] * intervals[-1])))
        most = MOST_GROWTH * sum(map(len, known))
        candidates = intervals[int(FINE_QUANTILE * (len(intervals) - 1)) :]
        return next(
            (each for each in map(cls, candidates) if sum(map(each._count_rows, known)) <= most),
            cls(intervals[-1]),
        )

    def resampling(self, times: Times | None) -> Resampling:
        """How to bring a series to this rate, given the time of each of its rows, `(T,)`; not at all if that
        is not known.
        """
        if times is None or len(times) < 2 or not self.interval:
            return SAME_ROWS
        if self._is_even(times):
            return SAME_ROWS  # as below, but quickly, and without a copy: most series are even
        steps = np.diff(_spread(times))
        usual = float(np.median(steps))
        if not self.interval / MOST_COARSER < usual < self.interval * MOST_FINER:
            return SAME_ROWS
        uneven = ((steps <= usual / 2) | (steps >= usual * 2)).mean() > UNEVEN_SHARE
        if self.near(usual) and not uneven:
            return SAME_ROWS
        longest = max(GAP * self.interval, 2 * usual)
        while longest > 2 * usual and np.minimum(steps, longest).sum() > MOST_GROWTH * usual * len(steps):
            longest = max(longest / 1.5, 2 * usual)
        return Resampling(np.concatenate([[0.0], np.cumsum(np.minimum(steps, longest) / self.interval)]))

    def _is_even(self, times: Times) -> bool:
        for first in range(0, len(times) - 1, ROWS_AT_ONCE):
            steps = np.diff(times[first : first + ROWS_AT_ONCE + 1])
            if not (self.near(steps.min()) and self.near(steps.max())):
                return False
        return True

    def near(self, interval: float) -> bool:
        """Whether rows at another interval are as good as rows at this one."""
        return self.interval / NEAR < interval < self.interval * NEAR

    def _count_rows(self, times: Times) -> int:
        return self.resampling(times).count_rows(len(times))


def usual_interval(times: Times) -> float:
    """The median time from row to row, 0 if there is no time between any."""
    steps = np.diff(_spread(times))
    return float(np.median(steps)) if len(steps) else 0.0


def _spread(times: Times) -> Times:
    """Times of rows that share one, such as those of a second, spread until the next one."""
    firsts = np.flatnonzero(np.diff(times, prepend=-np.inf))
    if len(firsts) in (1, len(times)):
        return times
    distinct = times[firsts]
    end = distinct[-1] + np.median(np.diff(distinct))
    spread: Times = np.interp(np.arange(len(times)), np.append(firsts, len(times)), np.append(distinct, end))
    return spread


def _row_of(positions: Times) -> IntArray:
    """The common row that holds each position."""
    return np.floor(positions + 0.5).astype(np.int64)


def _area_up_to(ends: Times, positions: Times, column: Times) -> Times:
    """The area below a column, interpolated between its positions, from the first to each of `ends`."""
    pieces = np.diff(positions) * (column[1:] + column[:-1]) / 2
    areas = np.concatenate([[0.0], np.cumsum(pieces)])
    before = np.searchsorted(positions, ends, side="right") - 1
    at_ends = np.interp(ends, positions, column)
    area: Times = areas[before] + (ends - positions[before]) * (column[before] + at_ends) / 2
    return area
