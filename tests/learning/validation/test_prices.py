from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.training.fit import Fitted
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.validation.prices import fit_price_factors

CLASSES = 1 + len(LABEL_SETS)
SURE = 0.7  # of what is found: 1.5 nats a row more than the other classes


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared.from_examples([synthetic(seed) for seed in range(4)], LABEL_SETS, ("x", "y"), Recipe())


def said(classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Probabilities by which these classes are the most probable ones."""
    probabilities = np.full((len(classes), CLASSES), (1 - SURE) / 2, np.float32)
    probabilities[np.arange(len(classes)), classes] = SURE
    return probabilities


def factors(prepared: Prepared, said_of: list[NDArray[np.int64]], *prices: float) -> tuple[float, ...]:
    decodings = [Decoding(prices)] * len(prepared.examples)
    return fit_price_factors(prepared, decodings, [said(each) for each in said_of])


def with_flickers(classes: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """With two rows of a class in twenty of the background."""
    flickers = (classes == 0) & (np.arange(len(classes)) % 20 < 2)
    return np.where(flickers, number, classes)


def test_prices_at_which_nothing_is_found_fall(prepared: Prepared) -> None:
    # 50 rows of a range, 77 nats better than background, do not pay for two changes of 100
    assert max(factors(prepared, list(prepared.targets), 100, 100, 100)) < 0.5


def test_prices_stay_if_no_others_find_more(prepared: Prepared) -> None:
    assert factors(prepared, list(prepared.targets), 5, 5, 5) == (1, 1, 1)


def test_the_price_of_a_label_that_is_missed_falls_where_lower_prices_of_all_would_let_flickers_in(
    prepared: Prepared,
) -> None:
    flickering = [with_flickers(classes, 2) for classes in prepared.targets]
    # at a quarter of all prices, 3 nats of two rows of "Walk" pay for two changes
    assert factors(prepared, flickering, 5, 75, 5) == (1, 1 / 4, 1)


def test_the_price_of_a_label_that_is_found_too_often_rises_above_others(prepared: Prepared) -> None:
    flickering = [with_flickers(classes, 2) for classes in prepared.targets]
    _, run, walk = factors(prepared, flickering, 1, 40, 1.5)  # twice 40 is more than "Run" has
    assert walk > max(1, run)


def test_a_cheaper_model_finds_what_a_dear_one_does_not(fitted: Fitted) -> None:
    dear = replace(fitted.segmenter, decoding=Decoding((1000.0, 1000.0, 1000.0)))
    values = synthetic(100).values
    assert not dear.segments(values)
    cheap = replace(dear, decoding=dear.decoding.at_prices((1 / 200,) * CLASSES))
    assert len(cheap.segments(values)) == 3
