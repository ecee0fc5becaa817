from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.inputs.resampling import Sampling, usual_interval
from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.segment import Segment

RUN = ("Run",)
Floats = NDArray[np.float64]


def even(rows: int, interval: float, start: float = 0.0) -> Floats:
    """Times as a file has them: rounded."""
    return np.round(start + interval * np.arange(rows), 6)


def wave(times: Floats) -> NDArray[np.float32]:
    """A slow sine and a ramp, `(T, 2)`."""
    return np.stack([np.sin(times / 3), times], axis=1).astype(np.float32)


@pytest.mark.parametrize("intervals", [(1.0, 1.0), (1.0, 1.8), (1.8, 1.0), (0.00278, 0.0028)])
def test_series_that_differ_by_less_than_twice_keep_their_rows(intervals: tuple[float, float]) -> None:
    times = [even(100, each) for each in intervals]
    sampling = Sampling.fit(times)
    for each in times:
        values = wave(each)
        assert sampling.resampling(each).values(values) is values
        assert sampling.resampling(each).positions is None


def test_series_without_times_keep_their_rows_and_so_does_one_of_a_model_that_had_none() -> None:
    assert Sampling.fit([None, None]) == Sampling()
    assert Sampling().resampling(even(50, 3.0)).positions is None
    assert Sampling.fit([even(50, 3.0)]).resampling(None).positions is None


@pytest.mark.parametrize("times", [np.zeros(0), np.zeros(1), np.zeros(9)])
def test_series_whose_times_say_nothing_keep_their_rows(times: Floats) -> None:
    assert Sampling.fit([times]) == Sampling()
    assert Sampling(1.0).resampling(times).positions is None


def test_rows_that_share_a_second_are_spread_over_it() -> None:
    times = np.floor(even(500, 0.02))
    assert usual_interval(times) == pytest.approx(0.02)
    assert Sampling.fit([times, even(500, 0.02)]).resampling(times).positions is None


@pytest.mark.parametrize("decimated", [1, 3, 6])
def test_the_common_rate_is_a_fine_one_that_costs_at_most_twice_the_rows(decimated: int) -> None:
    times = [even(400, 1.0)] * (7 - decimated) + [even(100, 4.0)] * decimated
    sampling = Sampling.fit(times)
    rows = [len(sampling.resampling(each).values(wave(each))) for each in times]
    assert sum(rows) <= 2 * sum(map(len, times))
    assert sampling.interval == (4.0 if decimated == 6 else 1.0)


def test_values_between_rows_are_interpolated_and_those_of_many_rows_averaged() -> None:
    fine, coarse = even(301, 0.2), even(61, 1.0)
    brought = Sampling(0.2).resampling(coarse).values(wave(coarse))
    np.testing.assert_allclose(brought, wave(fine), atol=0.02)
    noise = np.random.default_rng(0).normal(size=(301, 2)).astype(np.float32)
    averaged = Sampling(1.0).resampling(fine).values(wave(fine) + noise)
    assert averaged.shape == (61, 2)
    assert 0.35 < (averaged - wave(coarse))[1:-1].std() < 0.55  # 1 / sqrt(5); of single rows 1


def test_a_missing_channel_stays_missing() -> None:
    values = wave(even(50, 4.0))
    values[:, 1] = np.nan
    brought = Sampling(1.0).resampling(even(50, 4.0)).values(values)
    assert np.isfinite(brought[:, 0]).all()
    assert np.isnan(brought[:, 1]).all()


def test_a_series_that_is_sampled_unevenly_gets_even_rows() -> None:
    times = np.concatenate([even(200, 1.0), even(50, 4.0, start=200)])
    resampling = Sampling.fit([times]).resampling(times)
    brought = resampling.values(wave(times))
    assert len(brought) == 397
    np.testing.assert_allclose(brought[:, 1], np.arange(397), atol=1e-3)


def test_few_intervals_of_another_length_leave_a_series_as_it_is() -> None:
    steps = np.ones(200)
    steps[::11] = 0.2  # an extra row now and then
    steps[50] = 5000.0  # a gap
    times = np.cumsum(steps)
    assert Sampling.fit([times]).resampling(times).positions is None


def test_a_gap_is_shortened_not_filled() -> None:
    times = np.concatenate([even(100, 4.0), even(100, 4.0, start=1e6)])
    positions = Sampling(1.0).resampling(times).positions
    assert positions is not None
    assert positions[-1] == pytest.approx(2 * 99 * 4 + 10)


