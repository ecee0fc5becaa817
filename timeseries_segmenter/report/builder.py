"""A pair's labelled tasks, what was learned from them and how it was checked, as its part of a report."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from timeseries_segmenter.labeling.regions import stored_segments
from timeseries_segmenter.learning.observer import Epoch
from timeseries_segmenter.learning.training import Fitted
from timeseries_segmenter.project.evaluation import Comparison
from timeseries_segmenter.project.labelled_task import LabelledTask
from timeseries_segmenter.report.content import (
    CurvePoint,
    Disagreement,
    Few,
    Figures,
    PairReport,
    PastFigures,
    Previous,
    ReliabilityBin,
    Sample,
)
from timeseries_segmenter.report.figures import Classes, figures
from timeseries_segmenter.report.samples import Predicted, chosen, sample
from timeseries_segmenter.segment import LabelSet, Segment, label_set_name

FEW_REGIONS = 5  # of a label: with fewer, what was learned may be one region's looks
FEW_TASKS = 2  # with a label: from one task, it can't be learned and checked on another
MOST_EPOCHS = 200  # in the curve
MOST_DISAGREEMENTS = 20


class Bin(Protocol):
    """Rows that are given about the same probability: how high it is, and how often it is right."""

    @property
    def confidence(self) -> float: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """What networks that never saw a task predict for it, one a task, and how far they can be believed."""

    segments: Sequence[Sequence[Segment]]
    calibration_error: float
    reliability: Sequence[Bin]


def pair_report(
    name: str,
    tasks: Sequence[LabelledTask],
    fitted: Fitted,
    checked: Checked | None,
    *,
    time_name: str | None = None,
    disagreements: Iterable[Disagreement] = (),
) -> PairReport:
    """One pair's part of the report; `checked` is in the order of `tasks`, `time_name` its time column."""
    segmenter = fitted.segmenter
    classes = Classes.of(segmenter)
    on_training = _comparisons(tasks, [segmenter.segments(task.series.values) for task in tasks])
    held_out = _comparisons(tasks, checked.segments) if checked else []
    return PairReport(
        name=name,
        class_names=list(segmenter.class_names),
        channels=list(segmenter.channels),
        epochs=fitted.epochs,
        continued=fitted.warm_started,
        thresholds_met=fitted.thresholds_met,
        curve=_curve(fitted.history),
        training=figures(on_training, classes),
        held_out=_held_out(held_out, classes, checked) if checked else None,
        samples=_samples(tasks, held_out or on_training, classes, bool(held_out), time_name or "row"),
        unlearned=[label_set_name(labels) for labels in fitted.unlearned],
        few=_few(tasks, classes),
        disagreements=list(disagreements)[:MOST_DISAGREEMENTS],
    )


def _held_out(comparisons: Sequence[Comparison], classes: Classes, checked: Checked) -> Figures:
    bins = [
        ReliabilityBin(confidence=each.confidence, accuracy=each.accuracy, count=each.count)
        for each in checked.reliability
    ]
    return figures(comparisons, classes, checked.calibration_error, bins)


def disagreement(
    task: LabelledTask, segment: Segment, drawn: LabelSet, predicted: LabelSet, confidence: float
) -> Disagreement:
    """A drawn or a missing segment of a task's series, in the series' own time."""
    start, end = task.series.start_end(segment.first, segment.last)
    return Disagreement(
        task=task.task,
        start=start,
        end=end,
        drawn=list(drawn),
        predicted=list(predicted),
        confidence=confidence,
        annotation=task.annotation,
        region=segment.region,
    )


def previous(metadata: Mapping[str, Any]) -> Previous:
    """The figures of an earlier version, from what was saved with it; what was not is left out."""
    pairs = {}
    for name, pair in metadata.get("pairs", {}).items():
        with suppress(ValidationError):  # another version of this service may keep other figures
            pairs[name] = PastFigures.model_validate(pair.get("held_out"))
    return Previous(
        version=metadata.get("version", ""), created_at=metadata.get("created_at", ""), pairs=pairs
    )


def _comparisons(tasks: Sequence[LabelledTask], predicted: Sequence[Sequence[Segment]]) -> list[Comparison]:
    return [
        Comparison(task.segments, stored_segments(segments, task.series), len(task.series))
        for task, segments in zip(tasks, predicted, strict=True)
    ]


def _samples(
    tasks: Sequence[LabelledTask],
    comparisons: Sequence[Comparison],
    classes: Classes,
    held_out: bool,
    time_name: str,
) -> list[Sample]:
    predicted = [
        Predicted(task.task, task.series, each.true, each.predicted, figures([each], classes).mean_f1)
        for task, each in zip(tasks, comparisons, strict=True)
    ]
    return [sample(each, why, classes, held_out, time_name) for each, why in chosen(predicted)]


def _few(tasks: Sequence[LabelledTask], classes: Classes) -> list[Few]:
    """Labels that were learned from too little, those with least first."""
    regions: Counter[int] = Counter()
    found_in: Counter[int] = Counter()
    for task in tasks:
        numbers = [number for segment in task.segments if (number := classes.number(segment))]
        regions.update(numbers)
        found_in.update(set(numbers))
    few = [
        Few(name=classes.names[number], regions=count, tasks=found_in[number])
        for number, count in regions.items()
        if count < FEW_REGIONS or found_in[number] < FEW_TASKS
    ]
    return sorted(few, key=lambda each: (each.regions, each.name))


def _curve(epochs: Sequence[Epoch]) -> list[CurvePoint]:
    step = max(1, -(-len(epochs) // MOST_EPOCHS))
    shown = {*range(0, len(epochs), step), len(epochs) - 1} if epochs else set()
    return [
        CurvePoint(
            epoch=epochs[place].number,
            loss=epochs[place].loss,
            balanced_accuracy=epochs[place].scores.balanced_accuracy,
            min_f1=epochs[place].scores.min_f1,
        )
        for place in sorted(shown)
    ]
