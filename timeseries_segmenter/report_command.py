"""The command that writes a training report."""

import argparse
from pathlib import Path

from timeseries_segmenter.errors import ExportError
from timeseries_segmenter.report.saved import saved_report
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore


def report(options: argparse.Namespace, settings: Settings) -> None:
    """Write what a model has learned, and how far it can be trusted, as an HTML page."""
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
