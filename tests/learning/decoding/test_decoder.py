import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.near import near
from timeseries_segmenter.learning.decoding.best_path import LEAST_PROBABILITY
from timeseries_segmenter.learning.decoding.decoder import PRICE_PER_ROW, Decoder, Decoding
from timeseries_segmenter.learning.runs import run_starts
from timeseries_segmenter.segment import UNKNOWN, Segment

LABEL_SETS = (("Run",), ("Walk",))


def probabilities_of(classes: list[int], surety: float = 0.8) -> NDArray[np.float32]:
    probabilities = np.full((len(classes), 3), (1 - surety) / 2, np.float32)
    probabilities[np.arange(len(classes)), classes] = surety
    return probabilities


def test_runs_start_where_the_class_changes() -> None:
    assert run_starts(np.array([0, 0, 1, 1, 0, 2])).tolist() == [0, 2, 4, 5]
    assert run_starts(np.array([3])).tolist() == [0]


def test_without_prices_the_path_is_the_argmax() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=200).astype(np.float32)
    path = Decoding((0.0, 0.0, 0.0)).path(probabilities)
    assert path.tolist() == probabilities.argmax(axis=1).tolist()


def test_a_price_removes_a_short_run_and_keeps_a_long_one() -> None:
    classes = [1] * 30 + [2] * 2 + [1] * 30 + [2] * 20
    path = Decoding((5.0, 5.0, 5.0)).path(probabilities_of(classes))
    assert path.tolist() == [1] * 62 + [2] * 20


def test_prices_follow_each_class_own_length() -> None:
    classes = [0] * 30 + [1] * 4 + [0] * 30 + [2] * 4 + [0] * 30
    path = Decoding((0.5, 0.5, 20.0)).path(probabilities_of(classes))
    assert path.tolist() == [0] * 30 + [1] * 4 + [0] * 64


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([0.05, 0.2, 0.35, 0.6, 0.9]), min_size=2, max_size=7), st.floats(0, 4))
def test_for_two_classes_no_path_is_better(firsts: list[float], price: float) -> None:
    # with two classes a change is never better inside a run of equal argmax: the search is exact
    probabilities = np.array([[first, 1 - first] for first in firsts], np.float32)
    logs = np.log(np.maximum(probabilities, LEAST_PROBABILITY)).astype(float)

    def gain(path: tuple[int, ...]) -> float:
        steps = int(np.count_nonzero(np.diff(path)))
        return float(sum(logs[row, c] for row, c in enumerate(path)) - price * steps)

    best = max(gain(path) for path in itertools.product((0, 1), repeat=len(firsts)))
    found = Decoding((price, price)).path(probabilities)
    assert gain(tuple(found)) == pytest.approx(best, abs=1e-5)


def test_segments_leave_background_out_and_score_by_mean_probability() -> None:
    probabilities = probabilities_of([0, 0, 1, 1, 1, 2, 0])
    probabilities[2] = [0.2, 0.5, 0.3]
    segments = Decoding((0.0, 0.0, 0.0)).segments(probabilities, LABEL_SETS)
    assert segments == [
        Segment(2, 4, ("Run",), near((0.5 + 0.8 + 0.8) / 3), instant=False),
        Segment(5, 5, ("Walk",), near(0.8), instant=True),
    ]


def test_prices_are_a_share_of_each_class_median_run() -> None:
    targets = [np.array([0] * 10 + [1] * 20 + [0] * 30), np.array([1] * 40 + [2] * 8)]
    decoding = Decoding.fit(targets, 3)
    assert decoding.prices == pytest.approx((20 * PRICE_PER_ROW, 30 * PRICE_PER_ROW, 8 * PRICE_PER_ROW))


def test_an_event_of_a_short_class_is_found_among_long_runs() -> None:
    rows = np.array(([0] * 1000 + [1] * 20) * 3 + [0] * 1000 + [2] * 900)
    decoding = Decoding.fit([rows], 3)
    segments = decoding.segments(probabilities_of([0] * 500 + [1] * 20 + [0] * 500, surety=0.95), LABEL_SETS)
    assert [(segment.first, segment.last) for segment in segments] == [(500, 519)]
    # a few unsure rows are still no event
    assert decoding.segments(probabilities_of([0] * 500 + [1] * 8 + [0] * 500, surety=0.95), LABEL_SETS) == []


def test_points_are_peaks_one_per_event_at_the_first_and_last_row_too() -> None:
    point = np.zeros(60, np.float32)
    point[[0, 1, 2]] = [0.9, 0.6, 0.3]
    point[[28, 29, 30, 31]] = [0.5, 0.9, 0.8, 0.7]
    point[45] = 0.3  # below the threshold
    point[[58, 59]] = [0.6, 0.8]
    probabilities = np.stack([1 - point, 0 * point, point], axis=1)
    segments = Decoding((0.0, 5.0, 0.0), instant_classes=(2,), gap=5, threshold=0.5).segments(
        probabilities, LABEL_SETS
    )
    assert [(s.first, s.last, s.labels, s.instant) for s in segments] == [
        (row, row, ("Walk",), True) for row in (0, 29, 59)
    ]
    assert [round(s.score, 3) for s in segments] == [0.9, 0.9, 0.8]


