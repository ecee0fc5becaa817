"""What the network and the forest of a model say of a series, stretch by stretch."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.forest import Forest, Lookup
from timeseries_segmenter.learning.pool import Opinions
from timeseries_segmenter.learning.rolling import RollingFeatures
from timeseries_segmenter.learning.standardisation import Standardisation
from timeseries_segmenter.learning.windows import Stretch

if TYPE_CHECKING:
    from timeseries_segmenter.learning.network import Network

FloatArray = NDArray[np.float32]


class Learned(Protocol):
    """What a segmenter has learned of the rows of a series."""

    @property
    def network(self) -> "Network": ...

    @property
    def standardisation(self) -> Standardisation: ...

    @property
    def window(self) -> int: ...

    @property
    def rolling(self) -> RollingFeatures | None: ...

    @property
    def forest(self) -> Forest | None: ...


def opinions_by_stretch(learned: Learned, values: FloatArray) -> Iterator[Opinions]:
    """Both opinions of a series `(T, C)` at the rate that was learned, `(classes, rows)` of one stretch
    after the other. What is computed on the way exists for a stretch at a time.
    """
    series = _Series(learned, values)
    rows = 0
    for network in learned.network.probabilities_by_stretch(len(values), learned.window, series.stretch):
        end = rows + network.shape[1]
        yield network, series.forest_probabilities(rows, end)
        rows = end


class _Series:
    """Standardised inputs and rolling features of the stretch that the network asked for last."""

    def __init__(self, learned: Learned, values: FloatArray) -> None:
        self._learned = learned
        self._values = values
        self._own = learned.standardisation.own_moments(values)
        self._stride = learned.network.dimensions.stride
        self._timesteps = -(-len(values) // self._stride)
        self._lookup = Lookup(learned.forest) if learned.forest else None
        self._first = 0  # timestep of the features
        self._features: FloatArray = np.zeros((0, 0), np.float32)

    def stretch(self, first: int, end: int) -> Stretch:
        """Inputs `(inputs, rows)` and features `(features, timesteps)` of some rows."""
        rolling, stride = self._learned.rolling, self._stride
        if rolling is None:
            return self._inputs(first, end), None
        forest = self._learned.forest
        beside = forest.every if forest else 0  # the forest is asked about timesteps beside those
        first_timestep, end_timestep = first // stride, -(-end // stride)
        self._first = max(0, first_timestep - beside)
        around_first = max(0, self._first - rolling.reach)
        around_end = min(self._timesteps, end_timestep + beside + rolling.reach)
        inputs = self._inputs(around_first * stride, min(len(self._values), around_end * stride))
        features = rolling.by_feature(inputs)
        self._features = features[:, self._first - around_first : end_timestep + beside - around_first]
        skipped = first - around_first * stride
        own = slice(first_timestep - self._first, end_timestep - self._first)
        return inputs[:, skipped : skipped + end - first], self._features[:, own]

    def forest_probabilities(self, first: int, end: int) -> FloatArray | None:
        """Those of some rows of the stretch, `(classes, rows)`."""
        forest = self._learned.forest
        if forest is None or self._lookup is None or self._learned.rolling is None:
            return None
        rows_of_one = self._stride * forest.every
        last = -(-self._timesteps // forest.every) - 1
        before = max(0, int(np.floor((first + 0.5) / rows_of_one - 0.5)))
        behind = min(last, int(np.ceil((end - 0.5) / rows_of_one - 0.5)))
        asked = forest.asked(np.arange(before, behind + 1), self._timesteps)
        shares = self._lookup.shares(np.ascontiguousarray(self._features[:, asked - self._first].T))
        rows = interpolate(shares.T, rows_of_one)
        skipped = first - before * rows_of_one
        return rows[:, skipped : skipped + end - first]

    def _inputs(self, first: int, end: int) -> FloatArray:
        return self._learned.standardisation.by_input(self._values[first:end], self._own)


def forest_opinion(forest: Forest, features: FloatArray, stride: int, rows: int) -> FloatArray:
    """What a forest says of each row of a series, `(classes, rows)`, by all `features` of its timesteps,
    `(timesteps, features)`, which span `stride` rows each.
    """
    return interpolate(forest.probabilities(features).T, stride * forest.every)[:, :rows]


def interpolate(steps: FloatArray, rows_of_one: int) -> FloatArray:
    """`(classes, N)` of steps of so many rows to `(classes, N * rows_of_one)`.

    Linear between the middles of the steps, and level beyond the first and the last one.
    """
    half = rows_of_one // 2
    shares = ((np.arange(rows_of_one) + (rows_of_one % 2 == 0) / 2) / rows_of_one).astype(np.float32)
    around = np.pad(steps, ((0, 0), (1, 1)), mode="edge")[:, :, None]
    rows = around[:, :-1] + (around[:, 1:] - around[:, :-1]) * shares
    first = rows_of_one - half
    flat: FloatArray = rows.reshape(len(steps), -1)[:, first : first + steps.shape[1] * rows_of_one]
    return flat
