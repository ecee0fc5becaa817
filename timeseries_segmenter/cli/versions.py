"""The command `versions`."""

import argparse
from typing import TYPE_CHECKING

from timeseries_segmenter.cli.options import Commands, add_command, add_project
from timeseries_segmenter.errors import ExportError

if TYPE_CHECKING:
    from timeseries_segmenter.settings import Settings
    from timeseries_segmenter.storage.version_summary import VersionSummary

COLUMNS = ("", "version", "created", "tasks", "macro F1", "measured on", "")


def add_versions(commands: Commands) -> None:
    """Add the command and its options."""
    add_project(add_command(commands, versions))


def versions(options: argparse.Namespace, settings: "Settings") -> None:
    """List the versions of a project's model, newest first; * marks the one that is served."""
    from timeseries_segmenter.storage.model_store import ModelStore

    store = ModelStore(settings)
    current = store.version(options.project)
    rows = [_row(summary, current) for summary in store.summaries(options.project)]
    trouble = store.trouble(options.project)
    if not rows:
        raise ExportError(trouble or f"project {options.project} has no model in {settings.model_dir}")
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if trouble:
        print(f"The newest model can't be used: {trouble}")


def _row(summary: "VersionSummary", current: str) -> tuple[str, ...]:
    quality = summary.quality
    return (
        "*" if summary.version == current else "",
        summary.version,
        summary.created_at.isoformat() if summary.created_at else "",
        str(summary.tasks),
        f"{quality.macro_f1:.3f}" if quality else "",
        quality.measured_on if quality else "",
        summary.unreadable or (f"is {summary.restored} again" if summary.restored else ""),
    )
