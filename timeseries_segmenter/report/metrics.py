"""Predicted against annotated segments of labelled tasks, as the metrics of a report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding import class_of
from timeseries_segmenter.learning.metrics import confusion_matrix
from timeseries_segmenter.learning.segment_metrics import Matches, overlap_matches
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import ClassMetrics, Confusion, Metrics, ReliabilityBin
from timeseries_segmenter.project.evaluation import TOLERANCE, Comparison, evaluate
from timeseries_segmenter.segment import LabelSet, Segment

IntArray = NDArray[np.int64]

HALF = 0.5  # overlap of a segment that counts as found


@dataclass(frozen=True, slots=True)
class Classes:
    """The network's classes, background first, and which of them are instants."""

    names: tuple[str, ...]
    label_sets: tuple[LabelSet, ...]
    points: frozenset[int]

    @classmethod
    def from_segmenter(cls, segmenter: Segmenter) -> "Classes":
        """Those of a fitted model."""
        return cls(segmenter.class_names, segmenter.label_sets, frozenset(segmenter.decoding.instant_classes))

    def number(self, segment: Segment) -> int:
        """The class of a segment, 0 if there is none; of either kind if it has only that one."""
        return class_of(segment, self.label_sets, self.points)

    def as_learned(self, segments: Iterable[Segment]) -> list[Segment]:
        """The segments of a kind that was learned: a range of instants becomes one, in its middle."""
        learned = []
        for segment in segments:
            number = self.number(segment)
            point = number in self.points
            if number and point and not segment.instant:
                middle = (segment.first + segment.last) // 2
                learned.append(Segment(middle, middle, segment.labels, segment.score, instant=True))
            elif number and (point or not segment.instant):
                learned.append(segment)
        return learned

    def rows(self, segments: Iterable[Segment], length: int) -> IntArray:
        """Class of the range that each row belongs to, `(length,)`; the shorter one's where they overlap."""
        rows = np.zeros(length, np.int64)
        for segment in sorted(segments, key=len, reverse=True):
            if not segment.instant:
                rows[segment.first : segment.last + 1] = self.number(segment)
        return rows


def measure(
    comparisons: Sequence[Comparison],
    classes: Classes,
    calibration_error: float | None = None,
    reliability: Sequence[ReliabilityBin] = (),
    tolerance: int = TOLERANCE,
) -> Metrics:
    """Metrics over all series, and of each class."""
    overall = evaluate(comparisons, tuple(dict.fromkeys(classes.label_sets)), tolerance)
    count = len(classes.names)
    rows = np.zeros((count, count), np.int64)
    instants = np.zeros((count, count), np.int64)
    for each in comparisons:
        true, predicted = classes.as_learned(each.true), classes.as_learned(each.predicted)
        rows += confusion_matrix(classes.rows(true, each.length), classes.rows(predicted, each.length), count)
        instants += _instant_confusion(classes, true, predicted, tolerance)
    found = [_class_metrics(number, classes, comparisons, rows, instants) for number in range(count)]
    points = sorted(classes.points)
    ranges = [number for number in range(1, count) if number not in classes.points]
    confusions = [_confusion("rows", rows, classes, ranges)] if ranges else []
    confusions += [_confusion("instants", instants, classes, points)] if points else []
    return Metrics(
        **{key: overall[key] for key in ("tasks", "rows", "accuracy", "balanced_accuracy", "macro_f1")},
        **{key: overall[key] for key in ("min_f1", "segment_f1", "point_f1", "tolerance")},
        true_segments=overall["segments"]["true"],
        predicted_segments=overall["segments"]["predicted"],
        classes=found,
        confusions=confusions,
        calibration_error=calibration_error,
        reliability=list(reliability),
    )


def _confusion(
    unit: Literal["rows", "instants"], counts: IntArray, classes: Classes, numbers: list[int]
) -> Confusion:
    shown = [0, *numbers]
    none = "nothing" if unit == "instants" else classes.names[0]
    names = [none, *(classes.names[number] for number in numbers)]
    return Confusion(unit=unit, names=names, counts=counts[np.ix_(shown, shown)].tolist())


def _class_metrics(
    number: int, classes: Classes, comparisons: Sequence[Comparison], rows: IntArray, instants: IntArray
) -> ClassMetrics:
    point = number in classes.points
    confusion = instants if point else rows
    hits, support = int(confusion[number, number]), int(confusion[number].sum())
    predicted = int(confusion[:, number].sum())
    matches = Matches()
    for each in comparisons if number else ():
        true, predicted_of_class = (
            [s for s in classes.as_learned(segments) if classes.number(s) == number]
            for segments in (each.true, each.predicted)
        )
        if point:
            matches += Matches(0, len(predicted_of_class), len(true))
        else:
            matches += overlap_matches(true, predicted_of_class, HALF)
    return ClassMetrics(
        name=classes.names[number],
        kind="instant" if point else "range" if number else "background",
        precision=hits / predicted if predicted else None,
        recall=hits / support if support else None,
        f1=2 * hits / (support + predicted) if support else None,
        support=support,
        segments=matches.true,
        predicted=matches.predicted,
        segment_f1=None if point or not (matches.true or matches.predicted) else matches.f1,
    )


def _instant_confusion(
    classes: Classes, true: Sequence[Segment], predicted: Sequence[Segment], tolerance: int
) -> IntArray:
    """Counts of instants at most `tolerance` rows apart, those of one class first, then the nearest.

    The first row holds predicted instants where nothing is annotated, the first column missed ones.
    """
    counts = np.zeros((len(classes.names), len(classes.names)), np.int64)
    one, other = (
        sorted((s.first, classes.number(s)) for s in segments if s.instant) for segments in (true, predicted)
    )
    rows = np.array([row for row, _ in other], np.int64)
    near = [
        (number != other[j][1], abs(row - other[j][0]), i, j)
        for i, (row, number) in enumerate(one)
        for j in range(*np.searchsorted(rows, [row - tolerance, row + tolerance + 1]).tolist())
    ]
    matched: dict[int, int] = {}
    used: set[int] = set()
    for _, _, i, j in sorted(near):
        if i not in matched and j not in used:
            matched[i] = j
            used.add(j)
    for i, (_, number) in enumerate(one):
        counts[number, other[matched[i]][1] if i in matched else 0] += 1
    for j, (_, number) in enumerate(other):
        if j not in used:
            counts[0, number] += 1
    return counts
