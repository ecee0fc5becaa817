"""The first act of training: annotated series to what a network learns from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.learning.dimensions import Dimensions
from timeseries_segmenter.learning.examples import Example, learned_classes, with_learned_classes
from timeseries_segmenter.learning.inputs.resampling import Resampling, Sampling
from timeseries_segmenter.learning.inputs.rolling import timestep_means
from timeseries_segmenter.learning.opinions.convolutions import Convolutions
from timeseries_segmenter.learning.opinions.forest import Forest
from timeseries_segmenter.learning.opinions.network import Network
from timeseries_segmenter.learning.training.inputs import Inputs
from timeseries_segmenter.learning.training.lengths import Lengths
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.training.remembered import OfSeries, Remembered, Sample
from timeseries_segmenter.learning.training.training_windows import TrainingWindows
from timeseries_segmenter.segment import UNKNOWN, LabelSet, label_set_name
from timeseries_segmenter.words import counted

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Examples with learned classes, at a common rate, and all that follows from them before the first step.

    `label_sets` are those of the classes from 1 on, `unlearned` those without an example. `targets` are
    the class of each row, `(T,)`, UNKNOWN if it teaches nothing, one array a series; `class_weights`
    `(1 + len(label_sets),)`, None for equal ones. `stride` is the samples that one timestep of the network
    spans. `sampling` is the common rate, `resamplings` how each example was brought to it. If the examples
    are a part of a project's, forest and convolutions learn from what is `remembered` of all.
    """

    examples: Sequence[Example]
    label_sets: tuple[LabelSet, ...]
    unlearned: tuple[LabelSet, ...]
    channels: tuple[str, ...]
    recipe: Recipe
    lengths: Lengths
    stride: int
    targets: Sequence[IntArray]
    inputs: Inputs
    class_weights: NDArray[np.float64] | None
    sampling: Sampling
    resamplings: Sequence[Resampling]
    remembered: Remembered | None = None

    @classmethod
    def from_examples(
        cls,
        examples: Sequence[Example],
        label_sets: Sequence[LabelSet],
        channels: Sequence[str],
        recipe: Recipe,
        sample: Sample | None = None,
    ) -> "Prepared":
        """Class `i + 1` in the `examples` stands for `label_sets[i]`; they may be a `sample`.

        Raises TrainingError if no example holds a labelled row.
        """
        classes = learned_classes(examples, label_sets)
        if not classes:
            names = ", ".join(map(label_set_name, label_sets))
            raise TrainingError(
                f"{counted(len(examples), 'annotated task')}, but no region with one of the labels {names}: "
                "draw at least one"
            )
        if sample:
            classes = sample.with_remembered(classes, label_sets)
        learned = tuple(each.labels for each in classes)
        sampling = Sampling.fit(example.times for example in examples)
        resamplings = [sampling.resampling(example.times) for example in examples]
        examples = [
            resampling.example(with_learned_classes(example, label_sets, classes))
            for example, resampling in zip(examples, resamplings, strict=True)
        ]
        lengths = Lengths.from_examples(examples)
        targets = [lengths.targets(example) for example in examples]
        stride = lengths.stride(recipe.sequence_size)
        if lengths.instant_classes or not recipe.rolling_features:
            sample = None  # nothing learns from what is remembered
        before = sample.before if sample else None
        if before and not (
            before.suits(channels, recipe.sequence_size, stride)
            and same_rate(before.sampling, sampling, resamplings)
        ):
            before = None
        values = [example.values for example in examples]
        if before:
            stride = before.network.dimensions.stride
        prepared = cls(
            examples,
            learned,
            tuple(labels for labels in label_sets if labels not in learned),
            tuple(channels),
            recipe,
            lengths,
            stride,
            targets,
            Inputs.of_model(before, values) if before else Inputs.fit(values, stride, recipe),
            _class_weights(targets, learned, lengths, recipe),
            sampling,
            resamplings,
        )
        if sample is None:
            return prepared
        remembered = sample.remembered if before else None  # by other inputs, it says nothing
        return replace(prepared, remembered=prepared._remember(remembered, sample))

    def _remember(self, remembered: Remembered | None, sample: Sample) -> Remembered:
        """What is `remembered`, and some timesteps of each example beside it."""
        means = self._means()
        if remembered is None:
            kernels = Convolutions.fit_kernels(means, self._short_run, self.recipe.seed)
            remembered = Remembered.nothing(kernels, self.label_sets, self.dimensions.features)
        arrays = (sample.names, sample.folds, self.inputs.features, means, self._by_timestep())
        series = [OfSeries(*each) for each in zip(*arrays, strict=True)]
        return remembered.relabelled(self.label_sets).with_series(series, self.recipe.seed)

    def without(self, held_out: Collection[int]) -> "Prepared":
        """The other examples alone, with statistics and weights of their own, but the classes and lengths
        of all; `held_out` are places in `examples`.
        """
        rest = self.part([place for place in range(len(self.examples)) if place not in held_out])
        weights = _class_weights(rest.targets, self.label_sets, self.lengths, self.recipe)
        if self.remembered and self.inputs.rolling:  # its features are by the statistics of all
            features = [self.inputs.rolling.apply(samples) for samples in rest.inputs.samples]
            return replace(rest, inputs=replace(rest.inputs, features=features), class_weights=weights)
        return replace(
            rest,
            inputs=Inputs.fit([example.values for example in rest.examples], self.stride, self.recipe),
            class_weights=weights,
        )

    def at_stride(self, stride: int) -> "Prepared":
        """The same for a network whose timesteps span `stride` rows."""
        return replace(self, stride=stride, inputs=self.inputs.at_stride(stride, self.recipe))

    def part(self, places: Sequence[int]) -> "Prepared":
        """The examples in these places alone, with all that follows from the whole."""
        return replace(
            self,
            examples=[self.examples[place] for place in places],
            targets=[self.targets[place] for place in places],
            inputs=self.inputs.part(places),
            resamplings=[self.resamplings[place] for place in places],
        )

    def without_features(self) -> "Prepared":
        """The same for what follows the optimiser, the forest and the convolutions."""
        return replace(self, inputs=replace(self.inputs, features=()))

    @property
    def dimensions(self) -> Dimensions:
        """Those of a network that learns from it."""
        return Dimensions(
            self.inputs.standardisation.inputs,
            1 + len(self.label_sets),
            self.recipe.hidden_size,
            self.stride,
            self.inputs.rolling.count if self.inputs.rolling else 0,
        )

    @property
    def rows_by_class(self) -> IntArray:
        """How many rows teach each class, background first."""
        rows = np.concatenate(self.targets)
        return np.bincount(rows[rows != UNKNOWN], minlength=self.dimensions.classes)

    @property
    def scarce(self) -> NDArray[np.bool_]:
        """The classes that fill less than a window, `(classes,)`: their F1 is chance, and decides nothing."""
        scarce: NDArray[np.bool_] = self.rows_by_class < self.window
        return scarce if not scarce.all() else np.zeros_like(scarce)

    @property
    def window(self) -> int:
        """Rows that the network sees at a time."""
        return self.recipe.sequence_size * self.stride

    def windows(self, device: torch.device) -> TrainingWindows:
        """What the optimiser's batches are taken from."""
        return TrainingWindows(
            self.inputs.samples, self.inputs.features, self.targets, self.window, self.stride, device
        )

    def probabilities(self, network: Network) -> list[FloatArray]:
        """What a network says about each example, `(T, 1 + len(label_sets))`."""
        return [
            network.probabilities(samples, self.window, features)
            for samples, features in zip(self.inputs.samples, self.inputs.features, strict=True)
        ]

    def grow_forest(self) -> Forest | None:
        """The second opinion beside the network; None if the recipe wants none, or for instants.

        The threshold of instants is fitted on the training series, which a forest knows by heart.
        """
        if not self.recipe.forest or self.inputs.rolling is None or self.lengths.instant_classes:
            return None
        kept = self.remembered
        return Forest.fit(
            [kept.features.astype(np.float32)] if kept else self.inputs.features,
            [kept.classes] if kept else self._by_timestep(),
            self.dimensions.classes,
            self.lengths.run / self.stride,
            self.recipe.seed,
        )

    def fit_convolutions(self) -> Convolutions | None:
        """The third opinion; None as for the forest."""
        if not self.recipe.convolutions or self.inputs.rolling is None or self.lengths.instant_classes:
            return None
        classes = self.dimensions.classes
        if kept := self.remembered:
            return kept.kernels.with_linear(kept.inputs_of_convolutions(), kept.classes, classes)
        return Convolutions.fit(
            self._means(),
            self.inputs.features,
            self._by_timestep(),
            classes,
            self._short_run,
            self.recipe.seed,
        )

    @property
    def _short_run(self) -> float:
        """The length of a short labelled run in timesteps, at most a window."""
        return min(self.lengths.run, self.window) / self.stride

    def _means(self) -> list[FloatArray]:
        """The inputs' means of each timestep, `(inputs, timesteps)` a series."""
        return [timestep_means(samples.T, self.stride) for samples in self.inputs.samples]

    def _by_timestep(self) -> list[IntArray]:
        return [_by_timestep(targets, self.stride) for targets in self.targets]


