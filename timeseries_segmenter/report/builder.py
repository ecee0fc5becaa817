"""What a training run made, as the model that is saved: segmenters, folds, card and report."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from timeseries_segmenter.learning.decoding.calibration import reliability
from timeseries_segmenter.learning.inputs.resampling import usual_interval
from timeseries_segmenter.learning.observer import Epoch
from timeseries_segmenter.learning.segment_metrics import Matches
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.fit import Fitted
from timeseries_segmenter.learning.validation.disagreement import disagreements
from timeseries_segmenter.project.card import Card, Metrics, PairCard, RecipeSearch, ReliabilityBin
from timeseries_segmenter.project.evaluation import Comparison
from timeseries_segmenter.project.labelled_task import LabelledTask, count_tasks
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.task import TaskId
from timeseries_segmenter.project.training import ModelTraining, PairTraining
from timeseries_segmenter.report.content import (
    Agreement,
    CurvePoint,
    Disagreement,
    Few,
    LabelAgreement,
    PairReport,
    Report,
    Sample,
    TaskAgreement,
    Unlabelled,
    WorthAnnotating,
)
from timeseries_segmenter.report.metrics import Classes, mean_f1, measure
from timeseries_segmenter.report.samples import Predicted, chosen, sample
from timeseries_segmenter.segment import LabelSet, Segment, label_set_name

FEW_REGIONS = 5  # of a label: with fewer, what was learned may be one region's looks
FEW_TASKS = 2  # with a label: from one task, it can't be learned and checked on another
MOST_EPOCHS = 200  # in the curve
MOST_DISAGREEMENTS = 20
MOST_DISPUTED = 10  # tasks whose annotations agree least


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What networks that never saw a task predict for it, one a task, and how far they can be believed."""

    segments: Sequence[Sequence[Segment]]
    calibration_error: float
    reliability: Sequence[ReliabilityBin]


def reported(
    training: ModelTraining,
    card: Card,
    before: Card | None = None,
    unlabelled: Sequence[Unlabelled] = (),
    stretches: Sequence[WorthAnnotating] = (),
) -> Model:
    """The model of a training run; `card` says what is known of it but for its pairs.

    `before` is the card of the version before, `unlabelled` are the tasks to annotate next, and
    `stretches` parts of long series.
    """
    pairs = [_pair_report(name, each) for name, each in training.pairs.items()]
    of_pairs = {
        each.name: PairCard.model_validate(
            {
                **dict(each),
                "folds": training.pairs[each.name].folds,
                "unlabeled": training.pairs[each.name].pair.settings.unlabeled,
            },
            from_attributes=True,
        )
        for each in pairs
    }
    card = card.model_copy(update={"pairs": of_pairs})
    report = Report.from_card(card, pairs, unlabelled, before, stretches)
    return Model(card, training.segmenters, training.folds, report.beside_card(), training.remembered)


def _pair_report(name: str, training: PairTraining) -> PairReport:
    validation = training.validation
    return pair_report(
        name,
        training.tasks,
        training.fitted,
        HeldOut(
            [each.segments for each in validation.segmentations],
            validation.calibration_error,
            [
                ReliabilityBin(confidence=each.confidence, accuracy=each.accuracy, count=each.count)
                for each in reliability(validation.probabilities, validation.targets)
            ],
        )
        if validation
        else None,
        time_name=training.pair.time_column,
        disagreements=_disagreements(training),
        search=training.search,
        improved=training.segmenter,
    )


def pair_report(
    name: str,
    tasks: Sequence[LabelledTask],
    fitted: Fitted,
    held_out: HeldOut | None,
    *,
    time_name: str | None = None,
    disagreements: Iterable[Disagreement] = (),
    search: RecipeSearch | None = None,
    improved: Segmenter | None = None,
) -> PairReport:
    """One pair's part of the report; `held_out` is in the order of `tasks`, `time_name` its time column.

    `improved` is the fitted model as it predicts, if its cross-validation changed it.
    """
    segmenter = improved or fitted.segmenter
    classes = Classes.from_segmenter(segmenter)
    on_training = _comparisons(tasks, [each.segments for each in fitted.segmentations()])
    shown, metrics = on_training, None
    if held_out:
        shown = _comparisons(tasks, held_out.segments)
        metrics = _measured(tasks, shown, classes, held_out)
    return PairReport(
        name=name,
        class_names=list(segmenter.class_names),
        channels=list(segmenter.channels),
        epochs=fitted.epochs,
        continued=fitted.warm_started,
        thresholds_met=fitted.thresholds_met,
        curve=_curve(fitted.history),
        training=_measured(tasks, on_training, classes),
        held_out=metrics,
        samples=_samples(tasks, shown, classes, held_out is not None, time_name or "row"),
        unlearned=[label_set_name(labels) for labels in fitted.unlearned],
        few=_few(tasks, classes),
        disagreements=list(disagreements)[:MOST_DISAGREEMENTS],
        search=search,
        agreement=_agreement(tasks),
        sampling=_sampling(tasks, fitted),
        weights=segmenter.weights,
        adapts=segmenter.adapts,
    )


def disagreement(
    task: LabelledTask, segment: Segment, annotated: LabelSet, predicted: LabelSet, confidence: float
) -> Disagreement:
    """An annotated or a missing segment of a task's series, in the series' own time."""
    start, end = task.series.start_end(segment.first, segment.last)
    return Disagreement(
        task=task.task,
        start=start,
        end=end,
        drawn=list(annotated),
        predicted=list(predicted),
        confidence=confidence,
        annotation=task.annotation,
        region=segment.region,
    )


