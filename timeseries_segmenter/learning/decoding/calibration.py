"""Probabilities that mean what they say: of rows given 0.8, eight in ten have that class.

A network trained with class weights favours rare classes, and is surer than it should be on series
it has not seen. Vector scaling, a temperature and a bias a class (Guo et al. 2017, arXiv 1706.04599),
learned from held-out predictions, corrects both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.segment import UNKNOWN

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

MOST_ROWS = 10_000  # of all series: neighbours say much the same
LEAST_PROBABILITY = 1e-6
MOST_TEMPERATURE = 10.0
PENALTY = 0.01  # nats a row, for a squared nat of change: rows of one segment are no independent witnesses
BINS = 15


@dataclass(frozen=True, slots=True)
class Calibration:
    """Divides the logarithms of probabilities by `temperature` and adds `biases`, nats, one a class.

    No biases are those of 0.
    """

    temperature: float = 1.0
    biases: tuple[float, ...] = ()

    @classmethod
    def fit(cls, probabilities: Sequence[FloatArray], targets: Sequence[IntArray]) -> "Calibration":
        """The calibration that makes `targets`, each `(T,)`, most likely, given `(T, classes)` each.

        UNKNOWN rows don't count. None is needed if there is no row, or one class only.
        """
        import torch  # here: predictions outside of the service have none
        from torch.nn import functional

        from timeseries_segmenter.learning.optimisers import LBFGS

        probabilities, targets = _known(probabilities, targets)
        step = max(1, sum(map(len, targets)) // MOST_ROWS)
        rows = np.concatenate([each[::step] for each in probabilities])
        truth = torch.from_numpy(np.concatenate([each[::step] for each in targets]))
        if len(rows) == 0 or rows.shape[1] < 2:
            return cls()
        logs = torch.from_numpy(np.log(np.maximum(rows, LEAST_PROBABILITY))).double()
        # never below 1: fold networks that are right throughout don't make the model surer on new series
        excess = torch.full((1,), 0.3, dtype=torch.float64, requires_grad=True)
        biases = torch.zeros(rows.shape[1], dtype=torch.float64, requires_grad=True)
        optimizer = LBFGS([excess, biases], max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            temperature = 1 + excess.square()
            change = temperature.log().square().sum() + biases.square().sum()
            value = functional.cross_entropy(logs / temperature + biases, truth) + PENALTY * change
            torch.autograd.backward(value)
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        temperature = min(1 + float(excess.detach().square()), MOST_TEMPERATURE)
        return cls(temperature, tuple(biases.detach().tolist()))

    def apply(self, probabilities: FloatArray, axis: int = 1) -> FloatArray:
        """Calibrated `(T, classes)`, or `(classes, T)` if the classes are the `axis` 0; a new array unless
        there is nothing to change.
        """
        if self == Calibration():
            return probabilities
        scaled = np.maximum(probabilities, LEAST_PROBABILITY)
        np.log(scaled, out=scaled)
        scaled /= np.float32(self.temperature)
        if self.biases:
            biases = np.array(self.biases, np.float32)
            scaled += biases if axis else biases[:, None]
        np.exp(scaled, out=scaled)
        scaled /= scaled.sum(axis=axis, keepdims=True)
        return scaled


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows whose most probable class has a probability between two bounds."""

    confidence: float
    accuracy: float
    count: int


def reliability(
    probabilities: Sequence[FloatArray], targets: Sequence[IntArray], bins: int = BINS
) -> list[ReliabilityBin]:
    """Mean probability of the most probable class, and how often it is the true one, in equal bins.

    UNKNOWN rows don't count. Bins without a row are left out (Niculescu-Mizil and Caruana 2005, doi
    10.1145/1102351.1102430).
    """
    probabilities, targets = _known(probabilities, targets)
    confidence = np.concatenate([each.max(axis=1) for each in probabilities])
    correct = np.concatenate(
        [each.argmax(axis=1) == target for each, target in zip(probabilities, targets, strict=True)]
    )
    return reliability_of(confidence, correct, bins)


def reliability_of(
    confidence: FloatArray, correct: NDArray[np.bool_], bins: int = BINS
) -> list[ReliabilityBin]:
    """The same of predictions of any kind, each `(N,)`."""
    numbers = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(numbers, minlength=bins)
    confidences = np.bincount(numbers, confidence, bins)
    hits = np.bincount(numbers, correct, bins)
    return [
        ReliabilityBin(float(confidences[number] / count), float(hits[number] / count), int(count))
        for number, count in enumerate(counts)
        if count
    ]


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Mean distance between confidence and accuracy, weighted by rows; 0 without any."""
    rows = sum(each.count for each in bins)
    return sum(each.count * abs(each.confidence - each.accuracy) for each in bins) / rows if rows else 0.0


def expected_calibration_error(
    probabilities: Sequence[FloatArray], targets: Sequence[IntArray], bins: int = BINS
) -> float:
    """How far probabilities are from frequencies: 0 is perfect (Guo et al. 2017, arXiv 1706.04599)."""
    return calibration_error(reliability(probabilities, targets, bins))


def _known(
    probabilities: Sequence[FloatArray], targets: Sequence[IntArray]
) -> tuple[list[FloatArray], list[IntArray]]:
    """Those of the rows that are not UNKNOWN."""
    known = [target != UNKNOWN for target in targets]
    return (
        [each[rows] for each, rows in zip(probabilities, known, strict=True)],
        [each[rows] for each, rows in zip(targets, known, strict=True)],
    )
