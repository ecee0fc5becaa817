"""Annotated tasks of each pair of tags to a trained and cross-validated model of all of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.labeling.targets import annotated_label_sets
from timeseries_segmenter.learning.cross_validation import CrossValidation, assign_folds, cross_validate
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.observer import NOBODY, Observer
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training import Fitted, Recipe, fit
from timeseries_segmenter.project.labelled_task import LabelledTask, labels_of
from timeseries_segmenter.project.model import Folds, Model
from timeseries_segmenter.segment import UNKNOWN, LabelSet, label_set_name
from timeseries_segmenter.settings import Settings


@dataclass(frozen=True, slots=True)
class PairTraining:
    """What was learned for one pair from `tasks`, and what networks that never saw a task say about it.

    `validation` is None if there is a single task; it took `check_seconds`.
    """

    pair: LabelPair
    tasks: Sequence[LabelledTask]
    fitted: Fitted
    validation: CrossValidation | None
    folds: Mapping[str, int]
    check_seconds: float

    @property
    def segmenter(self) -> Segmenter:
        """The model of the pair, its scores calibrated if it was cross-validated."""
        if self.validation is None:
            return self.fitted.segmenter
        return replace(self.fitted.segmenter, calibration=self.validation.calibration)


@dataclass(frozen=True, slots=True)
class ModelTraining:
    """What was learned for each pair, by its name, and why nothing was for others."""

    pairs: Mapping[str, PairTraining]
    unlearned: Mapping[str, str]

    @property
    def segmenters(self) -> dict[str, Segmenter]:
        """The model: a segmenter for each pair."""
        return {name: each.segmenter for name, each in self.pairs.items()}

    @property
    def check_seconds(self) -> float:
        """What the cross-validation of all pairs took."""
        return sum(each.check_seconds for each in self.pairs.values())

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
) -> ModelTraining:
    """Train and cross-validate a network for each pair.

    `start` is the model before with its folds, for a warm start if that suits.
    Raises TrainingError if there is nothing to learn for any pair.
    """
    trained: dict[str, PairTraining] = {}
    unlearned: dict[str, str] = {}
    for pair in config.pairs:
        observer.on_pair(pair.name)
        try:
            trained[pair.name] = _train_pair(pair, config, annotated[pair.name], settings, start, observer)
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
) -> PairTraining:
    segments = [segment for task in tasks for segment in task.segments]
    label_sets = annotated_label_sets(segments, labels_of(tasks, pair))
    examples = [task.example(label_sets) for task in tasks]
    _check_distinguishable(examples, label_sets)
    card = start.card.pairs.get(pair.name) if start else None
    if card and card.unlabeled != pair.settings.unlabeled:
        start = None  # what it learned of the rows without a region is wrong now
    fitted = fit(
        examples,
        label_sets,
        pair.channels,
        recipe(settings, pair.settings),
        observer,
        start.segmenter(pair, config) if start else None,
    )
    began = time.monotonic()
    names = [str(task.task) for task in tasks]
    folds = assign_folds(names, card.folds if card else {})
    earlier = start.folds.get(pair.name) if start else None
    validation = cross_validate(fitted, [folds[name] for name in names], earlier, observer)
    return PairTraining(pair, tasks, fitted, validation, folds, time.monotonic() - began)


def _check_distinguishable(examples: Sequence[Example], label_sets: Sequence[LabelSet]) -> None:
    """Raise TrainingError if some rows teach nothing, and all others are of one class."""
    classes = {
        int(number) for each in examples for number in (*np.unique(each.classes), *each.instant_classes)
    }
    known = classes - {UNKNOWN}
    if UNKNOWN in classes and len(known) == 1 and (number := known.pop()):
        raise TrainingError(
            f'every row that is learned from is "{label_set_name(label_sets[number - 1])}": annotate another '
            'label, or regions with one that has model_background="true"'
        )


def recipe(settings: Settings, pair: PairSettings) -> Recipe:
    """The part of the settings that a training run follows; those of the pair win."""
    return Recipe(
        epochs=pair.epochs or settings.train_epochs,
        sequence_size=pair.sequence_size or settings.sequence_size,
        hidden_size=pair.hidden_size or settings.hidden_size,
        balanced_accuracy_threshold=settings.balanced_accuracy_threshold,
        min_class_f1_threshold=settings.min_class_f1_threshold,
        use_class_weights=settings.use_class_weights,
        seed=settings.random_seed,
    )
