from dataclasses import replace

import numpy as np
import pytest

from tests.support.synthetic import LABEL_SETS, events, synthetic
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.learning.training.fit import Fitted, Recipe, fit
from timeseries_segmenter.learning.validation.cross_validation import CrossValidation, cross_validate
from timeseries_segmenter.learning.validation.disagreement import Disagreement, disagreements
from timeseries_segmenter.segment import UNKNOWN, Segment

RECIPE = Recipe(hidden_size=16)
FOLDS = [0, 1, 2, 0, 1, 2]


def drawn_on(example: Example) -> list[Segment]:
    ranges = [
        Segment(start, end - 1, LABEL_SETS[number - 1])
        for number, start, end in runs_of(example.classes)
        if number > 0
    ]
    return ranges + [Segment(row, row, ("Beat",), instant=True) for row in example.instants.tolist()]


def found_in(examples: list[Example], fitted: Fitted) -> list[Disagreement]:
    validation = cross_validate(fitted, FOLDS[: len(examples)])
    assert validation
    return disagreements([drawn_on(example) for example in examples], validation, fitted.segmenter)


def test_a_wrong_label_a_forgotten_region_and_a_needless_one_are_found() -> None:
    examples = [synthetic(seed) for seed in range(6)]
    wrong, forgotten = drawn_on(examples[1])[0], drawn_on(examples[2])[1]
    classes = [example.classes.copy() for example in examples]
    number = int(classes[1][wrong.first])
    classes[1][wrong.first : wrong.last + 1] = 3 - number
    classes[2][forgotten.first : forgotten.last + 1] = 0
    classes[3][:18] = 1
    examples = [replace(example, classes=each) for example, each in zip(examples, classes, strict=True)]
    found = found_in(examples, fit(examples, LABEL_SETS, ("x", "y"), RECIPE))
    assert len(found) >= 3
    by_example = {each.example: each for each in found[:3]}
    assert by_example[1].segment == replace(wrong, labels=LABEL_SETS[2 - number])
    assert by_example[1].predicted == wrong.labels
    assert by_example[2].missing
    assert by_example[2].predicted == forgotten.labels
    assert by_example[2].segment.first == pytest.approx(forgotten.first, abs=8)
    assert by_example[3].predicted is None
    assert (by_example[3].segment.first, by_example[3].segment.last) == (0, 17)
    assert not by_example[3].missing


def test_the_strongest_disagreement_comes_first_and_agreement_is_left_out() -> None:
    examples = [synthetic(seed) for seed in range(4)]
    found = found_in(examples, fit(examples, LABEL_SETS, ("x", "y"), RECIPE))
    assert [each.margin for each in found] == sorted((each.margin for each in found), reverse=True)
    assert all(each.margin > 0 for each in found)
    assert len(found) < 3  # of 12 regions, all drawn right


def test_instants_that_were_forgotten_or_drawn_for_nothing_are_found() -> None:
    examples = [events(seed) for seed in range(4)]
    forgotten = int(examples[0].instants[3])
    needless = int(examples[1].instants[4] + 22)
    examples[0] = replace(
        examples[0],
        instants=np.delete(examples[0].instants, 3),
        instant_classes=np.delete(examples[0].instant_classes, 3),
    )
    examples[1] = replace(
        examples[1],
        instants=np.sort(np.append(examples[1].instants, needless)),
        instant_classes=np.append(examples[1].instant_classes, 1),
    )
    recipe = Recipe(epochs=60, hidden_size=16)
    found = found_in(examples, fit(examples, (("Beat",),), ("x",), recipe))
    places = {(each.example, each.segment.first, each.missing) for each in found[:2]}
    assert (1, needless, False) in places
    assert any(example == 0 and missing and abs(row - forgotten) <= 2 for example, row, missing in places)


def test_label_sets_that_are_not_learned_are_passed_over(fitted: Fitted) -> None:
    examples = [synthetic(seed) for seed in range(4)]
    validation = cross_validate(fitted, FOLDS[:4])
    assert isinstance(validation, CrossValidation)
    drawn = [[Segment(0, 299, ("Jump",))] for _ in examples]
    assert not disagreements(drawn, validation, fitted.segmenter)


def test_no_segment_is_missing_where_nobody_annotated() -> None:
    examples = [synthetic(seed) for seed in range(4)]
    fitted = fit(examples, LABEL_SETS, ("x", "y"), RECIPE)
    first, last = (drawn_on(examples[2])[number] for number in (0, 2))
    partial = examples[2].classes.copy()
    partial[first.first : first.last + 1] = 0
    partial[last.first - 10 :] = UNKNOWN
    examples[2] = replace(examples[2], classes=partial)
    validation = cross_validate(fit(examples, LABEL_SETS, ("x", "y"), RECIPE), FOLDS[:4])
    assert validation
    found = disagreements([drawn_on(example) for example in examples], validation, fitted.segmenter)
    missing = [each.segment for each in found if each.missing and each.example == 2]
    assert any(abs(each.first - first.first) <= 8 for each in missing)
    assert all(each.last < last.first for each in missing)
