"""Regions that a model trained without them would have drawn differently: likely mistakes.

Out-of-fold probabilities, compared with the drawn class region by region as confident learning does
row by row (Northcutt et al. 2021, arXiv 1911.00068).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.cross_validation import CrossValidation
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.segment import LabelSet, Segment

FloatArray = NDArray[np.float32]

BACKGROUND_SHARE = 0.9  # of a predicted region's rows, where none was drawn: it may touch its neighbours


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One region of `examples[example]` that the model would have drawn with `predicted` label set, None
    for background.

    A `missing` one was not drawn: `segment` is then the predicted region. `drawn_probability` and
    `predicted_probability` are the means, over its rows, of what was drawn and of what was predicted.
    """

    example: int
    segment: Segment
    predicted: LabelSet | None
    drawn_probability: float
    predicted_probability: float
    missing: bool = False

    @property
    def margin(self) -> float:
        """How strong the disagreement is, from 0 to 1."""
        return self.predicted_probability - self.drawn_probability


def disagreements(
    drawn: Sequence[Sequence[Segment]], validation: CrossValidation, segmenter: Segmenter
) -> list[Disagreement]:
    """The strongest disagreements first, with what was `drawn` on each example.

    `validation` is of `segmenter`. Regions with label sets that it has not learned are passed over.
    """
    classes = _Classes(segmenter)
    found = []
    for example, segments in enumerate(drawn):
        probabilities, targets = validation.probabilities[example], validation.targets[example]
        for segment in segments:
            number = classes.number(segment)
            if number:
                found.append(_compared(example, segment, number, probabilities, classes))
        for segment in validation.segmentations[example].segments:
            background = targets[segment.first : segment.last + 1] == 0
            if background.mean() >= BACKGROUND_SHARE:
                found.append(_compared(example, segment, 0, probabilities, classes))
    return sorted((each for each in found if each.margin > 0), key=lambda each: -each.margin)


class _Classes:
    def __init__(self, segmenter: Segmenter) -> None:
        self.label_sets: list[LabelSet | None] = [None, *segmenter.label_sets]
        self._points = segmenter.decoding.points

    def number(self, segment: Segment) -> int:
        """The class of a drawn region; 0 where it is not learned."""
        numbers = [number for number, labels in enumerate(self.label_sets) if labels == segment.labels]
        of_kind = [number for number in numbers if (number in self._points) == segment.instant]
        return next(iter(of_kind or numbers), 0)


def _compared(
    example: int, segment: Segment, drawn: int, probabilities: FloatArray, classes: _Classes
) -> Disagreement:
    means = probabilities[segment.first : segment.last + 1].mean(axis=0)
    predicted = int(means.argmax())
    return Disagreement(
        example,
        segment,
        classes.label_sets[predicted],
        float(means[drawn]),
        float(means[predicted]),
        missing=drawn == 0,
    )
