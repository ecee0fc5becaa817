"""What is known of each project's trainings: one small JSON file a project, shared by all processes."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from filelock import Timeout
from pydantic import ValidationError

from timeseries_segmenter.service.files import (
    file_lock,
    give_to_folder_owner,
    make_folder,
    remove_unfinished,
    replace_file,
)
from timeseries_segmenter.service.training_job import CANCELLED, ProjectTrainings, State

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 2  # a training that takes its process down twice is not tried a third time


class TrainingStates:
    """Reads and changes the state files in `MODEL_DIR/training`.

    Locks are those of the file system: they end with the process that holds them.
    """

    def __init__(self, model_dir: Path) -> None:
        self.folder = model_dir.absolute() / "training"
        self._waiting = self.folder / "waiting"

    def read(self, project: int) -> ProjectTrainings:
        """A project's trainings; empty where it has none. A file that can't be read is set aside."""
        path = self._path(project)
        try:
            return ProjectTrainings.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return ProjectTrainings(project=project)
        except ValidationError:
            aside = path.with_suffix(f".damaged-{int(time.time())}")
            path.replace(aside)
            logger.error(
                "project %d: the state of its trainings was damaged; it is now %s", project, aside.name
            )
            return ProjectTrainings(project=project)

    @contextmanager
    def change(self, project: int) -> Iterator[ProjectTrainings]:
        """A project's trainings to change in place; saved at the end, one process at a time.

        Raises OSError where MODEL_DIR can't be written.
        """
        make_folder(self._waiting)
        with self._changing(project):
            trainings = self.read(project)
            yield trainings
            content = trainings.model_dump_json(indent=1)
            replace_file(self._path(project), lambda path: path.write_text(content))
            marker = self._waiting / str(project)
            if trainings.job_in(State.QUEUED) is None:
                marker.unlink(missing_ok=True)
            elif not marker.exists():
                marker.touch()
                give_to_folder_owner(marker)

    @contextmanager
    def only_one(self, project: int, timeout: float = 0) -> Iterator[None]:
        """Holds while a project is trained. Raises filelock.Timeout where another process does so."""
        make_folder(self.folder)
        with file_lock(self.folder / f"project_{project}.training.lock", timeout):
            yield

    def remove_unfinished(self) -> None:
        """Remove what processes left that were killed while they wrote. Raises OSError."""
        for path in self.folder.glob(".project_*.json.unfinished"):
            number = path.name.removeprefix(".project_").removesuffix(".json.unfinished")
            if number.isdigit():
                with suppress(Timeout), self._changing(int(number), timeout=0):
                    remove_unfinished(self.folder, f"project_{number}.json")

    def projects(self) -> list[int]:
        """Projects that had a training event."""
        names = (path.stem.removeprefix("project_") for path in self.folder.glob("project_*.json"))
        return sorted(int(name) for name in names if name.isdigit())

    def waiting(self) -> list[int]:
        """Projects with a queued job, the one that waits longest first."""
        markers = []
        for path in self._waiting.glob("*"):
            with suppress(FileNotFoundError):  # it was taken while we looked
                markers.append((path.stat().st_mtime, int(path.name)))
        return [project for _, project in sorted(markers)]

    def is_trained(self, project: int) -> bool:
        """Whether a process works on a training of the project right now."""
        try:
            with self.only_one(project):
                return False
        except Timeout:
            return True

    def interrupted(self) -> list[int]:
        """Projects with a job that was started, and that no process works on."""
        started = [project for project in self.projects() if self.read(project).job_in(State.STARTED)]
        return [project for project in started if not self.is_trained(project)]

    def resume_interrupted(self) -> None:
        """Queue the jobs again that a dead worker left."""
        for project in self.interrupted():
            with suppress(Timeout), self.only_one(project), self.change(project) as trainings:
                while job := trainings.job_in(State.STARTED):
                    if job.cancelled:
                        trainings.fail(job, CANCELLED)
                    elif job.attempts >= MOST_ATTEMPTS:
                        trainings.fail(job, f"interrupted {job.attempts} times")
                    else:
                        trainings.requeue(job)
                    logger.warning(
                        "project %d: training %s was interrupted, now %s", project, job.id, job.state
                    )

    def fail_started(self, worker: str, error: str) -> None:
        """Mark the job failed that a worker was at when it died."""
        for project in self.projects():
            job = self.read(project).job_in(State.STARTED)
            if job is None or job.worker != worker:
                continue
            with self.change(project) as trainings:
                job = trainings.job_in(State.STARTED)
                if job and job.worker == worker:
                    trainings.fail(job, error)
                    logger.error("project %d: training %s failed: %s", project, job.id, error)

    def _changing(self, project: int, timeout: float = -1) -> AbstractContextManager[None]:
        return file_lock(self.folder / f"project_{project}.lock", timeout)

    def _path(self, project: int) -> Path:
        return self.folder / f"project_{project}.json"


def worker_name(pid: int | None = None) -> str:
    """What a worker process is called in the state of its job; by default this one."""
    return f"{socket.gethostname()}:{pid or os.getpid()}"
