from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.synthetic import LABEL_SETS, events, synthetic
from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.learning.observer import Observer
from timeseries_segmenter.learning.opinions.pool import Opinions, Pool
from timeseries_segmenter.learning.training.fit import Fitted, Recipe, fit
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.validation.cross_validation import (
    CrossValidation,
    assign_folds,
    cross_validate,
)
from timeseries_segmenter.learning.validation.held_out import HeldOut, weigh

RECIPE = Recipe(hidden_size=16)
FOLDS = [0, 1, 2, 0]


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return [synthetic(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def model(examples: list[Example]) -> Fitted:
    return fit(examples, LABEL_SETS, ("x", "y"), RECIPE)


@pytest.fixture(scope="module")
def checked(model: Fitted) -> CrossValidation:
    validation = cross_validate(model, FOLDS)
    assert validation
    return validation


def test_tasks_are_shared_out_evenly_and_keep_their_folds() -> None:
    first = assign_folds([7, 3, 9, 4], {})
    assert sorted(Counter(first.values()).values()) == [1, 1, 2]
    later = assign_folds([4, 5, 9, 3, 6, 7], first)
    assert {task: later[task] for task in first} == first
    assert sorted(Counter(later.values()).values()) == [2, 2, 2]


@pytest.mark.parametrize(("tasks", "folds"), [(1, 1), (2, 2), (3, 3), (4, 3), (10, 3)])
def test_there_are_three_folds_at_most_and_no_empty_one(tasks: int, folds: int) -> None:
    assert set(assign_folds(list(range(tasks)), {}).values()) == set(range(folds))


def test_a_task_that_comes_back_gets_the_fold_it_had() -> None:
    first = assign_folds([1, 2, 3, 4], {})
    without = assign_folds([2, 3], first)
    assert assign_folds([1, 2, 3, 4], without) == first


def test_where_one_fold_would_hold_all_tasks_some_go_to_one_without_a_network() -> None:
    earlier = {1: 0, 2: 1, 3: 2, 4: 0, 5: 1}
    folds = assign_folds([1, 4], earlier)
    assert folds[1] == 0
    assert folds[4] not in earlier.values()


def test_fold_networks_find_segments_in_series_they_have_not_seen(
    examples: list[Example], checked: CrossValidation
) -> None:
    confusion = np.zeros((3, 3), np.int64)
    for example, probabilities, segmentation in zip(
        examples, checked.probabilities, checked.segmentations, strict=True
    ):
        assert probabilities.shape == (300, 3)
        found = np.zeros(300, np.int64)
        for segment in segmentation.segments:
            found[segment.first : segment.last + 1] = LABEL_SETS.index(segment.labels) + 1
        confusion += confusion_matrix(example.classes, found, 3)
    assert scores_of(confusion).min_f1 > 0.85


def test_a_fold_network_does_not_depend_on_the_labels_of_its_fold(
    examples: list[Example], model: Fitted, checked: CrossValidation
) -> None:
    other = Example(examples[1].values, (3 - examples[1].classes) % 3)  # the labels exchanged
    prepared = Prepared.from_examples([examples[0], other, *examples[2:]], LABEL_SETS, ("x", "y"), RECIPE)
    again = cross_validate(replace(model, prepared=prepared), FOLDS)
    assert again
    # their pools, prices and calibrations follow from what all folds say, and whether there are convolutions
    # and networks adapt
    said, said_before = (
        [
            replace(validation.segmenters[fold], adapts=False).opinions(examples[fold].values)[:2]
            for fold in (1, 2)
        ]
        for validation in (again, checked)
    )
    for of_fold, before in zip(said[0], said_before[0], strict=True):
        assert of_fold is not None
        assert before is not None
        assert (of_fold == before).all()
    assert (said[1][0] != said_before[1][0]).any()


def test_of_many_series_some_say_which_opinions_count_and_all_how_much(
    examples: list[Example], model: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = "timeseries_segmenter.learning.validation.held_out"
    monkeypatch.setattr(f"{held_out}.MOST_CHOOSING", 2)
    asked: list[int] = []

    def choose(
        prepared: Prepared,
        folds: Sequence[int],
        decodings: Sequence[Decoding],
        opinions: Sequence[Opinions],
        adapted: Sequence[NDArray[np.float32]],
    ) -> HeldOut:
        asked.append(len(opinions))
        without = [each._replace(convolutions=None) for each in opinions]
        assert any((each != other.network).any() for each, other in zip(adapted, opinions, strict=True))
        return replace(weigh(prepared, folds, decodings, without), adapts=True)

    monkeypatch.setattr(f"{held_out}.weigh", choose)
    again = cross_validate(model, FOLDS)
    assert again
    assert asked == [2]
    improved = again.improve(model.segmenter)
    for each in (improved, *again.segmenters.values()):
        assert (each.adapts, each.convolutions, each.pool.convolutions) == (True, None, 0)
    said = [
        replace(again.segmenters[fold], pool=again.pool).opinions(example.values)
        for fold, example in zip(FOLDS, examples, strict=True)
    ]
    assert again.pool == Pool.fit(said, model.prepared.targets)


def test_what_is_said_out_of_fold_is_calibrated_by_the_other_folds(
    examples: list[Example], checked: CrossValidation
) -> None:
    assert len({checked.calibration, *(each.calibration for each in checked.segmenters.values())}) == 4
    for fold, example, probabilities in zip(FOLDS, examples, checked.probabilities, strict=True):
        network = checked.segmenters[fold]
        raw = network.probabilities(example.values)
        assert (network.calibration.apply(raw) == probabilities).all()
    assert 0 <= checked.calibration_error < 0.1
    assert [len(target) for target in checked.targets] == [300] * 4


def test_cross_validation_takes_no_more_steps_than_the_training(
    model: Fitted, checked: CrossValidation
) -> None:
    assert set(checked.segmenters) == {0, 1, 2}
    steps = [network.full_training.steps for network in checked.segmenters.values()]
    assert sum(steps) <= model.segmenter.full_training.steps
    assert checked.segmenters[0].full_training.series == 2


class Shares(Observer):
    def __init__(self) -> None:
        self.shares: list[float] = []

    def on_cross_validation(self, share: float) -> None:
        self.shares.append(share)


def test_fold_networks_are_warm_started_if_the_model_is(
    examples: list[Example], model: Fitted, checked: CrossValidation
) -> None:
    added = [*examples, synthetic(4)]
    warm = fit(added, LABEL_SETS, ("x", "y"), RECIPE, start=model.segmenter)
    assert warm.warm_started
    observer = Shares()
    again = cross_validate(warm, [*FOLDS, 1], checked.segmenters, observer)
    assert again
    for fold, network in again.segmenters.items():
        assert network.full_training == checked.segmenters[fold].full_training
    assert observer.shares == sorted(observer.shares)
    assert observer.shares[-1] == 1
    # an earlier network of another fold would have seen the example
    assert (again.probabilities[0] != checked.probabilities[0]).any()
    scratch = cross_validate(model, FOLDS, checked.segmenters)
    assert scratch
    assert (scratch.probabilities[0] == checked.probabilities[0]).all()


def test_one_fold_gives_no_cross_validation(model: Fitted) -> None:
    assert cross_validate(model, [2, 2, 2, 2]) is None


def test_a_label_of_one_task_alone_is_not_found_in_it_and_is_no_error() -> None:
    examples = [synthetic(seed) for seed in range(3)]
    examples[0] = Example(examples[0].values, np.where(examples[0].classes == 2, 2, 0))
    examples[1:] = [Example(each.values, np.where(each.classes == 1, 1, 0)) for each in examples[1:]]
    fitted = fit(examples, LABEL_SETS, ("x", "y"), RECIPE)
    validation = cross_validate(fitted, [0, 1, 2])
    assert validation
    assert validation.probabilities[0].shape == (300, 3)
    assert all(segment.labels == ("Run",) for segment in validation.segmentations[0].segments)


def test_an_example_without_labels_can_stand_alone_against_the_others() -> None:
    examples = [synthetic(0), Example(synthetic(1).values, np.zeros(300, np.int64))]
    fitted = fit(examples, LABEL_SETS, ("x", "y"), RECIPE)
    validation = cross_validate(fitted, [0, 1])
    assert validation
    assert validation.segmentations[0].segments == []


def test_instants_are_found_out_of_fold(fitted_events: Fitted) -> None:
    examples = [events(seed) for seed in range(4)]
    validation = cross_validate(fitted_events, FOLDS)
    assert validation
    assert not validation.adapts  # their threshold suits the series as they are
    for example, segmentation in zip(examples, validation.segmentations, strict=True):
        assert [segment.first for segment in segmentation.segments] == pytest.approx(example.instants, abs=2)
