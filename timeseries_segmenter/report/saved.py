"""Reports saved with models, as pages: rendered when first asked for, and kept beside the model."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from timeseries_segmenter.errors import ReportError
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.versions import VERSION
from timeseries_segmenter.report.content import Report
from timeseries_segmenter.report.page import render
from timeseries_segmenter.storage.model_file import read_card, read_report
from timeseries_segmenter.storage.model_store import ModelStore

logger = logging.getLogger(__name__)


class ReportFiles:
    """`MODEL_DIR/versions/{version}.html`, which goes when the version goes.

    `render` makes the page from a model file, or raises ReportError where that holds no report.
    """

    def __init__(self, store: ModelStore, render: Callable[[Path], str]) -> None:
        self._store = store
        self._render = render
        self._rendering = threading.Lock()  # plotting libraries want one thread at a time

    def page(self, project: int, version: str) -> str:
        """The page of a version that is served or kept.

        Raises ReportError where it has no report, ModelFileError where the model file can't be read.
        """
        if not VERSION.fullmatch(version):  # a name that a person gave may lead anywhere
            with self._rendering:
                return self._render(self._store.served_path(project))
        page = self._kept(version)
        if page is not None:
            return page
        with self._rendering:
            return self._kept(version) or self._made(project, version)

    def _kept(self, version: str) -> str | None:
        try:
            return self._store.report_path(version).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _made(self, project: int, version: str) -> str:
        page = self._render(self._store.version_path(project, version))
        try:
            self._store.keep_report(project, version, page)
        except OSError as error:
            logger.warning("project %d: the report of %s can't be kept: %s", project, version, error)
        return page


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
