from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.inputs.rolling import LEAST_SPREAD, RollingFeatures, rolling_means
from timeseries_segmenter.learning.training.fit import fit
from timeseries_segmenter.learning.training.recipe import Recipe

WINDOW = 200  # rows
LEVEL, SPREAD, LOWEST, HIGHEST, SLOPE, STEPS = range(6)  # of each width


def statistics(column: NDArray[np.float64], stride: int = 4) -> NDArray[np.float32]:
    """As they are before they are standardised, `(timesteps, features)`, of one input."""
    inputs = column[:, None].astype(np.float32)
    rolling = RollingFeatures.fit_apply([inputs], stride, WINDOW, 0)[0]
    ones = np.ones(rolling.count, np.float32)
    return replace(rolling, mean=0 * ones, deviation=100 * ones).apply(inputs) * 100


def of_width(number: int, features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features[:, 1 + 6 * number : 7 + 6 * number]


def octaves(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features[:, 19:]


def test_a_constant_has_its_level_and_no_spread() -> None:
    features = statistics(np.full(400, 2.0))
    for number in range(3):
        of_one = of_width(number, features)
        np.testing.assert_allclose(of_one[:, [LEVEL, LOWEST, HIGHEST]], 2, rtol=1e-5)
        np.testing.assert_allclose(of_one[:, SLOPE], 0, atol=1e-5)
        np.testing.assert_allclose(of_one[:, [SPREAD, STEPS]], np.log(LEAST_SPREAD), rtol=1e-5)
    np.testing.assert_allclose(octaves(features), np.log(LEAST_SPREAD**2), rtol=1e-5)


def test_a_step_has_a_slope_and_both_levels_around_it_and_neither_far_away() -> None:
    features = statistics(np.repeat([0.0, 1.0], 200))
    for number in range(3):
        at, before, after = of_width(number, features)[[50, 5, 95]]
        assert at[[LOWEST, HIGHEST]].tolist() == [0, 1]
        assert at[SLOPE] == pytest.approx(of_width(number, features)[:, SLOPE].max())
        assert at[SPREAD] > max(before[SPREAD], after[SPREAD])
        if number < 2:
            np.testing.assert_allclose([before[LEVEL], after[LEVEL]], [0, 1], atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_a_sine_has_its_energy_in_its_octave(stride: int) -> None:
    rows = np.arange(800)
    strongest = [
        int(np.median(octaves(statistics(np.sin(2 * np.pi * rows / period), stride)).argmax(axis=1)))
        for period in (2.5, 5, 10, 20, 40)
    ]
    assert strongest == [0, 1, 2, 3, 4]


def test_a_mean_is_of_the_rows_around_and_of_fewer_at_the_ends() -> None:
    values = np.array([[3.0], [0], [6], [9]], np.float32)
    assert rolling_means(values.T, [3])[0][0].tolist() == [1.5, 3, 5, 7.5]


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 199, 200, 1001])
def test_a_series_of_any_length_has_finite_features_for_every_timestep(rows: int, stride: int) -> None:
    random = np.random.default_rng(0)
    fitted = RollingFeatures.fit_apply([random.normal(size=(500, 4)).astype(np.float32)], stride, WINDOW, 2)[
        0
    ]
    features = fitted.apply(random.normal(size=(rows, 4)).astype(np.float32))
    assert features.shape == (-(-rows // stride), fitted.count)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_features_are_standardised_over_the_training_series_and_bounded_on_others() -> None:
    random = np.random.default_rng(0)
    series = [random.normal(size=(rows, 1)).astype(np.float32) for rows in (500, 300)]
    fitted = RollingFeatures.fit_apply(series, 1, 50, 0)[0]
    features = np.concatenate([fitted.apply(each) for each in series])
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=0.1)
    assert np.abs(fitted.apply(1e6 * series[0])).max() == 5


def test_of_inputs_that_levels_are_taken_of_nothing_else_is() -> None:
    shaken = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    shifted = shaken + np.array([10, 0], np.float32)
    fitted = RollingFeatures.fit_apply([shaken], 4, WINDOW, 1)[0]
    changed = (fitted.apply(shaken) != fitted.apply(shifted)).any(axis=0)
    assert np.flatnonzero(changed).tolist() == [0, 1, 2, 3]


def bursts(seed: int) -> Example:
    """Noise throughout, of the same spread; on labelled rows it is fast, elsewhere it is slow."""
    random = np.random.default_rng(seed)
    classes = np.zeros(600, np.int64)
    for start in (60, 260, 450):
        first = start + int(random.integers(0, 30))
        classes[first : first + 80] = 1
    (slow,) = rolling_means(random.normal(size=(1, 600)).astype(np.float32), [3])
    values = np.where(classes[:, None], random.normal(size=(600, 1)), slow.T / slow.std())
    return Example(values.astype(np.float32), classes)


def test_a_network_finds_by_its_features_what_differs_in_frequency_alone() -> None:
    recipe = Recipe(steps=60, hidden_size=8)
    segmenter = fit([bursts(seed) for seed in range(4)], (("Burst",),), ("x",), recipe).segmenter
    unseen = [bursts(seed) for seed in range(50, 54)]
    found = [segmenter.probabilities(example.values).argmax(axis=1) for example in unseen]
    assert np.mean([row == example.classes for row, example in zip(found, unseen, strict=True)]) > 0.85
    inputs = segmenter.standardisation.apply(unseen[0].values)
    assert segmenter.rolling is not None
    rolling = segmenter.rolling.apply(inputs)
    with_features, with_means = (
        segmenter.network.probabilities(inputs, segmenter.window, each) for each in (rolling, 0 * rolling)
    )
    right = [each[np.arange(len(inputs)), unseen[0].classes].mean() for each in (with_features, with_means)]
    assert right[0] > right[1] + 0.02
