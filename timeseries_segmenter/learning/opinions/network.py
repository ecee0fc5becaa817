"""The network: a strided convolution stem, a bidirectional LSTM, and class logits per sample."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from timeseries_segmenter.learning.device import CPU, OutOfMemory, choose_device, log_fallback, place_on
from timeseries_segmenter.learning.dimensions import Dimensions
from timeseries_segmenter.learning.inputs.windows import WINDOWS_IN_BATCH, Stretch, average_of_stretches

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
WINDOWS_IN_GPU_BATCH = 1024


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
        self.lstm = nn.LSTM(wide, dimensions.hidden_size, bidirectional=True)
        self.dropout = nn.Dropout1d(LSTM_DROPOUT)
        self.head = nn.Linear(2 * dimensions.hidden_size, dimensions.classes)
        self.skip = nn.Conv1d(wide, dimensions.classes, 1, bias=False)

    def forward(self, windows: Tensor, rolling: Tensor | None = None) -> Tensor:
        """`(N, S, inputs)` float32 windows of S samples to `(N, S, classes)` logits.

        `rolling` are the windows' `(N, S / stride, features)`, if the network takes any.
        """
        embedded = None
        if self.embedding is not None and rolling is not None:
            embedded = self.embedding(rolling.transpose(1, 2)).permute(2, 0, 1)
        return self._logits(windows.transpose(1, 2), embedded).transpose(1, 2)

    def _logits(self, windows: Tensor, embedded: Tensor | None) -> Tensor:
        """`(N, inputs, S)` windows and `(S / stride, N, EMBEDDED_FEATURES)` to `(N, classes, S)`."""
        features = self.stem(windows).permute(2, 0, 1)  # timesteps first: what the LSTM is fastest with
        if embedded is not None:
            features = torch.cat([features, embedded], dim=2)
        states, _ = self.lstm(features)
        states = self.dropout(states.permute(1, 2, 0)).permute(2, 0, 1)
        logits: Tensor = self.head(states) + functional.linear(features, self.skip.weight[:, :, 0])
        logits = logits.permute(1, 2, 0)
        if self.dimensions.stride > 1:
            logits = functional.interpolate(logits, windows.shape[2], mode="linear")
        return logits

    def probabilities(self, inputs: FloatArray, window: int, rolling: FloatArray | None = None) -> FloatArray:
        """Class probabilities `(T, classes)` of a whole series `(T, inputs)`, by windows of `window` rows.

        `rolling` are its `(ceil(T / stride), features)`.
        """
        stride = self.dimensions.stride

        def stretch(first: int, end: int) -> Stretch:
            timesteps = slice(first // stride, -(-end // stride))
            return inputs[first:end].T, None if rolling is None else rolling[timesteps].T

        stretches = self.probabilities_by_stretch(len(inputs), window, stretch)
        return np.concatenate([each.T for each in stretches])

    def probabilities_by_stretch(
        self, length: int, window: int, stretch: Callable[[int, int], Stretch]
    ) -> Iterator[FloatArray]:
        """Class probabilities `(classes, rows)` of one stretch of a series of `length` rows after the other.

        `stretch` gives what the network sees of the rows from a first one, at the start of a timestep, to an
        end. Stretches overlap, and are some WINDOWS_IN_BATCH windows long.
        """
        network = self.eval()

        def predict(inputs: FloatArray, rolling: FloatArray | None, starts: IntArray) -> FloatArray:
            nonlocal network
            try:
                return network._window_probabilities(inputs, rolling, starts, window)
            except OutOfMemory as error:
                log_fallback("the rest of a series is predicted on the CPU", error)
                network = network.copy_on_cpu()  # not this one: other threads may use it
            return network._window_probabilities(inputs, rolling, starts, window)

        most = WINDOWS_IN_BATCH if self.device == CPU else WINDOWS_IN_GPU_BATCH
        return average_of_stretches(length, window, self.dimensions, stretch, predict, most)

    def _window_probabilities(
        self, inputs: FloatArray, rolling: FloatArray | None, starts: IntArray, window: int
    ) -> FloatArray:
        """`(N, classes, window)` of the windows that begin at `starts` `(N,)` in a stretch `(inputs, rows)`;
        `rolling` is `(features, timesteps)`.
        """
        device, stride = self.device, self.dimensions.stride
        places = torch.from_numpy(starts).to(device)
        with torch.inference_mode():
            rows = torch.from_numpy(inputs).to(device)
            windows = rows.unfold(1, window, 1)[:, places].transpose(0, 1)
            embedded = None
            if self.embedding is not None and rolling is not None:
                timesteps = self.embedding(torch.from_numpy(rolling).to(device)[None])[0]
                around = torch.arange(window // stride, device=device)[:, None] + places // stride
                embedded = timesteps.T.contiguous()[around]
            probabilities: FloatArray = self._logits(windows, embedded).softmax(dim=1).cpu().numpy()
        return probabilities

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return next(self.parameters()).device

    def copy_on_cpu(self) -> "Network":
        """The same network, to predict with, on the CPU."""
        return _restored(self.dimensions, self._weights(), CPU.type)

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.cpu() for name, tensor in self.state_dict().items()}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled on a GPU, it can be read where there is none."""
        return _restored, (self.dimensions, self._weights(), self.device.type)


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


def _restored(dimensions: Dimensions, weights: dict[str, Tensor], device: str) -> Network:
    """A network, to predict with, from its weights: on such a device, or on the CPU if there is none."""
    network = Network(dimensions)
    network.load_state_dict(weights)
    return place_on(network, choose_device("cpu" if device == CPU.type else "auto")).eval()


def _split(stride: int) -> tuple[int, int]:
    """Share the stride between the two convolutions: 4 is 2 by 2, 8 is 4 by 2."""
    if stride not in (1, 2, 4, 8, 16):
        raise ValueError(f"stride is {stride}; it should be 1, 2, 4, 8 or 16")
    first = {1: 1, 2: 2, 4: 2, 8: 4, 16: 4}[stride]
    return first, stride // first
