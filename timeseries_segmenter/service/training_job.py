"""One training of a project, from the event that asked for it to its end, and a project's list of them."""

from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum
from uuid import uuid4

from pydantic import BaseModel, Field

START_TRAINING = "START_TRAINING"  # the event of a person who asks for a training
CANCELLED = "cancelled"  # the error of a job that a person took back
JOBS_KEPT = 20


class State(StrEnum):
    """Of a job; a job ends as finished or failed."""

    QUEUED = "queued"
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"


class Step(StrEnum):
    """What a training is at, in its order."""

    FETCHING = "fetching tasks"
    TRAINING = "training"
    CHECKING = "checking"
    SAVING = "saving"


class Progress(BaseModel):
    """The newest epoch of a running training; figures on the training windows."""

    epoch: int
    epochs: int
    loss: float
    balanced_accuracy: float
    min_f1: float


class Job(BaseModel):
    """One training of a project.

    `updates` counts the events that it answers. `attempts` counts the processes that took it up,
    without those that put it back. `step` tells what a running training is at, in words.
    """

    id: str
    event: str
    state: State = State.QUEUED
    updates: int = 0
    attempts: int = 0
    worker: str | None = None
    cancelled: bool = False
    queued_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    step: str | None = None
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


class ProjectTrainings(BaseModel):
    """A project's jobs, oldest first, and the events counted since the newest of them was queued.

    `outcomes` counts all jobs that ended, by outcome, also those that are no longer kept; `seconds`
    is the time they took together.
    """

    project: int
    updates: int = 0
    jobs: list[Job] = Field(default_factory=list)
    outcomes: Counter[str] = Field(default_factory=Counter)
    seconds: float = 0.0

    def job_in(self, state: State) -> Job | None:
        """The oldest job in a state."""
        return next((job for job in self.jobs if job.state is state), None)

    @property
    def newest(self) -> Job | None:
        """The job that runs, or else the last one that came."""
        return self.job_in(State.STARTED) or (self.jobs[-1] if self.jobs else None)

    def job(self, identity: str) -> Job | None:
        """The job of that id."""
        return next((job for job in self.jobs if job.id == identity), None)

    def enqueue(self, event: str) -> Job:
        """A queued job: the one that is waiting already, or a new one."""
        job = self.job_in(State.QUEUED)
        if job is None:
            job = Job(id=f"{self.project}-{uuid4().hex[:12]}", event=event, queued_at=_now())
            self.jobs = [*self.jobs[1 - JOBS_KEPT :], job]
        elif event == START_TRAINING:
            job.event = event
        job.updates += self.updates
        self.updates = 0
        return job

    def cancel(self) -> list[Job]:
        """Take back what is queued, and ask a running training to stop; the jobs that are concerned."""
        jobs = [job for job in self.jobs if job.state in (State.QUEUED, State.STARTED)]
        for job in jobs:
            job.cancelled = True
            if job.state is State.QUEUED:
                self.fail(job, CANCELLED)
        return jobs

    def finish(self, job: Job, version: str, skipped: list[str], seconds: float) -> None:
        """The training made a model, in so many seconds."""
        job.version, job.skipped = version, skipped
        self._end(job, State.FINISHED, seconds)

    def fail(self, job: Job, error: str, seconds: float = 0) -> None:
        """The training made no model, and why. Its events count again, so that the next one trains."""
        job.error = error
        if not job.cancelled:
            self.updates += job.updates
        self._end(job, State.FAILED, seconds)

    def requeue(self, job: Job) -> None:
        """Queue a job again that its worker left, or leave it to the job that waits behind it."""
        queued = self.job_in(State.QUEUED)
        if queued is None:
            job.state, job.step, job.progress = State.QUEUED, None, None
            return
        queued.updates, job.updates = queued.updates + job.updates, 0
        if job.from_scratch:
            queued.event = job.event
        self.fail(job, "interrupted; the job queued after it takes its place")

    def _end(self, job: Job, state: State, seconds: float) -> None:
        job.state, job.step, job.ended_at = state, None, _now()
        self.outcomes[CANCELLED if job.cancelled and state is State.FAILED else state.value] += 1
        self.seconds += seconds


def _now() -> datetime:
    return datetime.now(UTC)
