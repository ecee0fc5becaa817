"""The network: a strided convolution stem, a bidirectional LSTM, and class logits per sample."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from timeseries_segmenter.learning.windows import average_over_windows

FloatArray = NDArray[np.float32]

ARCHITECTURE = "convolution-lstm"  # in model files: another name for another network
KERNEL_SIZES = (7, 5)  # samples, then outputs of the first convolution
STEM_FEATURES = (32, 64)
PER_WINDOW_SHARE = 4  # one in so many features of the first convolution is normalised per window
STEM_DROPOUT = 0.2
LSTM_DROPOUT = 0.3


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What it takes to build the same network again; saved with the weights.

    `stride` is the number of samples that one timestep of the LSTM spans: 1, 2, 4, 8 or 16.
    """

    inputs: int
    classes: int
    hidden_size: int = 64
    stride: int = 4


class Network(nn.Module):
    """Logits for each sample of a window, from its standardised inputs.

    Dropout leaves out whole features of a window, the same at every timestep (Gal and
    Ghahramani 2016, arXiv 1512.05287).
    """

    def __init__(self, dimensions: Dimensions) -> None:
        super().__init__()
        self.dimensions = dimensions
        first, second = _split(dimensions.stride)
        narrow, wide = STEM_FEATURES
        self.stem = nn.Sequential(
            nn.Conv1d(dimensions.inputs, narrow, KERNEL_SIZES[0], first, KERNEL_SIZES[0] // 2),
            MixedNorm(narrow),
            nn.ReLU(),
            nn.Conv1d(narrow, wide, KERNEL_SIZES[1], second, KERNEL_SIZES[1] // 2),
            nn.BatchNorm1d(wide),
            nn.ReLU(),
            nn.Dropout1d(STEM_DROPOUT),
        )
        self.lstm = nn.LSTM(wide, dimensions.hidden_size, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout1d(LSTM_DROPOUT)
        self.head = nn.Linear(2 * dimensions.hidden_size, dimensions.classes)
        self.skip = nn.Conv1d(wide, dimensions.classes, 1, bias=False)

    def forward(self, windows: Tensor) -> Tensor:
        """`(N, S, inputs)` float32 windows of S samples to `(N, S, classes)` logits."""
        features = self.stem(windows.transpose(1, 2))
        states, _ = self.lstm(features.transpose(1, 2))
        states = self.dropout(states.transpose(1, 2)).transpose(1, 2)
        logits: Tensor = self.head(states).transpose(1, 2) + self.skip(features)
        if self.dimensions.stride > 1:
            logits = functional.interpolate(logits, windows.shape[1], mode="linear")
        return logits.transpose(1, 2)

    def probabilities(self, inputs: FloatArray, window: int) -> FloatArray:
        """Class probabilities `(T, classes)` of a whole series `(T, inputs)`, by windows of `window` rows."""
        device = next(self.parameters()).device

        def predict(windows: FloatArray) -> FloatArray:
            logits = self(torch.from_numpy(windows).to(device))
            # classes first: faster by a tenth of the whole
            probabilities: FloatArray = logits.transpose(1, 2).softmax(dim=1).transpose(1, 2).cpu().numpy()
            return probabilities

        self.eval()
        with torch.inference_mode():
            return average_over_windows(inputs, window, self.dimensions.classes, predict)


class MixedNorm(nn.Module):
    """Some features normalised over the window itself, the others over the batch.

    The former look alike on a person or sensor never seen before, the latter keep what level
    and strength say (IBN-Net, Pan et al. 2018, arXiv 1807.09441).
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.own = features // PER_WINDOW_SHARE
        self.window = nn.InstanceNorm1d(self.own, affine=True)
        self.batch = nn.BatchNorm1d(features - self.own)

    def forward(self, features: Tensor) -> Tensor:
        """`(N, features, T)` to the same shape."""
        own, shared = features[:, : self.own], features[:, self.own :]
        return torch.cat([self.window(own), self.batch(shared)], dim=1)


def best_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _split(stride: int) -> tuple[int, int]:
    """Share the stride between the two convolutions: 4 is 2 by 2, 8 is 4 by 2."""
    if stride not in (1, 2, 4, 8, 16):
        raise ValueError(f"stride is {stride}; it should be 1, 2, 4, 8 or 16")
    first = {1: 1, 2: 2, 4: 2, 8: 4, 16: 4}[stride]
    return first, stride // first
