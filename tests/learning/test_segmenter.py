from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tests.support.synthetic import synthetic
from timeseries_segmenter.learning.decoding.calibration import Calibration
from timeseries_segmenter.learning.inputs.resampling import Sampling
from timeseries_segmenter.learning.training.fit import Fitted


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


def test_a_series_at_the_learned_rate_is_predicted_as_if_nobody_knew_its_times(fitted: Fitted) -> None:
    segmenter, values = replace(fitted.segmenter, sampling=Sampling(0.1)), synthetic(9).values
    times = np.linspace(0.0, 36.0, len(values), dtype=np.float64)
    assert (segmenter.probabilities(values, times) == fitted.segmenter.probabilities(values)).all()
    assert segmenter.predict(values, times) == fitted.segmenter.predict(values)


def test_a_series_at_another_rate_gets_probabilities_and_segments_in_its_own_rows(fitted: Fitted) -> None:
    segmenter, values = replace(fitted.segmenter, sampling=Sampling(1.0)), synthetic(9).values
    rows = np.arange(len(values))
    expected = segmenter.predict(values, rows.astype(float)).segments
    finer = np.repeat(values, 4, axis=0)
    times = np.arange(len(finer)) / 4 - 3 / 8
    assert segmenter.probabilities(finer, times).shape == (4 * len(values), 3)
    found = segmenter.segments(finer, times)
    assert [each.labels for each in found] == [each.labels for each in expected]
    assert segmenter.convolutions is not None
    asked = 4 * segmenter.network.dimensions.stride * segmenter.convolutions.every  # one of these rows
    for one, other in zip(expected, found, strict=True):
        assert abs(other.first - 4 * one.first) <= asked
        assert abs(other.last - 4 * one.last - 3) <= asked
