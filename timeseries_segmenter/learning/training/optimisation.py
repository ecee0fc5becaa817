"""The second act of training: prepared examples to a network."""

import copy
import math

import numpy as np
import torch
from torch.nn import functional

from timeseries_segmenter.learning.device import CPU, OutOfMemory, choose_device, log_fallback
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.learning.observer import NOBODY, Epoch, Observer
from timeseries_segmenter.learning.opinions.network import Network
from timeseries_segmenter.learning.optimisers import AdamW
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.schedule import Schedule
from timeseries_segmenter.segment import UNKNOWN

BATCH = 16  # windows
WEIGHT_DECAY = 0.3
LARGEST_GRADIENT = 1.0
STEPS_IN_EPOCH = 50  # at most, whatever the size of the project


def optimise(
    prepared: Prepared, start: Segmenter | None, schedule: Schedule, observer: Observer = NOBODY
) -> tuple[Network, list[Epoch]]:
    """Train a new network, or a copy of that of `start`, until the learning rate has fallen to zero or for as
    many epochs as the recipe allows.

    The random numbers of PyTorch begin with the recipe's seed. If its device has no memory left, the CPU
    begins anew. Raises DeviceError.
    """
    device, untouched = choose_device(prepared.recipe.device), copy.deepcopy(schedule)
    try:
        return _optimise(prepared, start, schedule, observer, device)
    except OutOfMemory as error:
        log_fallback("the training begins anew on the CPU", error)
    return _optimise(prepared, start, untouched, observer, CPU)


def _optimise(
    prepared: Prepared, start: Segmenter | None, schedule: Schedule, observer: Observer, device: torch.device
) -> tuple[Network, list[Epoch]]:
    recipe, classes = prepared.recipe, prepared.dimensions.classes
    windows = prepared.windows(device)
    torch.manual_seed(recipe.seed)
    network = Network(prepared.dimensions).to(device).train()
    if start:
        network.load_state_dict(start.network.state_dict())
    weights, class_shift = None, torch.zeros(classes, device=device)
    if prepared.class_weights is not None:
        weights = torch.tensor(prepared.class_weights, dtype=torch.float32, device=device)
        if prepared.lengths.instant_classes:
            # the weights find instants too often: their F1 is that of the unweighted probabilities
            class_shift = torch.where(weights > 0, weights.log(), torch.inf)
    optimizer = AdamW(network.parameters(), schedule.peak, weight_decay=WEIGHT_DECAY, fused=True)
    history: list[Epoch] = []
    scarce = prepared.scarce
    steps, steps_in_epoch = 0, count_steps_in_epoch(prepared)
    for number in range(1, recipe.epochs + 1):
        losses: list[float] = []
        confusion = np.zeros((classes, classes), np.int64)
        for _ in range(steps_in_epoch):
            steps += 1
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(steps)
            inputs, rolling, targets = windows.batch(BATCH)
            logits = network(inputs, rolling)
            loss = functional.cross_entropy(
                logits.transpose(1, 2), targets, weight=weights, ignore_index=UNKNOWN
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
            optimizer.step()
            losses.append(float(loss.detach()))
            known = targets != UNKNOWN
            predicted = (logits.detach()[known] - class_shift).argmax(dim=1)
            confusion += confusion_matrix(
                targets[known].cpu().numpy(), predicted.cpu().numpy(), len(confusion)
            )
            if steps == schedule.last_step:
                break
        most = min(recipe.epochs, math.ceil(schedule.last_step / steps_in_epoch))
        epoch = Epoch(number, most, steps, float(np.mean(losses)), scores_of(confusion))
        history.append(epoch)
        observer.on_epoch(epoch)
        if steps >= schedule.last_step:
            break
        confusion[scarce] = 0
        schedule.learn(steps, scores_of(confusion) if confusion.any() else epoch.scores)
    return network.eval(), history


def count_steps_in_epoch(prepared: Prepared) -> int:
    """As many as it takes to see each known row twice, in windows that overlap by half."""
    known = (int((targets != UNKNOWN).sum()) for targets in prepared.targets)
    rows = sum(max(count, prepared.window) for count in known)
    return int(np.clip(np.ceil(2 * rows / prepared.window / BATCH), 1, STEPS_IN_EPOCH))
