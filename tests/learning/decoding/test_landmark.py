import numpy as np
import pytest
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.decoding.landmark import Landmark, find_landmark

REACH, AROUND = 10, 30
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def beats(seed: int, early: int = 0, *, either_sign: bool = False) -> tuple[FloatArray, IntArray, IntArray]:
    """Two channels, peaks of a probability, and the tops of beats in the second channel.

    Peaks are up to three rows off, and all are early by some more.
    """
    random = np.random.default_rng(seed)
    rows = np.cumsum(random.integers(60, 90, size=8))
    values = random.normal(scale=0.1, size=(800, 2))
    for number, row in enumerate(rows):
        sign = (-1) ** number if either_sign else 1
        values[row - 2 : row + 3, 1] += sign * np.array([1, 2, 4, 2, 1])
    return values.astype(np.float32), rows + random.integers(-3, 4, size=8) - early, rows


def found(series: list[tuple[FloatArray, IntArray, IntArray]]) -> Landmark:
    landmark = find_landmark(series, REACH, AROUND)
    assert landmark is not None
    return landmark


def test_instants_go_where_people_put_them_on_a_series_whose_events_are_found_early() -> None:
    landmark = found([beats(seed) for seed in range(4)])
    assert (landmark.channel, landmark.kind, landmark.offset) == (1, "maximum", 0)
    values, peaks, rows = beats(50, early=6)
    assert np.abs(peaks - rows).min() >= 3
    assert (landmark.move(peaks, values) == rows).all()


def test_beats_of_either_sign_are_deviations() -> None:
    landmark = found([beats(seed, either_sign=True) for seed in range(4)])
    assert landmark.kind == "largest deviation"
    values, peaks, rows = beats(50, either_sign=True)
    assert (landmark.move(peaks, values) == rows).all()


def test_people_may_mark_an_event_before_its_landmark() -> None:
    series = [(values, peaks, rows - 4) for values, peaks, rows in map(beats, range(4))]
    landmark = found(series)
    assert landmark.offset == 4
    values, peaks, rows = beats(50)
    assert (landmark.move(peaks, values) == rows - 4).all()


def test_there_is_none_if_it_is_no_better_than_the_peaks() -> None:
    noise = np.random.default_rng(0).normal(size=(800, 2)).astype(np.float32)
    assert find_landmark([(noise, peaks, rows) for _, peaks, rows in map(beats, range(4))], 10, 30) is None
    assert find_landmark([(values, rows, rows) for values, _, rows in map(beats, range(4))], 10, 30) is None


@pytest.mark.parametrize("reach", [0, 10])
def test_there_is_none_without_instants_or_reach(reach: int) -> None:
    none = np.zeros(0, np.int64)
    assert find_landmark([], reach, 30) is None
    assert find_landmark([(beats(0)[0], none, none)], reach, 30) is None
    assert find_landmark([beats(0)], 0, 30) is None


def test_at_the_ends_of_a_series_instants_stay_inside() -> None:
    values = np.zeros((5, 1), np.float32)
    moved = Landmark(0, "maximum", 10, 30, offset=3).move(np.array([0, 4]), values)
    assert ((moved >= 0) & (moved < 5)).all()


def decoding(landmark: Landmark | None) -> Decoding:
    return Decoding((0.0, 0.0), (1,), gap=5, threshold=0.5, offset=2, landmark=landmark)


def test_a_decoding_places_instants_at_the_landmark_else_by_the_offset() -> None:
    probabilities = np.tile(np.array([1, 0], np.float32), (30, 1))
    probabilities[10] = [0, 1]
    values = np.zeros((30, 2), np.float32)
    values[13, 1] = 1
    landmark = Landmark(1, "maximum", 5, 10)
    assert decoding(landmark).instants(probabilities, values)[0].tolist() == [13]
    assert decoding(None).instants(probabilities, values)[0].tolist() == [8]
    assert decoding(landmark).instants(probabilities)[0].tolist() == [8]


def test_without_the_channel_of_the_landmark_instants_are_placed_by_the_offset() -> None:
    probabilities = np.tile(np.array([1, 0], np.float32), (30, 1))
    probabilities[10] = [0, 1]
    values = np.zeros((30, 2), np.float32)
    values[:, 1] = np.nan
    assert decoding(Landmark(1, "maximum", 5, 10)).instants(probabilities, values)[0].tolist() == [8]
    missing = [(np.full_like(values, np.nan), peaks, rows) for values, peaks, rows in map(beats, range(4))]
    assert find_landmark(missing, REACH, AROUND) is None
