"""Random windows of all training series, in batches."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

NO_TARGET = -1  # class of the rows that fill up a series shorter than a window


class TrainingWindows:
    """All series behind one another, each at least a window long; no window straddles two.

    `inputs` are `(T, inputs)` and `targets` `(T,)`, one of each a series; `size` is in rows.
    """

    def __init__(
        self, inputs: Sequence[FloatArray], targets: Sequence[IntArray], size: int, device: torch.device
    ) -> None:
        missing = [max(0, size - len(target)) for target in targets]
        lengths = np.array([len(target) + more for target, more in zip(targets, missing, strict=True)])
        self.size = size
        self.rows = int(lengths.sum())
        self._firsts = np.cumsum(lengths) - lengths
        self._places = lengths - size + 1  # at which a window can start
        self._shares = torch.from_numpy(lengths / self.rows)
        self._window_rows = torch.arange(size, device=device)
        self._inputs = torch.from_numpy(
            np.concatenate(
                [np.pad(each, ((0, more), (0, 0))) for each, more in zip(inputs, missing, strict=True)]
            )
        ).to(device)
        self._targets = torch.from_numpy(
            np.concatenate(
                [
                    np.pad(target, (0, more), constant_values=NO_TARGET)
                    for target, more in zip(targets, missing, strict=True)
                ]
            )
        ).to(device)

    def batch(self, windows: int) -> tuple[Tensor, Tensor]:
        """Inputs `(windows, size, inputs)` and targets `(windows, size)`; series are drawn by length."""
        series = torch.multinomial(self._shares, windows, replacement=True).numpy()
        # a little past both ends, and back: the outermost rows are in as many windows as the rest
        margin = self.size // 4
        places = self._places[series]
        offsets = (torch.rand(windows).numpy() * (places + 2 * margin)).astype(np.int64) - margin
        starts = torch.from_numpy(self._firsts[series] + np.clip(offsets, 0, places - 1))
        rows = starts.to(self._window_rows.device)[:, None] + self._window_rows
        return self._inputs[rows], self._targets[rows]
