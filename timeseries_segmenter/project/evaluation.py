"""How well predicted segments agree with annotated ones, over the series of several tasks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.labeling.targets import class_indices
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.learning.segment_metrics import (
    Corrections,
    Matches,
    count_corrections,
    edit_score,
    instant_matches,
    overlap_matches_at,
)
from timeseries_segmenter.segment import UNKNOWN, LabelSet, Segment, label_set_name

OVERLAPS = (10, 25, 50, 75, 90)  # percent
TOLERANCE = 5  # rows
LEAST_JUDGED = 1 / 2  # of a predicted range, or of the known rows that it lies on


@dataclass(frozen=True, slots=True)
class Comparison:
    """Annotated and predicted segments of one series of `length` rows.

    Rows that are not `known`, `(length,)`, don't count; None: all are.
    """

    true: Sequence[Segment]
    predicted: Sequence[Segment]
    length: int
    known: NDArray[np.bool_] | None = None

    @classmethod
    def on_known_rows(
        cls, true: Sequence[Segment], predicted: Sequence[Segment], known: NDArray[np.bool_], tolerance: int
    ) -> "Comparison":
        """With what is predicted on known rows; nobody can say whether the rest is right.

        Of a range, the part on a known stretch counts if it is half of the range, or of the stretch.
        """
        if known.all():
            return cls(true, predicted, len(known))
        near = known.copy()
        for segment in _of(true, instant=True):
            near[max(0, segment.first - tolerance) : segment.first + tolerance + 1] = True
        stretches = [(start, end) for is_known, start, end in runs_of(known.astype(np.int64)) if is_known]
        starts, ends = np.array(stretches, np.int64).reshape(-1, 2).T
        judged = [segment for segment in _of(predicted, instant=True) if near[segment.first]]
        for segment in _of(predicted, instant=False):
            overlapped = slice(
                np.searchsorted(ends, segment.first, "right"), np.searchsorted(starts, segment.last, "right")
            )
            for start, end in stretches[overlapped]:
                part = replace(segment, first=max(start, segment.first), last=min(end - 1, segment.last))
                if len(part) >= LEAST_JUDGED * min(len(segment), end - start):
                    judged.append(part)
        judged.sort(key=lambda segment: segment.first)
        return cls(true, judged, len(known), known)

    def true_classes(self, classes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Annotated classes of rows, `(length,)`, with UNKNOWN for those that don't count."""
        return classes if self.known is None else np.where(self.known, classes, UNKNOWN)

    def confusion(self, label_sets: Sequence[LabelSet]) -> NDArray[np.int64]:
        """Counts of rows: annotated class down, predicted class across; background is first."""
        return confusion_matrix(
            self.true_classes(class_indices(self.true, label_sets, self.length)),
            class_indices(self.predicted, label_sets, self.length),
            len(label_sets) + 1,
        )


def evaluate(
    comparisons: Iterable[Comparison], label_sets: Sequence[LabelSet], tolerance: int = TOLERANCE
) -> dict[str, Any]:
    """Metrics over all series: rows by class, ranges by overlap, instants within `tolerance` rows, and what
    a person has to correct.

    Rows whose label set is not one of `label_sets` count as background. Metrics that don't apply are
    None: a label set without a row, ranges or instants if there are neither annotated nor predicted ones.
    """
    confusion = np.zeros((len(label_sets) + 1, len(label_sets) + 1), np.int64)
    overlaps = dict.fromkeys(OVERLAPS, Matches())
    matched_instants, edits, true, predicted, tasks = Matches(), [], 0, 0, 0
    to_correct = Corrections()
    for comparison in comparisons:
        tasks += 1
        true += len(comparison.true)
        predicted += len(comparison.predicted)
        confusion += comparison.confusion(label_sets)
        ranges = [_of(segments, instant=False) for segments in (comparison.true, comparison.predicted)]
        instants = [_of(segments, instant=True) for segments in (comparison.true, comparison.predicted)]
        at_each = overlap_matches_at(ranges[0], ranges[1], [percent / 100 for percent in OVERLAPS])
        for percent, matches in zip(OVERLAPS, at_each, strict=True):
            overlaps[percent] += matches
        matched_instants += instant_matches(instants[0], instants[1], tolerance)
        to_correct += count_corrections(comparison.true, comparison.predicted, tolerance)
        edits.append(edit_score(comparison.true, comparison.predicted))
    scores = scores_of(confusion)
    return {
        "tasks": tasks,
        "rows": int(confusion.sum()),
        "accuracy": scores.accuracy,
        "balanced_accuracy": scores.balanced_accuracy,
        "macro_f1": scores.macro_f1,
        "min_f1": scores.min_f1,
        "f1": {
            name: None if np.isnan(f1) else f1
            for name, f1 in zip(("background", *map(label_set_name, label_sets)), scores.f1, strict=True)
        },
        "segment_f1": {str(percent): _f1(matches) for percent, matches in overlaps.items()},
        "point_f1": _f1(matched_instants),
        "tolerance": tolerance,
        "corrections": {
            "labels": to_correct.labels,
            "added": to_correct.added,
            "removed": to_correct.removed,
            "ends": to_correct.ends,
            "per_region": to_correct.per_region,
        },
        "edit": float(np.mean(edits)),
        "segments": {"true": true, "predicted": predicted, "ratio": predicted / true if true else None},
        "instants": {"true": matched_instants.true, "predicted": matched_instants.predicted},
    }


def table(metrics: dict[str, Any]) -> str:
    """The metrics as lines of text."""
    corrected = metrics["corrections"]
    lines = [
        ("tasks, rows", f"{metrics['tasks']}, {metrics['rows']}"),
        ("accuracy", _shown(metrics["accuracy"])),
        ("balanced accuracy", _shown(metrics["balanced_accuracy"])),
        ("macro F1", _shown(metrics["macro_f1"])),
        ("minimum F1", _shown(metrics["min_f1"])),
        *((f"  F1 {name}", _shown(f1)) for name, f1 in metrics["f1"].items()),
        *((f"segment F1@{percent}", _shown(f1)) for percent, f1 in metrics["segment_f1"].items()),
        (f"point F1 within {metrics['tolerance']} rows", _shown(metrics["point_f1"])),
        ("edit score", _shown(metrics["edit"])),
        ("corrections per region", _shown(corrected["per_region"])),
        ("  labels to change", f"{corrected['labels']}"),
        ("  to add, to remove", f"{corrected['added']}, {corrected['removed']}"),
        ("  ends to move", f"{corrected['ends']}"),
        ("true, predicted segments", f"{metrics['segments']['true']}, {metrics['segments']['predicted']}"),
        ("  of them instants", f"{metrics['instants']['true']}, {metrics['instants']['predicted']}"),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _of(segments: Sequence[Segment], *, instant: bool) -> list[Segment]:
    return [segment for segment in segments if segment.instant == instant]


def _f1(matches: Matches) -> float | None:
    return matches.f1 if matches.true or matches.predicted else None


def _shown(metric: float | None) -> str:
    return "-" if metric is None else f"{metric:.3f}"
