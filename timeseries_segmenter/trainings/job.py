"""A job in the queue, from the event that asked for it to its end."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from pydantic import BaseModel, Field

from timeseries_segmenter.project.card import RecipeSearch
from timeseries_segmenter.trainings.pauses import AFTER_EVENT

START_TRAINING = "START_TRAINING"  # the event of a person who asks for a training run
LEFT_OUT = "TASKS_LEFT_OUT"  # the event of a job that waits for tasks which could not be read
PREDICTION = "PREDICTION"  # the event of a job that predicts tasks, behind all training runs
SEARCH = "SEARCH"  # the event of a job that searches for a better recipe, behind all others
CANCELLED = "cancelled"  # the error of a job that a person took back


class State(StrEnum):
    """Of a job; a job ends as finished or failed."""

    QUEUED = "queued"
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"


class Kind(StrEnum):
    """What a job does. One that comes earlier here goes first, and those behind it give way."""

    TRAINING = "training"
    PREDICTION = "prediction"
    SEARCH = "search"

    @property
    def rank(self) -> int:
        """How many kinds go first."""
        return list(Kind).index(self)


class Progress(BaseModel):
    """The newest epoch of a running training; metrics on the training windows."""

    epoch: int
    epochs: int
    loss: float
    balanced_accuracy: float
    min_f1: float


class Candidate(BaseModel):
    """The recipe that a running search tries: the `number`th of `most`, counted from 1."""

    name: str
    number: int
    most: int


class Predicted(BaseModel):
    """How far a prediction job is: `tasks` of the `most` next ones have a prediction by `version`.

    `title` is the project's. `unreadable` is how many can't be read, `reason` why the first of them can't.
    `seconds` are those that the job took so far, in all its tries.
    """

    version: str = ""
    title: str = ""
    tasks: int = 0
    most: int = 0
    unreadable: int = 0
    reason: str = ""
    seconds: float = 0.0


class Job(BaseModel):
    """A training run of a project, predictions, or a search for a better recipe: queued, started or ended.

    `updates` counts the events that it answers. `attempts` counts the processes that took it up,
    without those that put it back. `step` says what a started job is doing. A job that
    is tried again is queued: `error` is why the last try failed, at `failed_at`, and no try begins
    before `not_before`. `left_out_tries` counts the runs in a row that had to leave the same tasks out,
    for a reason that may pass. `tasks` are those annotated when a search was planned, `candidate` is what it
    tries, and `searched` what came of it for each pair. `predicted` is how far a prediction job is, and
    `again` whether it was asked for once more while it ran.
    """

    id: str
    event: str
    state: State = State.QUEUED
    updates: int = 0
    attempts: int = 0
    worker: str | None = None
    cancelled: bool = False
    queued_at: datetime
    not_before: datetime | None = None
    failed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    step: str | None = None
    progress: Progress | None = None
    version: str | None = None
    error: str | None = None
    skipped: list[str] = Field(default_factory=list)
    left_out_tries: int = 0
    tasks: int = 0
    candidate: Candidate | None = None
    searched: dict[str, RecipeSearch] = Field(default_factory=dict)
    predicted: Predicted | None = None
    again: bool = False

    @classmethod
    def planned(cls, project: int, event: str, seconds: float = 0) -> "Job":
        """A queued job that begins after so many seconds."""
        now = _now()
        due = now + timedelta(seconds=seconds) if seconds else None
        return cls(id=f"{project}-{uuid4().hex[:12]}", event=event, queued_at=now, not_before=due)

    @property
    def kind(self) -> Kind:
        """What it does, by its event."""
        return {PREDICTION: Kind.PREDICTION, SEARCH: Kind.SEARCH}.get(self.event, Kind.TRAINING)

    @property
    def waits_for_tasks(self) -> bool:
        """Whether the job is only there for tasks that the previous run could not read."""
        return self.event == LEFT_OUT

    @property
    def is_over(self) -> bool:
        """Whether the job ended, well or not."""
        return self.state in (State.FINISHED, State.FAILED)

    @property
    def from_scratch(self) -> bool:
        """Whether a warm start is ruled out, because a person asked for the run."""
        return self.event == START_TRAINING

    def start(self, worker: str) -> None:
        """Mark the job as taken by a worker."""
        self.state, self.worker, self.started_at = State.STARTED, worker, _now()
        self.error = self.not_before = self.failed_at = None
        self.attempts += 1

    def end(self, state: State) -> None:
        """Mark the job as over."""
        self.state, self.step, self.candidate, self.ended_at = state, None, None, _now()

    def put_back(self) -> None:
        """Queue the job again that its worker could not end."""
        self.state, self.step, self.progress, self.candidate = State.QUEUED, None, None, None

    @property
    def due(self) -> datetime:
        """When a queued job may be started."""
        return self.not_before or self.queued_at

    @property
    def is_due(self) -> bool:
        """Whether a queued job may be started."""
        return self.not_before is None or self.not_before <= _now()

    def wait(self, error: str, seconds: float) -> None:
        """Queue the job for a further try after a pause; `error` is why the last one failed."""
        now = _now()
        self.put_back()
        self.error, self.failed_at = error, now
        self.not_before = now + timedelta(seconds=seconds)

    def hurry(self, event: str) -> None:
        """Shorten the pause before the next try for a new event; end it for a person who asks."""
        if event == START_TRAINING:
            self.not_before = None
        elif self.waits_for_tasks and not self.attempts:  # the last run ended well
            self.error = self.not_before = self.failed_at = None
        elif self.not_before and self.failed_at:
            self.not_before = min(self.not_before, self.failed_at + timedelta(seconds=AFTER_EVENT))


def _now() -> datetime:
    return datetime.now(UTC)