@settings(max_examples=300, derandomize=True)
@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=80), st.sampled_from([0.3, 1.0, 5.0]))
def test_however_uneven_series_are_training_ones_have_at_most_twice_as_many_rows(
    steps: list[float], factor: float
) -> None:
    times = [np.cumsum(steps), even(len(steps), factor), np.cumsum(steps[::-1])]
    sampling = Sampling.fit(times)
    rows = [len(sampling.resampling(each).values(wave(each))) for each in times]
    assert sum(rows) <= 2 * sum(map(len, times)) + len(times)


@pytest.mark.parametrize("interval", [8.1, 1 / 60, 1000.0])
def test_a_series_at_a_rate_beyond_comparison_keeps_its_rows(interval: float) -> None:
    assert Sampling(1.0).resampling(even(100, interval)).positions is None


def test_an_example_keeps_its_segments_and_instants_by_time() -> None:
    times = even(100, 4.0)
    classes = np.zeros(100, np.int64)
    classes[20:30] = 1
    classes[50] = 2
    example = Example(wave(times), classes, np.array([10, 70]), np.array([3, 3]), times)
    brought = Sampling(1.0).resampling(times).example(example)
    assert len(brought.values) == len(brought.classes) == 397
    assert runs_of(brought.classes)[1::2] == [(1, 79, 119), (2, 199, 203)]
    assert brought.instants.tolist() == [40, 280]
    assert brought.instant_classes.tolist() == [3, 3]


def test_an_event_shorter_than_a_common_row_is_still_learned() -> None:
    times = even(400, 0.25)
    classes = np.zeros(400, np.int64)
    classes[102] = 1
    brought = Sampling(1.0).resampling(times).example(Example(wave(times), classes, times=times))
    assert runs_of(brought.classes)[1][0] == 1


def test_an_instant_is_one_row_of_the_file_and_a_range_of_a_common_row_is_all_of_its_rows() -> None:
    resampling = Sampling(1.0).resampling(even(400, 0.25))
    found = Segment(50, 50, RUN, 0.7, instant=True)
    assert resampling.file_segments([found], {RUN}) == [replace(found, first=200, last=200)]
    assert resampling.file_segments([found], set()) == [replace(found, first=198, last=201, instant=False)]


@st.composite
def uneven(draw: st.DrawFn) -> tuple[Floats, int, int]:
    """Times of a series that is brought to the rate 1, and the first and last row of a segment."""
    usual = draw(st.sampled_from([0.03, 0.2, 0.5, 1.0, 2.0, 7.5]))
    factor = st.one_of(st.just(1.0), st.sampled_from([0.0, 0.1, 0.45, 2.5, 9.0, 1e6]))
    steps = draw(st.lists(factor, min_size=1, max_size=60))
    first = draw(st.integers(0, len(steps)))
    return usual * np.cumsum([0.0, *steps]), first, draw(st.integers(first, len(steps)))


@settings(max_examples=300, derandomize=True)
@given(uneven())
def test_there_and_back_no_segment_is_lost_and_no_end_moves_by_more_than_a_row(
    series: tuple[Floats, int, int],
) -> None:
    times, first, last = series
    classes = np.zeros(len(times), np.int64)
    classes[first : last + 1] = 1
    resampling = Sampling(1.0).resampling(times)
    example = resampling.example(Example(wave(times), classes, times=times))
    (common,) = [Segment(start, end - 1, RUN) for number, start, end in runs_of(example.classes) if number]
    (found,) = resampling.file_segments([common], set())
    places = np.arange(len(times)) if resampling.positions is None else resampling.positions
    rows = np.floor(places + 0.5)  # the common row of each of the file's
    assert abs(found.first - first) <= 1 or abs(common.first - rows[first]) <= 1
    assert abs(found.last - last) <= 1 or abs(common.last - rows[last]) <= 1
    inside = np.flatnonzero((rows >= common.first) & (rows <= common.last))
    if len(inside):
        assert (found.first, found.last) == (inside[0], inside[-1])
    else:
        assert first - 1 <= found.first == found.last <= last + 1
    probabilities = np.eye(2, dtype=np.float32)[example.classes]
    in_file = resampling.file_probabilities(probabilities)
    assert in_file.shape == (len(times), 2)
    np.testing.assert_allclose(in_file.sum(axis=1), 1, atol=1e-5)
    assert len(resampling.file_classes(example.classes)) == len(times)
