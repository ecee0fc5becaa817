"""The package as a library: its public names, and the estimator in scikit-learn's manner."""

import doctest
import pickle
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import timeseries_segmenter
from tests.support.synthetic import synthetic
from timeseries_segmenter import Segment, SegmentClassifier, SegmenterError, estimator

Floats = NDArray[np.float32]
Names = NDArray[np.str_]

NAMES = np.array(["background", "Run", "Walk"])
ROWS = 300

# each check fails for the reason, and for no other
NOT_OF_SEQUENCES = {
    "check_classifiers_classes": "the background is a class, also if it does not occur",
    "check_methods_sample_order_invariance": "rows of a series are not independent of each other",
    "check_methods_subset_invariance": "rows of a series are not independent of each other",
}


@pytest.fixture(scope="module")
def series() -> list[Floats]:
    return [synthetic(seed).values for seed in range(4)]


@pytest.fixture(scope="module")
def labels() -> list[Names]:
    return [NAMES[synthetic(seed).classes] for seed in range(4)]


@pytest.fixture(scope="module")
def fitted(series: list[Floats], labels: list[Names]) -> SegmentClassifier:
    return SegmentClassifier(max_epochs=200, hidden_size=8).fit(series[:3], labels[:3])


def segments(labels: Names) -> list[Segment]:
    edges = [0, *np.flatnonzero(labels[1:] != labels[:-1]) + 1, len(labels)]
    return [
        Segment(int(first), int(end) - 1, (str(labels[first]),))
        for first, end in pairwise(edges)
        if labels[first] != "background"
    ]


@parametrize_with_checks(  # type: ignore[untyped-decorator]  # scikit-learn has no types
    [SegmentClassifier(max_epochs=100, hidden_size=4, sequence_size=8)],
    expected_failed_checks=lambda _: NOT_OF_SEQUENCES,
    xfail_strict=True,
)
@pytest.mark.filterwarnings("default")  # scikit-learn's own
def test_the_checks_of_scikit_learn_pass_as_far_as_they_fit_sequences(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_series_that_was_not_seen_gets_its_labels(
    fitted: SegmentClassifier, series: list[Floats], labels: list[Names]
) -> None:
    (predicted,) = fitted.predict(series[3:])
    assert predicted.shape == (ROWS,)
    assert np.mean(predicted == labels[3]) > 0.8
    assert list(fitted.classes_) == ["Run", "Walk", "background"]
    assert fitted.score(series[3:], labels[3:]) == pytest.approx(fitted.score(series[3], labels[3]))
    assert fitted.score(series[3:], labels[3:]) > 0.8
    assert fitted.score(series[3:], [segments(labels[3])]) == fitted.score(series[3:], labels[3:])
    assert np.array_equal(fitted.predict(series[3]), predicted)


def test_segments_are_those_of_the_labels_and_probabilities_are_in_the_order_of_classes(
    fitted: SegmentClassifier, series: list[Floats]
) -> None:
    (predicted,), (found,) = fitted.predict(series[3:]), fitted.predict_segments(series[3:])
    assert [(each.first, each.last, each.labels) for each in found] == [
        (each.first, each.last, each.labels) for each in segments(predicted)
    ]
    (probabilities,) = fitted.predict_proba(series[3:])
    assert probabilities.shape == (ROWS, 3)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.mean(fitted.classes_[probabilities.argmax(axis=1)] == predicted) > 0.9


def test_segments_teach_what_row_labels_teach(
    fitted: SegmentClassifier, series: list[Floats], labels: list[Names]
) -> None:
    of_segments = clone(fitted).fit(series[:3], [segments(each) for each in labels[:3]])
    assert list(of_segments.classes_) == list(fitted.classes_)
    assert np.array_equal(of_segments.predict_proba(series[3]), fitted.predict_proba(series[3]))


def test_instants_and_segments_with_several_labels_are_learned(beats: dict[str, list[float]]) -> None:
    values = np.array(list(beats.values())).T
    y = [Segment(row, row, ("Beat", "Strong"), instant=True) for row in range(20, 200, 40)]
    model = SegmentClassifier(max_epochs=60, hidden_size=8).fit([values], [y])
    assert list(model.classes_) == ["Beat + Strong", "background"]
    (found,) = model.predict_segments([values])
    assert {(each.labels, each.instant) for each in found} == {(("Beat", "Strong"), True)}
    assert np.flatnonzero(model.predict(values) == "Beat + Strong").tolist() == [each.first for each in found]


def test_the_background_has_the_label_that_is_named(series: list[Floats], labels: list[Names]) -> None:
    model = SegmentClassifier(max_epochs=2, hidden_size=4, background="rest")
    assert list(model.fit(series[:1], [segments(labels[0])]).classes_) == ["Run", "Walk", "rest"]
    renamed = np.where(labels[0] == "background", "rest", labels[0])
    again = clone(model).fit(series[:1], [renamed])
    assert np.array_equal(again.predict_proba(series[1]), model.predict_proba(series[1]))
    with pytest.raises(ValueError, match="label of the background, 'Run'"):
        clone(model).set_params(background="Run").fit(series[:1], [segments(labels[0])])


def test_the_random_state_is_the_model(series: list[Floats], labels: list[Names]) -> None:
    def probabilities(random_state: object) -> Floats:
        model = SegmentClassifier(max_epochs=2, hidden_size=4, random_state=random_state)
        found: Floats = model.fit(series[:1], labels[:1]).predict_proba(series[1])
        return found

    assert np.array_equal(probabilities(7), probabilities(7))
    assert not np.array_equal(probabilities(7), probabilities(8))
    assert not np.array_equal(probabilities(None), probabilities(None))
    assert np.array_equal(probabilities(np.random.RandomState(1)), probabilities(np.random.RandomState(1)))


def test_a_pickled_model_predicts_the_same(fitted: SegmentClassifier, series: list[Floats]) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(series[3]), fitted.predict_proba(series[3]))


