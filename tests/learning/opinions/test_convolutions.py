from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.learning.opinions.convolutions import (
    BIASES,
    KERNELS,
    MOST_SERIES,
    MOST_TIMESTEPS,
    Convolutions,
)
from timeseries_segmenter.learning.segmenter_state import segmenter_from_state, state_of
from timeseries_segmenter.learning.training.fit import Fitted, fit
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.segment import UNKNOWN

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
RUN = 32


def teeth(seed: int, runs: int = 40) -> tuple[FloatArray, FloatArray, IntArray]:
    """A channel `(1, timesteps)` of teeth that rise slowly and fall at once, class 1, or the other way round,
    class 2, at any level; features that say nothing; and the classes.
    """
    random = np.random.default_rng(seed)
    classes = random.integers(1, 3, runs)
    tooth = np.tile(np.arange(8), RUN // 8) - 3.5
    parts = [(tooth if number == 1 else tooth[::-1]) + random.normal(0, 20) for number in classes]
    values = (np.concatenate(parts) + random.normal(0, 0.5, runs * RUN)).astype(np.float32)
    return values[None], np.zeros((len(values), 1), np.float32), np.repeat(classes, RUN)


def learned(*seeds: int) -> Convolutions:
    means, features, targets = zip(*map(teeth, seeds), strict=True)
    return Convolutions.fit(means, features, targets, 4, RUN, 0)


def test_shapes_are_told_apart_at_any_level() -> None:
    convolutions = learned(0, 1)
    means, features, targets = teeth(2)
    places = np.arange(len(targets))
    probabilities = convolutions.probabilities(means, features, places)
    assert (probabilities.argmax(axis=1) == targets).mean() > 0.9
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities[:, 3].mean()) < 0.01  # nobody showed it that class


def test_shares_are_as_they_are_defined() -> None:
    convolutions = learned(0)
    assert convolutions.biases.size == KERNELS * BIASES
    means = teeth(3, runs=3)[0]
    padded = np.pad(means[0], 40, mode="edge")
    places = np.array([0, 5, 50, means.shape[1] - 1])
    shares = convolutions.shares(means, places).reshape(4, len(convolutions.dilations), -1, BIASES)
    half = convolutions.width // 2
    for number, dilation in enumerate(convolutions.dilations):
        for kernel in (0, 17):
            weights = np.full(9, -1.0)
            weights[convolutions.twos[number, kernel]] = 2
            around = [padded[40 + (tap - 4) * dilation :][: means.shape[1]] for tap in range(9)]
            high = weights @ np.array(around) > convolutions.biases[number, kernel, 1]
            expected = [high[max(0, place - half) : place + half + 1].mean() for place in places]
            np.testing.assert_allclose(shares[:, number, kernel, 1], expected, atol=0.05)


def test_it_sees_no_further_than_its_reach() -> None:
    convolutions = learned(0)
    means = teeth(3)[0]
    place, reach = np.array([600]), convolutions.reach
    changed = means.copy()
    changed[:, : 600 - reach] = 100
    changed[:, 601 + reach :] = -100
    assert (convolutions.shares(means, place) == convolutions.shares(changed, place)).all()
    changed[:, 600 - reach] = 1000
    assert (convolutions.shares(means, place) != convolutions.shares(changed, place)).any()


def test_timesteps_of_unknown_class_teach_nothing() -> None:
    means, features, targets = teeth(0)
    wrong, _, truth = teeth(1)
    with_wrong = np.concatenate([means, wrong], axis=1)
    beside = np.concatenate([features, features])
    unseen, nothing, classes = teeth(2)

    def right(of_wrong: IntArray) -> float:
        known = np.concatenate([targets, of_wrong])
        convolutions = Convolutions.fit([with_wrong], [beside], [known], 4, RUN, 0)
        said = convolutions.probabilities(unseen, nothing, np.arange(len(classes)))
        return float((said.argmax(axis=1) == classes).mean())

    assert right(np.full(len(truth), UNKNOWN)) > 0.9
    assert right(3 - truth) < 0.7


def test_of_long_series_some_timesteps_are_learned_from() -> None:
    means, features, targets = teeth(0, runs=1 + 3 * MOST_TIMESTEPS // RUN)
    convolutions = Convolutions.fit([means], [features], [targets], 4, RUN, 0)
    unseen, nothing, classes = teeth(2)
    said = convolutions.probabilities(unseen, nothing, np.arange(len(classes)))
    assert (said.argmax(axis=1) == classes).mean() > 0.9


def test_of_many_series_some_are_learned_from() -> None:
    class Watched(list[FloatArray]):
        seen: set[int]

        def __getitem__(self, place: Any) -> Any:
            self.seen.add(int(place))
            return super().__getitem__(place)

    many = [teeth(seed, runs=2) for seed in range(3 * MOST_SERIES)]
    means, features, targets = zip(*many, strict=True)
    watched = Watched(means)
    watched.seen = set()
    convolutions = Convolutions.fit(watched, features, targets, 4, RUN, 0)
    assert len(watched.seen) == MOST_SERIES
    assert max(watched.seen) > 2 * MOST_SERIES
    unseen, nothing, classes = teeth(2)
    said = convolutions.probabilities(unseen, nothing, np.arange(len(classes)))
    assert (said.argmax(axis=1) == classes).mean() > 0.9


def test_the_same_seed_gives_the_same_and_another_one_others() -> None:
    of_one, again = learned(0), learned(0)
    assert all(
        (getattr(of_one, name) == getattr(again, name)).all() for name in ("twos", "biases", "weights")
    )
    means, features, targets = teeth(0)
    other = Convolutions.fit([means], [features], [targets], 4, RUN, 1)
    assert (other.twos != of_one.twos).any()


@pytest.mark.parametrize("run", [1.0, 7.9])
def test_shorter_runs_than_a_kernel_have_one_dilation(run: float) -> None:
    means, features, targets = teeth(0)
    convolutions = Convolutions.fit([means], [features], [targets], 4, run, 0)
    assert (convolutions.dilations, convolutions.every) == ((1,), 1)
    assert convolutions.width in (3, 7)
    assert convolutions.probabilities(means[:, :1], features[:1], np.zeros(1, np.int64)).shape == (1, 4)


def test_they_survive_their_state(fitted: Fitted) -> None:
    segmenter, values = fitted.segmenter, synthetic(9).values
    assert segmenter.convolutions is not None
    of_one = segmenter.opinions(values).convolutions
    again = segmenter_from_state(state_of(segmenter)).opinions(values).convolutions
    assert of_one is not None
    assert again is not None
    assert (of_one == again).all()


def test_there_are_none_for_instants_nor_if_the_recipe_wants_none(fitted_events: Fitted) -> None:
    assert fitted_events.segmenter.convolutions is None
    for recipe in (Recipe(epochs=1, convolutions=False), Recipe(epochs=1, rolling_features=False)):
        assert fit([synthetic(1)], LABEL_SETS, ("x", "y"), recipe).segmenter.convolutions is None


def test_without_held_out_predictions_they_have_no_say(fitted: Fitted) -> None:
    pool = fitted.segmenter.pool
    assert (pool.network, pool.forest, pool.convolutions) == (0.5, 0.5, 0)
    alone = fit([synthetic(1)], LABEL_SETS, ("x", "y"), Recipe(epochs=1, forest=False, convolutions=False))
    assert replace(alone.segmenter.pool, network=1) == alone.segmenter.pool
