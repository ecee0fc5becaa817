"""The report that was saved with a model, as a page."""

from pathlib import Path

from timeseries_segmenter.errors import ReportError
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.report.content import Report
from timeseries_segmenter.report.page import render
from timeseries_segmenter.storage.model_file import read_card, read_report


def saved_report(path: Path, label_studio_url: str | None = None, dashboard: str | None = None) -> str:
    """The page of a model file's report; see `render`. Raises like `load_report`."""
    card, report = load_report(path)
    return render(
        report,
        card.version or path.stem,
        label_studio_url=label_studio_url,
        restored=card.restored,
        dashboard=dashboard,
    )


def load_report(path: Path) -> tuple[Card, Report]:
    """The card and the whole report of a model file.

    Raises ModelFileError if the file can't be read, ReportError if it holds no report.
    """
    card, text = read_card(path), read_report(path)
    version = card.version or path.stem
    if text is None:
        raise ReportError(f"{version} was made without a report; train once more, and there is one")
    try:
        return card, Report.from_saved(text, card)
    except (ValueError, LookupError, TypeError) as error:
        raise ReportError(
            f"{version} has a report of another release of this service; train once more, and there is one "
            "that can be shown"
        ) from error
