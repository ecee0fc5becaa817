"""What people are told of a version of a model: small enough to keep those of all projects in memory."""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cachetools import LRUCache

from timeseries_segmenter.errors import ModelFileError
from timeseries_segmenter.learning.model_file import read_metadata
from timeseries_segmenter.service.model_files import Signature, signature
from timeseries_segmenter.service.model_store import ModelStore
from timeseries_segmenter.service.quality import Quality, quality

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VersionSummary:
    """`tasks` and `skipped` count; `restored` is the version that this one is again, after a rollback."""

    version: str
    title: str
    created_at: datetime | None
    tasks: int
    skipped: int
    quality: Quality | None
    restored: str | None

    @classmethod
    def of(cls, version: str, metadata: Mapping[str, Any]) -> "VersionSummary":
        """From what was saved with the model; parts that are missing are empty."""
        restored = metadata.get("restored")
        return cls(
            version,
            str(metadata.get("title") or ""),
            _moment(metadata.get("created_at")),
            len(metadata.get("tasks") or []),
            len(metadata.get("skipped") or []),
            quality(metadata),
            str(restored) if restored else None,
        )


def _moment(text: Any) -> datetime | None:
    with suppress(TypeError, ValueError):
        return datetime.fromisoformat(text)
    return None


class VersionSummaries:
    """Summaries of versions, in memory for as long as their file is the same.

    Files of kept versions never change: each is read once, in some milliseconds.
    """

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: LRUCache[Path, tuple[Signature, VersionSummary]] = LRUCache(10_000)

    def by_project(self) -> dict[int, list[VersionSummary]]:
        """Those of each project that has a model, newest first."""
        return {
            project: [self._summary(project, version) for version in versions]
            for project, versions in self._store.versions_by_project().items()
        }

    def of(self, project: int) -> list[VersionSummary]:
        """Those of a project, newest first."""
        return [self._summary(project, version) for version in self._store.versions(project)]

    def _summary(self, project: int, version: str) -> VersionSummary:
        path = self._store.version_path(project, version)
        found_signature = signature(path)
        with self._lock:
            known = self._known.get(path)
        if known and found_signature == known[0] and known[1].version == version:
            return known[1]
        try:
            summary = VersionSummary.of(version, read_metadata(path))
        except ModelFileError as error:  # damaged, or deleted just now: it has its name, and no figures
            logger.warning("project %d: %s", project, error)
            summary = VersionSummary.of(version, {})
        if found_signature:
            with self._lock:
                self._known[path] = (found_signature, summary)
        return summary
