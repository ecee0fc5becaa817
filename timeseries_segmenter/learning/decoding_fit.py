"""What decoding learns from the probabilities of its own training series, and how well it then does."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding import Decoding
from timeseries_segmenter.learning.examples import Example, Shapes
from timeseries_segmenter.learning.metrics import Scores, confusion_matrix, scores_of

FloatArray = NDArray[np.float32]

SMOOTHING_SHARE = 1 / 4  # of an instant's widening
THRESHOLDS = np.linspace(0.1, 0.9, 17)  # of an instant's probability


def with_points(
    decoding: Decoding,
    probabilities: Sequence[FloatArray],
    examples: Sequence[Example],
    shapes: Shapes,
) -> Decoding:
    """Adds how to find instants, if there are any to find.

    The threshold is the one that finds the training series' own instants best (F1), of several
    the middle one.
    """
    if not shapes.points:
        return decoding
    decoding = replace(
        decoding, points=shapes.points, gap=shapes.gap, smoothing=shapes.widening * SMOOTHING_SHARE
    )
    f1s = []
    points = [decoding.point_probabilities(probability) for probability in probabilities]
    for threshold in THRESHOLDS:
        candidate = replace(decoding, threshold=float(threshold))
        hits = found = true = 0
        for point, example in zip(points, examples, strict=True):
            peaks = candidate.peaks(point)
            found += len(peaks)
            true += len(example.instants)
            if len(peaks) and len(example.instants):
                nearest = np.abs(peaks[None, :] - example.instants[:, None]).min(axis=1)
                hits += int((nearest <= max(1, shapes.widening)).sum())
        f1s.append(2 * hits / max(1, found + true))
    best = THRESHOLDS[np.array(f1s) == max(f1s)]
    return replace(decoding, threshold=float(np.median(best)))


def decoded_scores(
    decoding: Decoding,
    probabilities: Sequence[FloatArray],
    examples: Sequence[Example],
    shapes: Shapes,
) -> Scores:
    """Row by row, of the decoded classes; drawn and found instants are widened alike."""
    classes = len(decoding.prices)
    confusion = np.zeros((classes, classes), np.int64)
    for example, probability in zip(examples, probabilities, strict=True):
        found = Example(example.values, decoding.ranges(probability), *decoding.instants(probability))
        confusion += confusion_matrix(shapes.targets(example), shapes.targets(found), classes)
    return scores_of(confusion)