def test_cross_validation_leaves_out_whole_series(series: list[Floats], labels: list[Names]) -> None:
    model = SegmentClassifier(max_epochs=3, hidden_size=4)
    assert cross_val_score(model, series, labels, cv=KFold(2)).shape == (2,)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], [], "X holds no series"),
        ([np.zeros((9, 1))], [], "X holds 1 series, but y is of 0"),
        ([np.zeros((9, 1))], [["a"] * 8], "a series of 9 rows has 8 labels"),
        ([np.zeros((9, 1))], [[]], "at least one segment is needed"),
        ([np.zeros((9, 1))], [["background"] * 9], "at least one segment is needed"),
        ([np.zeros((9, 1))], [[Segment(4, 9, ("a",))]], "lies outside its series of 9 rows"),
        (
            [np.zeros((9, 1)), np.zeros((9, 2))],
            [["a"] * 9] * 2,
            "2 features, but SegmentClassifier is expecting 1",
        ),
        ([np.zeros(9)], [["a"] * 9], "y should be a 1d array"),
    ],
)
def test_what_does_not_fit_together_is_a_value_error(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentClassifier(max_epochs=1).fit(x, y)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(("device", "error"), [("cuda", SegmenterError), ("gpu", ValueError)])
def test_a_device_that_is_not_there_is_refused(
    series: list[Floats], labels: list[Names], device: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=device):
        SegmentClassifier(device=device).fit(series, labels)


def test_a_model_without_a_training_says_so() -> None:
    with pytest.raises(NotFittedError):
        SegmentClassifier().predict([np.zeros((9, 1))])


def test_the_example_of_the_docstring_is_true() -> None:
    assert doctest.testmod(estimator).failed == 0


def test_every_public_name_can_be_imported_and_listed() -> None:
    names = timeseries_segmenter.__all__
    assert all(hasattr(timeseries_segmenter, name) for name in names)
    assert set(names) <= set(dir(timeseries_segmenter))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = timeseries_segmenter.Nothing


def test_the_package_itself_imports_nothing_slow() -> None:
    code = "import sys, timeseries_segmenter; print('numpy' in sys.modules, 'torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.stdout.split() == ["False", "False"]
