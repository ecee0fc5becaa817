from dataclasses import asdict, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.learning.opinions.forest import DEPTH, LEAST_IN_LEAF, TREES, Forest
from timeseries_segmenter.learning.segmenter_state import segmenter_from_state, state_of
from timeseries_segmenter.learning.training.fit import Fitted, fit
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.segment import UNKNOWN

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def clouds(timesteps: int, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Five features; two of them say the class, 0 or 2."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(timesteps, 5)).astype(np.float32)
    return features, np.where(features[:, 1] + features[:, 3] > 0.3, 2, 0)


@pytest.mark.parametrize(("run", "timesteps", "drawn"), [(1, 2000, 2000), (40, 3000, 3000), (40, 8000, 3000)])
def test_arrays_say_what_scikit_learn_says(run: float, timesteps: int, drawn: int) -> None:
    features, targets = clouds(timesteps)
    forest = Forest.fit([features[:1000], features[1000:]], [targets[:1000], targets[1000:]], 3, run, 5)
    model = RandomForestClassifier(
        TREES,
        max_depth=DEPTH,
        min_samples_leaf=max(LEAST_IN_LEAF, int(run / 8)),
        max_samples=drawn,
        class_weight="balanced_subsample",
        random_state=5,
    ).fit(features, targets)
    unseen, truth = clouds(5000, seed=1)
    assert len(forest.probabilities(unseen)) == -(-len(unseen) // forest.every)
    probabilities = replace(forest, every=1).probabilities(unseen)
    np.testing.assert_allclose(probabilities[:, [0, 2]], model.predict_proba(unseen), atol=1e-5)
    assert (probabilities[:, 1] == 0).all()  # nobody showed it that class
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.9


def test_timesteps_of_unknown_class_teach_nothing() -> None:
    features, targets = clouds(2000)
    wrong = np.concatenate([targets, np.full(2000, UNKNOWN)])
    more = np.concatenate([features, features[::-1]])
    without, beside = Forest.fit([features], [targets], 3, 8, 0), Forest.fit([more], [wrong], 3, 8, 0)
    unseen = clouds(100, seed=1)[0]
    assert (without.probabilities(unseen) == beside.probabilities(unseen)).all()


def test_a_class_too_rare_to_be_picked_by_chance_is_learned() -> None:
    features, targets = clouds(40_000)
    targets = np.where(targets == 2, 2, 0)
    targets[[7, 20_007]] = 1
    features[[7, 20_007]] = 100
    forest = Forest.fit([features], [targets], 3, 1, 0)
    assert forest.probabilities(np.full((1, 5), 100, np.float32))[0, 1] > 0.3


def test_a_forest_does_not_depend_on_how_timesteps_are_cut_into_series() -> None:
    features, targets = clouds(12_000)  # more than are picked
    targets[[5, 11_000]] = 1
    cuts = [1, 500, 7000]
    whole = Forest.fit([features], [targets], 3, 8, 0)
    cut = Forest.fit(np.split(features, cuts), np.split(targets, cuts), 3, 8, 0)
    for name, array in asdict(whole).items():
        assert np.array_equal(getattr(cut, name), array), name


def test_no_timesteps_have_no_probabilities() -> None:
    features, targets = clouds(100)
    forest = Forest.fit([features], [targets], 3, 1, 0)
    assert forest.probabilities(features[:0]).shape == (0, 3)


def test_a_forest_survives_its_state(fitted: Fitted) -> None:
    segmenter, values = fitted.segmenter, synthetic(9).values
    again = segmenter_from_state(state_of(segmenter))
    assert segmenter.forest is not None
    of_one, of_other = segmenter.opinions(values).forest, again.opinions(values).forest
    assert of_one is not None
    assert of_other is not None
    assert of_one.shape == (300, 3)
    assert (of_one == of_other).all()


def test_there_is_none_for_instants_nor_if_the_recipe_wants_none(fitted_events: Fitted) -> None:
    assert fitted_events.segmenter.forest is None
    assert fitted_events.segmenter.rolling is not None
    for recipe in (Recipe(epochs=1, forest=False), Recipe(epochs=1, rolling_features=False)):
        assert fit([synthetic(1)], LABEL_SETS, ("x", "y"), recipe).segmenter.forest is None
