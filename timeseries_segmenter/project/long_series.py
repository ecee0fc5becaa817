"""Which part of a long series to annotate: stretches that hold most of what the annotated rows do not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.time.axis import Time
from timeseries_segmenter.learning.coverage import Described, FloatArray, middles, order_by_coverage
from timeseries_segmenter.learning.inputs.resampling import Resampling
from timeseries_segmenter.project.task import TaskId

Rows = NDArray[np.int64]
Bools = NDArray[np.bool_]

LONG = 100  # windows of a model: hundreds of regions, more than anybody annotates at a sitting
STRETCH = 10  # windows
MOST_STRETCHES = 5  # that are named


@dataclass(frozen=True, slots=True, eq=False)
class LongSeries:
    """A task's series that nobody annotates at a sitting, by its `name` in the labeling config.

    It has windows as `learning.coverage` describes them, and of the stretch around each the first and last
    row in the file, `(windows, 2)`, and the start and end as Label Studio writes them.
    """

    task: TaskId
    name: str
    windows: FloatArray
    rows: Rows
    ends: Sequence[tuple[Time, Time]]

    @classmethod
    def from_series(
        cls, task: TaskId, name: str, series: Series, windows: FloatArray, rows: Rows
    ) -> "LongSeries":
        """With the `rows` that `stretches_around` found."""
        return cls(task, name, windows, rows, series.time.start_ends([tuple(each) for each in rows.tolist()]))

    def part(self, chosen: Bools) -> "LongSeries":
        """The same with the `chosen` windows alone, `(windows,)`."""
        ends = [each for each, is_chosen in zip(self.ends, chosen, strict=True) if is_chosen]
        return replace(self, windows=self.windows[chosen], rows=self.rows[chosen], ends=ends)

    def touched(self, known: Bools) -> Bools:
        """Whether any row of each stretch is `known`, `(T,)`."""
        before = np.concatenate([[0], np.cumsum(known)])
        found: Bools = before[self.rows[:, 1] + 1] > before[self.rows[:, 0]]
        return found

    def overlaps(self, one: int, other: int) -> bool:
        """Whether two stretches share rows."""
        firsts, lasts = self.rows[[one, other]].T
        return bool(firsts.max() <= lasts.min())


def stretches_around(windows: int, window: int, common_rows: int, resampling: Resampling) -> Rows | None:
    """The file's first and last row of the stretch around each of so many described windows, `(windows, 2)`;
    None for a series that is no longer than a sitting. A `window` has so many of the `common_rows`.
    """
    if common_rows < LONG * window:
        return None
    length = STRETCH * window
    firsts = np.clip(middles(windows, common_rows) - length / 2, 0, common_rows - length).astype(np.int64)
    return resampling.file_rows(np.stack([firsts, firsts + length - 1], axis=1))


def most_worthwhile(
    series: Sequence[LongSeries], annotated: Sequence[Described]
) -> list[tuple[LongSeries, int]]:
    """The stretches, each as a series and its place there, that add most to what is annotated, the first one
    most. None shares rows with another one.
    """
    stretches = [(each, place) for each in series for place in range(len(each.windows))]
    order = order_by_coverage(
        [{each.name: each.windows[place : place + 1]} for each, place in stretches], annotated
    )
    chosen: list[tuple[LongSeries, int]] = []
    for one in order:
        each, place = stretches[one]
        if not any(each is other and each.overlaps(place, at) for other, at in chosen):
            chosen.append((each, place))
        if len(chosen) == MOST_STRETCHES:
            break
    return chosen
