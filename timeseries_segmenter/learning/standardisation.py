"""Channels to inputs of the network: zero mean and unit deviation over all training series."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

LEVEL_SHIFT = 0.5  # deviations between the series' means, in any channel, that call for the copy
HEAVY_TAIL = 5.0  # excess kurtosis above which a channel is compressed
COMPRESSION = 3.0  # asinh(3 z) is nearly linear below a third of a deviation, logarithmic above
LARGEST_INPUT = 20.0  # deviations; a broken sensor's spike must not saturate the network


@dataclass(frozen=True, slots=True)
class Standardisation:
    """Statistics of the training series, one per channel, each `(C,)`.

    Channels with `heavy_tails`, whose few large values would press all others to nothing, are
    compressed by an inverse hyperbolic sine (Burbidge et al. 1988, doi 10.2307/2288929). With
    `per_series` the network also gets every channel standardised by the series' own mean and
    deviation: series that differ in level or orientation then look alike.
    """

    mean: FloatArray
    deviation: FloatArray
    heavy_tails: NDArray[np.bool_]
    per_series: bool

    @classmethod
    def fit(cls, series: Sequence[FloatArray]) -> "Standardisation":
        """Statistics over all rows of all series, each `(T, C)`; missing values (NaN) don't count."""
        rows = np.concatenate(series).astype(np.float64)
        mean, deviation = _moments(rows)
        means = np.stack([_moments(values.astype(np.float64))[0] for values in series])
        shift = means.std(axis=0) / deviation
        return cls(
            mean.astype(np.float32),
            deviation.astype(np.float32),
            _kurtosis((rows - mean) / deviation) > HEAVY_TAIL,
            per_series=len(series) > 1 and bool(shift.max() > LEVEL_SHIFT),
        )

    @property
    def inputs(self) -> int:
        """Number of inputs that one sample gives."""
        return len(self.mean) * (2 if self.per_series else 1)

    def same_inputs(self, other: "Standardisation") -> bool:
        """Whether inputs of both mean the same, up to the statistics."""
        return self.per_series == other.per_series and bool(
            np.array_equal(self.heavy_tails, other.heavy_tails)
        )

    def apply(self, values: FloatArray) -> FloatArray:
        """`(T, C)` channels to `(T, inputs)`; a missing value becomes its channel's mean."""
        inputs: FloatArray = self._compressed((values - self.mean) / self.deviation)
        if self.per_series:
            mean, deviation = _moments(values.astype(np.float64))
            own = self._compressed(((values - mean) / deviation).astype(np.float32))
            inputs = np.concatenate([inputs, own], axis=1)
        inputs = np.nan_to_num(inputs, copy=False, nan=0.0)
        np.clip(inputs, -LARGEST_INPUT, LARGEST_INPUT, out=inputs)
        return inputs

    def _compressed(self, inputs: FloatArray) -> FloatArray:
        if self.heavy_tails.any():
            inputs[:, self.heavy_tails] = np.arcsinh(COMPRESSION * inputs[:, self.heavy_tails])
        return inputs


def _kurtosis(standardised: NDArray[np.float64]) -> NDArray[np.float64]:
    """Excess kurtosis of each column; 0 is a normal distribution's."""
    known = np.isfinite(standardised)
    fourth = np.where(known, standardised, 0.0) ** 4
    kurtosis: NDArray[np.float64] = fourth.sum(axis=0) / np.maximum(known.sum(axis=0), 1) - 3
    return kurtosis


def _moments(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each column; 0 and 1 where a column holds nothing, 1 where it is constant."""
    known = np.isfinite(rows)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, rows, 0.0)
    mean = filled.sum(axis=0) / count
    variance = (np.where(known, filled - mean, 0.0) ** 2).sum(axis=0) / count
    deviation = np.sqrt(variance)
    return mean, np.where(deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6), deviation, 1.0)
