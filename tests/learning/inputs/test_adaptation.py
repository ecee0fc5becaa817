import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.learning.inputs.adaptation import (
    PLACES,
    TRAINING_WINDOWS,
    WINDOWS_AT_PLACE,
    Adaptation,
    Standard,
    spread_stretches,
)
from timeseries_segmenter.learning.training.fit import Recipe, fit

FloatArray = NDArray[np.float32]


def columns(count: int, level: float, spread: float) -> FloatArray:
    values = np.random.default_rng(0).normal(level, spread, size=(count, 5000))
    return values.astype(np.float32)


def test_the_longer_a_series_is_the_more_its_own_moments_count() -> None:
    inputs, features = columns(2, 3, 2), columns(4, -1, 0.5)
    means, deviations = [], []
    for windows in (0.01, TRAINING_WINDOWS, 1e6):
        stretch = inputs, features
        adapted = [each for each in Adaptation.fit([stretch], 2, windows).apply(stretch) if each is not None]
        means.append([each.mean() for each in adapted])
        deviations.append([each.std() for each in adapted])
    np.testing.assert_allclose(means[0], [3, -1], atol=0.05)
    np.testing.assert_allclose(deviations[0], [2, 0.5], atol=0.05)
    half = np.sqrt(0.5 + 0.5 * np.square([2, 0.5]))
    np.testing.assert_allclose(means[1], [3 / 2 / half[0], -1 / 2 / half[1]], atol=0.05)
    np.testing.assert_allclose(deviations[1], [2, 0.5] / half, atol=0.05)
    np.testing.assert_allclose(means[2], 0, atol=0.05)
    np.testing.assert_allclose(deviations[2], 1, atol=0.05)


def test_inputs_that_are_the_series_own_stay() -> None:
    inputs = columns(3, 3, 2)
    adapted, features = Adaptation.fit([(inputs, None)], 2, 100).apply((inputs, None))
    assert features is None
    assert (adapted[2] == inputs[2]).all()
    assert abs(adapted[:2].mean()) < 0.3


def test_what_is_constant_in_a_series_stays_small() -> None:
    found = Standard.between([np.full((1, 50), 0.1, np.float32)], 1.0)
    assert np.abs(found.apply(np.array([[0.1, 0.2]], np.float32))).max() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("rows", [1, 99, 100, 6400, 6401, 6500, 100_050, 10_000_000])
def test_stretches_stand_for_the_whole_of_a_series(rows: int) -> None:
    stretches = list(spread_stretches(rows, 100))
    assert stretches[0][0] == 0
    assert rows - stretches[-1][1] < 100
    assert sum(end - first for first, end in stretches) <= PLACES * WINDOWS_AT_PLACE * 100 + 99
    assert all(first < end <= rows and first % 100 == 0 for first, end in stretches)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(stretches))


def test_more_is_found_in_a_long_series_of_another_sensor() -> None:
    recipe = Recipe(epochs=30, sequence_size=16, hidden_size=8, forest=False, convolutions=False)
    learned = fit([synthetic(seed) for seed in range(2)], LABEL_SETS, ("x", "y"), recipe).segmenter
    others = [synthetic(seed) for seed in range(10, 20)]
    values = 3 * np.concatenate([each.values for each in others]) + 4
    classes = np.concatenate([each.classes for each in others])
    right = {
        adapts: np.mean(replace(learned, adapts=adapts).probabilities(values).argmax(axis=1) == classes)
        for adapts in (False, True)
    }
    assert right[True] > right[False] + 0.2
