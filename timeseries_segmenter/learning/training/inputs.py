"""What a network sees of training series: standardised samples, and rolling features beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.inputs.rolling import RollingFeatures
from timeseries_segmenter.learning.inputs.standardisation import Standardisation
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.recipe import Recipe

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The standardised `samples` `(T, inputs)` of each series and its rolling `features`
    `(ceil(T / stride), features)`, with the statistics of all series that make them.

    `rolling` is None, and a timestep has no features, if the recipe wants none. `features` are empty once
    nobody needs them: they are most of a training run's memory.
    """

    standardisation: Standardisation
    rolling: RollingFeatures | None
    samples: Sequence[FloatArray]
    features: Sequence[FloatArray]

    @classmethod
    def fit(cls, series: Sequence[FloatArray], stride: int, recipe: Recipe) -> "Inputs":
        """From the values `(T, C)` of the training series; a timestep of the network spans `stride` rows."""
        standardisation = Standardisation.fit(series)
        samples = [standardisation.apply(values) for values in series]
        return cls._of(standardisation, samples, stride, recipe)

    @classmethod
    def of_model(cls, model: Segmenter, series: Sequence[FloatArray]) -> "Inputs":
        """As a model, which has rolling features, gets these series `(T, C)`."""
        samples = [model.standardisation.apply(values) for values in series]
        features = [model.rolling.apply(each) for each in samples] if model.rolling else []
        return cls(model.standardisation, model.rolling, samples, features)

    def at_stride(self, stride: int, recipe: Recipe) -> "Inputs":
        """The same samples with features of timesteps that span `stride` rows."""
        return self._of(self.standardisation, self.samples, stride, recipe)

    @classmethod
    def _of(
        cls, standardisation: Standardisation, samples: Sequence[FloatArray], stride: int, recipe: Recipe
    ) -> "Inputs":
        if not recipe.rolling_features:
            nothing = [np.zeros((-(-len(each) // stride), 0), np.float32) for each in samples]
            return cls(standardisation, None, samples, nothing)
        levels = len(standardisation.mean) if standardisation.per_series else 0
        rolling, features = RollingFeatures.fit_apply(samples, stride, recipe.sequence_size * stride, levels)
        return cls(standardisation, rolling, samples, features)

    def part(self, places: Sequence[int]) -> "Inputs":
        """Those of the series in these places alone, by the statistics of all."""
        return replace(
            self,
            samples=[self.samples[place] for place in places],
            features=[self.features[place] for place in places] if self.features else (),
        )
