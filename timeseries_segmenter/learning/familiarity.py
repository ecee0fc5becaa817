"""How much a series is like those that a model has learned from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

SCALE = 0.5  # deviations at which a series counts as a third as familiar
MOST_ROWS = 100_000  # that are looked at: more change nothing


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """Mean and deviation of each input of the training series, `(N, 2 * inputs)` float32.

    A network can be sure of a series that is like nothing it has seen: another person, another
    sensor. Annotating what is far from all that is annotated covers the data soonest (core-set,
    Sener and Savarese 2018, arXiv 1708.00489).
    """

    moments: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @classmethod
    def of(cls, inputs: Sequence[FloatArray]) -> "Familiarity":
        """From the inputs of each training series, `(T, inputs)`."""
        return cls(np.stack([_moments(each) for each in inputs]))

    def __call__(self, inputs: FloatArray) -> float:
        """From 1 for the moments of a training series towards 0, by the distance to the nearest one.

        Inputs are standardised, so the distance is in deviations. 1 where nothing is known of the
        training series.
        """
        if not len(self.moments):
            return 1.0
        differences = self.moments - _moments(inputs)
        distance = np.sqrt((differences**2).mean(axis=1)).min()
        return float(np.exp(-distance / SCALE))


def _moments(inputs: FloatArray) -> FloatArray:
    rows = inputs[:: max(1, len(inputs) // MOST_ROWS)]
    both = [rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)]
    moments: FloatArray = np.concatenate(both).astype(np.float32)
    return moments
