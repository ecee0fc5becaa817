"""Labelled series to a fitted Segmenter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.learning.examples import Example, Shapes, learned_classes, with_learned_classes
from timeseries_segmenter.learning.metrics import Scores
from timeseries_segmenter.learning.network import Network
from timeseries_segmenter.learning.optimisation import Epoch, TrainingLoop
from timeseries_segmenter.learning.prepared import TrainingSet
from timeseries_segmenter.learning.schedule import WARMUP, AdaptiveSchedule, PlannedSchedule, Schedule
from timeseries_segmenter.learning.segmenter import FullTraining, Segmenter, best_device
from timeseries_segmenter.segment import LabelSet, label_set_name

LEARNING_RATE = 4e-3
CONTINUED_SHARE = 1 / 6  # of a full training's steps
CONTINUED_RATE = LEARNING_RATE / 2
SLACK = 0.08  # of balanced accuracy plus worst F1 that a continued training may stay behind the full one


@dataclass(frozen=True, slots=True)
class Recipe:
    """What people can set about a training."""

    epochs: int = 1000
    sequence_size: int = 50
    hidden_size: int = 64
    balanced_accuracy_threshold: float = 0.85
    min_class_f1_threshold: float = 0.70
    use_class_weights: bool = True
    seed: int = 0

    def met_by(self, scores: Scores | FullTraining) -> bool:
        """Whether a training with these scores may end."""
        return (
            scores.balanced_accuracy >= self.balanced_accuracy_threshold
            and scores.min_f1 >= self.min_class_f1_threshold
        )


@dataclass(frozen=True, slots=True)
class Fitted:
    """A training's result: the model, and its scores on the series it was trained on.

    `continued` tells whether it went on from an earlier model; `epochs` counts its own.
    """

    segmenter: Segmenter
    scores: Scores
    epochs: int
    thresholds_met: bool
    unlearned: tuple[LabelSet, ...]
    continued: bool = False


def fit(
    examples: Sequence[Example],
    label_sets: Sequence[LabelSet],
    channels: Sequence[str],
    recipe: Recipe,
    on_epoch: Callable[[Epoch], None] | None = None,
    start: Segmenter | None = None,
) -> Fitted:
    """Train a network on `examples`; class `i + 1` in them stands for `label_sets[i]`.

    Training goes on from `start`, an earlier model, where that model has the same classes, inputs
    and window and was last fully trained on not many fewer series, and where the result is as good
    as that full training was; otherwise it starts from scratch.

    Label sets without an example are not learned, and named in `Fitted.unlearned`. Raises
    TrainingError where no example holds a labelled row.
    """
    classes = learned_classes(examples, label_sets)
    if not classes:
        names = ", ".join(map(label_set_name, label_sets))
        raise TrainingError(
            f"{len(examples)} annotated tasks, but no region with one of the labels {names}: "
            "draw at least one"
        )
    examples = [with_learned_classes(example, label_sets, classes) for example in examples]
    learned = tuple(each.labels for each in classes)
    with torch.random.fork_rng():
        fitted = _continued(examples, learned, tuple(channels), recipe, on_epoch, start) if start else None
        if fitted is None:
            shapes = Shapes.of(examples)
            stride = shapes.stride(recipe.sequence_size)
            data = training_set(examples, learned, tuple(channels), shapes, stride, recipe)
            fitted = _from_scratch(data, recipe, on_epoch)
    return replace(fitted, unlearned=tuple(labels for labels in label_sets if labels not in learned))


def _continued(
    examples: Sequence[Example],
    label_sets: tuple[LabelSet, ...],
    channels: tuple[str, ...],
    recipe: Recipe,
    on_epoch: Callable[[Epoch], None] | None,
    start: Segmenter,
) -> Fitted | None:
    """What comes of training on from `start`; None where that can't be or is not good enough."""
    shapes = Shapes.of(examples)
    stride = shapes.stride(recipe.sequence_size)
    if start.network.dimensions.stride == stride // 2:
        stride //= 2  # suits them nearly as well
    data = training_set(examples, label_sets, channels, shapes, stride, recipe)
    if not data.can_continue(start):
        return None
    loop, schedule = continued_loop(data, start, recipe.seed)
    epochs = _run(loop, schedule, recipe, on_epoch)
    full = start.full_training
    segmenter, scores = _scored(data, loop, full)
    fitted = Fitted(segmenter, scores, epochs, recipe.met_by(scores), (), continued=True)
    if recipe.met_by(full) and not fitted.thresholds_met:
        return None
    return fitted if _reached(scores) >= _reached(full) - SLACK else None


def _from_scratch(data: TrainingSet, recipe: Recipe, on_epoch: Callable[[Epoch], None] | None) -> Fitted:
    loop = new_loop(data, recipe.seed)
    schedule = AdaptiveSchedule(LEARNING_RATE, recipe.epochs, loop.steps_in_epoch, recipe.met_by)
    epochs = _run(loop, schedule, recipe, on_epoch)
    segmenter, scores = _scored(data, loop, FullTraining(0, 0, 0.0, 0.0))
    full = FullTraining(loop.steps, len(data.examples), scores.balanced_accuracy, scores.min_f1)
    segmenter = replace(segmenter, full_training=full)
    return Fitted(segmenter, scores, epochs, recipe.met_by(scores), ())


def _scored(data: TrainingSet, loop: TrainingLoop, full: FullTraining) -> tuple[Segmenter, Scores]:
    segmenter = data.segmenter(loop.network, full)
    probabilities = data.probabilities(segmenter)
    segmenter = data.with_instants(segmenter, probabilities)
    return segmenter, data.scores(segmenter, probabilities)


def training_set(
    examples: Sequence[Example],
    label_sets: tuple[LabelSet, ...],
    channels: tuple[str, ...],
    shapes: Shapes,
    stride: int,
    recipe: Recipe,
) -> TrainingSet:
    """Examples with learned classes, prepared as the recipe says."""
    return TrainingSet.of(
        examples,
        label_sets,
        channels,
        shapes,
        stride=stride,
        sequence_size=recipe.sequence_size,
        hidden_size=recipe.hidden_size,
        use_class_weights=recipe.use_class_weights,
        device=best_device(),
    )


def new_loop(data: TrainingSet, seed: int) -> TrainingLoop:
    """The training of a new network."""
    torch.manual_seed(seed)
    return TrainingLoop(Network(data.dimensions).to(best_device()), data)


def continued_loop(data: TrainingSet, start: Segmenter, seed: int) -> tuple[TrainingLoop, PlannedSchedule]:
    """The training of a copy of an earlier network, and its schedule."""
    loop = new_loop(data, seed)
    loop.network.load_state_dict(start.network.state_dict())
    ends_at = max(WARMUP, round(start.full_training.steps * CONTINUED_SHARE))
    return loop, PlannedSchedule(CONTINUED_RATE, ends_at)


def _run(
    loop: TrainingLoop, schedule: Schedule, recipe: Recipe, on_epoch: Callable[[Epoch], None] | None
) -> int:
    """Number of epochs of a whole training."""
    number = 0
    for epoch in loop.epochs(schedule, recipe.epochs):
        number = epoch.number
        if on_epoch:
            on_epoch(epoch)
    return number


def _reached(scores: Scores | FullTraining) -> float:
    return scores.balanced_accuracy + scores.min_f1
