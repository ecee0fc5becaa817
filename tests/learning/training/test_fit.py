import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.observers import Epochs
from tests.support.synthetic import LABEL_SETS, events, mixed, synthetic
from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.learning.training.fit import Fitted, Recipe, fit
from timeseries_segmenter.segment import UNKNOWN


def rows_of(fitted: Fitted, example: Example) -> NDArray[np.int64]:
    classes = np.zeros(len(example.classes), np.int64)
    for segment in fitted.segmenter.segments(example.values):
        classes[segment.first : segment.last + 1] = LABEL_SETS.index(segment.labels) + 1
    return classes


def test_ranges_are_found_in_series_it_has_not_seen(fitted: Fitted) -> None:
    confusion = np.zeros((3, 3), np.int64)
    segments = 0
    for seed in (100, 101, 102):
        unseen = synthetic(seed)
        confusion += confusion_matrix(unseen.classes, rows_of(fitted, unseen), 3)
        segments += len(fitted.segmenter.segments(unseen.values))
    assert scores_of(confusion).min_f1 > 0.85
    assert segments == 9  # one for each drawn segment, not a heap of fragments


def test_instants_are_found_once_at_the_right_row(fitted_events: Fitted) -> None:
    unseen = events(50)
    segments = fitted_events.segmenter.segments(unseen.values)
    assert all(segment.instant and segment.first == segment.last for segment in segments)
    found = np.array([segment.first for segment in segments])
    assert len(found) == len(unseen.instants)
    assert np.abs(found - unseen.instants).max() <= 1


def slowly_and_fast(seed: int) -> Example:
    """Every other one of them was sampled at a quarter of the rate."""
    example = synthetic(seed)
    step = 4 if seed % 2 else 1
    times = np.arange(len(example.values), dtype=np.float64)[::step]
    return Example(example.values[::step], example.classes[::step], times=times)


@pytest.mark.parametrize(
    ("examples", "label_sets", "channels"),
    [
        ([synthetic(seed) for seed in range(3)], LABEL_SETS, "xy"),
        ([events(seed) for seed in range(3)], (("Beat",),), "x"),
        ([slowly_and_fast(seed) for seed in range(4)], LABEL_SETS, "xy"),
    ],
)
def test_what_it_says_about_its_own_series_is_what_it_would_predict(
    examples: list[Example], label_sets: tuple[tuple[str, ...], ...], channels: str
) -> None:
    fitted = fit(examples, label_sets, tuple(channels), Recipe(epochs=8, hidden_size=8))
    predicted = [fitted.segmenter.predict(each.values, each.times) for each in examples]
    assert any(each.segments for each in predicted)
    found = fitted.segmentations()
    assert [each.segments for each in found] == [each.segments for each in predicted]
    assert [each.confidence for each in found] == pytest.approx([each.confidence for each in predicted])


def test_a_label_drawn_as_ranges_and_as_instants_is_found_as_both() -> None:
    examples = [mixed(seed) for seed in range(5)]
    fitted = fit(examples, LABEL_SETS, ("x", "y"), Recipe(epochs=150, hidden_size=16))
    assert fitted.segmenter.label_sets == (("Run",), ("Run",))
    assert fitted.segmenter.class_names == ("background", "Run", "Run (instants)")
    assert fitted.unlearned == (("Walk",),)
    unseen = mixed(70)
    segments = fitted.segmenter.segments(unseen.values)
    assert {segment.labels for segment in segments} == {("Run",)}
    found = np.array([segment.first for segment in segments if segment.instant])
    assert len(found) == len(unseen.instants)
    assert np.abs(found - unseen.instants).max() <= 2
    drawn = np.flatnonzero(np.diff(unseen.classes, prepend=0, append=0)).reshape(-1, 2)
    ranges = [(segment.first, segment.last + 1) for segment in segments if not segment.instant]
    assert len(ranges) == len(drawn)  # an instant inside a range does not break it
    assert np.abs(np.array(ranges) - drawn).max() <= 8


def test_same_data_same_settings_same_model(fitted: Fitted) -> None:
    again = fit(
        [synthetic(seed) for seed in range(4)], LABEL_SETS, ("x", "y"), Recipe(epochs=60, hidden_size=16)
    )
    values = synthetic(7).values
    assert (again.segmenter.probabilities(values) == fitted.segmenter.probabilities(values)).all()
    other = fit(
        [synthetic(seed) for seed in range(4)],
        LABEL_SETS,
        ("x", "y"),
        Recipe(epochs=2, hidden_size=16, seed=1),
    )
    assert (other.segmenter.probabilities(values) != fitted.segmenter.probabilities(values)).any()


def test_epochs_are_bounded_and_observed_one_by_one() -> None:
    observer = Epochs()
    fitted = fit(
        [synthetic(1)],
        LABEL_SETS,
        ("x", "y"),
        Recipe(epochs=5, hidden_size=4, min_class_f1_threshold=1),
        observer,
    )
    assert [(epoch.number, epoch.most) for epoch in observer.epochs] == [(each, 5) for each in range(1, 6)]
    assert fitted.history == observer.epochs
    assert fitted.epochs == 5
    assert all(epoch.loss > 0 for epoch in fitted.history)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_a_recipe_of_very_few_steps_takes_as_many(steps: int) -> None:
    fitted = fit([synthetic(0)], LABEL_SETS, ("x", "y"), Recipe(hidden_size=4, steps=steps))
    assert fitted.history[-1].steps == steps


