"""A portable model: its folder read, and what it predicts. Needs NumPy and ONNX Runtime alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import ModelFileError
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.learning.dimensions import Dimensions
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.portable.names import ARRAY, ARRAYS, FORMAT, MODEL
from timeseries_segmenter.portable.onnx_network import OnnxNetwork
from timeseries_segmenter.segment import LabelSet, Segment

if TYPE_CHECKING:
    from timeseries_segmenter.learning.opinions.network import Network

Times = NDArray[np.float64]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PortablePair:
    """What predicts the regions of one pair of tags, and how the files of its series are written.

    `tag` and `series` are the names of the TimeSeriesLabels and of the TimeSeries, `channels` those of the
    columns that are read. `written` are the labels that stand in regions for each label set that was
    learned; no region is predicted for others, nor with a score below the `threshold`.
    """

    tag: str
    series: str
    segmenter: Segmenter
    channels: tuple[str, ...]
    separator: str
    time_column: str | None
    time_format: str | None
    written: Mapping[LabelSet, LabelSet]
    threshold: float
    value_type: str = "url"

    def probabilities(self, values: FloatArray, times: Times | None = None) -> FloatArray:
        """Class probabilities `(T, classes)` of a series `(T, C)`, background first; see `Segmenter`."""
        return self.segmenter.probabilities(values, times)

    def segments(self, values: FloatArray, times: Times | None = None) -> list[Segment]:
        """Segments of a series `(T, C)`, by first row, as they become regions.

        `values` are in the order of `channels`, NaN if missing; `times` `(T,)` are those of the rows, in the
        unit of the time column, or in milliseconds if it has a format. Without them, rows are taken to be as
        far apart as those of the training series.
        """
        found = []
        for segment in self.segmenter.segments(np.asarray(values, np.float32), times):
            labels = self.written.get(segment.labels)
            if labels and segment.score >= self.threshold:
                found.append(replace(segment, labels=labels))
        return found

    def segments_of(self, series: Series) -> list[Segment]:
        """The same of a series that was read from a file."""
        return self.segments(series.values, series.times)


@dataclass(frozen=True, slots=True)
class PortableModel:
    """A version of a project's model, with what predicts each pair of tags, by the pair's name."""

    version: str
    pairs: Mapping[str, PortablePair]


def load_model(folder: str | Path, threads: int = 1) -> PortableModel:
    """The model in a folder; its networks run on so many threads. Raises ModelFileError."""
    folder = Path(folder)
    try:
        content = json.loads((folder / MODEL).read_text(encoding="utf-8"))
        if (found := content["format"]) != FORMAT:
            raise ModelFileError(f"{folder} has format {found!r:.40}, not {FORMAT}: export the model again")
        with np.load(folder / ARRAYS) as file:
            arrays = dict(file)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelFileError(f"{folder} holds no portable model: {error}") from error
    pairs = {name: _pair(pair, arrays, folder, threads) for name, pair in content["pairs"].items()}
    return PortableModel(content["version"], pairs)


def _pair(
    saved: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], folder: Path, threads: int
) -> PortablePair:
    network = OnnxNetwork(folder / saved["network"], Dimensions(**saved["dimensions"]), threads)
    return PortablePair(
        saved["tag"],
        saved["series"],
        Segmenter.from_parts(_with_arrays(saved["parts"], arrays), cast("Network", network)),
        tuple(saved["channels"]),
        saved["separator"],
        saved["time_column"],
        saved["time_format"],
        {tuple(learned): tuple(written) for learned, written in saved["written"]},
        saved["threshold"],
    )


def _with_arrays(parts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parts.items():
        if isinstance(value, dict):
            found[name] = arrays[value[ARRAY]] if value.keys() == {ARRAY} else _with_arrays(value, arrays)
        else:
            found[name] = value
    return found
