"""Separates projects that Label Studio knows from those that somebody made up in a forged webhook."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from filelock import Timeout

from timeseries_segmenter.errors import LabelStudioError, QueueError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.files import model_path
from timeseries_segmenter.trainings.queue import JobQueue

if TYPE_CHECKING:
    from timeseries_segmenter.sources.label_studio import LabelStudioClient

logger = logging.getLogger(__name__)

MOST_UNKNOWN = 10_000  # projects; each takes three small files until it is detected
ASKED = 50  # of the projects that wait longest, and of the newest ones, in one request
TIMEOUT = 5  # seconds for an answer from Label Studio
PAUSE = 30.0  # seconds before a Label Studio that did not answer is asked again
SWEEP = 60.0  # seconds between two looks at projects that wait for nothing
RECOUNT = 5.0  # seconds
FORGET_PATIENCE = 1.0  # seconds for the lock on a project's state
NAMED = 10  # projects in one line of the log


class KnownProjects:
    """For the training process: puts known projects first, and asks once for unknown ones and forgets them.

    Known are those that have a model, and those that Label Studio knows. Events of others leave no
    trace in MODEL_DIR. If Label Studio can't be asked, nothing is forgotten and all are trained: their
    failure says why.
    """

    def __init__(self, settings: Settings, queue: JobQueue) -> None:
        self._settings = settings
        self._queue = queue
        self._studio: LabelStudioClient | None = None
        self._vouched: set[int] = set()
        self._answers = True
        self._ask_from = 0.0
        self._swept = time.monotonic()

    def is_known(self, project: int) -> bool:
        """Whether the project has a model, or Label Studio said so since this process began."""
        return project in self._vouched or model_path(self._settings.model_dir, project).exists()

    def first(self, waiting: Sequence[int]) -> list[int]:
        """Those of `waiting` to train, in order; asks for some of the unknown ones at each call.

        Raises OSError if MODEL_DIR can't be written.
        """
        unknown = [project for project in waiting if not self.is_known(project)]
        if not unknown and time.monotonic() - self._swept > SWEEP:
            self._swept = time.monotonic()
            unknown = [project for project in self._queue.projects() if not self.is_known(project)]
        if unknown and time.monotonic() >= self._ask_from:
            self._ask(sorted({*unknown[:ASKED], *unknown[-ASKED:]}))
        known = [project for project in waiting if self.is_known(project)]
        return known if self._answers else [*known, *(set(waiting) - set(known))]

    def all_first(self, seconds: float) -> list[int]:
        """What `first` gives for all that wait, once no unknown one is left or `seconds` are over."""
        until = time.monotonic() + seconds
        while True:
            waiting = self._queue.waiting()
            order = self.first(waiting)
            if len(order) == len(waiting) or time.monotonic() > until:
                return order
            time.sleep(0.02)

    def _ask(self, projects: Sequence[int]) -> None:
        asked = time.time()
        try:
            found = self._client().existing(projects)
        except LabelStudioError as error:
            logger.debug("Label Studio can't be asked which projects it knows: %s", error)
            self._answers, self._ask_from = False, time.monotonic() + PAUSE
            return
        self._answers = True
        self._vouched |= found
        forgotten = [project for project in projects if project not in found and self._forget(project, asked)]
        if forgotten:
            logger.warning(
                "Label Studio knows no project %s (%d in all), as the owner of LABEL_STUDIO_API_KEY sees it: "
                "their events are forgotten. If they were made up, set WEBHOOK_SECRET; if they exist, give "
                "the owner access and choose Start Training",
                ", ".join(map(str, forgotten[:NAMED])),
                len(forgotten),
            )

    def _client(self) -> "LabelStudioClient":
        if self._studio is None:
            # here: a process that only waits does not need it
            from timeseries_segmenter.sources.label_studio import LabelStudioClient
            from timeseries_segmenter.sources.retries import ONE_TRY

            self._studio = LabelStudioClient(self._settings, ONE_TRY, TIMEOUT)
        return self._studio

    def _forget(self, project: int, asked: float) -> bool:
        """Remove a project's files, unless an event came after Label Studio was asked.

        Whoever waits for a removed lock takes the next one of that name: filelock opens the file for each
        try, and lets go of one that has no name left.
        """
        folder = self._queue.folder
        state = folder / f"project_{project}.json"
        lock, training_lock = state.with_suffix(".lock"), state.with_suffix(".training.lock")
        try:
            with self._queue.only_one(project), self._queue.locked(project, FORGET_PATIENCE):
                if state.exists() and state.stat().st_mtime > asked:
                    return False
                if self._queue.read(project).problem:  # a newer release may need it
                    return False
                for path in (folder / "waiting" / str(project), state, training_lock, lock):
                    path.unlink(missing_ok=True)
            self._forget_tasks(project)
        except Timeout:  # another process works on it
            return False
        except OSError as error:
            logger.error("project %d is unknown, and its files can't be removed: %s", project, error)
            self._vouched.add(project)  # its training run fails, and says why
            return False
        return True

    def _forget_tasks(self, project: int) -> None:
        from timeseries_segmenter.sources.known_tasks import KnownTasks  # here: see _client

        KnownTasks(self._settings, self._client()).forget(project)


class RoomForUnknown:
    """For web processes: limits how many projects without a model may leave events in MODEL_DIR."""

    def __init__(self, settings: Settings, queue: JobQueue) -> None:
        self._model_dir = settings.model_dir
        self._queue = queue
        self._unknown = 0
        self._counted = -RECOUNT

    def check(self, project: int) -> None:
        """Raises QueueError if too many unknown projects wait already."""
        if self._has_room() or self._is_one_of_them(project):
            return
        raise QueueError(
            f"events of {MOST_UNKNOWN} projects without a model wait; this one of project {project} is not "
            "kept. If they are made up, set WEBHOOK_SECRET"
        )

    def _has_room(self) -> bool:
        if time.monotonic() - self._counted > RECOUNT:
            self._counted = time.monotonic()
            projects = self._queue.projects()
            self._unknown = len(projects)
            if self._unknown >= MOST_UNKNOWN:
                self._unknown = sum(not model_path(self._model_dir, project).exists() for project in projects)
        return self._unknown < MOST_UNKNOWN

    def _is_one_of_them(self, project: int) -> bool:
        state = self._queue.folder / f"project_{project}.json"
        return state.exists() or model_path(self._model_dir, project).exists()
