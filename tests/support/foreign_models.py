"""Model files that are whole, and not for this release: real files, written by torch."""

from pathlib import Path
from typing import Any

import torch
from torch import nn


def save_reference(path: Path) -> None:
    """What the time series example of label-studio-ml-backend saves as `model_project_{id}.pt`."""
    network = nn.ModuleDict(
        {
            "fc_input": nn.Linear(3, 128),
            "input_norm": nn.LayerNorm(128),
            "lstm": nn.LSTM(128, 32, 2, batch_first=True, bidirectional=True),
            "fc_output": nn.Linear(64, 3),
        }
    )
    content = {
        "model_state_dict": network.state_dict(),
        "model_params": {
            "input_size": 3,
            "output_size": 3,
            "fc_size": 128,
            "hidden_size": 32,
            "num_layers": 2,
            "sequence_size": 20,
            "learning_rate": 1e-3,
            "weight_decay": 1e-5,
            "dropout_rate": 0.3,
        },
        "label_map": {"Run": 0, "Walk": 1},
        "model_class": "TimeSeriesLSTM",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)


def raise_format(path: Path) -> None:
    """Make a model file one of the format after this one."""
    content = _content(path)
    torch.save(content | {"format": content["format"] + 1, "more": {"layers": 2}}, path)


def lower_format(path: Path) -> None:
    """Undo `raise_format`: what the release that the file is for would find."""
    content = _content(path)
    torch.save(content | {"format": content["format"] - 1}, path)


def add_dimension(path: Path) -> None:
    """Make its networks have a dimension that this release does not know."""
    content = _content(path)
    for pair in content["pairs"].values():
        pair["segmenter"]["dimensions"]["layers"] = 2
    torch.save(content, path)


def widen_weights(path: Path) -> None:
    """Make its networks have weights of another shape."""
    content = _content(path)
    for pair in content["pairs"].values():
        weights = pair["segmenter"]["weights"]
        weights["head.weight"] = torch.cat([weights["head.weight"]] * 2)
    torch.save(content, path)


def rename_architecture(path: Path) -> None:
    """Make its networks be of a kind that this release can't build."""
    torch.save(_content(path) | {"architecture": "transformer"}, path)


def _content(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content
