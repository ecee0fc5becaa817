"""Several opinions made one, by how well each of them knows series it has not seen.

A logarithmic opinion pool (Genest and Zidek 1986, doi 10.1214/ss/1177013825) whose weights are learned from
held-out predictions, as in stacking (Wolpert 1992, doi 10.1016/S0893-6080(05)80023-1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.segment import UNKNOWN

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

MOST_ROWS = 20_000  # of all series: neighbours say much the same
LEAST_OF_NETWORK = 1e-6  # probability
LEAST_OF_OTHERS = 1e-3  # fewer trees than that have never seen a class there
PENALTY = 0.1  # nats a row, for a squared change of a weight: fold networks learn for fewer steps


class Opinions(NamedTuple):
    """Class probabilities of the same rows, by the network and by what a model has beside it."""

    network: FloatArray
    forest: FloatArray | None = None
    convolutions: FloatArray | None = None

    @property
    def beside(self) -> tuple[bool, ...]:
        """Whether there are those beside the network's."""
        return tuple(each is not None for each in self[1:])

    def logarithms(self, rows: IntArray | slice = slice(None)) -> dict[str, FloatArray]:
        """Those of the opinions that there are, by their names."""
        floors = {"network": LEAST_OF_NETWORK}
        return {
            name: np.log(np.maximum(each[rows], floors.get(name, LEAST_OF_OTHERS)))
            for name, each in self._asdict().items()
            if each is not None
        }


@dataclass(frozen=True, slots=True)
class Pool:
    """The weights of the logarithms of the opinions. Their sum is below 1 if they are surer than right."""

    network: float = 0.5
    forest: float = 0.5
    convolutions: float = 0.0

    @classmethod
    def equal(cls, *there: bool) -> "Pool":
        """The network and those of the forest and the convolutions that are there count alike."""
        count = 1 + sum(there)
        return cls(1 / count, *(each / count for each in there))

    @classmethod
    def fit(cls, opinions: Sequence[Opinions], targets: Sequence[IntArray]) -> "Pool":
        """The weights that make `targets`, each `(T,)`, most likely; `equal` ones if they say nothing."""
        import torch  # here: predictions outside of the service have none
        from torch.nn import functional

        from timeseries_segmenter.learning.optimisers import LBFGS

        equal = cls.equal(*opinions[0].beside)
        step = max(1, sum(map(len, targets)) // MOST_ROWS)
        rows = [np.flatnonzero(each != UNKNOWN)[::step] for each in targets]
        if equal.network == 1 or not sum(map(len, rows)):
            return equal
        logs = [each.logarithms(of_series) for each, of_series in zip(opinions, rows, strict=True)]
        names = list(logs[0])
        of_all = torch.from_numpy(
            np.stack([np.concatenate([each[name] for each in logs]) for name in names])
        ).double()
        truth = torch.from_numpy(
            np.concatenate([each[of_series] for each, of_series in zip(targets, rows, strict=True)])
        )
        start = torch.full((len(names),), equal.network, dtype=torch.float64)
        weights = start.clone().requires_grad_()
        optimizer = LBFGS([weights], max_iter=50, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            logits = (weights[:, None, None] * of_all).sum(dim=0)
            change = (weights - start).square().sum()
            value = functional.cross_entropy(logits, truth) + PENALTY * change
            torch.autograd.backward(value)
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        found = np.maximum(weights.detach().numpy(), 0)
        unheard = {"network": 0.0, "forest": 0.0}
        return cls(**unheard | dict(zip(names, found.tolist(), strict=True))) if found.any() else equal

    def apply(self, opinions: Opinions, axis: int = 1) -> FloatArray:
        """Class probabilities, `(T, classes)`, or `(classes, T)` as the opinions are if the classes are the
        `axis` 0; the network's as they are if there is no other.
        """
        if opinions.forest is None and opinions.convolutions is None:
            return opinions.network
        logits: FloatArray = sum(  # type: ignore[assignment]
            np.float32(getattr(self, name)) * each for name, each in opinions.logarithms().items()
        )
        logits -= logits.max(axis=axis, keepdims=True)
        probabilities: FloatArray = np.exp(logits, out=logits)
        probabilities /= probabilities.sum(axis=axis, keepdims=True)
        return probabilities
