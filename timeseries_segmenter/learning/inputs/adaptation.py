"""What the network sees of a series, brought nearer to what it saw of the training series.

Another person, or another sensor, moves and stretches all that is measured. Standardised by moments between
those of the training series and its own, a series looks more like them: the longer it is, the more its own
moments count (Schneider et al. 2020, arXiv 2006.16971, do so with those of batch normalisation).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.inputs.windows import Stretch

FloatArray = NDArray[np.float32]

TRAINING_WINDOWS = 8  # of a series, that count as much as all the training series
LEAST_VARIANCE = 1e-2  # of what is constant in a series; that of the training series is 1
PLACES = 8  # of a long series, whose moments stand for all of it
WINDOWS_AT_PLACE = 8


@dataclass(frozen=True, slots=True)
class Standard:
    """What values `(columns, N)` are standardised by: `mean` and `deviation`, `(columns, 1)`."""

    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def between(cls, parts: Sequence[FloatArray], share: float) -> "Standard":
        """From mean 0 and variance 1 so far towards the moments of parts of a series, `(columns, N)`."""
        values = np.concatenate(parts, axis=1, dtype=np.float64)
        mean = share * values.mean(axis=1, keepdims=True)
        variance = 1 - share + share * np.maximum(values.var(axis=1, keepdims=True), LEAST_VARIANCE)
        return cls(mean.astype(np.float32), np.sqrt(variance).astype(np.float32))

    def apply(self, values: FloatArray) -> FloatArray:
        """Values of any part of the series, standardised."""
        return (values - self.mean) / self.deviation


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Of one series: of those inputs that are standardised by all training series, the first ones, and of the
    rolling features, if there are any. The other inputs are standardised by the series itself already.
    """

    inputs: Standard
    features: Standard | None

    @classmethod
    def fit(cls, stretches: Sequence[Stretch], common: int, windows: float) -> "Adaptation":
        """From `stretches` of a series that is so many `windows` long; the first `common` inputs adapt."""
        share = windows / (windows + TRAINING_WINDOWS)
        features = [each for _, each in stretches if each is not None]
        return cls(
            Standard.between([each[:common] for each, _ in stretches], share),
            Standard.between(features, share) if features else None,
        )

    def apply(self, stretch: Stretch) -> Stretch:
        """A stretch of the series, as the network is to see it."""
        inputs, features = stretch
        common = len(self.inputs.mean)
        inputs = np.concatenate([self.inputs.apply(inputs[:common]), inputs[common:]])
        return inputs, self.features.apply(features) if self.features and features is not None else None


def spread_stretches(rows: int, window: int) -> Iterator[tuple[int, int]]:
    """The first row and the end of stretches that stand for a series, at multiples of a window; the whole of
    one that is not long.
    """
    windows = rows // window
    if windows <= PLACES * WINDOWS_AT_PLACE:
        yield 0, rows
        return
    for first in np.linspace(0, windows - WINDOWS_AT_PLACE, PLACES).astype(int).tolist():
        yield first * window, (first + WINDOWS_AT_PLACE) * window