def same_rate(before: Sampling, sampling: Sampling, resamplings: Sequence[Resampling]) -> bool:
    """Whether series that are brought to the rate of `sampling` are at the one `before`."""
    if before.interval:
        return before.near(sampling.interval)
    return all(resampling.positions is None for resampling in resamplings)


def _by_timestep(targets: IntArray, stride: int) -> IntArray:
    """The class in the middle of each timestep, `(ceil(T / stride),)`."""
    middles = np.arange(stride // 2, len(targets) + stride // 2, stride)
    classes: IntArray = targets[np.minimum(middles, len(targets) - 1)]
    return classes


def _class_weights(
    targets: Sequence[IntArray], label_sets: Sequence[LabelSet], lengths: Lengths, recipe: Recipe
) -> NDArray[np.float64] | None:
    if not recipe.use_class_weights:
        return None
    from sklearn.utils.class_weight import compute_class_weight  # here: a second that only training needs

    rows = np.concatenate(targets)
    rows = rows[rows != UNKNOWN]
    occurring = np.unique(rows)
    weights: NDArray[np.float64] = np.zeros(1 + len(label_sets))
    weights[occurring] = compute_class_weight("balanced", classes=occurring, y=rows)
    if lengths.instant_classes:
        weights = np.sqrt(weights)  # instants are so rare that the full weight drowns the rest
    weights /= weights.sum()
    return weights
