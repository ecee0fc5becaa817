"""Writes a model as a folder that predicts without this service."""

import ast
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import timeseries_segmenter
from timeseries_segmenter.errors import ExportError
from timeseries_segmenter.learning.inputs.windows import Stretch
from timeseries_segmenter.learning.opinions.network import Network
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.portable.names import ARRAY, ARRAYS, FORMAT, MODEL, OPSET, PROGRAM, README
from timeseries_segmenter.project.prediction import PairSegmenter
from timeseries_segmenter.segment import label_set_name

try:
    import onnx

    from timeseries_segmenter.portable.onnx_network import OnnxNetwork
except ModuleNotFoundError as error:
    raise ExportError(
        f"the package {error.name} is missing: pip install 'timeseries-segmenter[onnx]'"
    ) from error

PACKAGE = Path(timeseries_segmenter.__file__).parent
MOST_DIFFERENCE = 1e-4  # of probabilities: rounding
ENTRY = f"{PACKAGE.name}.portable.command"
MAIN = f"""\"\"\"Predicts CSV files by the model in the folder that this program lies in.\"\"\"

import sys
from pathlib import Path

from {ENTRY} import main

sys.exit(main(Path(sys.argv[0]).absolute().parent))
"""


def write_portable_model(folder: Path, version: str, segmenters: list[PairSegmenter]) -> None:
    """Write a model to a new folder, or to an empty one. Raises ExportError."""
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ExportError(f"{folder} is not empty; name a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {}
        pairs = {}
        for number, each in enumerate(segmenters):
            network = f"network-{number}.onnx"
            _write_network(folder / network, each.segmenter)
            _check_network(folder / network, each.segmenter)
            pairs[each.pair.name] = _described(each, network, arrays, str(number))
        np.savez_compressed(folder / ARRAYS, allow_pickle=False, **arrays)
        content = {"format": FORMAT, "version": version, "pairs": pairs}
        (folder / MODEL).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
        (folder / README).write_text(_readme(version, segmenters), encoding="utf-8")
        _write_program(folder / PROGRAM)
    except OSError as error:
        raise ExportError(f"{folder} can't be written: {error.strerror}") from error


class _Probabilities(nn.Module):
    """What ONNX gets of a network: windows to probabilities, as the service averages them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: Tensor, rolling: Tensor | None = None) -> Tensor:
        """As `Network.forward`."""
        probabilities: Tensor = self.network(windows, rolling).softmax(dim=2)
        return probabilities


def _write_network(path: Path, segmenter: Segmenter) -> None:
    """Raises OSError."""
    network = segmenter.network.copy_on_cpu()
    dimensions = network.dimensions
    windows = [torch.zeros(1, segmenter.window, dimensions.inputs)]
    if dimensions.features:
        timesteps = segmenter.window // dimensions.stride
        windows.append(torch.zeros(1, timesteps, dimensions.features))
    names = ["windows", "rolling"][: len(windows)]
    with warnings.catch_warnings():
        # of the exporter that traces: the newer one writes out each timestep of the LSTM, and takes minutes
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Probabilities(network).eval(),
            tuple(windows),
            path,
            input_names=names,
            output_names=["probabilities"],
            dynamic_axes={name: {0: "windows"} for name in [*names, "probabilities"]},
            opset_version=OPSET,
            dynamo=False,
        )


def _check_network(path: Path, segmenter: Segmenter) -> None:
    """Raises ExportError if a file says something else than the network that was written to it."""
    onnx.checker.check_model(path)
    random = np.random.default_rng(0)
    dimensions, rows = segmenter.network.dimensions, 3 * segmenter.window
    inputs = random.normal(size=(dimensions.inputs, rows)).astype(np.float32)
    rolling = random.normal(size=(dimensions.features, rows // dimensions.stride)).astype(np.float32)

    def stretch(first: int, end: int) -> Stretch:
        timesteps = slice(first // dimensions.stride, end // dimensions.stride)
        return inputs[:, first:end], rolling[:, timesteps] if dimensions.features else None

    expected, found = (
        np.concatenate(list(each.probabilities_by_stretch(rows, segmenter.window, stretch)), axis=1)
        for each in (segmenter.network, OnnxNetwork(path, dimensions))
    )
    if (difference := float(np.abs(expected - found).max())) > MOST_DIFFERENCE:
        raise ExportError(
            f"{path} says probabilities that are {difference:.2g} off: report it with the releases of torch, "
            "onnx and onnxruntime"
        )


def _described(
    each: PairSegmenter, network: str, arrays: dict[str, NDArray[Any]], number: str
) -> dict[str, Any]:
    pair, segmenter = each.pair, each.segmenter
    return {
        "tag": pair.from_name,
        "series": pair.to_name,
        "channels": [pair.channels[column] for column in each.columns],
        "separator": pair.separator,
        "time_column": pair.time_column,
        "time_format": pair.time_format,
        "written": [[labels, pair.label_set(labels)] for labels in dict.fromkeys(segmenter.label_sets)],
        "threshold": pair.settings.score_threshold,
        "network": network,
        "dimensions": asdict(segmenter.network.dimensions),
        "parts": _without_arrays(segmenter.parts(), arrays, number),
    }


def _without_arrays(parts: Mapping[str, Any], arrays: dict[str, NDArray[Any]], place: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in parts.items():
        key = f"{place}.{name}"
        if isinstance(value, np.ndarray):
            arrays[key] = value
            plain[name] = {ARRAY: key}
        else:
            plain[name] = _without_arrays(value, arrays, key) if isinstance(value, dict) else value
    return plain


def _write_program(path: Path) -> None:
    """The modules of this package that the program imports, as they are, in one file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", MAIN)
        for module in sorted(imported_modules(ENTRY)):
            archive.write(_path(module), str(_path(module).relative_to(PACKAGE.parent)))


def imported_modules(name: str) -> set[str]:
    """This module, those of this package that importing it imports, and the packages around them."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        waiting += [module.rpartition(".")[0]] if "." in module else []
        waiting += _imports(ast.parse(_path(module).read_text(encoding="utf-8")))
    return found


def _imports(tree: ast.Module) -> Iterator[str]:
    """Those at the top of a module: what is imported within a function or for types is for others."""
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and str(statement.module).split(".")[0] == PACKAGE.name:
            yield str(statement.module)


def _path(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _readme(version: str, segmenters: list[PairSegmenter]) -> str:
    lines = [
        f"# {version}",
        "",
        "A model that was learned from annotated time series, and all that it takes to predict by it. It",
        "needs Python 3.11 or newer, NumPy and ONNX Runtime:",
        "",
        "    pip install numpy onnxruntime",
        f"    python {PROGRAM} monday.csv tuesday.csv > regions.csv",
        "",
        "| Tag | Series | Columns | Time | Labels |",
        "| --- | --- | --- | --- | --- |",
    ]
    for each in segmenters:
        pair, segmenter = each.pair, each.segmenter
        time = f"{pair.time_column} {pair.time_format or ''}".strip() if pair.time_column else "rows"
        labels = dict.fromkeys(map(label_set_name, segmenter.label_sets))
        cells = (pair.from_name, pair.to_name, ", ".join(segmenter.channels), time, ", ".join(labels))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
