"""How well decoded probabilities find the segments of prepared examples, and whether a gain is one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.learning.segment_metrics import Matches, instant_matches, overlap_matches
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.segment import UNKNOWN, LabelSet, Segment

FloatArray = NDArray[np.float32]

OVERLAP = 0.5  # of a range that counts as found
TOLERANCE = 5  # rows, for an instant
LEAST_GAIN = 0.01  # of F1, for a change to be worth it


def find(
    prepared: Prepared, decodings: Sequence[Decoding], probabilities: Sequence[FloatArray]
) -> list[Example]:
    """What the decoding of each example finds by its probabilities `(T, classes)`; what is found on rows
    whose target is UNKNOWN is left out, as neither right nor wrong.
    """
    return [
        _found(decoding, example.values, each, targets == UNKNOWN)
        for example, targets, decoding, each in zip(
            prepared.examples, prepared.targets, decodings, probabilities, strict=True
        )
    ]


def match(prepared: Prepared, found: Sequence[Example]) -> tuple[Matches, ...]:
    """How many segments of each example are found: ranges by half their overlap, instants within five
    rows.
    """
    return tuple(
        _matches(example, each, prepared.label_sets)
        for example, each in zip(prepared.examples, found, strict=True)
    )


def row_macro_f1(prepared: Prepared, found: Sequence[Example]) -> float:
    """Macro F1 of all rows, instants widened."""
    classes = prepared.dimensions.classes
    confusion = np.zeros((classes, classes), np.int64)
    for targets, each in zip(prepared.targets, found, strict=True):
        confusion += confusion_matrix(targets, prepared.lengths.targets(each), classes)
    return scores_of(confusion).macro_f1


def is_better(difference: float, noise: float) -> bool:
    """Whether a gain of F1 is more than its noise, and worth a change."""
    return difference > noise and difference >= LEAST_GAIN


def _found(
    decoding: Decoding, values: FloatArray, probabilities: FloatArray, unknown: NDArray[np.bool_]
) -> Example:
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
