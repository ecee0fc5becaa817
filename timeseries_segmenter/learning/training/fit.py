"""Annotated series to a fitted Segmenter, in three acts: prepare, optimise, fit the decoding."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.device import choose_device, fork_random
from timeseries_segmenter.learning.examples import Example, choose_some
from timeseries_segmenter.learning.metrics import Scores, scores_of
from timeseries_segmenter.learning.observer import NOBODY, Epoch, Observer, Step
from timeseries_segmenter.learning.opinions.by_stretch import opinions_of_prepared
from timeseries_segmenter.learning.segmenter import FullTraining, Segmentation, Segmenter
from timeseries_segmenter.learning.training import warm_start
from timeseries_segmenter.learning.training.decoding_fit import confuse, fit_decoding
from timeseries_segmenter.learning.training.optimisation import count_steps_in_epoch, optimise
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.training.remembered import Sample
from timeseries_segmenter.learning.training.schedule import LEARNING_RATE, AdaptiveSchedule, Schedule
from timeseries_segmenter.segment import LabelSet

FloatArray = NDArray[np.float32]

MOST_COMPARED = 64  # series by which a model is compared with the one before

__all__ = ["Fitted", "Recipe", "fit"]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of `fit`: the model, its scores on the series it was trained on, and its epochs.

    `deciding` are the scores without classes that fill less than a window, which decide whether it is good
    enough. `warm_started` says whether it began with the weights of an earlier model; `history` holds its own
    epochs. `prepared` is without rolling features, and `probabilities` are what all opinions say about
    its examples, `(T, classes)` each.
    """

    segmenter: Segmenter
    scores: Scores
    deciding: Scores
    history: Sequence[Epoch]
    prepared: Prepared
    probabilities: Sequence[FloatArray]
    warm_started: bool

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return len(self.history)

    @property
    def thresholds_met(self) -> bool:
        """Whether the deciding scores reach those of the recipe."""
        return self.prepared.recipe.met_by(self.deciding)

    @property
    def unlearned(self) -> tuple[LabelSet, ...]:
        """Label sets without an example."""
        return self.prepared.unlearned

    def segmentations(self) -> list[Segmentation]:
        """What the model says about each of the series it was trained on, of the file's rows."""
        return [
            self.segmenter.segmentation(each, example.values, resampling)
            for each, example, resampling in zip(
                self.probabilities, self.prepared.examples, self.prepared.resamplings, strict=True
            )
        ]


def fit(
    examples: Sequence[Example],
    label_sets: Sequence[LabelSet],
    channels: Sequence[str],
    recipe: Recipe,
    observer: Observer = NOBODY,
    start: Segmenter | None = None,
    sample: Sample | None = None,
) -> Fitted:
    """Train a network on `examples`; class `i + 1` in them stands for `label_sets[i]`.

    With `start`, an earlier model, the training is a warm start if that suits the examples, and if its
    result keeps up; else it is one from scratch. The examples may be a `sample` of what there is. Label
    sets without an example are not learned, and named in `Fitted.unlearned`. Raises TrainingError if no
    example holds a labelled row.
    """
    observer.on_step(Step.TRAINING)
    prepared = Prepared.from_examples(examples, label_sets, channels, recipe, sample)
    with fork_random(choose_device(recipe.device)):
        if start and (suited := warm_start.suit(prepared, start)):
            fitted = _fit(suited, warm_start.plan(start), observer, start)
            if prepared.remembered:
                some = suited.part(choose_some(len(examples), MOST_COMPARED, recipe.seed))
                keeps_up = warm_start.goes_on(
                    _scores_of_model(fitted.segmenter, some), _scores_of_model(start, some)
                )
            else:
                keeps_up = warm_start.keeps_up(fitted.deciding, start, recipe)
            if keeps_up:
                return fitted
        most_steps = min(recipe.steps, recipe.epochs * count_steps_in_epoch(prepared))
        schedule = AdaptiveSchedule(LEARNING_RATE, most_steps, recipe.met_by)
        return _fit(prepared, schedule, observer)


def _fit(
    prepared: Prepared, schedule: Schedule, observer: Observer, start: Segmenter | None = None
) -> Fitted:
    network, history = optimise(prepared, start, schedule, observer)
    of_network = prepared.probabilities(network)
    segmenter = fit_decoding(network, prepared, of_network)
    confusion = confuse(segmenter.decoding, prepared, of_network)
    scores = scores_of(confusion)
    confusion[prepared.scarce] = 0
    deciding = scores_of(confusion)
    full = FullTraining(
        history[-1].steps, len(prepared.examples), deciding.balanced_accuracy, deciding.min_f1
    )
    return Fitted(
        replace(segmenter, full_training=start.full_training if start else full),
        scores,
        deciding,
        history,
        prepared.without_features(),
        _pooled(segmenter, prepared, of_network),
        warm_started=start is not None,
    )


def _scores_of_model(model: Segmenter, prepared: Prepared) -> Scores:
    """The deciding scores of a model's network on prepared examples."""
    confusion = confuse(model.decoding, prepared, prepared.probabilities(model.network))
    confusion[prepared.scarce] = 0
    return scores_of(confusion)


def _pooled(
    segmenter: Segmenter, prepared: Prepared, of_network: Sequence[FloatArray]
) -> Sequence[FloatArray]:
    series = zip(of_network, prepared.inputs.features, strict=True)
    return [segmenter.pool.apply(opinions_of_prepared(segmenter, *each)) for each in series]