def test_training_ends_before_its_bound_once_both_thresholds_are_met() -> None:
    fitted = fit([synthetic(seed) for seed in range(4)], LABEL_SETS, ("x", "y"), Recipe(hidden_size=16))
    assert fitted.thresholds_met
    assert fitted.epochs < 300


def test_training_goes_on_while_a_threshold_is_not_met() -> None:
    first = synthetic(1)
    second = Example(first.values, (3 - first.classes) % 3)  # the labels exchanged
    recipe = Recipe(steps=1200, hidden_size=4, balanced_accuracy_threshold=0.0, min_class_f1_threshold=0.0)
    easy = fit([first, second], LABEL_SETS, ("x", "y"), recipe)
    hard = fit(
        [first, second],
        LABEL_SETS,
        ("x", "y"),
        replace(recipe, balanced_accuracy_threshold=0.9, min_class_f1_threshold=0.9),
    )
    assert easy.thresholds_met
    assert easy.history[-1].steps < recipe.steps
    assert easy.history[0].most == math.ceil(recipe.steps / easy.history[0].steps)
    assert easy.history[-1].most == easy.epochs
    assert not hard.thresholds_met
    assert hard.history[-1].steps == recipe.steps


def test_labels_without_an_example_are_not_learned_and_named() -> None:
    fitted = fit([synthetic(1)], (("Jump",), *LABEL_SETS), ("x", "y"), Recipe(epochs=1, hidden_size=4))
    assert fitted.segmenter.label_sets == (("Jump",), ("Run",))
    assert fitted.unlearned == (("Walk",),)


@pytest.mark.parametrize("examples", [[], [Example(synthetic(1).values, np.zeros(300, np.int64))]])
def test_nothing_to_learn_is_an_error(examples: list[Example]) -> None:
    with pytest.raises(TrainingError, match="no region with one of the labels Run, Walk"):
        fit(examples, LABEL_SETS, ("x", "y"), Recipe())


def test_rows_labelled_throughout_need_no_background() -> None:
    example = synthetic(1)
    full = Example(example.values, np.where(example.classes == 0, 2, example.classes))
    fitted = fit([full], LABEL_SETS, ("x", "y"), Recipe(epochs=40, hidden_size=8))
    rows = rows_of(fitted, full)
    assert (rows > 0).mean() > 0.95


def test_a_series_shorter_than_a_window_is_learned_and_predicted() -> None:
    short = [Example(e.values[:n], e.classes[:n]) for n in (9, 60, 300) for e in [synthetic(n)]]
    fitted = fit(short, LABEL_SETS, ("x", "y"), Recipe(epochs=3, hidden_size=4))
    assert fitted.segmenter.probabilities(short[0].values).shape == (9, 1 + len(fitted.segmenter.label_sets))
    assert fitted.segmenter.probabilities(short[0].values[:1]).shape[0] == 1


def test_rare_classes_weigh_more_unless_told_otherwise() -> None:
    rare = Example(synthetic(1).values, np.array([0] * 280 + [1] * 20))
    with_weights = fit([rare], (("Run",),), ("x", "y"), Recipe(epochs=30, hidden_size=4))
    without = fit([rare], (("Run",),), ("x", "y"), Recipe(epochs=30, hidden_size=4, use_class_weights=False))
    mean = [model.segmenter.probabilities(rare.values)[:, 1].mean() for model in (with_weights, without)]
    assert mean[0] > mean[1]


def half_known(example: Example) -> Example:
    """As if somebody had annotated the first two of three ranges, and none of the rest."""
    third = np.flatnonzero(np.diff(example.classes, prepend=0) > 0)[2]
    classes = example.classes.copy()
    classes[third - 10 :] = UNKNOWN
    return replace(example, classes=classes)


def test_rows_that_nobody_annotated_teach_nothing() -> None:
    examples = [half_known(synthetic(seed)) for seed in range(6)]
    fitted = fit(examples, LABEL_SETS, ("x", "y"), Recipe(epochs=60, hidden_size=16))
    assert np.isfinite([epoch.loss for epoch in fitted.history]).all()
    for seed in (100, 101, 102):
        unseen = synthetic(seed)
        assert (rows_of(fitted, unseen) == unseen.classes).mean() > 0.9


def test_without_known_background_every_row_gets_a_label() -> None:
    examples = [synthetic(seed) for seed in range(4)]
    examples = [replace(each, classes=np.where(each.classes, each.classes, UNKNOWN)) for each in examples]
    fitted = fit(examples, LABEL_SETS, ("x", "y"), Recipe(epochs=60, hidden_size=16))
    assert fitted.scores.min_f1 > 0.85
    for seed in (100, 101):
        unseen = synthetic(seed)
        found = rows_of(fitted, unseen)
        assert found.all()
        assert (found == unseen.classes)[unseen.classes > 0].mean() > 0.9


def test_instants_found_on_unknown_rows_do_not_raise_their_threshold() -> None:
    def partly(example: Example) -> Example:
        classes = example.classes.copy()
        classes[300:] = UNKNOWN
        kept = example.instants < 300
        return replace(
            example,
            classes=classes,
            instants=example.instants[kept],
            instant_classes=example.instant_classes[kept],
        )

    recipe = Recipe(epochs=60, hidden_size=16)
    fitted = fit([partly(events(seed)) for seed in range(4)], (("Beat",),), ("x",), recipe)
    assert fitted.scores.min_f1 > 0.8
    unseen = events(50)
    assert len(fitted.segmenter.segments(unseen.values)) == len(unseen.instants)