def test_points_and_ranges_come_together_by_first_row() -> None:
    probabilities = probabilities_of([0] * 10 + [1] * 20 + [0] * 20)
    probabilities[40] = [0.05, 0.0, 0.95]
    probabilities[2] = [0.05, 0.0, 0.95]
    segments = Decoding((2.0, 2.0, 0.0), instant_classes=(2,), gap=5, threshold=0.5).segments(
        probabilities, LABEL_SETS
    )
    assert [(s.first, s.last, s.labels) for s in segments] == [
        (2, 2, ("Walk",)),
        (10, 29, ("Run",)),
        (40, 40, ("Walk",)),
    ]


def test_an_instant_does_not_break_the_range_it_stands_in() -> None:
    probabilities = probabilities_of([0] * 10 + [1] * 40 + [0] * 10, surety=0.98)
    probabilities[25:31] = [0.01, 0.0, 0.99]
    segments = Decoding((2.0, 2.0, 0.0), instant_classes=(2,), gap=5, threshold=0.5).segments(
        probabilities, LABEL_SETS
    )
    assert [(s.first, s.last, s.labels) for s in segments] == [(10, 49, ("Run",)), (25, 25, ("Walk",))]


def test_a_label_of_two_classes_has_segments_of_both_kinds() -> None:
    probabilities = probabilities_of([0] * 10 + [1] * 20 + [0] * 20)
    probabilities[40] = [0.05, 0.0, 0.95]
    decoding = Decoding((2.0, 2.0, 0.0), instant_classes=(2,), gap=5, threshold=0.5)
    segments = decoding.segments(probabilities, (("Run",), ("Run",)))
    assert [(s.first, s.last, s.labels, s.instant) for s in segments] == [
        (10, 29, ("Run",), False),
        (40, 40, ("Run",), True),
    ]


def test_smoothing_puts_an_instant_in_the_middle_of_its_event() -> None:
    point = np.zeros(60, np.float32)
    point[20:29] = 0.8
    point[27] = 0.9
    probabilities = np.stack([1 - point, point], axis=1)
    rough = Decoding((0.0, 0.0), instant_classes=(1,), gap=20)
    smooth = replace(rough, smoothing=3.0)
    assert [segment.first for segment in rough.segments(probabilities, (("Run",),))] == [27]
    assert [segment.first for segment in smooth.segments(probabilities, (("Run",),))] == [24]


def test_background_that_unknown_rows_follow_has_no_length_but_a_range_has() -> None:
    cut = [0] * 4 + [UNKNOWN] * 9 + [1] * 20 + [UNKNOWN] * 50
    whole = [1] * 40 + [0] * 30 + [1] * 20
    assert Decoding.fit([np.array(whole + cut)], 2).prices == pytest.approx((15, 10))
    assert Decoding.fit([np.array(whole), np.array(cut)], 2).prices == pytest.approx((15, 10))


def test_background_beside_unknown_rows_has_a_length_if_there_is_no_other() -> None:
    rows = np.array([UNKNOWN] * 9 + [0] * 30 + [UNKNOWN] + [1] * 20 + [UNKNOWN] * 5)
    assert Decoding.fit([rows], 2).prices == pytest.approx((15, 10))


@given(seed=st.integers(0, 10_000), stretch=st.integers(1, 60), price=st.floats(0, 20))
@settings(max_examples=60, deadline=None)
def test_a_series_in_stretches_is_decoded_as_a_whole(seed: int, stretch: int, price: float) -> None:
    random = np.random.default_rng(seed)
    slow = np.repeat(random.normal(size=(40, 4)), 5, axis=0) + random.normal(size=(200, 4)) / 2
    logits = 3 * slow.astype(np.float32)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    calibrated = np.sqrt(probabilities)
    calibrated /= calibrated.sum(axis=1, keepdims=True)
    decoding = Decoding((price, price, price / 2, 0.0), (3,), gap=4, threshold=0.3, smoothing=seed % 3)
    label_sets = (*LABEL_SETS, ("Beat",))
    whole = decoding.segments(probabilities, label_sets, calibrated)
    decoder = Decoder(decoding)
    for first in range(0, 200, stretch):
        rows = slice(first, first + stretch)
        decoder.add(probabilities[rows].T.copy(), calibrated[rows].T.copy())
    parts = decoder.segments(label_sets, None)
    assert [(each.first, each.last, each.labels) for each in parts] == [
        (each.first, each.last, each.labels) for each in whole
    ]
    np.testing.assert_allclose([each.score for each in parts], [each.score for each in whole], rtol=1e-5)


def test_the_path_is_the_best_one_over_all_rows() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.full(3, 0.5), size=400).astype(np.float32)
    prices = np.array([1.0, 2.0, 0.5])
    logs = np.log(np.maximum(probabilities, LEAST_PROBABILITY)).astype(float)
    total, came_from = logs[0], []
    for row in logs[1:]:  # row by row, as Viterbi has it
        entered = total.max() - prices
        came_from.append(np.where(entered > total, total.argmax(), np.arange(3)))
        total = np.maximum(entered, total) + row
    path = [int(total.argmax())]
    for step in reversed(came_from):
        path.append(int(step[path[-1]]))
    assert Decoding(tuple(prices)).path(probabilities).tolist() == path[::-1]


def test_what_all_paths_share_is_let_go_of() -> None:
    decoder = Decoder(Decoding((1.0, 1.0, 1.0)))
    kept = []
    for _ in range(30):
        probabilities = probabilities_of([0, 1, 0, 2, 0, 0, 1, 1, 2, 2] * 20, 0.9).T.copy()
        decoder.add(probabilities, probabilities)
        kept.append(len(decoder._path._undecided))
    assert max(kept) < 20
