import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.opinions.pool import Opinions, Pool
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.validation.held_out import HeldOut, weigh

FOLDS = [0, 1, 2, 0]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared.from_examples([synthetic(seed) for seed in range(4)], LABEL_SETS, ("x", "y"), Recipe())


def said(targets: NDArray[np.int64], surety: float = 0.7) -> NDArray[np.float32]:
    """Probabilities of which the truth's is the highest in each row."""
    probabilities = np.full((len(targets), 3), (1 - surety) / 2, np.float32)
    probabilities[np.arange(len(targets)), targets] = surety
    return probabilities


def learn(
    prepared: Prepared,
    price: float,
    opinions: list[Opinions] | None = None,
    adapted: list[NDArray[np.float32]] | None = None,
) -> HeldOut:
    decodings = [Decoding((price, price, price))] * len(prepared.examples)
    opinions = opinions or [Opinions(said(each)) for each in prepared.targets]
    return weigh(prepared, FOLDS[: len(opinions)], decodings, opinions, adapted)


def test_a_price_stays_if_too_few_series_say_that_another_is_better(prepared: Prepared) -> None:
    assert set(learn(prepared.part([0, 1, 2]), 100).price_factors) == {1}


def test_a_fold_is_weighed_by_the_others(prepared: Prepared) -> None:
    truth = [said(each, 0.95) for each in prepared.targets]
    wrong = [np.roll(each, 1, axis=1) for each in truth]
    # the network is wrong on fold 1 alone, the forest elsewhere
    opinions = [
        Opinions(wrong[place], truth[place]) if fold == 1 else Opinions(truth[place], wrong[place])
        for place, fold in enumerate(FOLDS)
    ]
    learned = learn(prepared, 5, opinions)
    assert set(learned.pools) == {0, 1, 2}
    assert learned.pools[1].network > 0.5 > learned.pools[1].forest
    assert learned.pool == Pool.fit(opinions, prepared.targets)
    for fold, probabilities, each in zip(FOLDS, learned.probabilities, opinions, strict=True):
        assert (probabilities == learned.pools[fold].apply(each)).all()


@pytest.mark.parametrize("count", [4, 3])
@pytest.mark.parametrize("better", [True, False])
def test_convolutions_have_a_say_only_if_more_is_found_with_them(
    prepared: Prepared, better: bool, count: int
) -> None:
    prepared = prepared.part(range(count))
    right = [said(each) for each in prepared.targets]
    wrong = [np.roll(said(each, 0.4), 1, axis=1) for each in prepared.targets]
    networks, convolved = (wrong, right) if better else (right, right)
    opinions = [Opinions(*each) for each in zip(networks, networks, convolved, strict=True)]
    learned = learn(prepared, 5, opinions)
    assert (learned.pool.convolutions > 0) is better
    assert all((pool.convolutions > 0) is better for pool in learned.pools.values())


@pytest.mark.parametrize("count", [4, 3])
@pytest.mark.parametrize(("before", "after"), [("little", "all"), ("all", "all"), ("all", "little")])
def test_networks_adapt_only_if_more_is_found(
    prepared: Prepared, before: str, after: str, count: int
) -> None:
    prepared = prepared.part(range(count))
    right = [said(each) for each in prepared.targets]
    finds = {"all": right, "little": [np.roll(said(each, 0.4), 1, axis=1) for each in prepared.targets]}
    learned = learn(prepared, 5, [Opinions(each) for each in finds[before]], finds[after])
    assert learned.adapts is (before == "little")
    for probabilities, each in zip(learned.probabilities, right, strict=True):
        assert (probabilities == each).all()
