"""Rolling statistics of a series: what a network of few series would have to find out by itself.

Level, spread, extremes, slope and the energies of octave bands, over several widths around each timestep of
the network. The bands are those of a Haar wavelet (Mallat 1989, doi 10.1109/34.192463).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

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
        features = [_statistics(inputs, stride, window, levels) for inputs in series]
        rows = np.concatenate(features)
        mean = rows.mean(axis=0, dtype=np.float64)
        deviation = rows.std(axis=0, dtype=np.float64)
        deviation[deviation < 1e-6] = 1
        fitted = cls(stride, window, levels, mean.astype(np.float32), deviation.astype(np.float32))
        return fitted, [fitted._standardised(each) for each in features]

    @property
    def count(self) -> int:
        """Number of features of a timestep."""
        return len(self.mean)

    def apply(self, inputs: FloatArray) -> FloatArray:
        """`(T, inputs)` standardised inputs to `(ceil(T / stride), features)`."""
        return self._standardised(_statistics(inputs, self.stride, self.window, self.levels))

    def _standardised(self, features: FloatArray) -> FloatArray:
        """In place."""
        features -= self.mean
        features /= self.deviation
        np.clip(features, -LARGEST_FEATURE, LARGEST_FEATURE, out=features)
        return features


def _statistics(inputs: FloatArray, stride: int, window: int, levels: int) -> FloatArray:
    blocks = _blocks(inputs, stride)
    widths = [_odd(window / stride * share) for share in WIDTHS]
    columns = [*_levels(_reduced(blocks[..., :levels], torch.mean), widths)]
    columns += _all_of(inputs[:, levels:], blocks[..., levels:], widths, window)
    return np.concatenate(columns, axis=1, dtype=np.float32)


def _levels(means: FloatArray, widths: Sequence[int]) -> Iterator[FloatArray]:
    yield means
    for width in widths:
        yield rolling_mean(means, width)


def _all_of(
    inputs: FloatArray, blocks: FloatArray, widths: Sequence[int], window: int
) -> Iterator[FloatArray]:
    """Statistics by `inputs` `(T, I)` in `blocks` `(timesteps, stride, I)`."""
    means, stride = _reduced(blocks, torch.mean), blocks.shape[1]
    squares = _reduced(np.square(blocks), torch.mean)
    steps = _reduced(_blocks(np.abs(np.diff(inputs, axis=0, prepend=inputs[:1])), stride), torch.mean)
    low, high = _reduced(blocks, torch.amin), _reduced(blocks, torch.amax)
    yield means
    for width in widths:
        level = rolling_mean(means, width)
        yield level
        variance = rolling_mean(squares, width) - np.square(level)
        yield np.log(np.sqrt(np.maximum(variance, 0)) + LEAST_SPREAD)
        yield -_rolling_maximum(-low, width)
        yield _rolling_maximum(high, width)
        places = np.arange(len(level))
        ahead, behind = np.minimum(places + width // 2, len(level) - 1), np.maximum(places - width // 2, 0)
        yield level[ahead] - level[behind]
        yield np.log(rolling_mean(steps, width) + LEAST_SPREAD)
    for octave, energy in enumerate(_octave_energies(blocks, window), 1):
        width = max(_odd(PERIODS * 2**octave / stride), widths[0])
        yield np.log(rolling_mean(energy, width) + LEAST_SPREAD**2)


def _octave_energies(blocks: FloatArray, window: int) -> Iterator[FloatArray]:
    """Energy of each octave, the fastest first, `(timesteps, I)` each."""
    timesteps, stride, inputs = blocks.shape
    rest, octave = blocks, 1
    while rest.shape[1] > 1:
        pairs = rest.reshape(timesteps, -1, 2, inputs)
        yield _reduced(np.square((pairs[:, :, 0] - pairs[:, :, 1]) / 2), torch.mean)
        rest, octave = (pairs[:, :, 0] + pairs[:, :, 1]) * np.float32(0.5), octave + 1
    smooth = rest[:, 0]
    while 2**octave <= window * SLOWEST_OCTAVE:
        smoother = rolling_mean(rest[:, 0], 2**octave // stride + 1)
        yield np.square(smooth - smoother)
        smooth, octave = smoother, octave + 1


def _reduced(blocks: FloatArray, reduction: Callable[..., Tensor]) -> FloatArray:
    """`(timesteps, stride, C)` to `(timesteps, C)`; PyTorch is faster at it along a short axis."""
    reduced: FloatArray = reduction(torch.from_numpy(blocks), dim=1).numpy()
    return reduced


def rolling_mean(values: FloatArray, width: int) -> FloatArray:
    """Mean of `width` rows around each row of `(T, C)`, an odd number; of fewer at the ends."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    places = np.arange(len(values))
    firsts, ends = np.maximum(places - width // 2, 0), np.minimum(places + width // 2 + 1, len(values))
    means: FloatArray = ((sums[ends] - sums[firsts]) / (ends - firsts)[:, None]).astype(np.float32)
    return means


def _rolling_maximum(values: FloatArray, width: int) -> FloatArray:
    columns = torch.from_numpy(np.ascontiguousarray(values.T))[None]
    maxima: FloatArray = functional.max_pool1d(columns, width, 1, width // 2)[0].T.numpy()
    return maxima


def _blocks(values: FloatArray, stride: int) -> FloatArray:
    """`(T, C)` to `(ceil(T / stride), stride, C)`; the last row is repeated to fill up the last block."""
    timesteps = -(-len(values) // stride)
    filled = np.pad(values, ((0, timesteps * stride - len(values)), (0, 0)), mode="edge")
    return filled.reshape(timesteps, stride, values.shape[1])


def _odd(width: float) -> int:
    """The next smaller odd number of timesteps, LEAST_WIDTH at least."""
    return max(LEAST_WIDTH, (round(width) - 1) | 1)
