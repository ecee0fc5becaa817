"""What people are told of a version of a model: small enough to keep those of all projects in memory."""

from dataclasses import dataclass
from datetime import datetime

from timeseries_segmenter.errors import ForeignModelError, ModelFileError
from timeseries_segmenter.project.card import Card, Quality
from timeseries_segmenter.storage.file_memory import FileMemory
from timeseries_segmenter.storage.model_reader import signature_of
from timeseries_segmenter.storage.model_store import ModelStore


@dataclass(frozen=True, slots=True)
class VersionSummary:
    """`tasks` and `skipped` count; `restored` is the version that this one is again, after a rollback.

    `unreadable` says why the version can't be served; None where it can.
    """

    version: str
    title: str
    created_at: datetime | None
    tasks: int
    skipped: int
    quality: Quality | None
    restored: str | None
    unreadable: str | None = None

    @classmethod
    def from_card(cls, version: str, card: Card, unreadable: str | None = None) -> "VersionSummary":
        """What of a version's card people read in a list."""
        return cls(
            version,
            card.title,
            card.created_at,
            len(card.tasks),
            len(card.skipped),
            card.quality,
            card.restored,
            unreadable,
        )


class VersionSummaries:
    """Summaries of versions, in memory for as long as their file is the same.

    Files of kept versions never change: each is read once, in some milliseconds.
    """

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._known = FileMemory[VersionSummary](10_000)

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
        found = signature_of(path)
        known = self._known.get(path, found) if found else None
        if known and known.version == version:
            return known
        try:
            summary = VersionSummary.from_card(version, self._store.card(project, version))
        except ModelFileError as error:  # it has its name, and no metrics
            summary = VersionSummary.from_card(version, Card(), str(error))
            if not isinstance(error, ForeignModelError):  # it may pass
                return summary
        if found:
            self._known.keep(path, found, summary)
        return summary
