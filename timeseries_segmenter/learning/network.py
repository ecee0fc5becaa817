"""The network: a strided convolution stem, a bidirectional LSTM, and class logits per sample."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL_SIZES = (7, 5)  # samples, then outputs of the first convolution
STEM_FEATURES = (32, 64)
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
    layers: int = 2
    stride: int = 4


class Network(nn.Module):
    """Logits for each sample of a window, from its standardised inputs."""

    def __init__(self, dimensions: Dimensions) -> None:
        super().__init__()
        self.dimensions = dimensions
        first, second = _split(dimensions.stride)
        narrow, wide = STEM_FEATURES
        self.stem = nn.Sequential(
            nn.Conv1d(dimensions.inputs, narrow, KERNEL_SIZES[0], first, KERNEL_SIZES[0] // 2),
            nn.BatchNorm1d(narrow),
            nn.ReLU(),
            nn.Conv1d(narrow, wide, KERNEL_SIZES[1], second, KERNEL_SIZES[1] // 2),
            nn.BatchNorm1d(wide),
            nn.ReLU(),
            nn.Dropout(STEM_DROPOUT),
        )
        self.lstm = nn.LSTM(
            wide,
            dimensions.hidden_size,
            dimensions.layers,
            batch_first=True,
            bidirectional=True,
            dropout=LSTM_DROPOUT if dimensions.layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(LSTM_DROPOUT)
        self.head = nn.Linear(2 * dimensions.hidden_size + wide, dimensions.classes)

    def forward(self, windows: Tensor) -> Tensor:
        """`(N, S, inputs)` float32 windows of S samples to `(N, S, classes)` logits."""
        features = self.stem(windows.transpose(1, 2)).transpose(1, 2)
        states, _ = self.lstm(features)
        logits: Tensor = self.head(torch.cat([self.dropout(states), features], dim=2))
        if self.dimensions.stride == 1:
            return logits
        samples = windows.shape[1]
        return functional.interpolate(logits.transpose(1, 2), samples, mode="linear").transpose(1, 2)


def _split(stride: int) -> tuple[int, int]:
    """Share the stride between the two convolutions: 4 is 2 by 2, 8 is 4 by 2."""
    if stride not in (1, 2, 4, 8, 16):
        raise ValueError(f"stride is {stride}; it should be 1, 2, 4, 8 or 16")
    first = {1: 1, 2: 2, 4: 2, 8: 4, 16: 4}[stride]
    return first, stride // first
