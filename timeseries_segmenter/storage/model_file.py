"""A project's model in one file: a segmenter for each pair of tags, metadata, and the training's report.

Beside the segmenters stand those of the training's cross-validation, `folds`, so that the next
training can go on from them.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timeseries_segmenter.errors import ForeignModelError, ModelFileError
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.model import TrainedModel
from timeseries_segmenter.storage.torch_file import check_archive, read_torch_file

FILE_FORMAT = 3
FORMER_FORMAT = 2  # of one pair, whose name it does not tell
NO_NAME = ""


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

    Raises DamagedModelError where its bytes are not those that were written, ForeignModelError where
    they are, but hold no model for this release, ModelFileError where it can't be read or loaded now.
    """
    content = _read(path, whole=True)
    _check_segmenters(content, path)
    try:
        segmenters = {
            name: Segmenter.of_state(pair["segmenter"], device) for name, pair in content["pairs"].items()
        }
    except (MemoryError, RuntimeError) as error:  # the state was checked: what lacks is memory
        raise ModelFileError(f"{path.name} can't be loaded: {error}") from error
    return segmenters, content["metadata"]


def load_folds(path: Path, device: torch.device | None = None) -> dict[str, dict[int, Segmenter]]:
    """The segmenters of the cross-validation, by pair and fold. Raises like `load_model`."""
    content = _read(path, whole=False)
    try:
        return {
            name: {number: Segmenter.of_state(each, device) for number, each in pair["folds"].items()}
            for name, pair in content["pairs"].items()
        }
    except (MemoryError, *_NO_STATE) as error:
        raise ModelFileError(f"{path.name} holds no folds for this release: {error}") from error


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata of a model that could be loaded; the weights stay on disk. Raises like `load_model`.

    Of damage, it finds what lies outside the weights.
    """
    content = _read(path, whole=False)
    _check_segmenters(content, path)
    metadata: dict[str, Any] = content["metadata"]
    return metadata


def stated_version(path: Path) -> str | None:
    """The version in a file's metadata, whatever its format; None where none can be read."""
    version = None
    with suppress(ModelFileError, KeyError, TypeError):
        version = read_torch_file(path, whole=False)["metadata"]["version"]
    return version if isinstance(version, str) else None


def read_report(path: Path) -> str | None:
    """The training's report as JSON; None where the model has none. Raises like `read_metadata`."""
    report = _read(path, whole=False).get("report")
    return None if report is None else report.numpy().tobytes().decode()


_NO_STATE = (LookupError, TypeError, ValueError, RuntimeError, AttributeError)
_OF_SEGMENTER = (
    "dimensions",
    "window",
    "channels",
    "decoding",
    "standardisation",
    "full_training",
    "weights",
)
_OF_REFERENCE = {"model_params", "model_state_dict"}  # what label-studio-ml-backend's example saves
_MOST_SHOWN = 200  # characters


def _read(path: Path, whole: bool) -> dict[str, Any]:
    """The content of a model file of this format; `whole` as in `read_torch_file`."""
    content = read_torch_file(path, whole)
    found = content.get("format") if isinstance(content, dict) else None
    if found not in (FILE_FORMAT, FORMER_FORMAT):
        raise _foreign(path, _whose(content))
    if not isinstance(content.get("metadata"), dict):
        raise _foreign(path, f"holds no metadata; {_ADVICE}")
    return content if found == FILE_FORMAT else _upgraded(content, path)


_ADVICE = "choose Start Training in Label Studio for a model that this release can read"


def _foreign(path: Path, reason: str) -> ForeignModelError:
    """Raises DamagedModelError where the checksums speak against any other reason."""
    check_archive(path, whole=True)
    return ForeignModelError(f"{path.name} {reason}")


def _whose(content: Any) -> str:
    """Whose file it may be, and what to do."""
    found = content.get("format") if isinstance(content, dict) else None
    if isinstance(content, dict) and content.keys() >= _OF_REFERENCE:
        labels = content.get("label_map")
        named = (
            f" (labels {', '.join(map(str, labels))!s:.{_MOST_SHOWN}})" if isinstance(labels, dict) else ""
        )
        return (
            f"is a model of the time series example of label-studio-ml-backend{named}; this service has "
            "another network and can't use its weights: choose Start Training in Label Studio (the project's "
            "Settings, Model), which trains on the same annotations"
        )
    if isinstance(found, int) and found > FILE_FORMAT:
        return (
            f"has format {found}, of a newer release; this one reads {FORMER_FORMAT} and {FILE_FORMAT}: "
            f"install the newer release again, or {_ADVICE}"
        )
    told = f"has format {found!r:.40}" if found is not None else "holds no model of this service"
    return f"{told}; this release reads {FORMER_FORMAT} and {FILE_FORMAT}: {_ADVICE}"


def _check_segmenters(content: dict[str, Any], path: Path) -> None:
    """Raises ForeignModelError where this release can't build them; reads no weights."""
    try:
        for pair in content["pairs"].values():
            Segmenter.check_state(pair["segmenter"])
    except _NO_STATE as error:
        reason = f"holds no model for this release ({_in_a_line(error)}); {_ADVICE}"
        raise _foreign(path, reason) from error


def _in_a_line(error: Exception) -> str:
    text = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return " ".join(text.split())[:_MOST_SHOWN]


def _upgraded(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """A model of the former format in today's form."""
    try:
        segmenter = {key: content[key] for key in _OF_SEGMENTER}
        segmenter["label_sets"] = [[label] for label in content["labels"]]
    except (KeyError, TypeError) as error:
        reason = f"holds no model for this release ({_in_a_line(error)}); {_ADVICE}"
        raise _foreign(path, reason) from error
    pairs = {NO_NAME: {"segmenter": segmenter, "folds": {}}}
    return {"format": FILE_FORMAT, "metadata": content["metadata"], "pairs": pairs}
