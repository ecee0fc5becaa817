import numpy as np
import pytest

from benchmarks import forest
from benchmarks.forest import ForestSegmenter
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.segment import UNKNOWN

LABEL_SETS = [("Low",), ("High",)]


def level(seed: int) -> Example:
    """Two ranges on a noisy line."""
    classes = np.zeros(400, np.int64)
    classes[50:120], classes[200:300] = 1, 2
    noise = np.random.default_rng(seed).normal(0, 0.2, 400)
    values = (np.array([0, -2, 2])[classes] + noise).astype(np.float32)[:, None]
    return Example(values, classes)


def spikes(seed: int) -> Example:
    random = np.random.default_rng(seed)
    rows = np.arange(60, 1900, 120) + random.integers(-20, 20, 16)
    values = random.normal(0, 0.1, 2000)
    for row in rows:
        values[row - 6 : row + 7] += 3 * np.hanning(13)
    classes = np.ones(len(rows), np.int64)
    return Example(values.astype(np.float32)[:, None], np.zeros(2000, np.int64), rows, classes)


def test_a_forest_finds_ranges() -> None:
    fitted = ForestSegmenter.fit([level(0), level(1)], LABEL_SETS, ["x"], seed=0)
    low, high = fitted.segments(level(2).values)
    assert (low.labels, high.labels) == (("Low",), ("High",))
    assert (low.first, low.last, high.first, high.last) == pytest.approx((50, 119, 200, 299), abs=3)


def test_a_forest_finds_instants() -> None:
    fitted = ForestSegmenter.fit([spikes(0), spikes(1)], LABEL_SETS[:1], ["x"], seed=0)
    found = fitted.segments(spikes(2).values)
    assert all(segment.instant for segment in found)
    assert [segment.first for segment in found] == pytest.approx(spikes(2).instants.tolist(), abs=3)


def test_rows_of_unknown_class_teach_a_forest_nothing() -> None:
    """What was annotated as Low in the first series, and would be background in the second, is not known."""
    second = level(1)
    second.classes[second.classes == 1] = UNKNOWN
    fitted = ForestSegmenter.fit([level(0), second], LABEL_SETS, ["x"], seed=0)
    assert [segment.labels for segment in fitted.segments(level(2).values)] == [("Low",), ("High",)]


def test_a_forest_has_a_class_without_rows_for_what_is_never_background() -> None:
    example = level(0)
    whole = Example(example.values, np.where(example.classes == 2, 2, 1))
    fitted = ForestSegmenter.fit([whole], LABEL_SETS, ["x"], seed=0)
    probabilities = fitted.forest.probabilities(whole.values)
    assert probabilities.shape == (400, 3)
    assert not probabilities[:, 0].any()


def test_a_forest_learns_from_as_many_rows_as_it_may_of_each_class_the_same_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forest, "MOST_ROWS", 100)
    targets = np.repeat([UNKNOWN, 0, 1], [500, 800, 200])
    rows = forest.sample_rows(targets, np.random.default_rng(0))
    assert np.bincount(targets[rows]).tolist() == [80, 20]
    assert np.all(np.diff(rows) > 0)
