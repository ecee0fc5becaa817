"""The reports of versions as pages: rendered when first asked for, and kept beside the model."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from timeseries_segmenter.storage.model_files import VERSION
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
