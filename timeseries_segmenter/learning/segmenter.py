"""The fitted model: standardisation, network, decoding and labels; save and load."""

import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from timeseries_segmenter.errors import DamagedModelError, ModelFileError
from timeseries_segmenter.learning.decoding import Decoding
from timeseries_segmenter.learning.network import Dimensions, Network
from timeseries_segmenter.learning.standardisation import Standardisation
from timeseries_segmenter.learning.windows import average_over_windows
from timeseries_segmenter.segment import Segment

FILE_FORMAT = 2

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FullTraining:
    """The last training from scratch that a model goes back to: its optimizer steps, the number of
    series, and the scores on them.
    """

    steps: int
    series: int
    balanced_accuracy: float
    min_f1: float


@dataclass(frozen=True, slots=True)
class Segmenter:
    """Draws segments on series; made by `learning.training.fit` or `Segmenter.load`.

    `window` is in samples. `labels` are those of the network's classes, class 1 first; one that
    was learned both as ranges and as instants stands there twice.
    """

    network: Network
    standardisation: Standardisation
    decoding: Decoding
    window: int
    labels: tuple[str, ...]
    channels: tuple[str, ...]
    full_training: FullTraining

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name a class, background first, each of them once."""
        names = [
            f"{label} (instants)"
            if number in self.decoding.points and self.labels.count(label) > 1
            else label
            for number, label in enumerate(self.labels, 1)
        ]
        return ("background", *names)

    def probabilities(self, values: FloatArray) -> FloatArray:
        """Class probabilities `(T, 1 + len(labels))` of a series `(T, C)`, background first."""
        device = next(self.network.parameters()).device

        def predict(windows: FloatArray) -> FloatArray:
            logits = self.network(torch.from_numpy(windows).to(device))
            # classes first: faster by a tenth of the whole
            probabilities: FloatArray = logits.transpose(1, 2).softmax(dim=1).transpose(1, 2).cpu().numpy()
            return probabilities

        self.network.eval()
        with torch.inference_mode():
            inputs = self.standardisation.apply(values)
            return average_over_windows(inputs, self.window, 1 + len(self.labels), predict)

    def segments(self, values: FloatArray) -> list[Segment]:
        """Segments of a series `(T, C)`, by first row."""
        return self.decoding.segments(self.probabilities(values), self.labels)

    def save(self, path: Path, metadata: dict[str, Any]) -> None:
        """Write the model and `metadata` (plain numbers, strings, lists and dicts) to one file."""
        torch.save(
            {
                "format": FILE_FORMAT,
                "metadata": metadata,
                "dimensions": asdict(self.network.dimensions),
                "window": self.window,
                "labels": list(self.labels),
                "channels": list(self.channels),
                "decoding": asdict(self.decoding),
                "standardisation": {
                    "mean": torch.from_numpy(self.standardisation.mean),
                    "deviation": torch.from_numpy(self.standardisation.deviation),
                    "heavy_tails": torch.from_numpy(self.standardisation.heavy_tails),
                    "per_series": self.standardisation.per_series,
                },
                "full_training": asdict(self.full_training),
                "weights": {name: tensor.cpu() for name, tensor in self.network.state_dict().items()},
            },
            path,
        )

    @classmethod
    def load(cls, path: Path, device: torch.device | None = None) -> tuple["Segmenter", dict[str, Any]]:
        """Read a model and its metadata, both from one state of the file.

        Raises ModelFileError where it can't be read, DamagedModelError where it isn't a whole model.
        """
        content = _read(path, whole=True)
        try:
            network = Network(Dimensions(**content["dimensions"]))
            network.load_state_dict(content["weights"])
            statistics = content["standardisation"]
            decoding = content["decoding"]
            segmenter = cls(
                network.to(device or best_device()).eval(),
                Standardisation(
                    statistics["mean"].numpy().copy(),
                    statistics["deviation"].numpy().copy(),
                    statistics["heavy_tails"].numpy().copy(),
                    bool(statistics["per_series"]),
                ),
                Decoding(
                    tuple(decoding["prices"]),
                    tuple(decoding["points"]),
                    int(decoding["gap"]),
                    float(decoding["threshold"]),
                    float(decoding["smoothing"]),
                ),
                int(content["window"]),
                tuple(content["labels"]),
                tuple(content["channels"]),
                FullTraining(**content["full_training"]),
            )
            return segmenter, content["metadata"]
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise DamagedModelError(f"{path.name} holds no model of this service: {error}") from error


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata that was saved with a model; the weights stay on disk.

    Raises ModelFileError where the file can't be read, DamagedModelError where it isn't a model.
    """
    metadata: dict[str, Any] = _read(path, whole=False)["metadata"]
    return metadata


def best_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _read(path: Path, whole: bool) -> dict[str, Any]:
    """The content of a model file; `whole` compares its checksums, which reads all of it."""
    try:
        with ZipFile(path) as archive:
            damaged = archive.testzip() if whole else None
    except OSError as error:
        raise ModelFileError(f"{path.name} can't be read: {error}") from error
    except (BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise DamagedModelError(f"{path.name} is no model file: {error}") from error
    if damaged:
        raise DamagedModelError(f"{path.name} is damaged: {damaged} has another checksum")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise ModelFileError(f"{path.name} can't be read: {error}") from error
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise DamagedModelError(f"{path.name} can't be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FILE_FORMAT:
        raise DamagedModelError(f"{path.name} is not a model of format {FILE_FORMAT}")
    if not isinstance(content.get("metadata"), dict):
        raise DamagedModelError(f"{path.name} holds no metadata")
    return content
