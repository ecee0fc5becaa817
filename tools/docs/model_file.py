"""The model file, from one that is really written."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.dimensions import Dimensions
from timeseries_segmenter.learning.inputs.rolling import RollingFeatures
from timeseries_segmenter.learning.inputs.standardisation import Standardisation
from timeseries_segmenter.learning.opinions.convolutions import Convolutions
from timeseries_segmenter.learning.opinions.forest import Forest
from timeseries_segmenter.learning.opinions.network import Network
from timeseries_segmenter.learning.segmenter import FullTraining, Segmenter
from timeseries_segmenter.learning.training.remembered import Remembered
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.storage.model_file import save_model
from tools.docs.markdown import table

PAIR = "label:ts"
SEGMENTER = f"pairs.{PAIR}.segmenter"
DESCRIPTIONS = {
    "format": "the number of this format",
    "architecture": "the kind of network, whose dimensions and weights these are",
    "metadata": "what is known of the version without loading it; the [Card](#card)",
    "report": "the training report: JSON text in UTF-8, see [Training report](#training-report); absent "
    "where there is none",
    "pairs": "a network for each pair of tags, by the pair's name: `TimeSeriesLabels` name, colon, "
    "`TimeSeries` name",
    f"pairs.{PAIR}.segmenter": "the model of the pair, see below",
    f"pairs.{PAIR}.folds": "the fold networks of the cross-validation, each like `segmenter`; the next "
    "warm start begins with them",
    f"pairs.{PAIR}.remembered": "what is remembered of the tasks of a project that is too large for one "
    "run: the `kernels` of the convolutions, `label_sets`, the `names` and `folds` of the tasks, and of each "
    "timestep the place of its task (`series`), `classes`, `features` and `shares`; `rates` are the shares "
    "of each class's timesteps that are kept. Absent in others, and where there are instants",
    "dimensions": "what it takes to build the network: `inputs`, `classes`, `hidden_size`, `stride` (samples "
    "per timestep), `features` (rolling features of a timestep; absent in older models)",
    "window": "samples in one window",
    "label_sets": "labels of each class from 1 on, one mostly; class 0 is background",
    "channels": "names of the channels, in their order",
    "decoding": "how probabilities become segments: `prices` (nats, one per class), `points` (classes drawn "
    "as instants), `gap` (rows), `threshold`, `smoothing` (rows), `offset` (rows that instants are before "
    "their peaks), `landmark` (where near a peak an instant is, or nothing); older models lack these two",
    "standardisation": "per channel `mean`, `deviation` and whether it has `heavy_tails`; `per_series`: "
    "whether there is a copy standardised by the series' own mean and deviation",
    "full_training": "the last training from scratch: `steps`, `series`, `balanced_accuracy`, `min_f1`",
    "calibration": "`temperature` and `biases` (nats, one per class) that make probabilities frequencies",
    "sampling": "the rate that series are brought to: `interval` is the time from row to row, "
    "in the unit of the time axis; 0 if they have none. Absent in older models",
    "rolling": "of the rolling features: `stride`, `window` (rows), `levels` (inputs of which only the level "
    "is taken), and `mean` and `deviation` of each feature; nothing if there are none; older models lack it",
    "forest": "all trees as arrays: `roots`, and each node's `feature`, `threshold`, `children` and `shares` "
    "of the classes; it is asked about one timestep in `every`; nothing if there is none. Absent in older "
    "models",
    "convolutions": "random kernels at `dilations`: the `twos` among their weights, the inputs that they see "
    "(`mixes`), their `biases`, the `width` over which their output is averaged, and the `weights` and "
    "`intercepts` of the linear layer; asked about one timestep in `every`; nothing if there are none. "
    "Absent in older models",
    "pool": "the weights of the opinions of `network`, `forest` and `convolutions`. Absent in older models",
    "adapts": "whether the network sees a series by moments nearer to its own. Absent in older models",
    "weights": "the network's weights, float32, by the names of their modules",
}

_DICTS = (
    "dimensions",
    "decoding",
    "standardisation",
    "full_training",
    "calibration",
    "sampling",
    "rolling",
    "forest",
    "convolutions",
    "pool",
)


def tables() -> str:
    """Keys of the file, and of a segmenter in it. Raises KeyError where one is described nowhere."""
    content = _written()
    head = [(f"`{key}`", _kind(value), DESCRIPTIONS[key]) for key, value in content.items()]
    pair = [
        (f"`pairs.{{name}}.{key}`", _kind(value), DESCRIPTIONS[f"pairs.{PAIR}.{key}"])
        for key, value in content["pairs"][PAIR].items()
    ]
    segmenter = content["pairs"][PAIR]["segmenter"]
    keys = list(_keys(segmenter))
    rows = [(f"`{key}`", _kind(segmenter[key]), DESCRIPTIONS[key]) for key in keys]
    for key in _DICTS:
        for part in segmenter[key]:
            if f"`{part}`" not in DESCRIPTIONS[key] and part != "mean":
                raise KeyError(f"tools/docs/model_file.py: {key}.{part} is described nowhere")
    columns = ("Key", "Holds", "")
    return f"{table(columns, [*head, *pair])}\n\nA segmenter holds\n\n{table(columns, rows)}"


def _keys(segmenter: Mapping[str, Any]) -> Iterator[str]:
    unknown = segmenter.keys() - DESCRIPTIONS.keys()
    if unknown:
        raise KeyError(f"tools/docs/model_file.py: {sorted(unknown)} of a segmenter are described nowhere")
    yield from segmenter


def _written() -> dict[str, Any]:
    inputs = np.zeros((8, 1), np.float32)
    rolling, (features,) = RollingFeatures.fit_apply([inputs], stride=1, window=4, levels=0)
    classes = np.arange(8) % 2
    segmenter = Segmenter(
        Network(Dimensions(1, 2, 1, 1, rolling.count)),
        Standardisation.fit([inputs]),
        Decoding((0.0, 0.0)),
        window=4,
        label_sets=(("Run",),),
        channels=("x",),
        full_training=FullTraining(1, 1, 0.0, 0.0),
        rolling=rolling,
        forest=Forest.fit([features], [classes], 2, run=1, seed=0),
        convolutions=Convolutions.fit([inputs.T], [features], [classes], 2, run=1, seed=0),
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        remembered = Remembered.nothing(Convolutions.fit_kernels([inputs.T], 1, 0), [("Run",)], rolling.count)
        model = Model(Card(), {PAIR: segmenter}, {PAIR: {0: segmenter}}, "{}", {PAIR: remembered})
        save_model(path, model)
        content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def _kind(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"tensor of {str(value.dtype).removeprefix('torch.')}"
    return {bool: "true or false", int: "whole number", dict: "dict", list: "list", str: "text"}[type(value)]
