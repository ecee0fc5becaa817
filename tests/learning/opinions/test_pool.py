import numpy as np
import pytest
from numpy.typing import NDArray

from timeseries_segmenter.learning.opinions.pool import Opinions, Pool
from timeseries_segmenter.segment import UNKNOWN

RANDOM = np.random.default_rng(0)
TARGETS = RANDOM.integers(0, 3, 2000)


def opinion(right: float) -> NDArray[np.float32]:
    """Of the share of rows that are right, and of the others; each as sure of itself as the other."""
    said = np.where(RANDOM.random(len(TARGETS)) < right, TARGETS, RANDOM.integers(0, 3, len(TARGETS)))
    return np.where(np.arange(3) == said[:, None], 0.9, 0.05).astype(np.float32)


def test_who_is_right_more_often_weighs_more() -> None:
    better, worse = opinion(0.9), opinion(0.3)
    network, forest = (Pool.fit([Opinions(*each)], [TARGETS]) for each in ((better, worse), (worse, better)))
    assert network.network > 2 * network.forest
    assert forest.forest > 2 * forest.network


def test_two_that_err_independently_are_right_more_often_together() -> None:
    both = Opinions(opinion(0.6), opinion(0.6))
    pooled = Pool.fit([both], [TARGETS]).apply(both)

    def likelihood(probabilities: NDArray[np.float32]) -> float:
        return float(np.log(probabilities[np.arange(len(TARGETS)), TARGETS]).mean())

    assert likelihood(pooled) > max(likelihood(each) for each in both if each is not None)
    np.testing.assert_allclose(pooled.sum(axis=1), 1, rtol=1e-5)


def test_who_is_always_wrong_has_no_say() -> None:
    right, wrong = opinion(0.95), np.roll(opinion(1), 1, axis=1)
    pool = Pool.fit([Opinions(right, wrong)], [TARGETS])
    assert pool.forest == 0
    assert (pool.apply(Opinions(right, wrong)).argmax(axis=1) == right.argmax(axis=1)).all()


def test_alone_the_network_is_right() -> None:
    network = opinion(0.5)
    assert Pool.fit([Opinions(network)], [TARGETS]) == Pool(1, 0, 0)
    assert Pool(0.2, 0.9).apply(Opinions(network)) is network


def test_rows_of_unknown_class_teach_no_weights() -> None:
    better, worse = opinion(0.9), opinion(0.3)
    half = np.where(np.arange(2000) < 1000, TARGETS, UNKNOWN)
    known = Pool.fit([Opinions(better[:1000], worse[:1000])], [TARGETS[:1000]])
    beside = Pool.fit([Opinions(better, worse)], [half])
    assert (beside.network, beside.forest) == pytest.approx((known.network, known.forest), abs=1e-6)
    assert Pool.fit([Opinions(better, worse)], [np.full(2000, UNKNOWN)]) == Pool()


def test_a_probability_of_zero_is_no_veto() -> None:
    sure = Opinions(np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32))
    pooled = Pool().apply(sure)
    assert np.isfinite(pooled).all()
    assert pooled[0, 0] > pooled[0, 1] > 0  # no forest is as sure as a network may be


def test_a_third_opinion_has_a_weight_of_its_own() -> None:
    good, better, worse = opinion(0.6), opinion(0.9), opinion(0.3)
    pool = Pool.fit([Opinions(good, worse, better)], [TARGETS])
    assert pool.convolutions > pool.network > pool.forest
    swapped = Pool.fit([Opinions(good, better, worse)], [TARGETS])
    assert (swapped.network, swapped.forest, swapped.convolutions) == pytest.approx(
        (pool.network, pool.convolutions, pool.forest), abs=1e-3
    )
    without_a_forest = Pool.fit([Opinions(good, None, better)], [TARGETS])
    assert without_a_forest.forest == 0
    assert without_a_forest.convolutions > without_a_forest.network


def test_those_that_there_are_count_alike_at_first() -> None:
    assert Pool.equal(False, False) == Pool(1, 0, 0)
    assert Pool.equal(True, False) == Pool()
    assert Pool.equal(False, True) == Pool(0.5, 0, 0.5)
    assert sum((Pool.equal(True, True).network,) * 3) == pytest.approx(1)
