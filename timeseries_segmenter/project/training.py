"""Annotated tasks of each pair of tags to a trained and cross-validated model of all of them."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.targets import annotated_label_sets
from timeseries_segmenter.learning.coverage import Described, FloatArray, describe
from timeseries_segmenter.learning.device import choose_device, lent_memory
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.observer import NOBODY, Observer
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.fit import Fitted
from timeseries_segmenter.learning.training.remembered import Remembered, Sample
from timeseries_segmenter.learning.validation.cross_validation import CrossValidation, assign_folds
from timeseries_segmenter.learning.validation.validated import Validated, fit_and_validate
from timeseries_segmenter.project.card import RecipeSearch
from timeseries_segmenter.project.labelled_task import LabelledTask, labels_of
from timeseries_segmenter.project.long_series import LongSeries, stretches_around
from timeseries_segmenter.project.model import Folds, Model
from timeseries_segmenter.project.recipes import recipe
from timeseries_segmenter.project.task import TaskId
from timeseries_segmenter.segment import UNKNOWN, LabelSet, label_set_name
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.words import counted


@dataclass(frozen=True, slots=True)
class Rest:
    """That a run has no room for all annotated tasks: the model `before` remembers something of the other
    `tasks` that runs have read.
    """

    before: Model | None
    tasks: Set[TaskId]


@dataclass(frozen=True, slots=True)
class PairTraining:
    """What was learned for one pair from `tasks`, and what networks that never saw a task say about it.

    `search` found the recipe. What was remembered of the tasks `forgotten` did not suit what was learned.
    """

    pair: LabelPair
    tasks: Sequence[LabelledTask]
    validated: Validated
    folds: Mapping[str, int]
    search: RecipeSearch | None = None
    forgotten: int = 0

    @property
    def fitted(self) -> Fitted:
        """The model as it was fitted on all tasks."""
        return self.validated.fitted

    @property
    def validation(self) -> CrossValidation | None:
        """The cross-validation; None if there is a single task."""
        return self.validated.validation

    @property
    def segmenter(self) -> Segmenter:
        """The model of the pair, improved by what its cross-validation says, if there is one."""
        return self.validated.segmenter

    def annotated_windows(self) -> tuple[list[FloatArray], list[LongSeries]]:
        """The windows of each task's series, as `learning.coverage` compares them; of long series those that
        are annotated, and these series with the others.
        """
        annotated, rest, prepared = [], [], self.fitted.prepared
        series = zip(self.tasks, prepared.examples, prepared.resamplings, strict=True)
        for task, example, resampling in series:
            windows = describe(example.values, prepared.window)
            rows = stretches_around(len(windows), prepared.window, len(example.values), resampling)
            if rows is not None:
                long = LongSeries.from_series(task.task, self.pair.to_name, task.series, windows, rows)
                touched = long.touched(task.annotated.known)
                windows, left = windows[touched], long.part(~touched)
                # with "span", a second stretch would make background of all that lies between
                if len(left.windows) and self.pair.settings.unlabeled == "ignore":
                    rest.append(left)
            annotated += [windows] if len(windows) else []
        return annotated, rest

    @property
    def remarks(self) -> list[str]:
        """A sentence on each label that is scarce, on each task whose annotations look incomplete, and on
        what was forgotten.
        """
        prepared = self.fitted.prepared
        scarce = [
            f'{self.pair.name}: the label "{name}" has {counted(rows, "annotated row")}, less than a window '
            f"of {prepared.window}: it does not decide when a training run ends; annotate more of it"
            for name, rows, is_scarce in zip(
                self.fitted.segmenter.class_names[1:],
                prepared.rows_by_class[1:],
                prepared.scarce[1:],
                strict=True,
            )
            if is_scarce
        ]
        doubtful: Counter[TaskId] = Counter()
        for task, rows in zip(self.tasks, self.validated.doubtful, strict=True):
            doubtful[task.task] += int(rows.sum())
        missing = [
            f"Task {task}: {rows} rows without a region look like those of a label, and were not "
            "learned as background; draw the missing regions"
            for task, rows in doubtful.items()
            if rows
        ]
        anew = (
            f"{self.pair.name}: what earlier runs remembered of {counted(self.forgotten, 'other task')} does "
            "not suit this model, whose windows, channels or sampling differ; it learns from them again in "
            "turns"
        )
        return [*([anew] if self.forgotten else []), *scarce, *missing]


@dataclass(frozen=True, slots=True)
class ModelTraining:
    """What was learned for each pair, by its name, and why nothing was for others."""

    pairs: Mapping[str, PairTraining]
    unlearned: Mapping[str, str]

    @property
    def segmenters(self) -> dict[str, Segmenter]:
        """The model: a segmenter for each pair."""
        return {name: each.segmenter for name, each in self.pairs.items()}

    def annotated_windows(self) -> tuple[list[Described], list[LongSeries]]:
        """Those of the tasks' series, by the names of their TimeSeries, and long series with the others."""
        by_name = {each.pair.to_name: each for each in reversed(list(self.pairs.values()))}
        found = {name: each.annotated_windows() for name, each in by_name.items()}
        return (
            [{name: windows} for name, (annotated, _) in found.items() for windows in annotated],
            [series for _, rest in found.values() for series in rest],
        )

    def with_searches(self, searches: Mapping[str, RecipeSearch]) -> "ModelTraining":
        """The same after searches that found no better recipe."""
        pairs = {name: replace(each, search=searches.get(name)) for name, each in self.pairs.items()}
        return replace(self, pairs=pairs)

    @property
    def check_seconds(self) -> float:
        """What the cross-validation of all pairs took."""
        return sum(each.validated.check_seconds for each in self.pairs.values())

    @property
    def remarks(self) -> list[str]:
        """Those of all pairs, each sentence once."""
        return list(dict.fromkeys(remark for each in self.pairs.values() for remark in each.remarks))

    @property
    def remembered(self) -> dict[str, Remembered]:
        """What the next run knows of the tasks of each pair, if there is no room for all."""
        remembered = {name: each.fitted.prepared.remembered for name, each in self.pairs.items()}
        return {name: each for name, each in remembered.items() if each}

    @property
    def folds(self) -> dict[str, Folds]:
        """Those of the cross-validation."""
        return {name: each.validation.segmenters for name, each in self.pairs.items() if each.validation}


