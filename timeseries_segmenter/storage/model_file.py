"""A project's model in one file: its card, a segmenter for each pair of tags, and the training run's report.

Beside the segmenters are those of the cross-validation, `folds`, for the next training run's warm start,
and what is `remembered` of the tasks of a project that is too large for one run.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timeseries_segmenter.errors import ForeignModelError, ModelFileError
from timeseries_segmenter.learning.device import CPU
from timeseries_segmenter.learning.opinions.network import ARCHITECTURE
from timeseries_segmenter.learning.segmenter_state import (
    check_state,
    remembered_from_state,
    segmenter_from_state,
    state_of,
    state_of_remembered,
)
from timeseries_segmenter.learning.training.remembered import Remembered
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.model import Folds, Model
from timeseries_segmenter.storage.former_formats import FORMER_FORMATS, upgraded
from timeseries_segmenter.storage.torch_file import check_archive, read_torch_file

FILE_FORMAT = 5


def save_model(path: Path, model: Model) -> None:
    """Write the model to one file."""
    content = {
        "format": FILE_FORMAT,
        "architecture": ARCHITECTURE,
        "metadata": model.card.dump(),
        "pairs": {
            name: {
                "segmenter": state_of(segmenter),
                "folds": {number: state_of(each) for number, each in model.folds.get(name, {}).items()},
                **(
                    {"remembered": state_of_remembered(model.remembered[name])}
                    if name in model.remembered
                    else {}
                ),
            }
            for name, segmenter in model.segmenters.items()
        },
    }
    if model.report is not None:
        # a tensor stays on disk until somebody asks for it
        content["report"] = torch.from_numpy(np.frombuffer(model.report.encode(), np.uint8).copy())
    torch.save(content, path)


def copy_model(source: Path, target: Path, card: Card) -> None:
    """Write the model in `source` once more, with another card. Raises as `load_model` does."""
    torch.save(_read(source, whole=True) | {"format": FILE_FORMAT, "metadata": card.dump()}, target)


def load_model(path: Path, device: torch.device = CPU) -> Model:
    """The model without folds and report, all from one state of the file, for predictions on a `device`.

    Raises DamagedModelError if its bytes are not those that were written, ForeignModelError if they are,
    but hold no model for this release, ModelFileError if it can't be read or loaded now.
    """
    content = _read(path, whole=True)
    card = _checked_card(content, path)
    try:
        segmenters = {
            name: segmenter_from_state(pair["segmenter"], device) for name, pair in content["pairs"].items()
        }
    except (MemoryError, RuntimeError) as error:  # the state was checked: what lacks is memory
        raise ModelFileError(f"{path.name} can't be loaded: {error}") from error
    return Model(card, segmenters)


def load_folds(path: Path) -> dict[str, Folds]:
    """The segmenters of the cross-validation, by pair and fold, to begin from. Raises like `load_model`."""
    content = _read(path, whole=False)
    try:
        return {
            name: {number: segmenter_from_state(each) for number, each in pair["folds"].items()}
            for name, pair in content["pairs"].items()
        }
    except (MemoryError, *_NO_STATE) as error:
        raise ModelFileError(f"{path.name} holds no folds for this release: {error}") from error


def load_remembered(path: Path) -> dict[str, Remembered]:
    """What is remembered of tasks, by pair; nothing of projects of one run. Raises like `load_model`."""
    content = _read(path, whole=False)
    try:
        return {
            name: remembered_from_state(pair["remembered"])
            for name, pair in content["pairs"].items()
            if "remembered" in pair
        }
    except (MemoryError, *_NO_STATE) as error:
        raise ModelFileError(f"{path.name} does not say what this release remembers: {error}") from error


def read_card(path: Path) -> Card:
    """The card of a model that could be loaded; the weights stay on disk. Raises like `load_model`.

    Of damage, it finds what lies outside the weights.
    """
    return _checked_card(_read(path, whole=False), path)


def stated_version(path: Path) -> str | None:
    """The version in a file's metadata, whatever its format; None if none can be read."""
    version = None
    with suppress(ModelFileError, KeyError, TypeError):
        version = read_torch_file(path, whole=False)["metadata"]["version"]
    return version if isinstance(version, str) else None


def read_report(path: Path) -> str | None:
    """What the training run's report says beside the card, as JSON; None if the model has none.

    Raises like `read_card`.
    """
    report = _read(path, whole=False).get("report")
    return None if report is None else report.numpy().tobytes().decode()


_NO_STATE = (LookupError, TypeError, ValueError, RuntimeError, AttributeError)
_OF_REFERENCE = {"model_params", "model_state_dict"}  # what label-studio-ml-backend's example saves
_MOST_SHOWN = 200  # characters


def _read(path: Path, whole: bool) -> dict[str, Any]:
    """The content of a model file in today's form; `whole` as in `read_torch_file`."""
    content = read_torch_file(path, whole)
    found = content.get("format") if isinstance(content, dict) else None
    if found not in (*FORMER_FORMATS, FILE_FORMAT):
        raise _foreign(path, _whose(content))
    if not isinstance(content.get("metadata"), dict):
        raise _foreign(path, f"holds no metadata; {_ADVICE}")
    try:
        return upgraded(content) if found in FORMER_FORMATS else content
    except (LookupError, TypeError, AttributeError) as error:
        raise _foreign(path, _no_model(error)) from error


_READABLE = f"{', '.join(map(str, FORMER_FORMATS))} and {FILE_FORMAT}"
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
            f"has format {found}, of a newer release; this one reads {_READABLE}: install the newer release "
            f"again, or {_ADVICE}"
        )
    what = f"has format {found!r:.40}" if found is not None else "holds no model of this service"
    return f"{what}; this release reads {_READABLE}: {_ADVICE}"


def _checked_card(content: dict[str, Any], path: Path) -> Card:
    """Raises ForeignModelError if this release can't build the segmenters; reads no weights."""
    try:
        if (found := content.get("architecture")) != ARCHITECTURE:
            raise ValueError(f"its networks are of the architecture {found!r:.40}, not {ARCHITECTURE!r}")
        for pair in content["pairs"].values():
            check_state(pair["segmenter"])
        return Card.model_validate(content["metadata"])
    except _NO_STATE as error:
        raise _foreign(path, _no_model(error)) from error


def _no_model(error: Exception) -> str:
    text = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return f"holds no model for this release ({' '.join(text.split())[:_MOST_SHOWN]}); {_ADVICE}"
