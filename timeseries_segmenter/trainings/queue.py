"""The queue of jobs: one small JSON file per project in MODEL_DIR, shared by all processes."""

import json
import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import Timeout
from pydantic import ValidationError

from timeseries_segmenter.errors import StateError
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.storage.files import (
    file_lock,
    give_to_folder_owner,
    make_folder,
    remove_unfinished,
    replace_file,
)
from timeseries_segmenter.trainings.job import Kind, State
from timeseries_segmenter.trainings.pauses import AFTER_KILL
from timeseries_segmenter.trainings.project_trainings import FORMAT, ProjectTrainings

logger = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds for a lock that is held for a moment only
LOOK_PATIENCE = 0.5  # seconds, for a reader that only wants to set a damaged file aside
LOCK_POLL = 0.01  # seconds
TRAINER_POLL = 0.2  # seconds
NUMBER = re.compile("0|[1-9][0-9]{0,17}")  # of a project, in names of files
STATE = re.compile(rf"project_({NUMBER.pattern})\.json")
INTERRUPTED = "the training process ended during the run; if it was short of memory, give it more"


class JobQueue:
    """Reads and changes the state files in `MODEL_DIR/training`.

    Locks are file locks: they end with the process that holds them. Reading takes no lock. A file that
    can't be used costs its own project only, and is logged once.
    """

    def __init__(self, model_dir: Path) -> None:
        self.folder = model_dir.absolute() / "training"
        self._waiting = self.folder / "waiting"
        self._log_once = OnceLogger(logger)
        self._seen: dict[int, tuple[tuple[int, ...], ProjectTrainings]] = {}

    def read(self, project: int) -> ProjectTrainings:
        """A project's jobs; empty if it has none.

        They have a `problem` if the file can't be used. A damaged file is set aside.
        """
        try:
            try:
                return self._load(project)
            except ValidationError:
                with self.locked(project, LOOK_PATIENCE):
                    return self._load_or_set_aside(project)
        except StateError as error:
            problem = str(error)
        except OSError as error:
            problem = f"project {project}: the damaged state of its jobs can't be set aside: {error}"
        self._log_once(project, problem)
        return ProjectTrainings.unusable(project, problem)

    def look(self, project: int) -> ProjectTrainings:
        """What `read` gives of jobs that are not over, and of the last one.

        It is from memory while the file is the same; do not change it.
        """
        try:
            found = self._path(project).stat()
        except OSError:
            return self.read(project)
        signature = (found.st_ino, found.st_mtime_ns, found.st_size)
        known = self._seen.get(project)
        if known is None or known[0] != signature:
            known = (signature, self.read(project).without_past())
            if not known[1].problem:
                self._seen[project] = known
        return known[1]

    def chosen_start(self, project: int) -> int | None:
        """The project that a person had this one start from; None for none."""
        return self.look(project).chosen_start

    @contextmanager
    def change(self, project: int, patience: float = PATIENCE) -> Iterator[ProjectTrainings]:
        """A project's jobs to change in place; saved at the end, by one process at a time.

        Raises StateError if the file can't be used, filelock.Timeout if the lock is not free
        within `patience` seconds, and OSError if MODEL_DIR can't be written.
        """
        with self.locked(project, patience), self.saved(project) as trainings:
            yield trainings

    @contextmanager
    def locked(self, project: int, patience: float = PATIENCE) -> Iterator[None]:
        """Hold the lock on a project's state. Raises filelock.Timeout and OSError."""
        self._make_folders()
        with file_lock(self.folder / f"project_{project}.lock", patience, LOCK_POLL):
            yield

    @contextmanager
    def saved(self, project: int) -> Iterator[ProjectTrainings]:
        """What `change` gives, for a caller that holds the lock already."""
        trainings = self._load_or_set_aside(project)
        yield trainings
        trainings.format = FORMAT
        content = trainings.model_dump_json(indent=1)
        marker = self._waiting / str(project)
        waits = bool(trainings.queued)
        # the marker first: one without a job is harmless, a job without one waits until it is noticed
        if waits and not marker.exists():
            marker.touch()
            give_to_folder_owner(marker)
        replace_file(self._path(project), lambda path: path.write_text(content))
        if not waits:
            self._remove_marker(marker)

    @contextmanager
    def only_one(self, project: int, timeout: float = 0) -> Iterator[None]:
        """Hold the lock on a project's training. Raises filelock.Timeout if another process trains it."""
        make_folder(self.folder)
        with file_lock(self.folder / f"project_{project}.training.lock", timeout):
            yield

    @contextmanager
    def trainer(self, places: int = 1, *, wait: bool = True) -> Iterator[None]:
        """Hold one of the `places` of training processes, without Redis, as soon as one is free.

        Raises filelock.Timeout if none is and the caller does not `wait`.
        """
        make_folder(self.folder)
        with ExitStack() as held:
            while not any(self._takes_place(held, place) for place in range(places)):
                if not wait:
                    raise Timeout(str(self.folder / "worker.lock"))
                time.sleep(TRAINER_POLL)
            yield

    def _takes_place(self, held: ExitStack, place: int) -> bool:
        name = f"worker-{place}.lock" if place else "worker.lock"
        try:
            held.enter_context(file_lock(self.folder / name, 0))
        except Timeout:
            return False
        return True

    def lacks_trainers(self, places: int = 1) -> bool:
        """Whether fewer training processes than there are `places` are at work, without Redis."""
        try:
            with self.trainer(places, wait=False):
                return True
        except Timeout:
            return False

    def remove_unfinished(self) -> None:
        """Remove what processes left that were killed while writing. Raises OSError."""
        for path in self.folder.glob(".project_*.json.unfinished"):
            number = path.name.removeprefix(".project_").removesuffix(".json.unfinished")
            if NUMBER.fullmatch(number):
                with suppress(Timeout), self.locked(int(number), patience=0):
                    remove_unfinished(self.folder, f"project_{number}.json")

    def projects(self) -> list[int]:
        """Projects that had a training event."""
        try:
            names = os.listdir(self.folder)  # noqa: PTH208  of tens of thousands, maybe, names alone
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []
        return sorted(int(match[1]) for match in map(STATE.fullmatch, names) if match)

    def has(self, project: int) -> bool:
        """Whether the project had a training event."""
        return self._path(project).exists()

    def queued(self) -> list[int]:
        """Projects with a queued job, including those that wait for a further try, by when they are due.

        A project whose last job has just ended is behind those that waited meanwhile: one that is annotated
        all the time delays each of the others by one training run.
        """
        found = []
        for path in self._waiting.glob("*"):
            if not NUMBER.fullmatch(path.name):
                self._log_once(path, f"{path} is not a project's number; it is ignored: remove it")
                continue
            trainings = self.look(int(path.name))
            if jobs := trainings.queued:
                due = min(job.due for job in jobs)
                ended = [job.ended_at for job in trainings.jobs if job.ended_at]
                found.append((max([due, *ended]), int(path.name)))
        return [project for _, project in sorted(found)]

    def waiting(self) -> list[int]:
        """Projects with a queued job that is due, in the order of `queued`.

        A job is due only while none that goes first is, of whatever project.
        """
        due = [(project, job.kind) for project in self.queued() if (job := self.look(project).next_due)]
        first = min((kind.rank for _, kind in due), default=0)
        return [project for project, kind in due if kind.rank == first]

    def overdue(self, seconds: float, before: Kind = Kind.PREDICTION) -> list[int]:
        """Projects with a queued job that goes `before` those of a kind, and has been due for so long."""
        since = datetime.now(UTC) - timedelta(seconds=seconds)
        return [
            project
            for project in self.queued()
            if any(job.due < since and job.kind.rank < before.rank for job in self.look(project).queued)
        ]

    def any_trained(self) -> bool:
        """Whether a process trains any project."""
        started = [project for project in self.projects() if self.look(project).job_in(State.STARTED)]
        return any(map(self.is_trained, started))

    def is_trained(self, project: int) -> bool:
        """Whether a process trains the project right now."""
        try:
            with self.only_one(project):
                return False
        except Timeout:
            return True

    def interrupted(self) -> list[int]:
        """Projects with a started job that no process works on."""
        found = []
        for project in self.projects():
            try:
                if self.look(project).started and not self.is_trained(project):
                    found.append(project)
            except OSError as error:
                self._log_once(project, f"project {project}: its training lock can't be checked: {error}")
        return found

    def take_up(self, worker: str | None = None, reason: str = INTERRUPTED) -> int:
        """Queue the jobs again that a dead process left; `reason` is why `worker` ended.

        Also finds jobs that were queued without a marker, because a process was killed in between.
        Returns how many were the worker's.
        """
        found = 0
        for project in self.interrupted():
            try:
                with self.only_one(project), self.change(project) as trainings:
                    while job := trainings.started:
                        own = worker is not None and job.worker == worker
                        found += own
                        trainings.try_again(job, reason if own else INTERRUPTED, AFTER_KILL)
                        logger.warning(
                            "project %d: job %s was interrupted, now %s", project, job.id, job.state
                        )
            except Timeout:  # another process does this
                continue
            except (OSError, StateError) as error:
                self._log_once(project, f"project {project}: its interrupted job can't be queued: {error}")
        self._mark_again()
        return found

    def _mark_again(self) -> None:
        for project in self.projects():
            if not self.look(project).queued or (self._waiting / str(project)).exists():
                continue
            try:
                with self.change(project, LOOK_PATIENCE):
                    logger.warning("project %d: its queued job had been forgotten", project)
            except (OSError, StateError) as error:
                self._log_once(project, f"project {project}: its queued job can't be marked: {error}")

    def _load(self, project: int) -> ProjectTrainings:
        """Raises StateError, and ValidationError for a damaged file."""
        path = self._path(project)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return ProjectTrainings(project=project)
        except OSError as error:
            raise StateError(
                f"project {project} is not trained: {path} can't be read ({error.strerror}); give the "
                "service access to it, or move it away"
            ) from error
        if (found := _format(content)) > FORMAT:
            raise StateError(
                f"project {project} is not trained: {path} is from a newer release (format {found}, this one "
                f"knows {FORMAT}); it stays as it is: run that release, or move the file away"
            )
        trainings = ProjectTrainings.model_validate_json(content)
        self._log_once.forget(project)
        return trainings

    def _load_or_set_aside(self, project: int) -> ProjectTrainings:
        try:
            return self._load(project)
        except ValidationError:
            path = self._path(project)
            aside = path.with_suffix(f".damaged-{int(time.time())}")
            path.replace(aside)
            logger.error("project %d: the state of its jobs was damaged; it is now %s", project, aside.name)
            return ProjectTrainings(project=project)

    def _make_folders(self) -> None:
        try:
            make_folder(self._waiting)
        except FileExistsError:  # a file in its place
            aside = self._waiting.with_name(f"waiting.stray-{int(time.time())}")
            self._waiting.replace(aside)
            logger.error("%s was not a folder; it is now %s", self._waiting, aside.name)
            make_folder(self._waiting)

    def _remove_marker(self, marker: Path) -> None:
        try:
            marker.unlink(missing_ok=True)
        except OSError as error:
            self._log_once(marker, f"{marker} can't be removed ({error.strerror}); remove it yourself")

    def _path(self, project: int) -> Path:
        return self.folder / f"project_{project}.json"


def _format(content: bytes) -> int:
    """The number of a state file's format; 0 if it has none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return 0
    number = found.get("format") if isinstance(found, dict) else 0
    return number if isinstance(number, int) else 0


def worker_name(pid: int | None = None) -> str:
    """The name of a worker process in its job; by default of this process."""
    return f"{socket.gethostname()}:{pid or os.getpid()}"
