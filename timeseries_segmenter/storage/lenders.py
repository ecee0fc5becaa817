"""The trained projects from whose models others may start, found by what lists keep of each version."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from timeseries_segmenter.project.outline import Outline, misfit
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.storage.version_summary import VersionSummary

SECONDS = 0.3  # of one look, for what is not in memory yet; the next look finds more


@dataclass(frozen=True, slots=True)
class Lender:
    """A trained project, and what lists show of the version that is served."""

    project: int
    summary: VersionSummary


class Lenders:
    """Looks through the projects of a store."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store

    def fitting(self, taken: Mapping[int, Outline]) -> dict[int, list[Lender]]:
        """For each of these projects, by what its labeling config takes: those that it may start from.

        Highest numbers first. Of thousands of models that no look has seen, further ones are found by the
        next looks: a page does not wait for all.
        """
        wanted = set(taken.values()) - {()}
        if not wanted:
            return {}
        fits: dict[Outline, dict[Outline, bool]] = {outline: {} for outline in wanted}
        found: dict[Outline, list[Lender]] = {outline: [] for outline in wanted}
        until = time.monotonic() + SECONDS
        for project in reversed(self._store.projects()):
            summary = self._store.served_summary(project, at_hand=time.monotonic() > until)
            if summary is None:
                continue
            given = summary.given
            for outline in wanted:
                if given not in fits[outline]:
                    fits[outline][given] = not misfit(given, outline)
                if fits[outline][given]:
                    found[outline].append(Lender(project, summary))
        return {project: found[outline] for project, outline in taken.items() if outline}
