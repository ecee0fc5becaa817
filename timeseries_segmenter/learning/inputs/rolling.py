"""Rolling statistics of a series: what a network of few series would have to find out by itself.

Level, spread, extremes, slope and the energies of octave bands, over several widths around each timestep of
the network. The bands are those of a Haar wavelet (Mallat 1989, doi 10.1109/34.192463).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

FloatArray = NDArray[np.float32]

WIDTHS = (1 / 16, 1 / 4, 1)  # of a window
LEAST_WIDTH = 3  # timesteps
SLOWEST_OCTAVE = 1 / 4  # of a window: slower changes are the level's
PERIODS = 4  # of an octave that its energy is averaged over, at least
LEAST_SPREAD = 1e-3  # deviations; the logarithm of less says nothing
LARGEST_FEATURE = 5.0  # deviations


@dataclass(frozen=True, slots=True)
class RollingFeatures:
    """Statistics of standardised inputs around each timestep, standardised over the training series.

    A timestep is `stride` rows, a window `window` rows. Of the first `levels` inputs, only their levels are
    taken: the others say the rest, each series by its own standard. `mean` and `deviation` are `(features,)`.
    """

    stride: int
    window: int
    levels: int
    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def fit_apply(
        cls, series: Sequence[FloatArray], stride: int, window: int, levels: int
    ) -> tuple["RollingFeatures", list[FloatArray]]:
        """From the standardised inputs `(T, inputs)` of the training series, with the features of each."""
        features = [_statistics(inputs.T, stride, window, levels) for inputs in series]
        mean, deviation = _moments(features)
        deviation[deviation < 1e-6] = 1
        fitted = cls(stride, window, levels, mean.astype(np.float32), deviation.astype(np.float32))
        for place, each in enumerate(features):  # one by one: all of them are most of a training run's memory
            features[place] = np.ascontiguousarray(fitted._standardised(each).T)
        return fitted, features

    @property
    def count(self) -> int:
        """Number of features of a timestep."""
        return len(self.mean)

    @property
    def reach(self) -> int:
        """Timesteps on either side that a timestep's features depend on, at most."""
        return 2 * max(LEAST_WIDTH, self.window // self.stride) + 1

    def apply(self, inputs: FloatArray) -> FloatArray:
        """`(T, inputs)` standardised inputs to `(ceil(T / stride), features)`."""
        return np.ascontiguousarray(self.by_feature(inputs.T).T)

    def by_feature(self, inputs: FloatArray) -> FloatArray:
        """The same of `(inputs, T)` as `(features, ceil(T / stride))`."""
        return self._standardised(_statistics(inputs, self.stride, self.window, self.levels))

    def _standardised(self, features: FloatArray) -> FloatArray:
        features -= self.mean[:, None]
        features /= self.deviation[:, None]
        np.clip(features, -LARGEST_FEATURE, LARGEST_FEATURE, out=features)
        return features


def _moments(features: Sequence[FloatArray]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each feature over the timesteps of all series, `(features, timesteps)` each."""
    count = sum(each.shape[1] for each in features)
    mean = sum(each.sum(axis=1, dtype=np.float64) for each in features) / count
    squares = sum(np.einsum("ft,ft->f", each, each, dtype=np.float64) for each in features) / count
    return mean, np.sqrt(np.maximum(squares - np.square(mean), 0))


def _statistics(inputs: FloatArray, stride: int, window: int, levels: int) -> FloatArray:
    """`(inputs, T)` to `(features, timesteps)`: along contiguous rows, NumPy is several times as fast."""
    phases = _phases(inputs, stride)
    widths = [_odd(window / stride * share) for share in WIDTHS]
    columns = [*_levels(_mean(phases[:, :levels]), widths)]
    columns += _all_of(phases[:, levels:], inputs.shape[1], widths, window)
    return np.concatenate(columns, dtype=np.float32)


def _levels(means: FloatArray, widths: Sequence[int]) -> Iterator[FloatArray]:
    yield means
    yield from rolling_means(means, widths)


def _all_of(phases: FloatArray, rows: int, widths: Sequence[int], window: int) -> Iterator[FloatArray]:
    """Statistics by input, each `(I, timesteps)`, of `rows` rows in `(stride, I, timesteps)`."""
    means, steps = _mean(phases), _mean(_steps(phases, rows))
    levels = rolling_means(means, widths)
    squares = rolling_means(_mean(np.square(phases)), widths)
    low, high = _rolling_maxima(-phases.min(axis=0), widths), _rolling_maxima(phases.max(axis=0), widths)
    changes = rolling_means(steps, widths, np.float32)
    yield means
    for number, width in enumerate(widths):
        level = levels[number]
        yield level
        variance = squares[number] - np.square(level)
        yield np.log(np.sqrt(np.maximum(variance, 0)) + LEAST_SPREAD)
        yield -low[number]
        yield high[number]
        half = width // 2
        around = _widened(level, half)
        yield around[:, 2 * half :] - around[:, : level.shape[1]]
        yield np.log(changes[number] + LEAST_SPREAD)
    stride = len(phases)
    for octave, energy in enumerate(_octave_energies(phases, window), 1):
        width = max(_odd(PERIODS * 2**octave / stride), widths[0])
        (mean,) = rolling_means(energy, [width], np.float32)
        yield np.log(mean + LEAST_SPREAD**2)


def _octave_energies(phases: FloatArray, window: int) -> Iterator[FloatArray]:
    """Energy of each octave, the fastest first, `(I, timesteps)` each."""
    stride, rest, octave = len(phases), phases, 1
    while len(rest) > 1:
        first, second = rest[::2], rest[1::2]
        yield _mean(np.square((first - second) / 2))
        rest, octave = (first + second) * np.float32(0.5), octave + 1
    smooth, widths = rest[0], []
    while 2**octave <= window * SLOWEST_OCTAVE:
        widths.append(2**octave // stride + 1)
        octave += 1
    for smoother in rolling_means(smooth, widths) if widths else ():
        yield np.square(smooth - smoother)
        smooth = smoother


def rolling_means(
    values: FloatArray, widths: Sequence[int], dtype: DTypeLike = np.float64
) -> list[FloatArray]:
    """Means of `width` values around each of `(C, T)`, an odd number, for each of the `widths`; of fewer at
    the ends.

    Sums of 1, 2, 4, … values, computed as `dtype`, make up each width: what is far away leaves no
    rounding error, as it does in a cumulative sum.
    """
    length, reach = values.shape[1], max(widths) // 2
    powers = _widened(values.astype(dtype), reach, 0)
    sums = [np.zeros(values.shape, dtype) for _ in widths]
    places = [reach - width // 2 for width in widths]  # of the first value that is not in the sum yet
    size = 1
    while True:
        for number, width in enumerate(widths):
            if width & size:
                sums[number] += powers[:, places[number] : places[number] + length]
                places[number] += size
        if 2 * size > max(widths):
            break
        powers = powers[:, :-size] + powers[:, size:]
        size *= 2
    rows = np.arange(length)
    means = []
    for total, width in zip(sums, widths, strict=True):
        counts = np.minimum(rows, width // 2) + np.minimum(length - 1 - rows, width // 2) + 1
        means.append((total / counts.astype(dtype)).astype(np.float32))
    return means


def _rolling_maxima(values: FloatArray, widths: Sequence[int]) -> list[FloatArray]:
    """As `rolling_means`; the widths ascend."""
    length, reach = values.shape[1], max(widths) // 2
    powers = _widened(values, reach, -np.inf)
    maxima = []
    size = 1
    for width in widths:
        while 2 * size <= width:
            powers = np.maximum(powers[:, :-size], powers[:, size:])
            size *= 2
        first = reach - width // 2
        last = first + width - size
        maxima.append(np.maximum(powers[:, first : first + length], powers[:, last : last + length]))
    return maxima


def _widened(values: NDArray[Any], reach: int, filling: float | None = None) -> NDArray[Any]:
    """`(C, T)` with so many values more at both ends, by default those at the ends: as `np.pad`, several
    times as fast with short series.
    """
    widened = np.empty((len(values), values.shape[1] + 2 * reach), values.dtype)
    end = reach + values.shape[1]
    widened[:, reach:end] = values
    widened[:, :reach] = values[:, :1] if filling is None else filling
    widened[:, end:] = values[:, -1:] if filling is None else filling
    return widened


def _phases(values: FloatArray, stride: int) -> FloatArray:
    """`(C, T)` to `(stride, C, ceil(T / stride))`; the last row is repeated to fill up the last timestep."""
    channels, rows = values.shape
    timesteps = -(-rows // stride)
    if missing := timesteps * stride - rows:
        values = np.pad(values, ((0, 0), (0, missing)), mode="edge")
    return np.ascontiguousarray(values.reshape(channels, timesteps, stride).transpose(2, 0, 1))


def _steps(phases: FloatArray, rows: int) -> FloatArray:
    """Size of the step from the row before to each row, 0 for the first one; the last one's is repeated."""
    steps = np.empty_like(phases)
    np.subtract(phases[1:], phases[:-1], out=steps[1:])
    steps[0, :, 0] = 0
    np.subtract(phases[0, :, 1:], phases[-1, :, :-1], out=steps[0, :, 1:])
    last = (rows - 1) % len(phases)
    steps[last + 1 :, :, -1] = steps[last, :, -1]
    return np.abs(steps, out=steps)


def timestep_means(inputs: FloatArray, stride: int) -> FloatArray:
    """`(inputs, T)` to their means in each timestep, `(inputs, ceil(T / stride))`."""
    return _mean(_phases(inputs, stride))


def _mean(phases: FloatArray) -> FloatArray:
    """`(stride, C, timesteps)` to `(C, timesteps)`, by halves: that of equal values is exact."""
    while len(phases) > 1:
        phases = (phases[::2] + phases[1::2]) * np.float32(0.5)
    means: FloatArray = phases[0]
    return means


def _odd(width: float) -> int:
    """The next smaller odd number of timesteps, LEAST_WIDTH at least."""
    return max(LEAST_WIDTH, (round(width) - 1) | 1)
