from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tests.support.synthetic import synthetic
from timeseries_segmenter.learning.calibration import Calibration
from timeseries_segmenter.learning.training import Fitted


def test_probabilities_sum_to_1_in_every_row(fitted: Fitted, real_values: NDArray[np.float32]) -> None:
    probabilities = fitted.segmenter.probabilities(real_values)
    assert probabilities.shape == (len(real_values), 3)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_segments_do_not_overlap_and_carry_learned_labels(
    fitted: Fitted, real_values: NDArray[np.float32]
) -> None:
    segments = fitted.segmenter.segments(real_values)
    for before, after in pairwise(segments):
        assert before.last < after.first
    assert all(
        segment.labels in fitted.segmenter.label_sets and 0 < segment.score <= 1 for segment in segments
    )


def test_calibration_changes_how_sure_segments_are_but_not_where_they_are(fitted: Fitted) -> None:
    values = synthetic(9).values
    raw = fitted.segmenter.predict(values)
    softened = replace(fitted.segmenter, calibration=Calibration(3.0)).predict(values)
    assert [replace(segment, score=0) for segment in softened.segments] == [
        replace(segment, score=0) for segment in raw.segments
    ]
    for before, after in zip(raw.segments, softened.segments, strict=True):
        assert after.score < before.score
    assert softened.confidence < raw.confidence


def test_missing_values_give_finite_probabilities(fitted: Fitted) -> None:
    values = synthetic(5).values.copy()
    values[:, 1] = np.nan
    assert np.isfinite(fitted.segmenter.probabilities(values)).all()
