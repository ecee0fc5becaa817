from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tests.support.near import near
from timeseries_segmenter.labeling.series import Series, TimeAxis
from timeseries_segmenter.learning.coverage import MOST_WINDOWS, describe
from timeseries_segmenter.learning.inputs.resampling import SAME_ROWS, Sampling
from timeseries_segmenter.project.long_series import (
    LONG,
    MOST_STRETCHES,
    STRETCH,
    LongSeries,
    most_worthwhile,
    stretches_around,
)

WINDOW = 40
ROWS = 2 * LONG * WINDOW


def sine(period: float, rows: int, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, 0.05, rows)
    values: NDArray[np.float32] = np.sin(2 * np.pi * np.arange(rows) / period) + noise
    return values.astype(np.float32)[:, None]


def long_series(values: NDArray[np.float32], task: int = 1) -> LongSeries:
    windows = describe(values, WINDOW)
    rows = stretches_around(len(windows), WINDOW, len(values), SAME_ROWS)
    assert rows is not None
    series = Series(values, ("x",), TimeAxis(10 * np.arange(len(values), dtype=np.float64)))
    return LongSeries.from_series(task, "ts", series, windows, rows)


def test_a_series_that_is_no_longer_than_a_sitting_has_no_stretches() -> None:
    assert stretches_around(MOST_WINDOWS, WINDOW, LONG * WINDOW - 1, SAME_ROWS) is None


def test_stretches_lie_around_the_windows_and_within_the_series() -> None:
    found = long_series(sine(60, ROWS))
    assert found.rows.shape == (MOST_WINDOWS, 2)
    assert (found.rows[:, 1] - found.rows[:, 0] + 1 == STRETCH * WINDOW).all()
    assert found.rows[0, 0] == 0
    assert found.rows[-1, 1] <= ROWS - 1
    middle = found.rows[MOST_WINDOWS // 2].mean()
    assert middle == near((MOST_WINDOWS // 2 + 0.5) * ROWS / MOST_WINDOWS, 1)
    assert found.ends[3] == tuple(10 * int(row) for row in found.rows[3])


def test_stretches_of_a_series_at_another_rate_are_rows_of_its_file() -> None:
    resampling = Sampling(1.0).resampling(4 * np.arange(ROWS, dtype=np.float64))
    common_rows = resampling.count_rows(ROWS)
    assert common_rows == near(4 * ROWS, 4)
    rows = stretches_around(MOST_WINDOWS, WINDOW, common_rows, resampling)
    assert rows is not None
    assert rows[1:-1, 1] - rows[1:-1, 0] == near(STRETCH * WINDOW / 4, 2)
    assert rows.min() >= 0
    assert rows.max() < ROWS


def test_the_part_that_is_unlike_what_is_annotated_comes_first() -> None:
    values = sine(60, ROWS)
    first, last = ROWS // 2, ROWS // 2 + 2 * STRETCH * WINDOW
    values[first:last] = sine(8, last - first)
    found = most_worthwhile([long_series(values)], [{"ts": describe(sine(60, 4000, seed=1), WINDOW)}])
    assert len(found) == MOST_STRETCHES
    (series, place), *_ = found
    start, end = series.rows[place]
    assert first < (start + end) / 2 < last
    rows = sorted(tuple(series.rows[place]) for series, place in found)
    assert all(one[1] < other[0] for one, other in pairwise(rows))


def test_once_the_odd_part_is_annotated_it_is_named_no_more() -> None:
    values = sine(60, ROWS)
    values[: ROWS // 8] = sine(8, ROWS // 8)
    known = np.zeros(ROWS, np.bool_)
    known[1000:1010] = True
    series = long_series(values)
    touched = series.touched(known)
    assert [bool(first <= 1009 and last >= 1000) for first, last in series.rows] == touched.tolist()
    left = series.part(~touched)
    assert len(left.windows) == len(left.rows) == len(left.ends) == (~touched).sum()
    found = most_worthwhile([left], [{"ts": series.windows[touched]}])
    start, end = found[0][0].rows[found[0][1]]
    assert (start + end) / 2 > ROWS // 8


def test_stretches_of_several_series_are_compared() -> None:
    slow, fast = sine(60, ROWS), sine(8, ROWS)
    annotated = [{"ts": describe(slow[:4000], WINDOW)}]
    found = most_worthwhile([long_series(slow), long_series(fast, task=2)], annotated)
    assert found[0][0].task == 2
    assert most_worthwhile([], annotated) == []
    assert most_worthwhile([long_series(slow)], [])


def test_many_long_series_are_compared_with_each_other() -> None:
    slow = [long_series(sine(60, ROWS, seed), seed) for seed in range(20)]
    annotated = [{"ts": describe(sine(60, 4000, seed=20), WINDOW)}]
    found = most_worthwhile([*slow, long_series(sine(8, ROWS), task=20)], annotated)
    assert found[0][0].task == 20
