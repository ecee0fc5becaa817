"""Random windows of series, to train on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from timeseries_segmenter.segment import UNKNOWN

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


class TrainingWindows:
    """All series behind one another, each at least a window long; no window straddles two.

    `inputs` are `(T, inputs)`, `rolling` `(ceil(T / stride), features)` and `targets` `(T,)`, one of each a
    series; `size` and `stride` are in rows. Rows whose target is UNKNOWN are in windows as context of
    others; so are those that fill up a series to a window, or to a whole timestep.
    """

    def __init__(
        self,
        inputs: Sequence[FloatArray],
        rolling: Sequence[FloatArray],
        targets: Sequence[IntArray],
        size: int,
        stride: int,
        device: torch.device,
    ) -> None:
        missing = [-(-max(size, len(target)) // stride) * stride - len(target) for target in targets]
        self._stride = stride
        lengths = np.array([len(target) + more for target, more in zip(targets, missing, strict=True)])
        self.size = size
        self.rows = int(lengths.sum())
        self._firsts = np.cumsum(lengths) - lengths
        self._places = lengths - size + 1  # at which a window can start
        # a little past both ends, and back: the outermost rows are in as many windows as the rest
        self._margin = size // 4
        all_known = all((target != UNKNOWN).all() for target in targets)
        self._known_starts = None if all_known else self._starts_with_known(targets)
        self._shares = torch.from_numpy(lengths / self.rows)
        self._window_rows = torch.arange(size, device=device)
        self._window_timesteps = torch.arange(size // stride, device=device)
        self._inputs = _behind_one_another(inputs, lengths).to(device)
        self._rolling = _behind_one_another(rolling, lengths // stride).to(device)
        self._targets = _behind_one_another(targets, lengths, UNKNOWN).to(device)

    def batch(self, windows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs `(windows, size, inputs)`, rolling features `(windows, size / stride, features)`, and
        targets `(windows, size)`; each window has a known target.
        """
        if self._known_starts is None:
            starts = self._starts(windows)
        else:
            starts = self._known_starts[torch.randint(len(self._known_starts), (windows,)).numpy()]
        timesteps = torch.from_numpy(starts // self._stride).to(self._window_rows.device)[:, None]
        rows = timesteps * self._stride + self._window_rows
        return self._inputs[rows], self._rolling[timesteps + self._window_timesteps], self._targets[rows]

    def _starts(self, windows: int) -> IntArray:
        """First rows of windows anywhere; series are picked by length."""
        series = torch.multinomial(self._shares, windows, replacement=True).numpy()
        places = self._places[series]
        offsets = (torch.rand(windows).numpy() * (places + 2 * self._margin)).astype(np.int64) - self._margin
        starts: IntArray = self._firsts[series] + np.clip(offsets, 0, places - 1)
        return starts

    def _starts_with_known(self, targets: Sequence[IntArray]) -> IntArray:
        """First rows of all windows that hold a known row, each at the start of a timestep."""
        starts = []
        for target, first, places in zip(targets, self._firsts, self._places, strict=True):
            offsets = np.clip(np.arange(-self._margin, places + self._margin), 0, places - 1)
            offsets = offsets // self._stride * self._stride
            known = np.concatenate([[0], np.cumsum(target != UNKNOWN)])
            held = known[np.minimum(offsets + self.size, len(target))] > known[offsets]
            starts.append(first + offsets[held])
        return np.concatenate(starts)


def _behind_one_another(arrays: Sequence[NDArray[Any]], lengths: IntArray, filling: int = 0) -> Tensor:
    """The arrays along their first axis, each filled up to one of the `lengths`."""
    whole = np.full((lengths.sum(), *arrays[0].shape[1:]), filling, arrays[0].dtype)
    for each, end, length in zip(arrays, np.cumsum(lengths), lengths, strict=True):
        first = end - length
        whole[first : first + len(each)] = each
    return torch.from_numpy(whole)
