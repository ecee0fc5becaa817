"""What the network of a model, its forest and its convolutions say of a series, stretch by stretch."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.inputs.adaptation import Adaptation, spread_stretches
from timeseries_segmenter.learning.inputs.rolling import RollingFeatures, timestep_means
from timeseries_segmenter.learning.inputs.standardisation import Standardisation
from timeseries_segmenter.learning.inputs.windows import Stretch
from timeseries_segmenter.learning.opinions.convolutions import Convolutions
from timeseries_segmenter.learning.opinions.forest import Forest, Lookup, asked_timesteps
from timeseries_segmenter.learning.opinions.pool import Opinions

if TYPE_CHECKING:
    from timeseries_segmenter.learning.opinions.network import Network

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


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

    @property
    def convolutions(self) -> Convolutions | None: ...

    @property
    def adapts(self) -> bool: ...


def opinions_by_stretch(learned: Learned, values: FloatArray) -> Iterator[Opinions]:
    """All opinions of a series `(T, C)` at the rate that was learned, `(classes, rows)` of one stretch
    after the other. What is computed on the way exists for a stretch at a time.
    """
    series = _Series(learned, values)
    rows = 0
    for network in learned.network.probabilities_by_stretch(len(values), learned.window, series.stretch):
        end = rows + network.shape[1]
        yield Opinions(
            network, series.forest_probabilities(rows, end), series.convolved_probabilities(rows, end)
        )
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
        self._first_mean = 0  # timestep of the means, which are of more timesteps than the features
        self._means: FloatArray = np.zeros((0, 0), np.float32)
        self._ends = (0, 0)  # of the rows that were asked for last
        self._asked_for: Stretch = (self._means, None)
        self._adaptation: Adaptation | None = None

    def stretch(self, first: int, end: int) -> Stretch:
        """Inputs `(inputs, rows)` and features `(features, timesteps)` of some rows, as the network sees
        them.
        """
        learned = self._learned
        if not learned.adapts:
            return self._unadapted(first, end)
        if self._adaptation is None:
            rows, common = len(self._values), len(learned.standardisation.mean)
            stretches = [self._unadapted(*each) for each in spread_stretches(rows, learned.window)]
            self._adaptation = Adaptation.fit(stretches, common, rows / learned.window)
        return self._adaptation.apply(self._unadapted(first, end))

    def _unadapted(self, first: int, end: int) -> Stretch:
        """The same as the forest and the convolutions see them."""
        if self._ends != (first, end):
            self._ends, self._asked_for = (first, end), self._compute(first, end)
        return self._asked_for

    def _compute(self, first: int, end: int) -> Stretch:
        rolling, stride = self._learned.rolling, self._stride
        if rolling is None:
            return self._inputs(first, end), None
        others = (self._learned.forest, self._learned.convolutions)
        beside = max((each.every for each in others if each), default=0)  # timesteps asked about, too
        first_timestep, end_timestep = first // stride, -(-end // stride)
        self._first = max(0, first_timestep - beside)
        around_first = max(0, self._first - rolling.reach)
        around_end = min(self._timesteps, end_timestep + beside + rolling.reach)
        inputs = self._inputs(around_first * stride, min(len(self._values), around_end * stride))
        if self._learned.convolutions:  # whose reach is less than that of the features
            self._first_mean, self._means = around_first, timestep_means(inputs, stride)
        features = rolling.by_feature(inputs)
        self._features = features[:, self._first - around_first : end_timestep + beside - around_first]
        skipped = first - around_first * stride
        own = slice(first_timestep - self._first, end_timestep - self._first)
        return inputs[:, skipped : skipped + end - first], self._features[:, own]

    def forest_probabilities(self, first: int, end: int) -> FloatArray | None:
        """Those of some rows of the stretch, `(classes, rows)`."""
        forest, lookup = self._learned.forest, self._lookup
        if forest is None or lookup is None or self._learned.rolling is None:
            return None
        return self._asked(forest.every, first, end, lambda _, features: lookup.shares(features))

    def convolved_probabilities(self, first: int, end: int) -> FloatArray | None:
        """The same by the convolutions."""
        convolutions = self._learned.convolutions
        if convolutions is None or self._learned.rolling is None:
            return None

        def ask(timesteps: IntArray, features: FloatArray) -> FloatArray:
            return convolutions.probabilities(self._means, features, timesteps - self._first_mean)

        return self._asked(convolutions.every, first, end, ask)

    def _asked(
        self, every: int, first: int, end: int, ask: Callable[[IntArray, FloatArray], FloatArray]
    ) -> FloatArray:
        """What `ask` says of each timestep in `every`, with its features, for some rows of the stretch."""
        rows_of_one = self._stride * every
        last = -(-self._timesteps // every) - 1
        before = max(0, int(np.floor((first + 0.5) / rows_of_one - 0.5)))
        behind = min(last, int(np.ceil((end - 0.5) / rows_of_one - 0.5)))
        asked = asked_timesteps(np.arange(before, behind + 1), every, self._timesteps)
        said = ask(asked, np.ascontiguousarray(self._features[:, asked - self._first].T))
        rows = interpolate(said.T, rows_of_one)
        skipped = first - before * rows_of_one
        return rows[:, skipped : skipped + end - first]

    def _inputs(self, first: int, end: int) -> FloatArray:
        return self._learned.standardisation.by_input(self._values[first:end], self._own)


def opinions_of_prepared(learned: Learned, network: FloatArray, features: FloatArray) -> Opinions:
    """All opinions `(T, classes)` of a whole series before held-out predictions give the convolutions a say.

    That of the `network` and the `features` of all timesteps, `(timesteps, features)`, are there already.
    """
    forest = learned.forest
    if forest is None:
        return Opinions(network)
    rows_of_one = learned.network.dimensions.stride * forest.every
    return Opinions(network, interpolate(forest.probabilities(features).T, rows_of_one)[:, : len(network)].T)


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
