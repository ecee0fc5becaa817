"""The annotated tasks of projects: Label Studio is asked only for what has changed since the last time.

Label Studio 1.23 moves a task's `updated_at` when an annotation of it is created, changed, skipped, made the
ground truth or deleted, and when its data is changed. What moves none - the deletion of a task, some bulk
actions of the Data Manager - shows in the totals, and if these differ, is found by halving. What does not
show there either (renaming a label in all annotations) is found by reading a few tasks again each time.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

from filelock import Timeout

from timeseries_segmenter.errors import LabelStudioError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.project.annotated_task import AnnotatedTask
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.label_studio import PAGE_SIZE, LabelStudioClient
from timeseries_segmenter.sources.task_query import NEWEST_FIRST, TaskQuery, moment
from timeseries_segmenter.sources.task_store import (
    DAMAGE,
    TaskStore,
    Totals,
    open_task_store,
    remove_task_store,
)

logger = logging.getLogger(__name__)

SHARE = 0.25  # of CACHE_MB, for the tasks of all projects
LOOK_BACK = timedelta(minutes=2)  # what is stamped earlier may be there later: it was being written
READ_AGAIN = 100  # tasks at each look, at most
READ_AGAIN_BYTES = 2_000_000  # of these, beside the first one
READ_AT_ONCE = 20  # whole tasks, which may hold their series
TRIES = 3  # somebody may annotate between two requests
NO_CHANGES = "lists no changes"  # a fact: Label Studio is not asked for them
DIFFERENCE = "difference"  # a fact: what its totals had more after all was read that could explain it


class KnownTasks:
    """Keeps the annotated tasks of each project in a file in CACHE_DIR, if there is room for them."""

    def __init__(self, settings: Settings, label_studio: LabelStudioClient) -> None:
        self._label_studio = label_studio
        self._folder = settings.series_cache_dir / "tasks"
        self._capacity = int(settings.cache_mb * 1_000_000 * SHARE)

    def annotated(self, project: int, label_config: str, *, anew: bool = False) -> list[AnnotatedTask]:
        """The tasks of a project with an annotation that counts, by their ids.

        All are listed if `anew`, and if the labeling config has changed. Raises LabelStudioError, and
        LabelConfigError.
        """
        pairs = parse_label_config(label_config).pairs
        try:
            if self._capacity:
                return self._from_store(project, _digest(label_config), pairs, anew)
        except (OSError, Timeout, *DAMAGE) as error:
            self._do_without(project, "all tasks are listed, and none is kept", error)
        listed = self._label_studio.labelled_tasks(project)
        found = [each for task in listed if (each := AnnotatedTask.from_task(task, pairs))]
        return sorted(found, key=attrgetter("id"))

    def read(self, project: int, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Tasks in this order, a few at a time: each is `id`, `data`, `annotations` and `updated_at`, a text
        in UTC, empty if Label Studio gives none.

        They are as `annotated` found them, or newer; one that is gone meanwhile is left out. Raises
        LabelStudioError.
        """
        for first in range(0, len(ids), READ_AT_ONCE):
            some = ids[first : first + READ_AT_ONCE]
            tasks = self._kept(project, some)
            if lacking := [number for number in some if number not in tasks]:
                found = self._label_studio.find_tasks(project, TaskQuery(ids=lacking)).tasks
                tasks |= {task["id"]: task for task in found}
            yield from (tasks[number] for number in some if number in tasks)

    def forget(self, project: int) -> None:
        """Remove what is kept of a project. Raises OSError."""
        if self.path(project).exists():
            remove_task_store(self.path(project))

    def _from_store(
        self, project: int, config: str, pairs: Sequence[LabelPair], anew: bool
    ) -> list[AnnotatedTask]:
        path = self.path(project)
        with open_task_store(path) as store:
            look = _Look(self._label_studio, project, store, pairs)
            if anew or store.fact("config") != config:
                look.list_all()
                store.set_fact("config", config)
                store.set_fact(NO_CHANGES, "")
            else:
                look.list_changes()
            store.save()
            found = store.annotated()
        self._make_room(path, project)
        return found

    def _kept(self, project: int, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Those of the tasks that are kept."""
        path = self.path(project)
        try:
            if path.exists():
                with open_task_store(path) as store:
                    return store.read(ids)
        except (OSError, Timeout, *DAMAGE) as error:
            self._do_without(project, "tasks are read from Label Studio", error)
        return {}

    def _do_without(self, project: int, instead: str, error: Exception) -> None:
        """Do without what is kept of a project, and remove it if it is damaged."""
        logger.warning("project %d: %s: %s", project, instead, error)
        if isinstance(error, DAMAGE):
            remove_task_store(self.path(project))

    def _make_room(self, own: Path, project: int) -> None:
        """Remove the stores that were not used for longest, if all together are too large."""
        found = sorted(self._folder.glob("*.sqlite"), key=lambda path: (path == own, path.stat().st_mtime))
        sizes = {path: path.stat().st_size for path in found}
        total = sum(sizes.values())
        for path, size in sizes.items():
            if total <= self._capacity:
                return
            if path == own:
                logger.warning(
                    "project %d: its tasks take %d MB, more than the %d MB that CACHE_MB leaves them: all "
                    "are listed each time",
                    project,
                    size // 1_000_000,
                    self._capacity // 1_000_000,
                )
            if remove_task_store(path, timeout=0):
                total -= size

    def path(self, project: int) -> Path:
        """The file of a project, whether it is there or not."""
        host = hashlib.sha256(self._label_studio.host.encode()).hexdigest()[:12]
        return self._folder / f"project_{project}_{host}.sqlite"


class _Look:
    """One look at a project in Label Studio, by which a store is brought up to date."""

    def __init__(
        self, label_studio: LabelStudioClient, project: int, store: TaskStore, pairs: Sequence[LabelPair]
    ) -> None:
        self._label_studio = label_studio
        self._project = project
        self._store = store
        self._pairs = pairs

    def list_all(self) -> None:
        """Replace what is known by what there is."""
        self._store.clear()
        self._store.put(self._label_studio.labelled_tasks(self._project), self._pairs)

    def list_changes(self) -> None:
        """Take over what was annotated, changed and deleted. Raises LabelStudioError."""
        known, newest = self._store.totals(), self._store.newest
        if not known.tasks or self._store.fact(NO_CHANGES):
            self.list_all()
            return
        if not newest:
            self._give_up("its tasks have no updated_at")
            return
        try:
            theirs = self._read_changes(_before(newest))
        except LabelStudioError as error:
            if error.passing:
                raise
            self._give_up(f"it does not answer what has changed ({error})")
            return
        if theirs is None:
            self._give_up("it leaves out what has changed last")
            return
        difference = theirs - self._store.totals()
        if abs(difference.tasks) > PAGE_SIZE:
            self.list_all()
            return
        if str(difference) != self._store.fact(DIFFERENCE):  # counters of Label Studio may be wrong for good
            self._mend(theirs)
            self._store.set_fact(DIFFERENCE, str(theirs - self._store.totals()))
        self._read_some_again()

    def _give_up(self, reason: str) -> None:
        logger.warning(
            "project %d: all annotated tasks are listed each time, until you choose Start Training: Label "
            "Studio can't be asked for changes: %s",
            self._project,
            reason,
        )
        self.list_all()
        self._store.set_fact(NO_CHANGES, "yes")

    def _read_changes(self, since: str) -> Totals | None:
        """Take over what has changed since, and count all; None if the newest change is not among them."""
        for _ in range(TRIES):
            self._read(TaskQuery(since=since, ordering=NEWEST_FIRST))
            page = self._label_studio.find_tasks(self._project, TaskQuery(ordering=NEWEST_FIRST), page_size=1)
            if all(self._store.holds(task) for task in page.tasks):
                return Totals(page.total, page.annotations)
        return None

    def _mend(self, theirs: Totals, first: int | None = None, last: int | None = None) -> None:
        """Find where the totals differ from an id to an id, by halves, and read the tasks there."""
        if theirs == self._store.totals(first, last):
            return
        ours = self._store.ids(first, last)
        if len(ours) <= PAGE_SIZE:
            found = self._read(TaskQuery(first=first, last=last))
            self._store.remove(set(ours) - found)
            return
        middle = ours[len(ours) // 2]
        page = self._label_studio.find_tasks(self._project, TaskQuery(first=first, last=middle), page_size=1)
        half = Totals(page.total, page.annotations)
        self._mend(half, first, middle)
        self._mend(theirs - half, middle + 1, last)

    def _read_some_again(self) -> None:
        ids = self._store.least_checked(READ_AGAIN, READ_AGAIN_BYTES)
        self._store.remove(set(ids) - self._read(TaskQuery(ids=ids)))

    def _read(self, query: TaskQuery) -> set[int]:
        """Keep all that a query finds; returns the ids."""
        found: set[int] = set()
        number, total = 0, 1
        while number * PAGE_SIZE < total:
            number += 1
            page = self._label_studio.find_tasks(self._project, query, number, PAGE_SIZE)
            self._store.put(page.tasks, self._pairs)
            found.update(task["id"] for task in page.tasks)
            total = page.total
        return found


def _before(newest: str) -> str:
    return moment(datetime.fromisoformat(newest) - LOOK_BACK)


def _digest(label_config: str) -> str:
    return hashlib.sha256(label_config.encode()).hexdigest()
