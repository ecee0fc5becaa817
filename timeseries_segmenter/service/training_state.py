"""What is known of each project's trainings: one small JSON file a project, shared by all processes."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from filelock import FileLock
from pydantic import BaseModel, Field, ValidationError

logger = logging.getLogger(__name__)

START_TRAINING = "START_TRAINING"  # the event of a person who asks for a training
JOBS_KEPT = 20
MOST_ATTEMPTS = 2  # a training that takes its process down twice is not tried a third time


class State(StrEnum):
    """Of a job; a job ends as finished or failed."""

    QUEUED = "queued"
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"


class Progress(BaseModel):
    """The newest epoch of a running training; figures on the training windows."""

    epoch: int
    epochs: int
    loss: float
    balanced_accuracy: float
    min_f1: float


class Job(BaseModel):
    """One training of a project, from the event that asked for it to its end."""

    id: str
    event: str
    state: State = State.QUEUED
    attempts: int = 0
    worker: str | None = None
    queued_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: Progress | None = None
    version: str | None = None
    error: str | None = None
    skipped: list[str] = Field(default_factory=list)

    @property
    def from_scratch(self) -> bool:
        """Whether the training may not go on from the project's model: a person asked for it."""
        return self.event == START_TRAINING

    def start(self, worker: str) -> None:
        """A worker takes the job."""
        self.state, self.worker, self.started_at = State.STARTED, worker, _now()
        self.attempts += 1

    def finish(self, version: str, skipped: list[str]) -> None:
        """The training made a model."""
        self.state, self.ended_at, self.version, self.skipped = State.FINISHED, _now(), version, skipped

    def fail(self, error: str) -> None:
        """The training made no model, and why."""
        self.state, self.ended_at, self.error = State.FAILED, _now(), error


class ProjectTrainings(BaseModel):
    """A project's jobs, oldest first, and the events counted since the newest of them was queued."""

    project: int
    updates: int = 0
    jobs: list[Job] = Field(default_factory=list)

    def job_in(self, state: State) -> Job | None:
        """The oldest job in a state."""
        return next((job for job in self.jobs if job.state is state), None)

    def enqueue(self, event: str) -> Job:
        """A queued job: the one that is waiting already, or a new one."""
        self.updates = 0
        job = self.job_in(State.QUEUED)
        if job and event == START_TRAINING:
            job.event = event
        if job is None:
            job = Job(id=f"{self.project}-{uuid4().hex[:12]}", event=event, queued_at=_now())
            self.jobs = [*self.jobs[1 - JOBS_KEPT :], job]
        return job


class TrainingStates:
    """Reads and changes the state files in `MODEL_DIR/training`."""

    def __init__(self, model_dir: Path) -> None:
        self.folder = model_dir / "training"
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
        """A project's trainings to change in place; saved at the end, one process at a time."""
        self._waiting.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f"project_{project}.lock"):
            trainings = self.read(project)
            yield trainings
            unfinished = self.folder / f".project_{project}.unfinished"
            unfinished.write_text(trainings.model_dump_json(indent=1))
            unfinished.replace(self._path(project))
            marker = self._waiting / str(project)
            if trainings.job_in(State.QUEUED) is None:
                marker.unlink(missing_ok=True)
            elif not marker.exists():
                marker.touch()

    def waiting(self) -> list[int]:
        """Projects with a queued job, the one that waits longest first."""
        try:
            markers = [(marker.stat().st_mtime, int(marker.name)) for marker in self._waiting.iterdir()]
        except FileNotFoundError:  # no job yet, or one was taken while we looked
            return []
        return [project for _, project in sorted(markers)]

    def interrupted(self) -> list[int]:
        """Projects with a job that was started and never ended."""
        projects = [int(path.stem.removeprefix("project_")) for path in self.folder.glob("project_*.json")]
        return [project for project in projects if self.read(project).job_in(State.STARTED)]

    def resume_interrupted(self) -> None:
        """Queue the jobs again that a dead worker left; call only where no worker runs."""
        for project in self.interrupted():
            with self.change(project) as trainings:
                while job := trainings.job_in(State.STARTED):
                    if trainings.job_in(State.QUEUED):
                        job.fail("interrupted; the job queued after it takes its place")
                    elif job.attempts >= MOST_ATTEMPTS:
                        job.fail(f"interrupted {job.attempts} times")
                    else:
                        job.state, job.progress = State.QUEUED, None
                    logger.warning(
                        "project %d: training %s was interrupted, now %s", project, job.id, job.state
                    )

    def fail_started(self, worker: str, error: str) -> None:
        """Mark the job failed that a worker was at when it died."""
        for project in self.interrupted():
            with self.change(project) as trainings:
                job = trainings.job_in(State.STARTED)
                if job and job.worker == worker:
                    job.fail(error)
                    logger.error("project %d: training %s failed: %s", project, job.id, error)

    def _path(self, project: int) -> Path:
        return self.folder / f"project_{project}.json"


def worker_name(pid: int) -> str:
    """What a worker process is called in the state of its job."""
    return f"{socket.gethostname()}:{pid}"


def _now() -> datetime:
    return datetime.now(UTC)
