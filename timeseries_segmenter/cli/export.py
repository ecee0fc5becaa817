"""The command `export`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from timeseries_segmenter.cli.options import Commands, add_command, add_model_source

if TYPE_CHECKING:
    from timeseries_segmenter.settings import Settings


def add_export(commands: Commands) -> None:
    """Add the command and its options."""
    parser = add_command(commands, export)
    add_model_source(parser)
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="of the network (default: onnx)")
    parser.add_argument("--config", type=Path, help="the labeling config, XML (default: the model's own)")
    parser.add_argument("--output", type=Path, required=True, help="a new folder to write the model to")


def export(options: argparse.Namespace, settings: "Settings") -> None:
    """Write a model as a folder that predicts with NumPy and ONNX Runtime alone."""
    from timeseries_segmenter.cli.inputs import (
        find_model,
        for_files,
        read_label_config,
        read_model,
        read_segmenters,
    )
    from timeseries_segmenter.portable.writer import write_portable_model

    options.model = find_model(options, settings)
    model = read_model(options.model)
    segmenters = read_segmenters(model, read_label_config(options.config, model), options)
    write_portable_model(options.output, model.version, [for_files(each) for each in segmenters])
    names = ", ".join(each.pair.name for each in segmenters)
    print(f"{options.output}: {model.version} ({names}); see {options.output / 'README.md'}")
