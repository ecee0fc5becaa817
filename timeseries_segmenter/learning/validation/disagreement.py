"""Segments that a model trained without them predicts differently: likely mistakes.

Held-out probabilities, compared with the annotated class segment by segment as confident learning does
row by row (Northcutt et al. 2021, arXiv 1911.00068).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.decoder import class_of
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.validation.cross_validation import CrossValidation
from timeseries_segmenter.segment import LabelSet, Segment

FloatArray = NDArray[np.float32]

BACKGROUND_SHARE = 0.9  # of a predicted segment's rows without an annotation: it may touch its neighbours


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One segment of `examples[example]` for which the model predicts the label set `predicted`, None for
    background.

    A `missing` one was not annotated: `segment` is then the predicted one. `annotated_probability` and
    `predicted_probability` are the means, over its rows, of what was annotated and what is predicted.
    """

    example: int
    segment: Segment
    predicted: LabelSet | None
    annotated_probability: float
    predicted_probability: float
    missing: bool = False

    @property
    def margin(self) -> float:
        """How strong the disagreement is, from 0 to 1."""
        return self.predicted_probability - self.annotated_probability


def disagreements(
    annotated: Sequence[Sequence[Segment]], validation: CrossValidation, segmenter: Segmenter
) -> list[Disagreement]:
    """The strongest disagreements first, with the `annotated` segments of each example.

    `validation` is of `segmenter`. Segments with label sets that it has not learned are passed over.
    """
    label_sets = [None, *segmenter.label_sets]
    found = []
    for example, segments in enumerate(annotated):
        probabilities, targets = validation.probabilities[example], validation.targets[example]
        for segment in segments:
            number = class_of(segment, segmenter.label_sets, segmenter.decoding.instant_classes)
            if number:
                found.append(_compared(example, segment, number, probabilities, label_sets))
        for segment in validation.segmentations[example].segments:
            background = targets[segment.first : segment.last + 1] == 0
            if background.mean() >= BACKGROUND_SHARE:
                found.append(_compared(example, segment, 0, probabilities, label_sets))
    return sorted((each for each in found if each.margin > 0), key=lambda each: -each.margin)


def _compared(
    example: int,
    segment: Segment,
    annotated: int,
    probabilities: FloatArray,
    label_sets: Sequence[LabelSet | None],
) -> Disagreement:
    means = probabilities[segment.first : segment.last + 1].mean(axis=0)
    predicted = int(means.argmax())
    return Disagreement(
        example,
        segment,
        label_sets[predicted],
        float(means[annotated]),
        float(means[predicted]),
        missing=annotated == 0,
    )
