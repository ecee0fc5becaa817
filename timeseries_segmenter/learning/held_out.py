"""What predictions for series that a network has not seen teach about decoding them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding import Decoding, runs_of
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.learning.pool import Opinions, Pool
from timeseries_segmenter.learning.prepared import Prepared
from timeseries_segmenter.learning.segment_metrics import (
    Matches,
    instant_matches,
    overlap_matches,
    paired_difference,
)
from timeseries_segmenter.segment import UNKNOWN, LabelSet, Segment

FloatArray = NDArray[np.float32]

PRICES = (1 / 8, 1 / 4, 1 / 2, 1, 2)  # of what the lengths of segments say
LEAST_GAIN = 0.01  # of F1, for a change to be worth it
LEAST_EXAMPLES = 4  # with fewer, the noise of a difference can't be estimated
OVERLAP = 0.5  # of a range that counts as found
TOLERANCE = 5  # rows, for an instant


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What was learned from the held-out opinions of networks and forests.

    `pool` is for the model, learned from all examples. `probabilities` `(T, classes)` are pooled, for each
    example, by weights that were learned without it. `price` multiplies the prices of its decoding.
    """

    pool: Pool
    pools: dict[int, Pool]
    probabilities: list[FloatArray]
    price: float


def learn_from_held_out(
    prepared: Prepared, folds: Sequence[int], decodings: Sequence[Decoding], opinions: Sequence[Opinions]
) -> HeldOut:
    """Weigh the `opinions` of each example's fold, and find the price of a change that suits them.

    `decodings` and `opinions` are one per example, in the order of the prepared ones and of their `folds`.
    """
    if len(folds) < LEAST_EXAMPLES:
        probabilities = [Pool().apply(each) for each in opinions]
        return HeldOut(Pool(), dict.fromkeys(folds, Pool()), probabilities, 1.0)
    pools = {}
    for fold in sorted(set(folds)):
        others = [place for place, other in enumerate(folds) if other != fold]
        pools[fold] = Pool.fit(
            [opinions[place] for place in others], [prepared.targets[place] for place in others]
        )
    probabilities = [pools[fold].apply(each) for fold, each in zip(folds, opinions, strict=True)]
    pool = Pool.fit(opinions, prepared.targets)
    return HeldOut(pool, pools, probabilities, _best_price(prepared, decodings, probabilities))


def _best_price(
    prepared: Prepared, decodings: Sequence[Decoding], probabilities: Sequence[FloatArray]
) -> float:
    """The one of PRICES that finds the most segments; 1 unless another is better by more than its noise."""
    matches = {
        price: match_held_out(prepared, [each.at_price(price) for each in decodings], probabilities)[0]
        for price in PRICES
    }
    f1s = {price: sum(each, Matches()).f1 for price, each in matches.items()}
    best = max(f1s, key=lambda price: f1s[price])
    difference, noise = paired_difference(matches[best], matches[1])
    return best if is_better(difference, noise) else 1.0


def is_better(difference: float, noise: float) -> bool:
    """Whether a gain of F1 is more than its noise, and worth a change."""
    return difference > noise and difference >= LEAST_GAIN


def match_held_out(
    prepared: Prepared, decodings: Sequence[Decoding], probabilities: Sequence[FloatArray]
) -> tuple[list[Matches], float]:
    """How well the segments of each example are found, and the macro F1 of all rows."""
    classes = prepared.dimensions.classes
    matches = []
    confusion = np.zeros((classes, classes), np.int64)
    for example, targets, decoding, each in zip(
        prepared.examples, prepared.targets, decodings, probabilities, strict=True
    ):
        found = _found(decoding, example.values, each, targets == UNKNOWN)
        matches.append(_matches(example, found, prepared.label_sets))
        confusion += confusion_matrix(targets, prepared.lengths.targets(found), classes)
    return matches, scores_of(confusion).macro_f1


def _found(
    decoding: Decoding, values: FloatArray, probabilities: FloatArray, unknown: NDArray[np.bool_]
) -> Example:
    """What is found in a series; on `unknown` rows, it is neither right nor wrong."""
    ranges = decoding.ranges(probabilities)
    ranges[unknown] = UNKNOWN
    rows, classes = decoding.instants(probabilities, values)
    known = ~unknown[rows]
    return Example(values, ranges, rows[known], classes[known])


def _matches(example: Example, found: Example, label_sets: Sequence[LabelSet]) -> Matches:
    (ranges, instants), (found_ranges, found_instants) = (
        _segments(each, label_sets) for each in (example, found)
    )
    return overlap_matches(ranges, found_ranges, OVERLAP) + instant_matches(
        instants, found_instants, TOLERANCE
    )


def _segments(example: Example, label_sets: Sequence[LabelSet]) -> tuple[list[Segment], list[Segment]]:
    """The ranges and the instants of a prepared example."""
    ranges = [
        Segment(start, end - 1, label_sets[number - 1])
        for number, start, end in runs_of(example.classes)
        if number > 0
    ]
    instants = [
        Segment(int(row), int(row), label_sets[number - 1], instant=True)
        for row, number in zip(example.instants, example.instant_classes, strict=True)
    ]
    return ranges, instants
