from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.learning.inputs.adaptation import Adaptation, spread_stretches
from timeseries_segmenter.learning.inputs.rolling import timestep_means
from timeseries_segmenter.learning.inputs.windows import Stretch, window_starts
from timeseries_segmenter.learning.opinions import by_stretch
from timeseries_segmenter.learning.opinions.forest import Forest, asked_timesteps
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.fit import Fitted, Recipe, fit

FloatArray = NDArray[np.float32]


@pytest.fixture(scope="module")
def fitted_without_features() -> Fitted:
    recipe = Recipe(epochs=2, hidden_size=8, rolling_features=False)
    return fit([synthetic(seed) for seed in range(2)], LABEL_SETS, ("x", "y"), recipe)


def network_as_it_is_defined(segmenter: Segmenter, inputs: FloatArray, rolling: FloatArray) -> FloatArray:
    """Every window by itself, through the whole network, and the mean of what they say."""
    window, stride = segmenter.window, segmenter.network.dimensions.stride
    filled = -(-max(len(inputs), window) // stride) * stride
    inputs = np.pad(inputs, ((0, filled - len(inputs)), (0, 0)))
    rolling = np.pad(rolling, ((0, filled // stride - len(rolling)), (0, 0)))
    totals, counts = np.zeros((filled, len(segmenter.class_names))), np.zeros((filled, 1))
    for start in window_starts(filled, window, stride).tolist():
        rows = slice(start, start + window)
        timesteps = slice(start // stride, (start + window) // stride)
        with torch.inference_mode():
            logits = segmenter.network(
                torch.from_numpy(inputs[None, rows]), torch.from_numpy(rolling[None, timesteps])
            )
        totals[rows] += logits[0].softmax(dim=1).numpy()
        counts[rows] += 1
    return (totals / counts).astype(np.float32)


def forest_as_it_is_defined(forest: Forest, rolling: FloatArray, stride: int, rows: int) -> FloatArray:
    """Every tree by itself, from its root to a leaf, for one timestep after the other."""
    shares = []
    for middle in range(forest.every // 2, len(rolling) + forest.every // 2, forest.every):
        features, leaves = rolling[min(middle, len(rolling) - 1)], []
        for node in forest.roots.tolist():
            while forest.children[node, 0] != node:
                node = forest.children[node, int(features[forest.feature[node]] > forest.threshold[node])]
            leaves.append(forest.shares[node])
        shares.append(np.mean(leaves, axis=0))
    return rows_of(np.array(shares), stride * forest.every, rows)


def rows_of(steps: NDArray[np.floating], rows_of_one: int, rows: int) -> FloatArray:
    """Linear between the middles of the steps."""
    middles = (np.arange(len(steps)) + 0.5) * rows_of_one - 0.5
    columns = [np.interp(np.arange(rows), middles, column) for column in steps.T]
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.mark.parametrize("every", [1, 3, 40])
@pytest.mark.parametrize("rows", [1, 30, 299, 4001])
def test_opinions_are_those_of_whole_series(
    fitted: Fitted, rows: int, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timeseries_segmenter.learning.opinions.network.WINDOWS_IN_BATCH", 4)
    segmenter = fitted.segmenter
    assert segmenter.forest is not None
    assert segmenter.convolutions is not None
    segmenter = replace(
        segmenter,
        forest=replace(segmenter.forest, every=every),
        convolutions=replace(segmenter.convolutions, every=every),
    )
    assert segmenter.rolling is not None
    assert segmenter.forest is not None
    values = np.concatenate([synthetic(seed).values for seed in range(14)])[:rows]
    inputs = segmenter.standardisation.apply(values)
    rolling = segmenter.rolling.apply(inputs)
    network, forest, convolved = segmenter.opinions(values)
    expected = network_as_it_is_defined(segmenter, inputs, rolling)[:rows]
    np.testing.assert_allclose(network, expected, atol=1e-5)
    assert forest is not None
    stride = segmenter.network.dimensions.stride
    np.testing.assert_allclose(
        forest, forest_as_it_is_defined(segmenter.forest, rolling, stride, rows), atol=1e-5
    )
    assert convolved is not None
    assert segmenter.convolutions is not None
    means = timestep_means(inputs.T, stride)
    asked = asked_timesteps(np.arange(-(-len(rolling) // every)), every, len(rolling))
    said = segmenter.convolutions.probabilities(means, rolling[asked], asked)
    np.testing.assert_allclose(convolved, rows_of(said, stride * every, rows), atol=1e-5)


@pytest.mark.parametrize("rolling", [True, False])
@pytest.mark.parametrize("rows", [30, 299, 4001])
def test_networks_that_adapt_see_all_stretches_by_the_same_moments(
    fitted: Fitted, fitted_without_features: Fitted, rows: int, rolling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timeseries_segmenter.learning.opinions.network.WINDOWS_IN_BATCH", 4)
    segmenter = replace((fitted if rolling else fitted_without_features).segmenter, adapts=True)
    values = 2 * np.concatenate([synthetic(seed).values for seed in range(14)])[:rows] + 1
    stride = segmenter.network.dimensions.stride
    inputs = segmenter.standardisation.apply(values)
    features = segmenter.rolling.apply(inputs) if segmenter.rolling else None

    def stretch(first: int, end: int) -> Stretch:
        timesteps = slice(first // stride, -(-end // stride))
        return inputs[first:end].T, None if features is None else features[timesteps].T

    stretches = [stretch(*each) for each in spread_stretches(rows, segmenter.window)]
    adaptation = Adaptation.fit(stretches, len(segmenter.channels), rows / segmenter.window)
    seen, features_seen = adaptation.apply(stretch(0, rows))
    expected = segmenter.network.probabilities(
        seen.T, segmenter.window, None if features_seen is None else features_seen.T
    )
    found = segmenter.opinions(values)
    np.testing.assert_allclose(found.network, expected, atol=1e-5)
    np.testing.assert_array_equal(segmenter.adapted_opinion(values), found.network)
    unadapted = replace(segmenter, adapts=False).opinions(values)
    assert np.abs(found.network - unadapted.network).max() > 1e-3
    # the others see the series as it is
    for one, other in zip(found[1:], unadapted[1:], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("adapts", [True, False])
def test_no_stretch_is_longer_than_its_windows(
    fitted: Fitted, adapts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timeseries_segmenter.learning.opinions.network.WINDOWS_IN_BATCH", 4)
    values = np.tile(synthetic(1).values, (20, 1))
    segmenter = replace(fitted.segmenter, adapts=adapts)
    stretches = list(by_stretch.opinions_by_stretch(segmenter, values))
    assert sum(network.shape[1] for network, *_ in stretches) == len(values)
    assert len(stretches) > 3
    assert all(network.shape[1] <= 4 * fitted.segmenter.window for network, *_ in stretches)
    assert all(network.shape[1] for network, *_ in stretches)
