from pathlib import Path

import numpy as np
import pytest

from tests.learning.conftest import synthetic
from timeseries_segmenter.learning.familiarity import SCALE, Familiarity
from timeseries_segmenter.learning.model_file import TrainedModel, load_model, save_model
from timeseries_segmenter.learning.training import Fitted


def series(mean: float, deviation: float, rows: int = 500) -> np.ndarray:
    """One input with exactly this mean and deviation, `(rows, 1)`."""
    alternating = np.where(np.arange(rows) % 2, 1.0, -1.0)
    return (mean + deviation * alternating)[:, None].astype(np.float32)


def test_a_series_with_the_moments_of_a_training_series_is_wholly_familiar() -> None:
    familiar = Familiarity.of([series(0, 1), series(2, 1)])
    assert familiar(series(2, 1)[::-1]) == pytest.approx(1)
    assert familiar(series(0, 1, rows=40)) == pytest.approx(1)


def test_the_nearest_training_series_counts_and_level_and_strength_count_alike() -> None:
    familiar = Familiarity.of([series(0, 1), series(2, 1)])
    assert familiar(series(2.5, 1)) == pytest.approx(np.exp(-0.5 / np.sqrt(2) / SCALE))
    assert familiar(series(2, 1.5)) == pytest.approx(familiar(series(2.5, 1)))
    assert familiar(series(5, 1)) < familiar(series(2.5, 1))


def test_a_model_of_before_takes_every_series_for_familiar() -> None:
    assert Familiarity()(series(9, 9)) == 1.0


def test_of_a_long_series_some_rows_are_enough() -> None:
    values = np.random.default_rng(0).normal(1, 2, (450_000, 2)).astype(np.float32)
    assert Familiarity.of([values[::7]])(values) > 0.98


def test_a_model_scores_strange_series_lower_and_keeps_what_it_knows(fitted: Fitted, tmp_path: Path) -> None:
    segmenter, values = fitted.segmenter, synthetic(0).values
    known, strange = segmenter.predict(values), segmenter.predict(values * 3 + 4)
    assert known.familiarity == pytest.approx(1)
    assert known.score == pytest.approx(known.confidence)
    assert strange.familiarity < 0.5
    assert strange.score == strange.confidence * strange.familiarity
    save_model(tmp_path / "model.pt", TrainedModel({"a:b": segmenter}), {})
    loaded = load_model(tmp_path / "model.pt")[0]["a:b"]
    assert loaded.predict(values * 3 + 4).score == strange.score
