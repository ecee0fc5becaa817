"""A project's model in one file: a segmenter for each pair of tags, metadata, and the training's report.

Beside the segmenters stand those of the training's cross-validation, `folds`, so that the next
training can go on from them.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch

from timeseries_segmenter.errors import DamagedModelError, ModelFileError
from timeseries_segmenter.learning.segmenter import Segmenter

FILE_FORMAT = 3
FORMER_FORMAT = 2  # of one pair, whose name it does not tell
NO_NAME = ""

Folds = Mapping[int, Segmenter]


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What a training made: segmenters by the name of their pair, those of each fold, a report as JSON."""

    segmenters: Mapping[str, Segmenter]
    folds: Mapping[str, Folds] = field(default_factory=dict)
    report: str | None = None


def save_model(path: Path, model: TrainedModel, metadata: dict[str, Any]) -> None:
    """Write the model and `metadata` (plain numbers, strings, lists and dicts) to one file."""
    content = {
        "format": FILE_FORMAT,
        "metadata": metadata,
        "pairs": {
            name: {
                "segmenter": segmenter.state(),
                "folds": {number: each.state() for number, each in model.folds.get(name, {}).items()},
            }
            for name, segmenter in model.segmenters.items()
        },
    }
    if model.report is not None:
        # a tensor stays on disk until somebody asks for it
        content["report"] = torch.from_numpy(np.frombuffer(model.report.encode(), np.uint8).copy())
    torch.save(content, path)


def copy_model(source: Path, target: Path, metadata: dict[str, Any]) -> None:
    """Write the model in `source` once more, with other metadata. Raises as `load_model` does."""
    torch.save(_read(source, whole=True) | {"metadata": metadata}, target)


def load_model(path: Path, device: torch.device | None = None) -> tuple[dict[str, Segmenter], dict[str, Any]]:
    """Segmenters by the name of their pair, and the metadata, all from one state of the file.

    Raises ModelFileError where it can't be read, DamagedModelError where it isn't a whole model.
    """
    content = _read(path, whole=True)
    try:
        segmenters = {
            name: Segmenter.of_state(pair["segmenter"], device) for name, pair in content["pairs"].items()
        }
    except _NO_STATE as error:
        raise DamagedModelError(f"{path.name} holds no model of this service: {error}") from error
    return segmenters, content["metadata"]


def load_folds(path: Path, device: torch.device | None = None) -> dict[str, dict[int, Segmenter]]:
    """The segmenters of the cross-validation, by pair and fold. Raises like `load_model`."""
    content = _read(path, whole=False)
    try:
        return {
            name: {number: Segmenter.of_state(each, device) for number, each in pair["folds"].items()}
            for name, pair in content["pairs"].items()
        }
    except _NO_STATE as error:
        raise DamagedModelError(f"{path.name} holds no folds of this service: {error}") from error


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata that was saved with a model; the weights stay on disk.

    Raises ModelFileError where the file can't be read, DamagedModelError where it isn't a model.
    """
    metadata: dict[str, Any] = _read(path, whole=False)["metadata"]
    return metadata


def read_report(path: Path) -> str | None:
    """The training's report as JSON; None where the model has none. Raises like `read_metadata`."""
    report = _read(path, whole=False).get("report")
    return None if report is None else report.numpy().tobytes().decode()


_NO_STATE = (KeyError, TypeError, ValueError, RuntimeError, AttributeError)
_OF_SEGMENTER = (
    "dimensions",
    "window",
    "channels",
    "decoding",
    "standardisation",
    "full_training",
    "weights",
)


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
    found = content.get("format") if isinstance(content, dict) else None
    if found not in (FILE_FORMAT, FORMER_FORMAT):
        raise DamagedModelError(f"{path.name} is not a model of format {FILE_FORMAT}")
    if not isinstance(content.get("metadata"), dict):
        raise DamagedModelError(f"{path.name} holds no metadata")
    return content if found == FILE_FORMAT else _upgraded(content, path)


def _upgraded(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """A model of the former format in today's form."""
    try:
        segmenter = {key: content[key] for key in _OF_SEGMENTER}
        segmenter["label_sets"] = [[label] for label in content["labels"]]
    except (KeyError, TypeError) as error:
        raise DamagedModelError(f"{path.name} holds no model of this service: {error}") from error
    pairs = {NO_NAME: {"segmenter": segmenter, "folds": {}}}
    return {"format": FILE_FORMAT, "metadata": content["metadata"], "pairs": pairs}
