import numpy as np
import pytest
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.calibration import (
    Calibration,
    calibration_error,
    expected_calibration_error,
    reliability,
)
from timeseries_segmenter.segment import UNKNOWN


def drawn(
    seed: int, rows: int = 5000, sharpness: float = 1.0, shift: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities of three classes and targets drawn from them; then the former are distorted."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=2, size=(rows, 3))
    odds = np.exp(logits)
    truth = (random.random((rows, 1)) > (odds / odds.sum(axis=1, keepdims=True)).cumsum(axis=1)).sum(axis=1)
    logits[:, 2] += shift
    odds = np.exp(sharpness * logits)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32), truth.clip(0, 2)


@pytest.mark.parametrize(("sharpness", "shift"), [(3.0, 0.0), (1.0, 2.0), (2.0, 1.0)])
def test_probabilities_that_are_too_sure_or_favour_a_class_become_frequencies(
    sharpness: float, shift: float
) -> None:
    probabilities, targets = drawn(0, sharpness=sharpness, shift=shift)
    calibration = Calibration.fit([probabilities], [targets])
    unseen, truth = drawn(1, sharpness=sharpness, shift=shift)
    before = expected_calibration_error([unseen], [truth])
    after = expected_calibration_error([calibration.apply(unseen)], [truth])
    assert after < 0.03
    assert before > 3 * after


def test_probabilities_that_are_right_stay_as_they_are() -> None:
    probabilities, targets = drawn(0)
    calibration = Calibration.fit(
        [probabilities[:2000], probabilities[2000:]], [targets[:2000], targets[2000:]]
    )
    assert calibration.temperature == pytest.approx(1, abs=0.05)
    assert calibration.apply(probabilities) == pytest.approx(probabilities, abs=0.03)


def test_calibrated_probabilities_sum_to_1_and_the_others_are_not_changed() -> None:
    probabilities, _ = drawn(0)
    before = probabilities.copy()
    calibrated = Calibration(2.0, (0.5, -0.5, 0.0)).apply(probabilities)
    assert calibrated.dtype == np.float32
    np.testing.assert_allclose(calibrated.sum(axis=1), 1, atol=1e-5)
    assert (probabilities == before).all()
    assert Calibration().apply(probabilities) is probabilities


@pytest.mark.parametrize("rows", [0, 1, 10_000])
def test_perfect_predictions_of_one_class_give_no_certainty(rows: int) -> None:
    probabilities = np.tile(np.array([[0.9, 0.05, 0.05]], np.float32), (rows, 1))
    calibration = Calibration.fit([probabilities], [np.zeros(rows, np.int64)])
    assert calibration.temperature == pytest.approx(1, abs=0.01)
    calibrated = calibration.apply(np.array([[0.9, 0.05, 0.05], [0.0, 1.0, 0.0]], np.float32))
    assert np.isfinite(calibrated).all()
    assert calibrated[0, 0] < 0.99
    assert calibrated[1, 1] > 0.99


def test_predictions_that_are_always_wrong_give_a_finite_calibration() -> None:
    probabilities = np.tile(np.array([[1.0, 0.0]], np.float32), (100, 1))
    calibrated = Calibration.fit([probabilities], [np.ones(100, np.int64)]).apply(probabilities)
    assert np.isfinite(calibrated).all()
    assert calibrated[0, 0] < 0.9


def test_a_single_class_needs_no_calibration() -> None:
    assert Calibration.fit([np.ones((5, 1), np.float32)], [np.zeros(5, np.int64)]) == Calibration()


def test_long_series_are_learned_from_a_part_of_their_rows() -> None:
    probabilities, targets = drawn(0, rows=300_000, sharpness=2)
    assert Calibration.fit([probabilities], [targets]).temperature == pytest.approx(2, rel=0.1)


def test_reliability_counts_rows_by_their_highest_probability() -> None:
    probabilities = np.array([[0.95, 0.05], [0.05, 0.95], [0.65, 0.35], [1.0, 0.0]], np.float32)
    bins = reliability([probabilities[:2], probabilities[2:]], [np.array([0, 1]), np.array([1, 0])], bins=10)
    assert [(each.count, each.accuracy) for each in bins] == [(1, 0.0), (3, 1.0)]
    assert [each.confidence for each in bins] == pytest.approx([0.65, 2.9 / 3])
    assert calibration_error(bins) == pytest.approx((0.65 + 3 * (1 - 2.9 / 3)) / 4)
    assert calibration_error([]) == 0


def test_rows_that_nobody_knows_change_neither_calibration_nor_its_error() -> None:
    probabilities, targets = drawn(0, sharpness=3.0)
    others, unknown = drawn(1, shift=4.0)[0], np.full(5000, UNKNOWN)
    mixed = np.concatenate([probabilities, others]), np.concatenate([targets, unknown])
    assert Calibration.fit([mixed[0]], [mixed[1]]) == Calibration.fit([probabilities], [targets])
    assert reliability([mixed[0]], [mixed[1]]) == reliability([probabilities], [targets])
