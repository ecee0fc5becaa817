"""The network: a strided convolution stem, a bidirectional LSTM, and class logits per sample."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from timeseries_segmenter.learning.windows import average_over_windows

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

ARCHITECTURE = "convolution-lstm"  # in model files: another name for another network
KERNEL_SIZES = (7, 5)  # samples, then outputs of the first convolution
STEM_FEATURES = (32, 64)
EMBEDDED_FEATURES = 64  # that the rolling features of a timestep become
EMBEDDING_DROPOUT = 0.2
PER_WINDOW_SHARE = 4  # one in so many features of the first convolution is normalised per window
STEM_DROPOUT = 0.2
LSTM_DROPOUT = 0.3


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What it takes to build the same network again; saved with the weights.

    `stride` is the number of samples that one timestep of the LSTM spans: 1, 2, 4, 8 or 16. `features` are
    the rolling features of a timestep, 0 for a network without any.
    """

    inputs: int
    classes: int
    hidden_size: int = 64
    stride: int = 4
    features: int = 0


class Network(nn.Module):
    """Logits for each sample of a window, from its standardised inputs and rolling features.

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
        self.embedding = None
        if dimensions.features:
            self.embedding = nn.Sequential(
                nn.Conv1d(dimensions.features, EMBEDDED_FEATURES, 1),
                nn.BatchNorm1d(EMBEDDED_FEATURES),
                nn.ReLU(),
                nn.Dropout1d(EMBEDDING_DROPOUT),
            )
            wide += EMBEDDED_FEATURES
        self.lstm = nn.LSTM(wide, dimensions.hidden_size, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout1d(LSTM_DROPOUT)
        self.head = nn.Linear(2 * dimensions.hidden_size, dimensions.classes)
        self.skip = nn.Conv1d(wide, dimensions.classes, 1, bias=False)

    def forward(self, windows: Tensor, rolling: Tensor | None = None) -> Tensor:
        """`(N, S, inputs)` float32 windows of S samples to `(N, S, classes)` logits.

        `rolling` are the windows' `(N, S / stride, features)`, if the network takes any.
        """
        features = self.stem(windows.transpose(1, 2))
        if self.embedding is not None and rolling is not None:
            features = torch.cat([features, self.embedding(rolling.transpose(1, 2))], dim=1)
        states, _ = self.lstm(features.transpose(1, 2))
        states = self.dropout(states.transpose(1, 2)).transpose(1, 2)
        logits: Tensor = self.head(states).transpose(1, 2) + self.skip(features)
        if self.dimensions.stride > 1:
            logits = functional.interpolate(logits, windows.shape[1], mode="linear")
        return logits.transpose(1, 2)

    def probabilities(self, inputs: FloatArray, window: int, rolling: FloatArray | None = None) -> FloatArray:
        """Class probabilities `(T, classes)` of a whole series `(T, inputs)`, by windows of `window` rows.

        `rolling` are its `(ceil(T / stride), features)`.
        """
        device = next(self.parameters()).device
        stride = self.dimensions.stride
        filled = -(-max(len(inputs), window) // stride) * stride
        inputs_filled = np.pad(inputs, ((0, filled - len(inputs)), (0, 0)))
        if rolling is not None:
            rolling = np.pad(rolling, ((0, filled // stride - len(rolling)), (0, 0)))
        timesteps = np.arange(window // stride)

        def predict(windows: FloatArray, starts: IntArray) -> FloatArray:
            around = (
                None
                if rolling is None
                else torch.from_numpy(rolling[starts[:, None] // stride + timesteps]).to(device)
            )
            logits = self(torch.from_numpy(windows).to(device), around)
            # classes first: faster by a tenth of the whole
            probabilities: FloatArray = logits.transpose(1, 2).softmax(dim=1).transpose(1, 2).cpu().numpy()
            return probabilities

        self.eval()
        with torch.inference_mode():
            averages = average_over_windows(inputs_filled, window, self.dimensions.classes, predict, stride)
        return averages[: len(inputs)]


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
