"""The optimizer's steps, an epoch at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from timeseries_segmenter.learning.metrics import Scores, confusion_matrix, scores_of
from timeseries_segmenter.learning.network import Network
from timeseries_segmenter.learning.prepared import TrainingSet
from timeseries_segmenter.learning.schedule import Schedule
from timeseries_segmenter.learning.training_windows import NO_TARGET

IntArray = NDArray[np.int64]

BATCH = 16  # windows
WEIGHT_DECAY = 0.3
LARGEST_GRADIENT = 1.0
STEPS_IN_EPOCH = 50  # at most, whatever the size of the project


@dataclass(frozen=True, slots=True)
class Epoch:
    """Figures of one epoch, on the training windows as the network met them."""

    number: int
    loss: float
    scores: Scores


class TrainingLoop:
    """Trains a network on a training set; `steps` counts the optimizer's."""

    def __init__(self, network: Network, data: TrainingSet) -> None:
        self.network = network
        self.steps = 0
        self._data = data
        self._classes = data.dimensions.classes
        # the weights draw instants too often: their F1 is that of the unweighted probabilities
        self._class_shift = torch.zeros(self._classes, device=next(network.parameters()).device)
        if data.shapes.points and data.class_weights is not None:
            self._class_shift = torch.where(data.class_weights > 0, data.class_weights.log(), torch.inf)
        batches = 2 * data.windows.rows / data.windows.size / BATCH  # windows that overlap by half
        self.steps_in_epoch = int(np.clip(np.ceil(batches), 1, STEPS_IN_EPOCH))

    def epochs(self, schedule: Schedule, most: int) -> Iterator[Epoch]:
        """Train until the learning rate has fallen to zero, or for `most` epochs."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), schedule.peak, weight_decay=WEIGHT_DECAY, fused=True
        )
        for number in range(1, most + 1):
            losses: list[float] = []
            confusion = np.zeros((self._classes, self._classes), np.int64)
            for _ in range(self.steps_in_epoch):
                self.steps += 1
                for group in optimizer.param_groups:
                    group["lr"] = schedule.rate(self.steps)
                loss, counts = self._step(optimizer)
                losses.append(loss)
                confusion += counts
                if self.steps == schedule.ends_at:
                    break
            scores = scores_of(confusion)
            yield Epoch(number, float(np.mean(losses)), scores)
            if schedule.ends_at is not None and self.steps >= schedule.ends_at:
                return
            schedule.learn(number, self.steps, scores)

    def _step(self, optimizer: torch.optim.Optimizer) -> tuple[float, IntArray]:
        windows, targets = self._data.windows.batch(BATCH)
        self.network.train()
        logits = self.network(windows)
        loss = functional.cross_entropy(
            logits.transpose(1, 2), targets, weight=self._data.class_weights, ignore_index=NO_TARGET
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        known = targets != NO_TARGET
        truth = targets[known].cpu().numpy()
        predicted = (logits.detach() - self._class_shift).argmax(dim=2)[known].cpu().numpy()
        return float(loss.detach()), confusion_matrix(truth, predicted, self._classes)
