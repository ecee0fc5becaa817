"""A segmenter as plain numbers, strings, lists, dicts and tensors, as torch saves it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from timeseries_segmenter.learning.device import CPU, place_on
from timeseries_segmenter.learning.dimensions import Dimensions
from timeseries_segmenter.learning.opinions.network import Network
from timeseries_segmenter.learning.segmenter import Segmenter, convolutions_from_parts
from timeseries_segmenter.learning.training.remembered import Remembered

NO_DEVICE = torch.device("meta")  # tensors there have a shape alone


def state_of(segmenter: Segmenter) -> dict[str, Any]:
    """All of it, for `segmenter_from_state`."""
    network = segmenter.network
    return {
        "dimensions": asdict(network.dimensions),
        **_with_tensors(segmenter.parts()),
        "weights": {name: tensor.cpu() for name, tensor in network.state_dict().items()},
    }


def segmenter_from_state(state: Mapping[str, Any], device: torch.device = CPU) -> Segmenter:
    """The same segmenter again, on a device that has memory for it, or else on the CPU.

    Raises KeyError, TypeError, ValueError, RuntimeError or AttributeError for another state.
    """
    network = Network(Dimensions(**state["dimensions"]))
    network.load_state_dict(state["weights"], assign=device == NO_DEVICE)
    return Segmenter.from_parts(state, place_on(network, device).eval())


def state_of_remembered(remembered: Remembered) -> dict[str, Any]:
    """All of it, for `remembered_from_state`."""
    return _with_tensors(asdict(remembered))


def remembered_from_state(state: Mapping[str, Any]) -> Remembered:
    """The same again. Raises as `segmenter_from_state` does."""
    arrays = {name: each.numpy().copy() for name, each in state.items() if isinstance(each, torch.Tensor)}
    kernels = convolutions_from_parts(state["kernels"])
    if kernels is None:
        raise ValueError("the kernels are missing")
    label_sets = tuple(tuple(labels) for labels in state["label_sets"])
    return Remembered(kernels=kernels, label_sets=label_sets, names=tuple(state["names"]), **arrays)


def check_state(state: Mapping[str, Any]) -> None:
    """Raise what `segmenter_from_state` raises for another state; compares the weights' shapes, not their
    values.

    Weights that are mapped from a file stay on disk.
    """
    with NO_DEVICE:
        segmenter_from_state(state, NO_DEVICE)


def _with_tensors(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: _with_tensor(value) for name, value in parts.items()}


def _with_tensor(value: Any) -> Any:
    if isinstance(value, dict):
        return _with_tensors(value)
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value
