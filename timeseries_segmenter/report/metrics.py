"""Predicted against annotated segments of labelled tasks, as the metrics of a report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.decoder import class_of
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.learning.segment_metrics import Matches, match_instants, overlap_matches
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import ClassMetrics, Confusion, Metrics, ReliabilityBin
from timeseries_segmenter.project.evaluation import TOLERANCE, Comparison, evaluate
from timeseries_segmenter.segment import LabelSet, Segment, class_by_row

IntArray = NDArray[np.int64]

HALF = 0.5  # overlap of a segment that counts as found


@dataclass(frozen=True, slots=True)
class Classes:
    """The network's classes, background first, and which of them are instants."""

    names: tuple[str, ...]
    label_sets: tuple[LabelSet, ...]
    instants: frozenset[int]

    @classmethod
    def from_segmenter(cls, segmenter: Segmenter) -> "Classes":
        """Those of a fitted model."""
        return cls(segmenter.class_names, segmenter.label_sets, frozenset(segmenter.decoding.instant_classes))

    @property
    def distinct_label_sets(self) -> tuple[LabelSet, ...]:
        """Each once: one may have a class of ranges, and one of instants."""
        return tuple(dict.fromkeys(self.label_sets))

    def number(self, segment: Segment) -> int:
        """The class of a segment, 0 if there is none; of either kind if it has only that one."""
        return class_of(segment, self.label_sets, self.instants)

    def as_learned(self, segments: Iterable[Segment]) -> list[Segment]:
        """The segments of a kind that was learned: a range of instants becomes one, in its middle."""
        learned = []
        for segment in segments:
            number = self.number(segment)
            instant = number in self.instants
            if number and instant and not segment.instant:
                learned.append(segment.as_instant())
            elif number and (instant or not segment.instant):
                learned.append(segment)
        return learned

    def rows(self, segments: Iterable[Segment], length: int) -> IntArray:
        """Class of the range that each row belongs to, `(length,)` int64, by `class_by_row`."""
        return class_by_row((each for each in segments if not each.instant), self.number, length)


def measure(
    comparisons: Sequence[Comparison],
    classes: Classes,
    calibration_error: float | None = None,
    reliability: Sequence[ReliabilityBin] = (),
    tolerance: int = TOLERANCE,
) -> Metrics:
    """Metrics over all series, and of each class."""
    overall = evaluate(comparisons, classes.distinct_label_sets, tolerance)
    count = len(classes.names)
    rows = np.zeros((count, count), np.int64)
    instants = np.zeros((count, count), np.int64)
    learned = [(classes.as_learned(each.true), classes.as_learned(each.predicted)) for each in comparisons]
    for each, (true, predicted) in zip(comparisons, learned, strict=True):
        rows += confusion_matrix(
            each.true_classes(classes.rows(true, each.length)), classes.rows(predicted, each.length), count
        )
        instants += _instant_confusion(classes, true, predicted, tolerance)
    found = [_class_metrics(number, classes, learned, rows, instants) for number in range(count)]
    of_instants = sorted(classes.instants)
    ranges = [number for number in range(1, count) if number not in classes.instants]
    confusions = [_confusion("rows", rows, classes, ranges)] if ranges else []
    confusions += [_confusion("instants", instants, classes, of_instants)] if of_instants else []
    return Metrics(
        **{key: overall[key] for key in ("tasks", "rows", "accuracy", "balanced_accuracy", "macro_f1")},
        **{key: overall[key] for key in ("min_f1", "segment_f1", "point_f1", "tolerance", "corrections")},
        true_segments=overall["segments"]["true"],
        predicted_segments=overall["segments"]["predicted"],
        classes=found,
        confusions=confusions,
        calibration_error=calibration_error,
        reliability=list(reliability),
    )


def mean_f1(comparison: Comparison, classes: Classes, tolerance: int = TOLERANCE) -> float:
    """`Metrics.mean_f1` of one series, without the rest of its metrics."""
    true, predicted = classes.as_learned(comparison.true), classes.as_learned(comparison.predicted)
    instants = _instant_confusion(classes, true, predicted, tolerance)
    support = instants.sum(axis=1)
    occurs = support > 0
    occurs[0] = False
    rows = comparison.true_classes(classes.rows(true, comparison.length))
    if not occurs.any() or (rows > 0).any():
        return scores_of(comparison.confusion(classes.distinct_label_sets)).macro_f1
    f1 = 2 * np.diag(instants)[occurs] / (support + instants.sum(axis=0))[occurs]
    return float(f1.mean())


def _confusion(
    unit: Literal["rows", "instants"], counts: IntArray, classes: Classes, numbers: list[int]
) -> Confusion:
    shown = [0, *numbers]
    none = "nothing" if unit == "instants" else classes.names[0]
    names = [none, *(classes.names[number] for number in numbers)]
    return Confusion(unit=unit, names=names, counts=counts[np.ix_(shown, shown)].tolist())


def _class_metrics(
    number: int,
    classes: Classes,
    learned: Sequence[tuple[Sequence[Segment], Sequence[Segment]]],
    rows: IntArray,
    instants: IntArray,
) -> ClassMetrics:
    """Those of one class; `learned` are the annotated and the predicted segments of each series."""
    instant = number in classes.instants
    confusion = instants if instant else rows
    hits, support = int(confusion[number, number]), int(confusion[number].sum())
    predicted = int(confusion[:, number].sum())
    matches = Matches()
    for of_series in learned if number else ():
        true, predicted_of_class = (
            [s for s in segments if classes.number(s) == number] for segments in of_series
        )
        if instant:
            matches += Matches(0, len(predicted_of_class), len(true))
        else:
            matches += overlap_matches(true, predicted_of_class, HALF)
    return ClassMetrics(
        name=classes.names[number],
        kind="instant" if instant else "range" if number else "background",
        precision=hits / predicted if predicted else None,
        recall=hits / support if support else None,
        f1=2 * hits / (support + predicted) if support else None,
        support=support,
        segments=matches.true,
        predicted=matches.predicted,
        segment_f1=None if instant or not (matches.true or matches.predicted) else matches.f1,
    )


def _instant_confusion(
    classes: Classes, true: Sequence[Segment], predicted: Sequence[Segment], tolerance: int
) -> IntArray:
    """Counts of instants by `match_instants`: annotated class down, predicted class across.

    The first row holds predicted instants where nothing is annotated, the first column missed ones.
    """
    counts = np.zeros((len(classes.names), len(classes.names)), np.int64)
    one, other = (
        sorted(
            (each for each in segments if each.instant), key=lambda each: (each.first, classes.number(each))
        )
        for segments in (true, predicted)
    )
    matched = match_instants(one, other, tolerance)
    for i, each in enumerate(one):
        counts[classes.number(each), classes.number(other[matched[i]]) if i in matched else 0] += 1
    for j in set(range(len(other))) - set(matched.values()):
        counts[0, classes.number(other[j])] += 1
    return counts
