"""Two opinions made one: the network's and the forest's, by how well each knows series it has not seen.

A logarithmic opinion pool (Genest and Zidek 1986, doi 10.1214/ss/1177013825) whose weights are learned from
held-out predictions, as in stacking (Wolpert 1992, doi 10.1016/S0893-6080(05)80023-1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.segment import UNKNOWN

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Opinions = tuple[FloatArray, FloatArray | None]  # of the network and of the forest, if there is one

MOST_ROWS = 20_000  # of all series: neighbours say much the same
LEAST_OF_NETWORK = 1e-6  # probability
LEAST_OF_FOREST = 1e-3  # fewer trees than that have never seen a class there
PENALTY = 0.1  # nats a row, for a squared change of a weight: fold networks learn for fewer steps


@dataclass(frozen=True, slots=True)
class Pool:
    """The weights of the logarithms of both opinions. Their sum is below 1 if they are surer than right."""

    network: float = 0.5
    forest: float = 0.5

    @classmethod
    def fit(cls, opinions: Sequence[Opinions], targets: Sequence[IntArray]) -> "Pool":
        """The weights that make `targets`, each `(T,)`, most likely; the default ones without a forest."""
        import torch  # here: predictions outside of the service have none
        from torch.nn import functional

        step = max(1, sum(map(len, targets)) // MOST_ROWS)
        logs, truth = [], []
        for (network, forest), each in zip(opinions, targets, strict=True):
            if forest is None:
                return cls()
            rows = np.flatnonzero(each != UNKNOWN)[::step]
            logs.append(np.stack(_logs(network[rows], forest[rows])))
            truth.append(each[rows])
        if not sum(map(len, truth)):
            return cls()
        both, classes = torch.from_numpy(np.concatenate(logs, axis=1)).double(), np.concatenate(truth)
        start = torch.tensor([cls().network, cls().forest], dtype=torch.float64)
        weights = start.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([weights], max_iter=50, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            logits = (weights[:, None, None] * both).sum(dim=0)
            change = (weights - start).square().sum()
            value = functional.cross_entropy(logits, torch.from_numpy(classes)) + PENALTY * change
            torch.autograd.backward(value)
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        of_network, of_forest = np.maximum(weights.detach().numpy(), 0).tolist()
        return cls(of_network, of_forest) if of_network + of_forest > 0 else cls()

    def apply(self, opinions: Opinions, axis: int = 1) -> FloatArray:
        """Class probabilities, `(T, classes)`, or `(classes, T)` as the opinions are if the classes are the
        `axis` 0; the network's as they are if there is no forest.
        """
        network, forest = opinions
        if forest is None:
            return network
        of_network, of_forest = _logs(network, forest)
        logits = np.float32(self.network) * of_network + np.float32(self.forest) * of_forest
        logits -= logits.max(axis=axis, keepdims=True)
        probabilities: FloatArray = np.exp(logits, out=logits)
        probabilities /= probabilities.sum(axis=axis, keepdims=True)
        return probabilities


def _logs(network: FloatArray, forest: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.log(np.maximum(network, LEAST_OF_NETWORK)), np.log(np.maximum(forest, LEAST_OF_FOREST))
