"""The command `report`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from timeseries_segmenter.cli.options import Commands, add_command, add_model_source
from timeseries_segmenter.errors import ExportError

if TYPE_CHECKING:
    from timeseries_segmenter.settings import Settings


def add_report(commands: Commands) -> None:
    """Add the command and its options."""
    parser = add_command(commands, report)
    add_model_source(parser)
    parser.add_argument("--output", type=Path, required=True, help="file to write the page to")


def report(options: argparse.Namespace, settings: "Settings") -> None:
    """Write what a model has learned, and how far it can be trusted, as an HTML page."""
    from timeseries_segmenter.cli.inputs import find_model
    from timeseries_segmenter.report.saved import saved_report

    path = find_model(options, settings)
    page = saved_report(path, None if options.model else settings.label_studio_link)
    try:
        options.output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{options.output} can't be written: {error.strerror}") from error
    print(f"{options.output}: the report of {path.name}")
