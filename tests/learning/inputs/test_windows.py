import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from timeseries_segmenter.learning.inputs.windows import average_over_windows, window_starts


@given(length=st.integers(1, 500), size=st.integers(1, 120))
def test_windows_cover_every_row_inside_the_series_and_overlap_by_a_quarter(length: int, size: int) -> None:
    starts = window_starts(length, size)
    covered = np.zeros(length, int)
    for start in starts:
        covered[start : start + size] += 1
    assert covered.all()
    assert starts[0] == 0
    if length >= size:
        assert starts[-1] == length - size
    assert (np.diff(starts) <= max(1, size - round(size / 4))).all()
    assert len(np.unique(starts)) == len(starts)


def test_average_is_the_mean_over_the_windows_that_hold_a_row() -> None:
    calls: list[int] = []

    def window_number(starts: NDArray[np.int64]) -> NDArray[np.float32]:
        calls.extend(starts.tolist())
        return np.repeat(starts[:, None, None], 4, axis=2).astype(np.float32)

    (average,) = average_over_windows(10, 4, 1, window_number)
    assert average[0].tolist() == [0, 0, 0, 1.5, 3, 3, 4.5, 6, 6, 6]
    assert calls == [0, 3, 6]


@given(timesteps=st.integers(1, 200), sequence_size=st.integers(1, 60), stride=st.sampled_from([1, 2, 4, 8]))
def test_windows_of_whole_timesteps_start_at_one_and_cover_every_row(
    timesteps: int, sequence_size: int, stride: int
) -> None:
    length, size = max(timesteps, sequence_size) * stride, sequence_size * stride
    starts = window_starts(length, size, stride)
    assert (starts % stride == 0).all()
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= size).all()
    assert (starts[0], starts[-1]) == (0, length - size)


@pytest.mark.parametrize("length", [40, 41, 20_000])
def test_average_of_a_function_of_the_row_is_that_function(length: int) -> None:
    values = np.random.default_rng(length).normal(size=(2, length)).astype(np.float32)
    rows = np.arange(40)

    def predict(starts: NDArray[np.int64]) -> NDArray[np.float32]:
        return values[:, starts[:, None] + rows].transpose(1, 0, 2) * 2

    stretches = list(average_over_windows(length, 40, 2, predict))
    np.testing.assert_allclose(np.concatenate(stretches, axis=1), values * 2, rtol=1e-6)
    assert max(each.shape[1] for each in stretches) <= 128 * 40
