"""How well predicted segments agree with drawn ones, over the series of several tasks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timeseries_segmenter.labeling.targets import class_indices
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.learning.segment_metrics import (
    Matches,
    edit_score,
    instant_matches,
    overlap_matches,
)
from timeseries_segmenter.segment import LabelSet, Segment, label_set_name

OVERLAPS = (10, 25, 50)  # percent
TOLERANCE = 5  # rows


@dataclass(frozen=True, slots=True)
class Comparison:
    """Drawn and predicted segments of one series of `length` rows."""

    true: Sequence[Segment]
    predicted: Sequence[Segment]
    length: int


def evaluate(
    comparisons: Iterable[Comparison], label_sets: Sequence[LabelSet], tolerance: int = TOLERANCE
) -> dict[str, Any]:
    """Figures over all series: rows by class, ranges by overlap, instants within `tolerance` rows.

    Rows whose label set is not one of `label_sets` count as background. Figures that don't apply are
    None: a label set without a row, ranges or instants where there are neither drawn nor predicted ones.
    """
    confusion = np.zeros((len(label_sets) + 1, len(label_sets) + 1), np.int64)
    overlaps = dict.fromkeys(OVERLAPS, Matches())
    matched_instants, edits, true, predicted, tasks = Matches(), [], 0, 0, 0
    for comparison in comparisons:
        tasks += 1
        true += len(comparison.true)
        predicted += len(comparison.predicted)
        confusion += confusion_matrix(
            class_indices(comparison.true, label_sets, comparison.length),
            class_indices(comparison.predicted, label_sets, comparison.length),
            len(label_sets) + 1,
        )
        ranges = [_of(segments, instant=False) for segments in (comparison.true, comparison.predicted)]
        instants = [_of(segments, instant=True) for segments in (comparison.true, comparison.predicted)]
        for percent in OVERLAPS:
            overlaps[percent] += overlap_matches(ranges[0], ranges[1], percent / 100)
        matched_instants += instant_matches(instants[0], instants[1], tolerance)
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
        "edit": float(np.mean(edits)),
        "segments": {"true": true, "predicted": predicted, "ratio": predicted / true if true else None},
        "instants": {"true": matched_instants.true, "predicted": matched_instants.predicted},
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as lines of text."""
    lines = [
        ("tasks, rows", f"{figures['tasks']}, {figures['rows']}"),
        ("accuracy", _shown(figures["accuracy"])),
        ("balanced accuracy", _shown(figures["balanced_accuracy"])),
        ("macro F1", _shown(figures["macro_f1"])),
        ("minimum F1", _shown(figures["min_f1"])),
        *((f"  F1 {name}", _shown(f1)) for name, f1 in figures["f1"].items()),
        *((f"segment F1@{percent}", _shown(f1)) for percent, f1 in figures["segment_f1"].items()),
        (f"point F1 within {figures['tolerance']} rows", _shown(figures["point_f1"])),
        ("edit score", _shown(figures["edit"])),
        ("true, predicted segments", f"{figures['segments']['true']}, {figures['segments']['predicted']}"),
        ("  of them instants", f"{figures['instants']['true']}, {figures['instants']['predicted']}"),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _of(segments: Sequence[Segment], *, instant: bool) -> list[Segment]:
    return [segment for segment in segments if segment.instant == instant]


def _f1(matches: Matches) -> float | None:
    return matches.f1 if matches.true or matches.predicted else None


def _shown(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}"
