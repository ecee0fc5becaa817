"""Where in an event people put an instant: at a landmark of the signal, such as the top of a heartbeat.

A network finds events, but places them as it does those of its training series: on those of other persons
or sensors it is early or late. A landmark of the signal itself is where people put it there too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Kind = Literal["maximum", "minimum", "largest deviation"]

MOST_CHANNELS = 16  # that are looked at
ROWS_AT_ONCE = 1 << 20  # that are looked at: a long series need not be in memory
MOST_INSTANTS = 1000  # of a series that are learned from
ENOUGH = 0.75  # of the distance that the peaks of the probability leave, for a landmark to be worth it


@dataclass(frozen=True, slots=True)
class Landmark:
    """The row within `reach` rows of a peak where a channel is highest, lowest, or furthest from its mean
    over `around` rows on either side. Instants are `offset` rows before it.
    """

    channel: int
    kind: Kind
    reach: int
    around: int
    offset: int = 0

    def is_in(self, values: FloatArray) -> bool:
        """Whether its channel is known in all of the series `(T, C)`."""
        parts = range(0, len(values), ROWS_AT_ONCE)
        return all(np.isfinite(values[first : first + ROWS_AT_ONCE, self.channel]).all() for first in parts)

    def move(self, peaks: IntArray, values: FloatArray) -> IntArray:
        """Rows of the instants `(N,)` at these peaks, which ascend, in the series `(T, C)`."""
        parts = np.searchsorted(peaks, np.arange(ROWS_AT_ONCE, len(values), ROWS_AT_ONCE))
        moved = [self._moved(part, values) for part in np.split(peaks, parts) if len(part)]
        return np.concatenate([np.zeros(0, np.int64), *moved])

    def _moved(self, peaks: IntArray, values: FloatArray) -> IntArray:
        before = max(self.reach, self.around, self.offset)
        first = max(0, int(peaks[0]) - before)
        end = int(peaks[-1]) + max(self.reach, self.around, -self.offset) + 1
        column = values[first:end, self.channel].astype(np.float64)
        return first + self._moved_in(peaks - first, column)

    def _moved_in(self, peaks: IntArray, column: NDArray[np.float64]) -> IntArray:
        near = np.clip(peaks[:, None] + np.arange(-self.reach, self.reach + 1), 0, len(column) - 1)
        heights = column[near]
        if self.kind == "minimum":
            heights = -heights
        elif self.kind == "largest deviation":
            sums = np.concatenate([[0.0], np.cumsum(column)])
            firsts = np.maximum(peaks - self.around, 0)
            ends = np.minimum(peaks + self.around + 1, len(column))
            heights = np.abs(heights - ((sums[ends] - sums[firsts]) / (ends - firsts))[:, None])
        rows = near[np.arange(len(peaks)), heights.argmax(axis=1)]
        instants: IntArray = np.clip(rows - self.offset, 0, len(column) - 1)
        return instants


def find_landmark(
    series: Sequence[tuple[FloatArray, IntArray, IntArray]], reach: int, around: int
) -> Landmark | None:
    """The landmark at which people put instants; None if the peaks themselves are as good.

    For each series there are its values `(T, C)`, peaks `(N,)`, and the annotated instants `(N,)` that they
    were found for. Series count alike.
    """
    series = [
        (values, peaks[:MOST_INSTANTS], rows[:MOST_INSTANTS]) for values, peaks, rows in series if len(rows)
    ]
    if not series or reach < 1:
        return None
    best = None
    least = ENOUGH * _distance([peaks - rows for _, peaks, rows in series], reach)[0]
    for channel in range(min(MOST_CHANNELS, series[0][0].shape[1])):
        for kind in get_args(Kind):
            landmark = Landmark(channel, kind, reach, around)
            if not all(landmark.is_in(values) for values, _, _ in series):
                continue
            distance, offset = _distance(
                [landmark.move(peaks, values) - rows for values, peaks, rows in series], reach
            )
            if distance < least:
                least, best = distance, replace(landmark, offset=offset)
    return best


def _distance(errors: Sequence[IntArray], most: int) -> tuple[float, int]:
    """Mean distance of what is `errors` rows too late, in the middle one of the series, after the correction
    by their middle offset; and that offset.
    """
    offset = round(float(np.median([np.median(each) for each in errors])))
    distances = [np.minimum(np.abs(each - offset), most).mean() for each in errors]
    return float(np.median(distances)), offset
