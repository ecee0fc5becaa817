"""A network in ONNX, run by ONNX Runtime."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from timeseries_segmenter.learning.dimensions import Dimensions
from timeseries_segmenter.learning.inputs.windows import Stretch, average_of_stretches

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

ERRORS_ALONE = 3  # ONNX Runtime's level of the log


class OnnxNetwork:
    """Says what a `learning.opinions.network.Network` says, by its weights in a file."""

    def __init__(self, path: Path, dimensions: Dimensions, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = ERRORS_ALONE
        self.dimensions = dimensions
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def probabilities_by_stretch(
        self, length: int, window: int, stretch: Callable[[int, int], Stretch]
    ) -> Iterator[FloatArray]:
        """As `Network.probabilities_by_stretch`."""
        timesteps = window // self.dimensions.stride

        def predict(inputs: FloatArray, rolling: FloatArray | None, starts: IntArray) -> FloatArray:
            given = {"windows": _windows(inputs, window, starts)}
            if rolling is not None and self.dimensions.features:
                given["rolling"] = _windows(rolling, timesteps, starts // self.dimensions.stride)
            probabilities: FloatArray = self._session.run(None, given)[0]
            return probabilities.transpose(0, 2, 1)

        return average_of_stretches(length, window, self.dimensions, stretch, predict)


def _windows(columns: FloatArray, size: int, starts: IntArray) -> FloatArray:
    """`(C, T)` to windows `(N, size, C)` from these columns on."""
    windows = sliding_window_view(columns, size, axis=1)[:, starts]
    return np.ascontiguousarray(windows.transpose(1, 2, 0), np.float32)
