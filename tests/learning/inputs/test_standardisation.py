import numpy as np
import pytest
from numpy.typing import NDArray

from timeseries_segmenter.learning.inputs.standardisation import LARGEST_INPUT, Standardisation


def series(mean: float, deviation: float, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(mean, deviation, (500, 2)).astype(np.float32)


def test_training_series_get_mean_0_and_deviation_1() -> None:
    both = [series(5, 3), series(5, 3, seed=1)]
    standardisation = Standardisation.fit(both)
    inputs = np.concatenate([standardisation.apply(values) for values in both])
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(inputs.std(axis=0), 1, atol=1e-4)


def test_missing_values_count_nowhere_and_become_the_mean() -> None:
    values = series(5, 3)
    holed = values.copy()
    holed[:, 1] = np.nan
    standardisation = Standardisation.fit([values, holed])
    assert standardisation.mean[1] == pytest.approx(values[:, 1].mean(), rel=1e-5)
    assert (standardisation.apply(holed)[:, 1] == 0).all()


def test_a_constant_channel_becomes_0() -> None:
    values = np.full((50, 1), 7.1, np.float32)
    assert (Standardisation.fit([values]).apply(values) == 0).all()


def test_series_at_different_levels_add_a_copy_by_their_own_statistics() -> None:
    apart = [series(0, 1), series(10, 1, seed=1)]
    standardisation = Standardisation.fit(apart)
    assert standardisation.per_series
    assert standardisation.inputs == 4
    inputs = standardisation.apply(apart[1])
    assert inputs.shape == (500, 4)
    np.testing.assert_allclose(inputs[:, 2:].mean(axis=0), 0, atol=1e-4)
    assert not Standardisation.fit([series(0, 1), series(0, 1, seed=1)]).per_series


def test_a_spike_is_bounded() -> None:
    standardisation = Standardisation.fit([series(0, 1)])
    assert standardisation.apply(np.array([[1e9, -1e9]], np.float32)).tolist() == [
        [LARGEST_INPUT, -LARGEST_INPUT]
    ]


def test_a_channel_with_heavy_tails_is_compressed_and_the_others_are_not() -> None:
    values = series(0, 1)
    values[::50, 1] *= 40
    standardisation = Standardisation.fit([values])
    assert standardisation.heavy_tails.tolist() == [False, True]
    plain = (values - standardisation.mean) / standardisation.deviation
    inputs = standardisation.apply(values)
    np.testing.assert_allclose(inputs[:, 0], plain[:, 0], rtol=1e-5)
    np.testing.assert_allclose(inputs[:, 1], np.arcsinh(3 * plain[:, 1]), rtol=1e-5)
    assert np.ptp(inputs[:, 1]) < np.ptp(plain[:, 1])
