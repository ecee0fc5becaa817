"""Commands for a running service: its models' versions, and its training workers."""

import argparse

from timeseries_segmenter.errors import ExportError, SettingsError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.storage.version_summary import VersionSummaries

COLUMNS = ("", "version", "created", "tasks", "macro F1", "measured on", "")


def versions(options: argparse.Namespace, settings: Settings) -> None:
    """List the versions of a project's model, newest first; * marks the one that is served."""
    store = ModelStore(settings)
    current = store.version(options.project)
    rows = []
    for summary in VersionSummaries(store).of(options.project):
        macro_f1 = summary.quality.macro_f1 if summary.quality else None
        rows.append(
            (
                "*" if summary.version == current else "",
                summary.version,
                summary.created_at.isoformat() if summary.created_at else "",
                str(summary.tasks),
                "" if macro_f1 is None else f"{macro_f1:.3f}",
                summary.quality.measured_on if summary.quality and macro_f1 is not None else "",
                summary.unreadable or (f"is {summary.restored} again" if summary.restored else ""),
            )
        )
    trouble = store.trouble(options.project)
    if not rows:
        raise ExportError(trouble or f"project {options.project} has no model in {settings.model_dir}")
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if trouble:
        print(f"The newest model can't be used: {trouble}")


def roll_back(options: argparse.Namespace, settings: Settings) -> None:
    """Serve an earlier version of a project's model again, by default the one before."""
    store = ModelStore(settings)
    try:
        version = store.roll_back(options.project, options.to)
    except OSError as error:
        raise ExportError(f"{settings.model_dir} can't be written: {error.strerror}") from error
    restored = store.metadata(options.project, version)["restored"]
    print(f"project {options.project}: {version} is {restored} again; retrieve predictions in Label Studio")


def work(options: argparse.Namespace, settings: Settings) -> None:
    """Train what the service hands out through Redis (REDIS_URL), until Ctrl-C."""
    del options  # it has none
    if not settings.redis_url.get_secret_value():
        raise SettingsError("REDIS_URL is not set; without Redis the service trains by itself")
    from timeseries_segmenter.trainings.redis_worker import serve

    serve(settings)
