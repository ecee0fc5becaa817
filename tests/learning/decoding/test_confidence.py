import numpy as np
import pytest
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.confidence import Confidence, confidence


def rows(*highest: float) -> NDArray[np.float32]:
    return np.array([[each, 1 - each] for each in highest], np.float32)


def test_a_series_that_is_surely_background_is_as_sure_as_one_that_is_surely_something() -> None:
    assert confidence(rows(*[0.99] * 50)) == pytest.approx(0.99)
    assert confidence(1 - rows(*[0.99] * 50)) == pytest.approx(0.99)


def test_a_stretch_that_the_model_does_not_know_counts_however_easy_the_rest_is() -> None:
    easy, hard = [0.99] * 95, [0.6] * 5
    assert confidence(rows(*easy, *hard)) == pytest.approx((5 * 0.6 + 5 * 0.99) / 10)
    assert confidence(rows(*easy, *hard)) < confidence(rows(*[0.95] * 100))


def test_a_series_of_one_row_has_the_confidence_of_that_row_and_one_without_rows_none() -> None:
    assert confidence(rows(0.7)) == pytest.approx(0.7)
    assert confidence(np.zeros((0, 2), np.float32)) == 0


def test_it_is_the_mean_of_the_lowest_tenth_also_stretch_by_stretch() -> None:
    highest = np.random.default_rng(0).uniform(0.5, 1, 5003).astype(np.float32)
    expected = np.sort(highest)[:501].mean()
    assert confidence(rows(*highest)) == pytest.approx(expected, abs=2e-5)
    parts = Confidence()
    for first in range(0, 5003, 700):
        parts.add(rows(*highest[first : first + 700]).T)
    assert parts.value() == pytest.approx(expected, abs=2e-5)
