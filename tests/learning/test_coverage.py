"""An order of series by their windows: of plain sines and levels, of which everybody sees what is typical."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from timeseries_segmenter.learning.coverage import (
    MOST_WINDOWS,
    Described,
    describe,
    order_by_coverage,
)

WINDOW = 40


def sine(period: float, seed: int = 0, rows: int = 600) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, 0.05, rows)
    values: NDArray[np.float32] = np.sin(2 * np.pi * np.arange(rows) / period) + noise
    return values.astype(np.float32)[:, None]


def described(*series: NDArray[np.float32]) -> list[Described]:
    return [{"ts": describe(values, WINDOW)} for values in series]


SLOW = [sine(60, seed) for seed in range(6)]
FAST = [sine(8, seed) for seed in range(3)]
ODD = np.full((600, 1), 9, np.float32)


def order_of(tasks: Sequence[Described], covered: Sequence[Described] = ()) -> list[int]:
    return list(order_by_coverage(tasks, covered))


def test_typical_series_come_first_and_then_what_is_unlike_them() -> None:
    order = order_of(described(*FAST, *SLOW))
    assert order[0] >= len(FAST)
    assert order[1] < len(FAST)
    assert sorted(order) == list(range(len(FAST) + len(SLOW)))


def test_what_annotated_series_hold_comes_later() -> None:
    series = described(*FAST[:2], *SLOW[:2])
    assert order_of(series, described(SLOW[5]))[0] < 2
    assert order_of(series, described(FAST[2]))[0] >= 2


def test_a_series_that_is_both_comes_before_either_kind() -> None:
    both = np.concatenate([SLOW[0][:300], FAST[0][:300]])
    assert order_of(described(SLOW[1], FAST[1], both, SLOW[2], FAST[2]))[0] == 2


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_units_of_channels_do_not_matter(unit: float) -> None:
    series = [np.hstack([values, values[::-1]]) for values in (*FAST, *SLOW, ODD)]
    factors, offsets = np.array([[1, unit], [0, 3 * unit]], np.float32)
    scaled = [values * factors + offsets for values in series]
    assert order_of(described(*scaled)) == order_of(described(*series))


def test_missing_values_and_short_and_constant_series_are_described_too() -> None:
    gaps = SLOW[0].copy()
    gaps[100:200] = np.nan
    series = [gaps, np.full((50, 1), np.nan, np.float32), SLOW[1][:1], SLOW[2][:7], ODD]
    found = described(*series)
    assert all(np.isfinite(each["ts"]).all() for each in found)
    assert sorted(order_of(found)) == list(range(len(series)))


def test_a_long_series_has_as_many_windows_as_any_and_one_of_many_channels_fewer() -> None:
    assert len(describe(sine(60, rows=100_000), WINDOW)) == MOST_WINDOWS
    assert len(describe(np.zeros((5000, 60), np.float32), WINDOW)) < MOST_WINDOWS


def test_all_series_of_a_task_count_and_one_without_a_series_is_last() -> None:
    first = [{"a": describe(values, WINDOW)} for values in SLOW[:4]]
    second = [{"b": describe(values, WINDOW)} for values in (SLOW[0], SLOW[1], SLOW[2], FAST[0])]
    tasks: list[Described] = [{**a, **b} for a, b in zip(first, second, strict=True)]
    assert order_of([*tasks, {}])[-1] == 4
    assert order_of(tasks, [tasks[0]])[0] == 3


def test_the_same_series_always_come_in_the_same_order_and_none_in_none() -> None:
    assert order_of([]) == order_of([], described(*SLOW)) == []
    series = described(*FAST, *SLOW)
    assert order_of(series) == order_of(series)
    assert order_of([{}, {}], [{}]) == [0, 1]