def train_model(
    annotated: Mapping[str, Sequence[LabelledTask]],
    config: LabelConfig,
    settings: Settings,
    start: Model | None = None,
    observer: Observer = NOBODY,
    searches: Mapping[str, RecipeSearch] | None = None,
    rest: Rest | None = None,
) -> ModelTraining:
    """Train and cross-validate a network for each pair.

    `start` is the model before with its folds, for a warm start if that suits. `searches` are the last ones
    of each pair, whose recipes are followed. `rest` are annotated tasks beside those that are given.
    Raises TrainingError if there is nothing to learn for any pair.
    """
    trained: dict[str, PairTraining] = {}
    unlearned: dict[str, str] = {}
    for pair in config.pairs:
        observer.on_pair(pair.name)
        tasks, searched = annotated[pair.name], (searches or {}).get(pair.name)
        try:
            with lent_memory(choose_device(settings.device)):
                trained[pair.name] = _train_pair(
                    pair, config, tasks, settings, start, observer, searched, rest
                )
        except TrainingError as error:
            unlearned[pair.name] = str(error)
    if not trained:
        raise TrainingError("; ".join(unlearned.values()))
    return ModelTraining(trained, unlearned)


def _train_pair(
    pair: LabelPair,
    config: LabelConfig,
    tasks: Sequence[LabelledTask],
    settings: Settings,
    start: Model | None,
    observer: Observer,
    searched: RecipeSearch | None,
    rest: Rest | None,
) -> PairTraining:
    segments = [segment for task in tasks for segment in task.segments]
    label_sets = annotated_label_sets(segments, labels_of(tasks, pair))
    examples = [task.example(label_sets) for task in tasks]
    _check_distinguishable(examples, label_sets)
    card = start.card.pairs.get(pair.name) if start else None
    if card and card.unlabeled != pair.settings.unlabeled:
        start = None  # what it learned of the rows without a region is wrong now
    names = [str(task.task) for task in tasks]  # once for each stretch: they are all in one fold
    folds = assign_folds(list(dict.fromkeys(names)), card.folds if card else {})
    of_examples = [folds[name] for name in names]
    sample = _sample(pair, config, names, of_examples, rest) if rest else None
    validated = fit_and_validate(
        examples,
        label_sets,
        pair.channels,
        recipe(settings, pair.settings, searched),
        of_examples,
        observer,
        start.segmenter(pair, config) if start else None,
        start.folds.get(pair.name) if start else None,
        sample,
    )
    return PairTraining(pair, tasks, validated, folds, searched, _count_forgotten(sample, validated.fitted))


def _sample(
    pair: LabelPair, config: LabelConfig, names: Sequence[str], folds: Sequence[int], rest: Rest
) -> Sample:
    before = rest.before
    card = before.card.pairs.get(pair.name) if before else None
    if before is None or (card and card.unlabeled != pair.settings.unlabeled):
        return Sample(names, folds)
    remembered = before.remembered.get(pair.name)
    known = remembered.of_tasks({str(task) for task in rest.tasks}) if remembered else None
    return Sample(names, folds, before.segmenter(pair, config), known)


def _count_forgotten(sample: Sample | None, fitted: Fitted) -> int:
    """The tasks of which something was remembered that says nothing of the inputs that were learned."""
    known, kept = sample.remembered if sample else None, fitted.prepared.remembered
    if known is None or (kept and kept.kernels is known.kernels):
        return 0
    return len(set(known.names))


def _check_distinguishable(examples: Sequence[Example], label_sets: Sequence[LabelSet]) -> None:
    """Raise TrainingError if some rows teach nothing, and all others are of one class, or instants."""
    of_rows: set[int] = set()
    instants: set[int] = set()
    for example in examples:
        between = np.delete(example.classes, example.instants)
        of_rows.update(np.unique(between).tolist())
        instants.update(example.instant_classes.tolist())
    known = of_rows - {UNKNOWN}
    background = 'regions with a label that has model_background="true"'
    if UNKNOWN not in of_rows:
        return
    if instants and not known:
        raise TrainingError(
            f"nothing but instants is learned from: annotate what lies between them, by {background}"
        )
    if len(known | instants) == 1 and (number := known.pop()):
        raise TrainingError(
            f'every row that is learned from is "{label_set_name(label_sets[number - 1])}": annotate another '
            f"label, or {background}"
        )
