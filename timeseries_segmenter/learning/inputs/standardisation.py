"""Channels to inputs of the network: zero mean and unit deviation over all training series."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

LEVEL_SHIFT = 0.5  # deviations between the series' means, in any channel, that call for the copy
HEAVY_TAIL = 5.0  # excess kurtosis above which a channel is compressed
COMPRESSION = 3.0  # asinh(3 z) is nearly linear below a third of a deviation, logarithmic above
LARGEST_INPUT = 20.0  # deviations; a broken sensor's spike must not saturate the network
ROWS_AT_ONCE = 1 << 16  # whose sums are taken: a long series need not be in memory

Moments = tuple[NDArray[np.float64], NDArray[np.float64]]  # mean and deviation of each channel, `(C,)`


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
        means = np.stack([_moments(values)[0] for values in series])
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
        return np.ascontiguousarray(self.by_input(values, self.own_moments(values)).T)

    def own_moments(self, values: FloatArray) -> Moments | None:
        """What inputs of a series `(T, C)` need to know of the whole of it, if they need anything."""
        return _moments(values) if self.per_series else None

    def by_input(self, values: FloatArray, own: Moments | None) -> FloatArray:
        """The inputs of some rows `(T, C)` of a series with its `own_moments`, as `(inputs, T)`."""
        channels = np.ascontiguousarray(values.T)
        inputs = np.empty((self.inputs, len(values)), np.float32)
        common = inputs[: len(channels)]
        np.subtract(channels, self.mean[:, None], out=common)
        common /= self.deviation[:, None]
        if own is not None:
            mean, deviation = own
            inputs[len(channels) :] = (channels - mean[:, None]) / deviation[:, None]
        compressed = np.flatnonzero(np.tile(self.heavy_tails, len(inputs) // len(channels)))
        for number in compressed:
            np.arcsinh(COMPRESSION * inputs[number], out=inputs[number])
        np.clip(inputs, -LARGEST_INPUT, LARGEST_INPUT, out=inputs)
        missing = np.isnan(inputs)
        if missing.any():
            inputs[missing] = 0
        return inputs


def _kurtosis(standardised: NDArray[np.float64]) -> NDArray[np.float64]:
    """Excess kurtosis of each column; 0 is a normal distribution's."""
    known = np.isfinite(standardised)
    fourth = np.square(np.square(np.where(known, standardised, 0.0)))  # a power takes twenty times as long
    kurtosis: NDArray[np.float64] = fourth.sum(axis=0) / np.maximum(known.sum(axis=0), 1) - 3
    return kurtosis


def _moments(values: NDArray[np.floating]) -> Moments:
    """Of `(T, C)`; mean 0 and deviation 1 if a channel holds nothing, deviation 1 if it is constant."""
    count, total, squares = np.zeros((3, values.shape[1]))
    for channels in _in_parts(values):
        known = np.isfinite(channels)
        count += known.sum(axis=1)
        total += channels.sum(axis=1, where=known)
    count = np.maximum(count, 1)
    mean = total / count
    for channels in _in_parts(values):
        squares += np.square(channels - mean[:, None]).sum(axis=1, where=np.isfinite(channels))
    deviation = np.sqrt(squares / count)
    return mean, np.where(deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6), deviation, 1.0)


def _in_parts(values: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
    """Rows of `(T, C)` as `(C, some rows)`."""
    for first in range(0, len(values), ROWS_AT_ONCE):
        yield values[first : first + ROWS_AT_ONCE].T.astype(np.float64, order="C")
