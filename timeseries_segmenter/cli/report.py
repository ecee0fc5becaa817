"""The command `report`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from timeseries_segmenter.cli.options import Commands, add_command, add_project
from timeseries_segmenter.errors import ExportError

if TYPE_CHECKING:
    from timeseries_segmenter.settings import Settings


def add_report(commands: Commands) -> None:
    """Add the command and its options."""
    parser = add_command(commands, report)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, help="a model file")
    add_project(source, "a project's number: its current model", required=False)
    parser.add_argument("--output", type=Path, required=True, help="file to write the page to")


def report(options: argparse.Namespace, settings: "Settings") -> None:
    """Write what a model has learned, and how far it can be trusted, as an HTML page."""
    from timeseries_segmenter.report.saved import saved_report
    from timeseries_segmenter.storage.model_store import ModelStore

    path: Path
    if options.model:
        path, label_studio = options.model, None
    else:
        path, label_studio = ModelStore(settings).served_path(options.project), settings.label_studio_link
        if not path.exists():
            raise ExportError(f"project {options.project} has no model in {settings.model_dir}")
    page = saved_report(path, label_studio)
    try:
        options.output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{options.output} can't be written: {error.strerror}") from error
    print(f"{options.output}: the report of {path.name}")
