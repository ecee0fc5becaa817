"""What predictions for series that a network has not seen teach about decoding them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.examples import choose_some
from timeseries_segmenter.learning.opinions.pool import Opinions, Pool
from timeseries_segmenter.learning.segment_metrics import Matches
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.validation.matching import LEAST_GAIN, find, match
from timeseries_segmenter.learning.validation.prices import fit_price_factors

FloatArray = NDArray[np.float32]

MOST_CHOOSING = 32  # examples by which it is chosen whose opinions count
LEAST_EXAMPLES = 4  # with fewer, the noise of a difference can't be estimated


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What was learned from the held-out opinions of networks and those beside them.

    `pool` is for the model, learned from all examples. `probabilities` `(T, classes)` are pooled, for each
    example, by weights that were learned without it. `price_factors` multiply the prices of its decoding.
    `adapts` says whether they are those of networks that adapt to the series.
    """

    pool: Pool
    pools: dict[int, Pool]
    probabilities: list[FloatArray]
    price_factors: tuple[float, ...]
    adapts: bool = False


def learn_from_held_out(
    prepared: Prepared, folds: Sequence[int], segmenters: Mapping[int, Segmenter]
) -> HeldOut:
    """What the `segmenters` of the `folds`, which are one per example, teach by their opinions of it.

    Of many examples, some say which opinions count, and all how much.
    """
    of_examples = [segmenters[fold] for fold in folds]
    some = choose_some(len(folds), MOST_CHOOSING, prepared.recipe.seed)
    chosen = _choose(
        prepared.part(some), [folds[place] for place in some], [of_examples[place] for place in some]
    )
    if len(some) == len(folds):
        return chosen
    alike = [each.with_pool(chosen.pool, adapts=chosen.adapts) for each in of_examples]
    opinions = [each.opinions(example.values) for each, example in zip(alike, prepared.examples, strict=True)]
    learned, _ = _learn(prepared, folds, [each.decoding for each in of_examples], opinions)
    return replace(learned, adapts=chosen.adapts)


def _choose(prepared: Prepared, folds: Sequence[int], of_examples: Sequence[Segmenter]) -> HeldOut:
    """With instants, no network adapts: their threshold suits what it says of the training series as they
    are.
    """
    said = [(each, example.values) for each, example in zip(of_examples, prepared.examples, strict=True)]
    opinions = [each.opinions(values) for each, values in said]
    adapted = None
    if not prepared.lengths.instant_classes:
        adapted = [each.adapted_opinion(values) for each, values in said]
    return weigh(prepared, folds, [each.decoding for each in of_examples], opinions, adapted)


def weigh(
    prepared: Prepared,
    folds: Sequence[int],
    decodings: Sequence[Decoding],
    opinions: Sequence[Opinions],
    adapted: Sequence[FloatArray] | None = None,
) -> HeldOut:
    """Weigh the `opinions` of each example's fold, and find the prices of changes that suit them.

    Few examples are too few for that: all opinions count alike, and prices stay. In either case the
    convolutions get a weight only if more segments are found with them. The networks adapt only if clearly
    more are found by what they say of `adapted` series, if that is known. `decodings`, `opinions` and
    `adapted` are one per example, in the order of the prepared ones and of their `folds`.
    """
    best, most = _learn(prepared, folds, decodings, opinions)
    if opinions[0].convolutions is not None:
        without = [each._replace(convolutions=None) for each in opinions]
        learned, f1 = _learn(prepared, folds, decodings, without)
        if f1 >= most:
            best, most, opinions = learned, f1, without
    if adapted is None:
        return best
    changed = [each._replace(network=own) for each, own in zip(opinions, adapted, strict=True)]
    learned, f1 = _learn(prepared, folds, decodings, changed)
    return replace(learned, adapts=True) if f1 >= most + LEAST_GAIN else best


def _count_alike(
    prepared: Prepared, folds: Sequence[int], decodings: Sequence[Decoding], opinions: Sequence[Opinions]
) -> tuple[HeldOut, float]:
    """The opinions with equal weights, and the F1 of the segments that are found by them."""
    pool = Pool.equal(*opinions[0].beside)
    probabilities = [pool.apply(each) for each in opinions]
    unchanged = (1.0,) * prepared.dimensions.classes
    f1 = _segment_f1(prepared, decodings, probabilities)
    return HeldOut(pool, dict.fromkeys(folds, pool), probabilities, unchanged), f1


def _learn(
    prepared: Prepared, folds: Sequence[int], decodings: Sequence[Decoding], opinions: Sequence[Opinions]
) -> tuple[HeldOut, float]:
    """What all these opinions say, and the F1 of the segments that are found by it."""
    if len(folds) < LEAST_EXAMPLES:
        return _count_alike(prepared, folds, decodings, opinions)
    pools, equal = {}, Pool.equal(*opinions[0].beside)
    for fold in sorted(set(folds)):
        others = [place for place, other in enumerate(folds) if other != fold]
        pools[fold] = equal
        if others:
            pools[fold] = Pool.fit(
                [opinions[place] for place in others], [prepared.targets[place] for place in others]
            )
    probabilities = [pools[fold].apply(each) for fold, each in zip(folds, opinions, strict=True)]
    factors = fit_price_factors(prepared, decodings, probabilities)
    f1 = _segment_f1(prepared, [each.at_prices(factors) for each in decodings], probabilities)
    return HeldOut(Pool.fit(opinions, prepared.targets), pools, probabilities, factors), f1


def _segment_f1(
    prepared: Prepared, decodings: Sequence[Decoding], probabilities: Sequence[FloatArray]
) -> float:
    return sum(match(prepared, find(prepared, decodings, probabilities)), Matches()).f1
