"""Predictions for every example by a network that has never seen it.

The examples are shared out among folds; beside the model of all examples, each fold has a companion,
a network of the examples outside it (Stone 1974, doi 10.1111/j.2517-6161.1974.tb00994.x). The companions
learn for fewer steps than the model does, and from fewer examples: what they reach is a careful
estimate of what the model does on series that it has not seen.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from timeseries_segmenter.learning.calibration import Calibration, expected_calibration_error
from timeseries_segmenter.learning.examples import Example, Shapes, learned_classes, with_learned_classes
from timeseries_segmenter.learning.prepared import TrainingSet
from timeseries_segmenter.learning.schedule import WARMUP, PlannedSchedule
from timeseries_segmenter.learning.segmenter import FullTraining, Segmentation, Segmenter
from timeseries_segmenter.learning.training import (
    LEARNING_RATE,
    Fitted,
    Recipe,
    continued_loop,
    new_loop,
    training_set,
)
from timeseries_segmenter.segment import LabelSet

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Task = TypeVar("Task", bound=Hashable)

MOST_FOLDS = 3
COMPANION_SHARE = 1 / 4  # of the steps of the full training that the model goes back to


def assign_folds(
    tasks: Sequence[Task], earlier: Mapping[Task, int], most: int = MOST_FOLDS
) -> dict[Task, int]:
    """The fold of each task, at most `most` folds; those of `earlier` stay, and are kept for ever.

    A task never comes into a fold whose companion may have learned from it: a new one gets the
    emptiest fold, and where all tasks would be in one, some go to a fold of a new number.
    """
    folds = dict(earlier)
    sizes = Counter(folds[task] for task in tasks if task in folds)
    for task in tasks:
        if task not in folds:
            unused = next(fold for fold in range(len(sizes) + 1) if fold not in sizes)
            folds[task] = unused if len(sizes) < most else min(sizes, key=lambda fold: (sizes[fold], fold))
            sizes[folds[task]] += 1
    if len(tasks) > 1 and len(sizes) == 1:
        folds |= dict.fromkeys(tasks[1::2], max(folds.values()) + 1)
    return folds


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """The companions, by the fold they have not seen, and what they say about it.

    `calibration` is for the model, learned from all examples; a companion's own is learned from the
    examples of the other folds. Per example there are the
    calibrated `probabilities`, `(T, classes)` float32, the class of each row in training, `targets`
    `(T,)`, and the `segmentations`.
    """

    segmenters: dict[int, Segmenter]
    calibration: Calibration
    probabilities: list[FloatArray]
    targets: list[IntArray]
    segmentations: list[Segmentation]

    @property
    def calibration_error(self) -> float:
        """Expected calibration error of all rows, out of fold."""
        return expected_calibration_error(self.probabilities, self.targets)


def cross_validate(
    examples: Sequence[Example],
    label_sets: Sequence[LabelSet],
    fitted: Fitted,
    recipe: Recipe,
    folds: Sequence[int],
    earlier: Mapping[int, Segmenter] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> CrossValidation | None:
    """Out-of-fold predictions for `examples`, those that `fitted` was trained on with `label_sets`.

    Companions have the classes, stride and window of the model, and go on from `earlier` ones where
    the model itself was continued. `on_progress` is told the share done. None for a single fold.
    """
    names = sorted(set(folds))
    if len(names) < 2:
        return None
    classes = learned_classes(examples, label_sets)
    learned = [with_learned_classes(example, label_sets, classes) for example in examples]
    shapes = Shapes.of(learned)
    earlier = earlier if earlier and fitted.continued else {}
    segmenters = {}
    with torch.random.fork_rng():
        for place, fold in enumerate(names):
            data = training_set(
                [example for example, other in zip(learned, folds, strict=True) if other != fold],
                fitted.segmenter.label_sets,
                fitted.segmenter.channels,
                shapes,
                fitted.segmenter.network.dimensions.stride,
                recipe,
            )

            def on_share(share: float, place: int = place) -> None:
                if on_progress:
                    on_progress((place + share) / len(names))

            steps = fitted.segmenter.full_training.steps
            segmenters[fold] = _companion(data, steps, earlier.get(fold), recipe, on_share)
    probabilities = [
        segmenters[fold].probabilities(example.values) for example, fold in zip(examples, folds, strict=True)
    ]
    targets = [shapes.targets(example) for example in learned]
    for fold in names:
        others = [place for place, other in enumerate(folds) if other != fold]
        calibration = Calibration.of(
            [probabilities[place] for place in others], [targets[place] for place in others]
        )
        segmenters[fold] = replace(segmenters[fold], calibration=calibration)
    return CrossValidation(
        segmenters,
        Calibration.of(probabilities, targets),
        [segmenters[fold].calibration.apply(each) for each, fold in zip(probabilities, folds, strict=True)],
        targets,
        [segmenters[fold].segmentation(each) for each, fold in zip(probabilities, folds, strict=True)],
    )


def _companion(
    data: TrainingSet,
    steps: int,
    start: Segmenter | None,
    recipe: Recipe,
    on_share: Callable[[float], None],
) -> Segmenter:
    """A network trained on from `start` where that can be, or for a share of the model's `steps`."""
    if start and data.can_continue(start):
        loop, schedule = continued_loop(data, start, recipe.seed)
        full = start.full_training
    else:
        loop = new_loop(data, recipe.seed)
        schedule = PlannedSchedule(LEARNING_RATE, max(WARMUP, round(steps * COMPANION_SHARE)))
        full = None
    for _ in loop.epochs(schedule, recipe.epochs):
        on_share(loop.steps / schedule.ends_at)
    # nobody asks how good a companion is on what it was trained on
    segmenter = data.segmenter(loop.network, full or FullTraining(loop.steps, len(data.examples), 0.0, 0.0))
    if data.shapes.points:
        segmenter = data.with_instants(segmenter, data.probabilities(segmenter))
    return segmenter
