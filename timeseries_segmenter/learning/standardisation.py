"""Channels to inputs of the network: zero mean and unit deviation over all training series."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

LEVEL_SHIFT = 0.5  # series means this far apart, in deviations of any channel, call for the per-series copy
LARGEST_INPUT = 20.0  # deviations; a broken sensor's spike must not saturate the network


@dataclass(frozen=True, slots=True)
class Standardisation:
    """Statistics of the training series, one per channel, each `(C,)` float32.

    With `per_series` the network also gets every channel standardised by the series' own mean
    and deviation: series that differ in level or orientation then look alike.
    """

    mean: FloatArray
    deviation: FloatArray
    per_series: bool

    @classmethod
    def of(cls, series: Sequence[FloatArray]) -> "Standardisation":
        """Statistics over all rows of all series, each `(T, C)`; missing values (NaN) don't count."""
        rows = np.concatenate(series).astype(np.float64)
        mean, deviation = _moments(rows)
        means = np.stack([_moments(values.astype(np.float64))[0] for values in series])
        shift = means.std(axis=0) / deviation
        return cls(
            mean.astype(np.float32),
            deviation.astype(np.float32),
            per_series=len(series) > 1 and bool(shift.max() > LEVEL_SHIFT),
        )

    @property
    def inputs(self) -> int:
        """Number of inputs that one sample gives."""
        return len(self.mean) * (2 if self.per_series else 1)

    def apply(self, values: FloatArray) -> FloatArray:
        """`(T, C)` channels to `(T, inputs)`; a missing value becomes its channel's mean."""
        inputs: FloatArray = (values - self.mean) / self.deviation
        if self.per_series:
            mean, deviation = _moments(values.astype(np.float64))
            own = ((values - mean) / deviation).astype(np.float32)
            inputs = np.concatenate([inputs, own], axis=1)
        inputs = np.nan_to_num(inputs, copy=False, nan=0.0)
        np.clip(inputs, -LARGEST_INPUT, LARGEST_INPUT, out=inputs)
        return inputs


def _moments(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each column; 0 and 1 where a column holds nothing, 1 where it is constant."""
    known = np.isfinite(rows)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, rows, 0.0)
    mean = filled.sum(axis=0) / count
    variance = (np.where(known, filled - mean, 0.0) ** 2).sum(axis=0) / count
    deviation = np.sqrt(variance)
    return mean, np.where(deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6), deviation, 1.0)