def _disagreements(training: PairTraining) -> Iterator[Disagreement]:
    if training.validation is None:
        return
    annotated = [task.segments for task in training.tasks]
    for each in disagreements(annotated, training.validation, training.fitted.segmenter):
        yield disagreement(
            training.tasks[each.example],
            each.segment,
            () if each.missing else each.segment.labels,
            each.predicted or (),
            each.predicted_probability,
        )


def _comparisons(tasks: Sequence[LabelledTask], predicted: Sequence[Sequence[Segment]]) -> list[Comparison]:
    return [task.compare(segments) for task, segments in zip(tasks, predicted, strict=True)]


def _measured(
    tasks: Sequence[LabelledTask],
    comparisons: Sequence[Comparison],
    classes: Classes,
    held_out: HeldOut | None = None,
) -> Metrics:
    """Metrics over all `comparisons`, one a task or a stretch of one."""
    metrics = (
        measure(comparisons, classes, held_out.calibration_error, held_out.reliability)
        if held_out
        else measure(comparisons, classes)
    )
    return metrics.model_copy(update={"tasks": count_tasks(tasks)})


def _samples(
    tasks: Sequence[LabelledTask],
    comparisons: Sequence[Comparison],
    classes: Classes,
    held_out: bool,
    time_name: str,
) -> list[Sample]:
    predicted = [
        Predicted(task.task, task.series, each.true, each.predicted, mean_f1(each, classes), each.known)
        for task, each in zip(tasks, comparisons, strict=True)
    ]
    return [sample(each, why, classes, held_out, time_name) for each, why in chosen(predicted)]


def _few(tasks: Sequence[LabelledTask], classes: Classes) -> list[Few]:
    """Labels that were learned from too little, those with least first."""
    regions: Counter[int] = Counter()
    found_in: defaultdict[int, set[TaskId]] = defaultdict(set)
    for task in tasks:
        numbers = [number for segment in task.segments if (number := classes.number(segment))]
        regions.update(numbers)
        for number in numbers:
            found_in[number].add(task.task)
    few = [
        Few(name=classes.names[number], regions=count, tasks=len(found_in[number]))
        for number, count in regions.items()
        if count < FEW_REGIONS or len(found_in[number]) < FEW_TASKS
    ]
    return sorted(few, key=lambda each: (each.regions, each.name))


def _sampling(tasks: Sequence[LabelledTask], fitted: Fitted) -> str:
    """Which series were brought to another rate, in words; empty if none was."""
    sampling = fitted.segmenter.sampling
    brought, kept = [], []
    of_each = {task.task: (task, each) for task, each in zip(tasks, fitted.prepared.resamplings, strict=True)}
    for task, resampling in of_each.values():
        if task.series.times is not None:
            interval = usual_interval(task.series.times)
            if resampling.positions is not None:
                brought.append(interval)
            elif interval and not sampling.near(interval):
                kept.append(interval)
    unit = " s" if tasks[0].series.time.time_format else ""

    def every(intervals: Sequence[float]) -> str:
        ends = (f"{end / 1000 if unit else end:.4g}" for end in (min(intervals), max(intervals)))
        return f"a row every {' to '.join(dict.fromkeys(ends))}{unit}"

    common = every([sampling.interval])
    sentences = []
    if brought:
        sentences.append(
            f"{len(brought)} of {len(of_each)} series, mostly with {every(brought)}, are sampled unevenly or "
            f"at another rate than most: they were brought to {common}, and what is predicted back to the "
            "rows of their files."
        )
    if kept:
        sentences.append(
            f"{len(kept)} of {len(of_each)} series have {every(kept)}, too far from {common}, and were "
            "learned from as they are: check the unit of their times."
        )
    return " ".join(sentences)


def _agreement(tasks: Sequence[LabelledTask]) -> Agreement | None:
    """How far several people's annotations agree, labels and tasks with the lowest agreement first."""
    of_each = {task.task: task.agreement for task in tasks}  # the same for all stretches of a task
    annotated = [(task, agreement) for task, agreement in of_each.items() if agreement]
    if not annotated:
        return None
    all_have: Counter[LabelSet] = Counter()
    any_has: Counter[LabelSet] = Counter()
    instants: dict[LabelSet, Matches] = {}
    for _, each in annotated:
        for labels, (of_all, of_any) in each.rows.items():
            all_have[labels] += of_all
            any_has[labels] += of_any
        for labels, matches in each.instants.items():
            instants[labels] = instants.get(labels, Matches()) + matches
    of_labels = [
        LabelAgreement(
            name=label_set_name(labels),
            rows=all_have[labels] / any_has[labels] if labels in any_has else None,
            instants=instants[labels].f1 if labels in instants else None,
        )
        for labels in dict.fromkeys([*any_has, *instants])
    ]
    of_tasks = [
        TaskAgreement(task=task, annotations=each.annotations, share=each.share) for task, each in annotated
    ]
    return Agreement(
        tasks=len(annotated),
        labels=sorted(of_labels, key=lambda each: each.lowest),
        lowest=sorted(of_tasks, key=lambda each: each.share)[:MOST_DISPUTED],
    )


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
