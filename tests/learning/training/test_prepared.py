import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.synthetic import LABEL_SETS, events, synthetic
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.decoding_fit import fit_decoding
from timeseries_segmenter.learning.training.fit import fit
from timeseries_segmenter.learning.training.optimisation import count_steps_in_epoch, optimise
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.training.schedule import LEARNING_RATE, AdaptiveSchedule, PlannedSchedule

RECIPE = Recipe(epochs=4, hidden_size=8)


def ranges() -> list[Example]:
    return [synthetic(seed, level=2.0 * seed) for seed in range(4)]


def instants() -> list[Example]:
    return [events(seed) for seed in range(4)]


def weights(segmenter: Segmenter) -> dict[str, torch.Tensor]:
    return segmenter.network.state_dict()


@pytest.mark.parametrize(
    ("examples", "label_sets", "channels"), [(ranges(), LABEL_SETS, "xy"), (instants(), (("Beat",),), "x")]
)
def test_the_three_acts_by_hand_make_the_model_that_fit_makes(
    examples: list[Example], label_sets: tuple[tuple[str, ...], ...], channels: str
) -> None:
    prepared = Prepared.from_examples(examples, label_sets, tuple(channels), RECIPE)
    most_steps = min(RECIPE.steps, RECIPE.epochs * count_steps_in_epoch(prepared))
    schedule = AdaptiveSchedule(LEARNING_RATE, most_steps, RECIPE.met_by)
    with torch.random.fork_rng():
        network, history = optimise(prepared, None, schedule)
    by_hand = fit_decoding(network, prepared)
    fitted = fit(examples, label_sets, tuple(channels), RECIPE)
    assert history == fitted.history
    assert (by_hand.decoding, by_hand.window) == (fitted.segmenter.decoding, fitted.segmenter.window)
    assert weights(by_hand).keys() == weights(fitted.segmenter).keys()
    for name, tensor in weights(by_hand).items():
        assert torch.equal(tensor, weights(fitted.segmenter)[name])


@pytest.mark.parametrize("held_out", [{0}, {1, 3}])
def test_what_is_left_without_a_fold_is_as_if_the_rest_were_prepared_anew(held_out: set[int]) -> None:
    examples = ranges()
    whole = Prepared.from_examples(examples, LABEL_SETS, ("x", "y"), RECIPE)
    kept = [example for place, example in enumerate(examples) if place not in held_out]
    anew = Prepared.from_examples(kept, LABEL_SETS, ("x", "y"), RECIPE)
    rest = whole.without(held_out)
    assert len(rest.examples) == len(kept)
    assert (rest.lengths, rest.stride) == (whole.lengths, whole.stride)  # those of all
    assert (rest.inputs.standardisation.mean == anew.inputs.standardisation.mean).all()
    assert (rest.inputs.standardisation.mean != whole.inputs.standardisation.mean).any()
    assert rest.class_weights is not None
    assert (rest.class_weights == anew.class_weights).all()
    assert all(map(np.array_equal, rest.targets, anew.targets))
    same_lengths = replace(anew.at_stride(whole.stride), lengths=whole.lengths)
    assert all(map(np.array_equal, rest.inputs.features, same_lengths.inputs.features))
    of_rest, of_anew = (
        optimise(each, None, PlannedSchedule(LEARNING_RATE, 5))[0].state_dict()
        for each in (rest, same_lengths)
    )
    assert all(torch.equal(tensor, of_anew[name]) for name, tensor in of_rest.items())


def test_equal_weights_are_none_and_others_sum_to_1() -> None:
    weighted = Prepared.from_examples(ranges(), LABEL_SETS, ("x", "y"), RECIPE).class_weights
    assert weighted is not None
    assert weighted.sum() == pytest.approx(1)
    equal = replace(RECIPE, use_class_weights=False)
    assert Prepared.from_examples(ranges(), LABEL_SETS, ("x", "y"), equal).class_weights is None


def test_scikit_learn_is_loaded_by_a_training_alone() -> None:
    code = (
        "import sys, timeseries_segmenter.learning.segmenter, timeseries_segmenter.trainings.run, "
        "timeseries_segmenter.web.app; print('sklearn' in sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "False"
