"""Examples as a network learns from them: inputs, targets, windows and class weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from timeseries_segmenter.learning.decoding import Decoding
from timeseries_segmenter.learning.decoding_fit import decoded_scores, with_points
from timeseries_segmenter.learning.examples import Example, Shapes
from timeseries_segmenter.learning.metrics import Scores
from timeseries_segmenter.learning.network import Dimensions, Network
from timeseries_segmenter.learning.segmenter import FullTraining, Segmenter
from timeseries_segmenter.learning.standardisation import Standardisation
from timeseries_segmenter.learning.training_windows import TrainingWindows
from timeseries_segmenter.segment import LabelSet

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

MOST_GROWTH = 1.5  # of the number of series since the last full training


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Examples with learned classes, prepared for windows of `windows.size` rows.

    `label_sets` are those of the classes from 1 on. `class_weights` are `(1 + len(label_sets),)`, None for
    equal ones.
    """

    examples: Sequence[Example]
    label_sets: tuple[LabelSet, ...]
    channels: tuple[str, ...]
    shapes: Shapes
    standardisation: Standardisation
    dimensions: Dimensions
    windows: TrainingWindows
    class_weights: Tensor | None

    @classmethod
    def of(
        cls,
        examples: Sequence[Example],
        label_sets: tuple[LabelSet, ...],
        channels: tuple[str, ...],
        shapes: Shapes,
        *,
        stride: int,
        sequence_size: int,
        hidden_size: int,
        use_class_weights: bool,
        device: torch.device,
    ) -> "TrainingSet":
        """Inputs are standardised by these examples' own statistics."""
        standardisation = Standardisation.of([example.values for example in examples])
        targets = [shapes.targets(example) for example in examples]
        inputs = [standardisation.apply(example.values) for example in examples]
        weights = _class_weights(targets, 1 + len(label_sets), softened=bool(shapes.points))
        return cls(
            examples,
            label_sets,
            channels,
            shapes,
            standardisation,
            Dimensions(standardisation.inputs, 1 + len(label_sets), hidden_size, stride),
            TrainingWindows(inputs, targets, sequence_size * stride, device),
            torch.tensor(weights, dtype=torch.float32, device=device) if use_class_weights else None,
        )

    def can_continue(self, start: Segmenter) -> bool:
        """Whether the weights of `start` mean the same for these examples."""
        return (
            (start.label_sets, start.channels, start.window)
            == (self.label_sets, self.channels, self.windows.size)
            and start.decoding.points == self.shapes.points
            and start.network.dimensions == self.dimensions
            and start.standardisation.same_inputs(self.standardisation)
            and len(self.examples) <= MOST_GROWTH * start.full_training.series
        )

    def segmenter(self, network: Network, full_training: FullTraining) -> Segmenter:
        """The model of a trained network; for instants it needs `with_instants` as well."""
        return Segmenter(
            network.eval(),
            self.standardisation,
            Decoding.of([example.classes for example in self.examples], self.dimensions.classes),
            self.windows.size,
            self.label_sets,
            self.channels,
            full_training,
        )

    def probabilities(self, segmenter: Segmenter) -> list[FloatArray]:
        """What a model says about each of these examples, `(T, classes)`."""
        return [segmenter.probabilities(example.values) for example in self.examples]

    def with_instants(self, segmenter: Segmenter, probabilities: Sequence[FloatArray]) -> Segmenter:
        """The same model, with what it takes to find instants."""
        decoding = with_points(segmenter.decoding, probabilities, self.examples, self.shapes)
        return replace(segmenter, decoding=decoding)

    def scores(self, segmenter: Segmenter, probabilities: Sequence[FloatArray]) -> Scores:
        """How good the decoded `probabilities` of a model are."""
        return decoded_scores(segmenter.decoding, probabilities, self.examples, self.shapes)


def _class_weights(targets: Sequence[IntArray], classes: int, softened: bool) -> NDArray[np.float64]:
    rows = np.concatenate(targets)
    occurring = np.unique(rows)
    weights: NDArray[np.float64] = np.zeros(classes)
    weights[occurring] = compute_class_weight("balanced", classes=occurring, y=rows)
    if softened:
        weights = np.sqrt(weights)  # instants are so rare that the full weight drowns the rest
    weights /= weights.sum()
    return weights
