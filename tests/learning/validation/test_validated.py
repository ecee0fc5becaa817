from dataclasses import replace

import numpy as np
import pytest

from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.validation.validated import Validated, find_doubtful, fit_and_validate
from timeseries_segmenter.segment import UNKNOWN

RECIPE = Recipe(epochs=60, hidden_size=16)
FOLDS = [0, 1, 2, 0, 1, 2]


def examples() -> list[Example]:
    return [synthetic(seed) for seed in range(6)]


def without_ranges(example: Example, places: set[int]) -> Example:
    """The example as annotated by somebody who forgot the ranges in these places."""
    classes = example.classes.copy()
    ranges = [(start, end) for number, start, end in runs_of(example.classes) if number > 0]
    for place in places:
        start, end = ranges[place]
        classes[start:end] = 0
    return replace(example, classes=classes)


def validate(annotated: list[Example]) -> Validated:
    return fit_and_validate(annotated, LABEL_SETS, ("x", "y"), RECIPE, FOLDS)


def test_complete_annotations_teach_all_their_rows() -> None:
    validated = validate(examples())
    assert not any(rows.any() for rows in validated.doubtful)
    assert all((targets != UNKNOWN).all() for targets in validated.fitted.prepared.targets)


def test_rows_that_look_like_a_forgotten_region_teach_nothing() -> None:
    complete = examples()
    forgetful = [without_ranges(complete[0], {0, 1}), *complete[1:]]
    validated = validate(forgetful)
    forgotten = (complete[0].classes > 0) & (forgetful[0].classes == 0)
    assert validated.doubtful[0][forgotten].mean() > 0.5
    assert validated.doubtful[0][~forgotten].mean() < 0.1
    targets = validated.fitted.prepared.targets[0]
    np.testing.assert_array_equal(targets == UNKNOWN, validated.doubtful[0])
    assert validated.validation is not None
    assert (validated.validation.targets[0] != UNKNOWN).all()  # metrics are of what was annotated


@pytest.mark.parametrize("folds", [[0] * 6])
def test_without_a_second_fold_nothing_is_in_doubt(folds: list[int]) -> None:
    validated = fit_and_validate(examples(), LABEL_SETS, ("x", "y"), Recipe(epochs=2, hidden_size=4), folds)
    assert validated.validation is None
    assert not any(rows.any() for rows in validated.doubtful)
    assert validated.segmenter == replace(validated.fitted.segmenter, convolutions=None)


@pytest.mark.parametrize(("events", "doubted"), [(5, 0), (12, 12), (60, 60), (70, 0)])
def test_few_rows_are_usual_and_of_most_the_networks_know_nothing(events: int, doubted: int) -> None:
    targets = np.repeat([0, 1], 100)
    background = np.where(np.arange(200) < events, 0.5, 0.9)
    probabilities = np.stack([background, 1 - background], axis=1).astype(np.float32)
    (rows,) = find_doubtful([targets], [probabilities])
    assert rows.sum() == doubted
    assert not rows[events:].any()
