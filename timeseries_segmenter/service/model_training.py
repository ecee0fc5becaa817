"""Labelled tasks of each pair of tags to a trained model of all of them, and what is known about it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.labeling.targets import drawn_label_sets
from timeseries_segmenter.learning.model_file import TrainedModel
from timeseries_segmenter.learning.training import Fitted, Recipe, fit
from timeseries_segmenter.learning.training_loop import Epoch
from timeseries_segmenter.segment import label_set_name
from timeseries_segmenter.service.labelled_task import LabelledTask, labels_of
from timeseries_segmenter.service.model_store import Model
from timeseries_segmenter.settings import Settings


@dataclass(frozen=True, slots=True)
class ModelTraining:
    """What became of a training: the model, what was fitted for each pair, and metadata of each.

    `unlearned` are the pairs without anything to learn, each with the reason.
    """

    model: TrainedModel
    fitted: dict[str, Fitted]
    metadata: dict[str, dict[str, Any]]
    unlearned: dict[str, str]


def train_model(
    labelled: Mapping[str, Sequence[LabelledTask]],
    config: LabelConfig,
    settings: Settings,
    start: Model | None = None,
    on_epoch: Callable[[Recipe, Epoch], None] | None = None,
) -> ModelTraining:
    """Train a network for each pair, from `start` where that is as good.

    Raises TrainingError where there is nothing to learn for any pair.
    """
    fitted: dict[str, Fitted] = {}
    unlearned: dict[str, str] = {}
    for pair in config.pairs:
        tasks = labelled[pair.name]
        label_sets = drawn_label_sets(
            [segment for task in tasks for segment in task.segments], labels_of(tasks, pair)
        )
        of_pair = recipe(settings, pair.settings)
        try:
            fitted[pair.name] = fit(
                [task.example(label_sets) for task in tasks],
                label_sets,
                pair.channels,
                of_pair,
                partial(on_epoch, of_pair) if on_epoch else None,
                start.segmenter(pair, config) if start else None,
            )
        except TrainingError as error:
            unlearned[pair.name] = str(error)
    if not fitted:
        raise TrainingError("; ".join(unlearned.values()))
    model = TrainedModel({name: each.segmenter for name, each in fitted.items()})
    metadata = {name: {"training": training_figures(each)} for name, each in fitted.items()}
    return ModelTraining(model, fitted, metadata, unlearned)


def recipe(settings: Settings, pair: PairSettings) -> Recipe:
    """The part of the settings that a training follows; those of the pair win."""
    return Recipe(
        epochs=pair.epochs or settings.train_epochs,
        sequence_size=pair.sequence_size or settings.sequence_size,
        hidden_size=pair.hidden_size or settings.hidden_size,
        balanced_accuracy_threshold=settings.balanced_accuracy_threshold,
        min_class_f1_threshold=settings.min_class_f1_threshold,
        use_class_weights=settings.use_class_weights,
        seed=settings.random_seed,
    )


def training_figures(fitted: Fitted) -> dict[str, Any]:
    """Figures on the training series themselves, as they are saved with the model."""
    names = fitted.segmenter.class_names
    return {
        "epochs": fitted.epochs,
        "continued": fitted.continued,
        "thresholds_met": fitted.thresholds_met,
        "accuracy": fitted.scores.accuracy,
        "balanced_accuracy": fitted.scores.balanced_accuracy,
        "macro_f1": fitted.scores.macro_f1,
        "min_f1": fitted.scores.min_f1,
        "f1": {
            name: None if math.isnan(f1) else f1 for name, f1 in zip(names, fitted.scores.f1, strict=True)
        },
        "unlearned": [label_set_name(labels) for labels in fitted.unlearned],
    }
