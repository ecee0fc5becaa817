"""Labelled series to a fitted Segmenter.

The learning rate warms up, holds while training improves, and then falls to zero ("warmup,
stable, decay", Hu et al. 2024, arXiv 2404.06395): the end can follow from the figures of the
training, and the fall, where most of the gain is, is never cut off.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.nn import functional

from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.learning.decoding import Decoding
from timeseries_segmenter.learning.examples import Example, Shapes, learned_classes, with_learned_classes
from timeseries_segmenter.learning.learned_decoding import decoded_scores, with_points
from timeseries_segmenter.learning.metrics import Scores, confusion_matrix, scores_of
from timeseries_segmenter.learning.network import Dimensions, Network
from timeseries_segmenter.learning.segmenter import FullTraining, Segmenter, best_device
from timeseries_segmenter.learning.standardisation import Standardisation
from timeseries_segmenter.learning.training_windows import NO_TARGET, TrainingWindows
from timeseries_segmenter.segment import LabelSet, label_set_name

IntArray = NDArray[np.int64]

BATCH = 16  # windows
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 0.3
LARGEST_GRADIENT = 1.0
WARMUP = 20  # steps
LEAST_STEPS = 150  # before the learning rate may fall
PATIENCE_MET = 80  # steps without improvement after which it falls, thresholds met
PATIENCE_UNMET = 400  # the same where they are not met
DECAY_SHARE = 1.0  # steps of the fall, as a share of those before it
IMPROVEMENT = 0.02  # of balanced accuracy plus worst F1
CONTINUED_SHARE = 1 / 6  # of a full training's steps
CONTINUED_RATE = LEARNING_RATE / 2
MOST_GROWTH = 1.5  # of the number of series since the last full training
SLACK = 0.08  # of balanced accuracy plus worst F1 that a continued training may stay behind the full one
STEPS_IN_EPOCH = 50  # at most, whatever the size of the project


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
class Epoch:
    """Figures of one epoch, on the training windows as the network met them."""

    number: int
    loss: float
    scores: Scores


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
            fitted = _Training(examples, learned, tuple(channels), recipe).run(None, on_epoch)
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
    full = start.full_training
    training = _Training(examples, label_sets, channels, recipe, start.network.dimensions.stride)
    if not training.can_continue(start):
        return None
    fitted = training.run(start, on_epoch)
    if recipe.met_by(full) and not fitted.thresholds_met:
        return None
    return fitted if _reached(fitted.scores) >= _reached(full) - SLACK else None


class _Training:
    def __init__(
        self,
        examples: Sequence[Example],
        label_sets: tuple[LabelSet, ...],
        channels: tuple[str, ...],
        recipe: Recipe,
        earlier_stride: int | None = None,
    ) -> None:
        self.recipe = recipe
        self.examples = examples
        self.label_sets = label_sets
        self.channels = channels
        self.classes = 1 + len(label_sets)
        self.shapes = Shapes.of(examples)
        self.targets = [self.shapes.targets(example) for example in examples]
        self.standardisation = Standardisation.of([example.values for example in examples])
        stride = self.shapes.stride(recipe.sequence_size)
        if earlier_stride == stride // 2:
            stride = earlier_stride  # suits them nearly as well
        self.window = recipe.sequence_size * stride
        self.device = best_device()
        self.dimensions = Dimensions(self.standardisation.inputs, self.classes, recipe.hidden_size, stride)
        self.class_weights = self._class_weights()
        # the weights draw instants too often: their F1 is that of the unweighted probabilities
        self.class_shift = torch.zeros(self.classes, device=self.device)
        if self.shapes.points and self.class_weights is not None:
            self.class_shift = torch.where(self.class_weights > 0, self.class_weights.log(), torch.inf)
        inputs = [self.standardisation.apply(example.values) for example in examples]
        self.windows = TrainingWindows(inputs, self.targets, self.window, self.device)
        batches = 2 * self.windows.rows / self.window / BATCH  # windows that overlap by half
        self.steps_in_epoch = int(np.clip(np.ceil(batches), 1, STEPS_IN_EPOCH))

    def can_continue(self, start: Segmenter) -> bool:
        """Whether the weights of `start` mean the same for these examples."""
        return (
            (start.label_sets, start.channels, start.window) == (self.label_sets, self.channels, self.window)
            and start.decoding.points == self.shapes.points
            and start.network.dimensions == self.dimensions
            and start.standardisation.same_inputs(self.standardisation)
            and len(self.examples) <= MOST_GROWTH * start.full_training.series
        )

    def run(self, start: Segmenter | None, on_epoch: Callable[[Epoch], None] | None) -> Fitted:
        """Train from the weights of `start`, or from scratch."""
        torch.manual_seed(self.recipe.seed)
        self.network = Network(self.dimensions).to(self.device)
        ends_at, peak_rate = None, LEARNING_RATE
        if start:
            peak_rate = CONTINUED_RATE
            self.network.load_state_dict(start.network.state_dict())
            ends_at = max(WARMUP, round(start.full_training.steps * CONTINUED_SHARE))
        number = 0
        for epoch in self.epochs(peak_rate, ends_at):
            number = epoch.number
            if on_epoch:
                on_epoch(epoch)
        segmenter = Segmenter(
            self.network.eval(),
            self.standardisation,
            Decoding.of([example.classes for example in self.examples], self.classes),
            self.window,
            self.label_sets,
            self.channels,
            start.full_training if start else FullTraining(0, 0, 0.0, 0.0),
        )
        probabilities = [segmenter.probabilities(example.values) for example in self.examples]
        decoding = with_points(segmenter.decoding, probabilities, self.examples, self.shapes)
        scores = decoded_scores(decoding, probabilities, self.examples, self.shapes)
        segmenter = replace(segmenter, decoding=decoding)
        if not start:
            full = FullTraining(self.steps, len(self.examples), scores.balanced_accuracy, scores.min_f1)
            segmenter = replace(segmenter, full_training=full)
        return Fitted(segmenter, scores, number, self.recipe.met_by(scores), (), continued=start is not None)

    def epochs(self, peak_rate: float, ends_at: int | None) -> Iterator[Epoch]:
        """Train, an epoch at a time, until the learning rate has fallen to zero.

        It falls from `peak_rate`, from the first step to the step `ends_at`, or, for None, once the
        figures allow it.
        """
        optimizer = torch.optim.AdamW(
            self.network.parameters(), peak_rate, weight_decay=WEIGHT_DECAY, fused=True
        )
        falls_from = 0
        # a training that may take few epochs still needs some of them for the fall
        last_stable = max(1, round(self.recipe.epochs / (1 + DECAY_SHARE)))
        best, best_step, step = 0.0, 0, 0
        self.steps = 0
        for number in range(1, self.recipe.epochs + 1):
            losses: list[float] = []
            confusion = np.zeros((self.classes, self.classes), np.int64)
            for _ in range(self.steps_in_epoch):
                step += 1
                rate = min(1.0, step / WARMUP)
                if ends_at is not None:
                    rate = min(rate, max(0.0, (ends_at - step) / (ends_at - falls_from)))
                for group in optimizer.param_groups:
                    group["lr"] = peak_rate * rate
                loss, counts = self._step(optimizer)
                losses.append(loss)
                confusion += counts
                if step == ends_at:
                    break
            self.steps = step
            epoch = Epoch(number, float(np.mean(losses)), scores_of(confusion))
            yield epoch
            if ends_at is not None:
                if step >= ends_at:
                    return
                continue
            if _reached(epoch.scores) > best + IMPROVEMENT:
                best, best_step = _reached(epoch.scores), step
            patience = PATIENCE_MET if self.recipe.met_by(epoch.scores) else PATIENCE_UNMET
            if number >= last_stable:
                falls_from, ends_at = step, self.recipe.epochs * self.steps_in_epoch
            elif step >= LEAST_STEPS and step - best_step >= patience:
                falls_from, ends_at = step, step + int(step * DECAY_SHARE)

    def _step(self, optimizer: torch.optim.Optimizer) -> tuple[float, IntArray]:
        windows, targets = self.windows.batch(BATCH)
        self.network.train()
        logits = self.network(windows)
        loss = functional.cross_entropy(
            logits.transpose(1, 2), targets, weight=self.class_weights, ignore_index=NO_TARGET
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        known = targets != NO_TARGET
        truth = targets[known].cpu().numpy()
        predicted = (logits.detach() - self.class_shift).argmax(dim=2)[known].cpu().numpy()
        return float(loss.detach()), confusion_matrix(truth, predicted, self.classes)

    def _class_weights(self) -> Tensor | None:
        if not self.recipe.use_class_weights:
            return None
        rows = np.concatenate(self.targets)
        occurring = np.unique(rows)
        weights: NDArray[np.float64] = np.zeros(self.classes)
        weights[occurring] = compute_class_weight("balanced", classes=occurring, y=rows)
        if self.shapes.points:
            weights = np.sqrt(weights)  # instants are so rare that the full weight drowns the rest
        weights /= weights.sum()
        return torch.tensor(weights, dtype=torch.float32, device=self.device)


def _reached(scores: Scores | FullTraining) -> float:
    return scores.balanced_accuracy + scores.min_f1
