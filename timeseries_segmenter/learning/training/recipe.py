"""What people can set about how a network is trained."""

from dataclasses import dataclass
from typing import Literal

from timeseries_segmenter.learning.metrics import Scores
from timeseries_segmenter.learning.segmenter import FullTraining

DeviceName = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Options of `fit`."""

    epochs: int = 1000  # at most
    steps: int = 450  # of the optimizer, at most, in a training from scratch: some ten seconds
    sequence_size: int = 50  # timesteps of the LSTM in one window
    hidden_size: int = 64  # features of the LSTM in each direction
    # a training from scratch may end once these are reached on the training windows
    balanced_accuracy_threshold: float = 0.85
    min_class_f1_threshold: float = 0.70
    rolling_features: bool = True  # the network gets statistics around each timestep beside the samples
    forest: bool = True  # a random forest on them has a say beside the network
    convolutions: bool = True  # so do fixed convolutions at random
    use_class_weights: bool = True  # rare classes weigh more in the loss
    seed: int = 0  # of the weights at first, the windows and the dropout
    device: DeviceName = "auto"  # that computes it: `cpu`, `cuda`, or `auto` for a GPU if there is one

    def met_by(self, scores: Scores | FullTraining) -> bool:
        """Whether these scores reach both thresholds."""
        return (
            scores.balanced_accuracy >= self.balanced_accuracy_threshold
            and scores.min_f1 >= self.min_class_f1_threshold
        )
