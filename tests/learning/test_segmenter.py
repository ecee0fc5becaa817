from itertools import pairwise

import numpy as np

from tests.learning.conftest import synthetic
from timeseries_segmenter.learning.training import Fitted


def test_probabilities_sum_to_1_in_every_row(fitted: Fitted, real_values: np.ndarray) -> None:
    probabilities = fitted.segmenter.probabilities(real_values)
    assert probabilities.shape == (len(real_values), 3)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_segments_do_not_overlap_and_carry_learned_labels(fitted: Fitted, real_values: np.ndarray) -> None:
    segments = fitted.segmenter.segments(real_values)
    for before, after in pairwise(segments):
        assert before.last < after.first
    assert all(
        segment.labels in fitted.segmenter.label_sets and 0 < segment.score <= 1 for segment in segments
    )


def test_missing_values_give_finite_probabilities(fitted: Fitted) -> None:
    values = synthetic(5).values.copy()
    values[:, 1] = np.nan
    assert np.isfinite(fitted.segmenter.probabilities(values)).all()
