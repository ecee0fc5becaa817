from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.observers import Epochs
from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.inputs.resampling import Sampling
from timeseries_segmenter.learning.metrics import Scores
from timeseries_segmenter.learning.segmenter import FullTraining
from timeseries_segmenter.learning.training import warm_start
from timeseries_segmenter.learning.training.fit import Fitted, Recipe, fit
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.schedule import LEARNING_RATE, WARMUP


def test_an_added_series_is_learned_on_top_of_the_earlier_model_for_a_fraction_of_the_epochs() -> None:
    examples = [synthetic(seed) for seed in range(5)]
    recipe = Recipe(hidden_size=16)
    earlier = fit(examples[:4], LABEL_SETS, ("x", "y"), recipe)
    warm = fit(examples, LABEL_SETS, ("x", "y"), recipe, start=earlier.segmenter)
    assert (earlier.warm_started, warm.warm_started) == (False, True)
    assert warm.epochs <= earlier.epochs / 4
    assert warm.scores.min_f1 > 0.9
    assert warm.segmenter.full_training == earlier.segmenter.full_training
    again = fit(examples, LABEL_SETS, ("x", "y"), recipe, start=earlier.segmenter)
    values = synthetic(7).values
    assert (again.segmenter.probabilities(values) == warm.segmenter.probabilities(values)).all()


def test_a_model_of_other_labels_channels_or_dimensions_or_of_few_series_is_no_start(fitted: Fitted) -> None:
    examples = [synthetic(seed) for seed in range(4)]
    recipe = Recipe(epochs=2, hidden_size=16)

    def is_warm(examples: list[Example], **changes: Any) -> bool:
        arguments: dict[str, Any] = {
            "label_sets": LABEL_SETS,
            "channels": ("x", "y"),
            "recipe": recipe,
        } | changes
        arguments["recipe"] = replace(
            arguments["recipe"], balanced_accuracy_threshold=0, min_class_f1_threshold=0
        )
        return fit(examples, **arguments, start=fitted.segmenter).warm_started

    assert is_warm(examples)
    assert is_warm([*examples, synthetic(8), synthetic(9)])  # half as many again
    assert not is_warm([*examples, synthetic(8), synthetic(9), synthetic(10)])
    assert not is_warm(examples, label_sets=(("Walk",), ("Run",)))
    assert not is_warm(examples, channels=("x", "z"))
    assert not is_warm(examples, recipe=replace(recipe, hidden_size=8))
    assert not is_warm(examples, recipe=replace(recipe, sequence_size=20))
    heavy = [Example(example.values**9, example.classes) for example in examples]
    assert not is_warm(heavy)


def test_if_a_warm_start_is_worse_than_the_last_full_training_it_starts_from_scratch(fitted: Fitted) -> None:
    contradicting = [synthetic(seed) for seed in range(4)]
    contradicting[0] = replace(contradicting[0], classes=(3 - contradicting[0].classes) % 3)
    observer = Epochs()
    again = fit(
        contradicting,
        LABEL_SETS,
        ("x", "y"),
        Recipe(epochs=60, hidden_size=16),
        observer,
        fitted.segmenter,
    )
    assert not again.warm_started
    assert [epoch.number for epoch in observer.epochs].count(1) == 2  # it tried
    assert again.epochs == again.history[-1].number


def test_an_earlier_model_is_not_changed_by_a_warm_start(fitted: Fitted) -> None:
    values = synthetic(7).values
    before = fitted.segmenter.probabilities(values)
    fit([synthetic(20)] * 4, LABEL_SETS, ("x", "y"), Recipe(hidden_size=16), start=fitted.segmenter)
    assert (fitted.segmenter.probabilities(values) == before).all()


def test_a_stride_that_is_half_as_long_as_it_would_be_suits_as_well(fitted: Fitted) -> None:
    prepared, stride = fitted.prepared, fitted.prepared.stride
    suited = warm_start.suit(prepared.at_stride(2 * stride), fitted.segmenter)
    assert suited
    assert suited.stride == stride
    assert suited.window == fitted.segmenter.window
    assert all(map(np.array_equal, suited.inputs.features, prepared.inputs.features))
    assert warm_start.suit(prepared, fitted.segmenter) is prepared
    assert warm_start.suit(prepared.at_stride(4 * stride), fitted.segmenter) is None


def test_a_model_of_another_rate_is_no_start(fitted: Fitted) -> None:
    examples = [
        replace(each, times=np.linspace(0.0, 29.9, 300, dtype=np.float64))
        for each in map(synthetic, range(4))
    ]

    def suits(interval: float, examples: list[Example]) -> bool:
        prepared = Prepared.from_examples(examples, LABEL_SETS, ("x", "y"), fitted.prepared.recipe)
        start = replace(fitted.segmenter, sampling=Sampling(interval))
        return warm_start.suit(prepared.at_stride(fitted.prepared.stride), start) is not None

    assert suits(0.1, examples)
    assert suits(0.12, examples)
    assert not suits(0.2, examples)
    assert suits(0.0, examples)  # an older model, of the same rows
    examples[0] = replace(examples[0], times=np.linspace(0.0, 119.6, 300, dtype=np.float64))
    assert not suits(0.0, examples)


def test_it_takes_a_share_of_the_steps_at_half_the_rate(fitted: Fitted) -> None:
    start = replace(fitted.segmenter, full_training=FullTraining(600, 4, 0.9, 0.8))
    assert warm_start.plan(start).ends_at == 100
    assert warm_start.plan(start).peak == LEARNING_RATE / 2
    few = replace(fitted.segmenter, full_training=FullTraining(6, 4, 0.9, 0.8))
    assert warm_start.plan(few).ends_at == WARMUP


@pytest.mark.parametrize(
    ("reached", "keeps_up"),
    [((0.9, 0.8), True), ((0.88, 0.76), True), ((0.88, 0.72), False), ((0.98, 0.69), False)],
)
def test_its_result_may_be_a_little_worse_but_not_below_a_threshold_that_was_met(
    fitted: Fitted, reached: tuple[float, float], keeps_up: bool
) -> None:
    start = replace(fitted.segmenter, full_training=FullTraining(600, 4, 0.9, 0.8))
    scores = Scores(1.0, reached[0], (), 1.0, reached[1])
    assert warm_start.keeps_up(scores, start, Recipe()) is keeps_up
