import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.segment import UNKNOWN


def test_scores_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 4, 500), random.integers(0, 4, 500)
    scores = scores_of(confusion_matrix(truth, predicted, 4))
    assert scores.accuracy == pytest.approx((truth == predicted).mean())
    assert scores.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert scores.f1 == pytest.approx(f1_score(truth, predicted, average=None))
    assert scores.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_a_class_that_is_never_predicted_counts_0_in_minimum_and_mean() -> None:
    truth, predicted = np.array([0, 0, 1, 2]), np.array([0, 0, 1, 1])
    scores = scores_of(confusion_matrix(truth, predicted, 3))
    assert scores.f1[2] == 0
    assert scores.min_f1 == 0
    assert scores.macro_f1 == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_a_class_without_truth_counts_nowhere() -> None:
    truth, predicted = np.array([0, 0, 1]), np.array([0, 0, 1])
    scores = scores_of(confusion_matrix(truth, predicted, 3))
    assert math.isnan(scores.f1[2])
    assert scores.min_f1 == scores.macro_f1 == scores.balanced_accuracy == 1


def test_rows_that_nobody_knows_count_nowhere() -> None:
    truth, predicted = np.array([0, UNKNOWN, 1, UNKNOWN]), np.array([0, 1, 1, 0])
    assert confusion_matrix(truth, predicted, 2).tolist() == [[1, 0], [0, 1]]
