"""A project as the dashboard shows it: its versions, and the status of its jobs; and a page of projects."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from timeseries_segmenter.learning.observer import Step
from timeseries_segmenter.project.model import NO_PROJECT, UNTRAINED
from timeseries_segmenter.project.start import Start
from timeseries_segmenter.project.versions import version_number
from timeseries_segmenter.storage.lenders import Lender
from timeseries_segmenter.storage.version_summary import VersionSummary
from timeseries_segmenter.trainings.job import Job, Kind, Progress, State
from timeseries_segmenter.trainings.project_trainings import ProjectTrainings


class Status(StrEnum):
    """The status of a project, in a word."""

    UNTRAINED = "untrained"
    WAITING = "waiting"
    TRAINING = "training"
    STOPPING = "stopping"
    PREDICTING = "predicting"
    SEARCHING = "searching"
    TRAINED = "trained"
    FAILED = "failed"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"


ACTIVE = frozenset({Status.WAITING, Status.TRAINING, Status.STOPPING})
SHOWN_OF_SEARCH = {"state", "step", "candidate", "searched", "version", "error", "started_at", "ended_at"}
SHOWN_OF_PREDICTION = {"state", "predicted", "error", "started_at", "ended_at"}
BEHIND = {Kind.PREDICTION: Status.PREDICTING, Kind.SEARCH: Status.SEARCHING}
PAGE = 50  # projects
MOST_OFFERED = 20  # projects to start from


@dataclass(frozen=True, slots=True)
class Page:
    """Some of `total` projects, those of page `number` of `pages`."""

    projects: Sequence[int]
    number: int
    pages: int
    total: int

    @classmethod
    def from_projects(cls, projects: Sequence[int], number: int) -> "Page":
        """The page with that number of these projects, or the nearest that there is."""
        pages = max(1, math.ceil(len(projects) / PAGE))
        number = min(max(1, number), pages)
        return cls(projects[(number - 1) * PAGE : number * PAGE], number, pages, len(projects))


def shown_title(project: int, title: str) -> str:
    """A project's title, or its number if it has none."""
    if project == NO_PROJECT:
        return "Requests that name no project"
    return title or f"Project {project}"


def status_of(trainings: ProjectTrainings, *, served: bool) -> Status:
    """What the newest training run came to; one that waits behind a running one does not count.

    A job of another kind counts while it runs, if no training run waits or runs.
    """
    job, started = trainings.newest, trainings.started
    if trainings.problem:
        return Status.BLOCKED
    if started and started.kind in BEHIND and (job is None or job.is_over):
        return BEHIND[started.kind]
    waits = trainings.start and not served  # another project's model predicts
    if job is None or (job.state is State.FINISHED and waits):
        return Status.TRAINED if served else Status.UNTRAINED
    if job.state is State.STARTED:
        return Status.STOPPING if job.cancelled else Status.TRAINING
    if job.state is State.FAILED and job.cancelled:
        return Status.CANCELLED
    return {State.QUEUED: Status.WAITING, State.FAILED: Status.FAILED}.get(job.state, Status.TRAINED)


@dataclass(frozen=True, slots=True)
class ProjectOverview:
    """`versions` are newest first, `version` is the one that is served, `trouble` why that is not the newest.

    `each` is START_TRAINING_EACH_N_UPDATES. `lenders` are those that a project without a model may start
    from.
    """

    project: int
    versions: Sequence[VersionSummary]
    version: str
    trouble: str | None
    trainings: ProjectTrainings
    each: int
    lenders: Sequence[Lender] = ()

    @property
    def title(self) -> str:
        """The project's title at its last training run, or as far as it is known without; or its number."""
        return shown_title(self.project, self.known_title)

    @property
    def known_title(self) -> str:
        """The project's title; empty if there is none."""
        return (self.served.title if self.served else "") or self.trainings.title

    @property
    def served(self) -> VersionSummary | None:
        """The version that predicts."""
        return next((each for each in self.versions if each.version == self.version), None)

    @property
    def start(self) -> Start | None:
        """What came of a start from another project, if there is no model of its own."""
        return None if self.served else self.trainings.start

    @property
    def offered(self) -> Sequence[Lender]:
        """The first of the `lenders`: thousands would make a page of megabytes."""
        return self.lenders[:MOST_OFFERED]

    @property
    def start_mark(self) -> str:
        """What a page shows of a start, for a script that looks if it is still so."""
        start = self.start
        shown = f"{start.project} {start.version} {start.problem} " if start else ""
        return shown + " ".join(each.summary.version for each in self.offered)

    @property
    def job(self) -> Job | None:
        """The newest job."""
        return self.trainings.newest

    @property
    def status(self) -> Status:
        """What the newest training run came to, or what else runs."""
        return status_of(self.trainings, served=self.served is not None)

    @property
    def progress(self) -> Progress | None:
        """The newest epoch, while the training run is at epochs."""
        return self.job.progress if self.job and self.job.step in (None, Step.TRAINING) else None

    @property
    def search(self) -> Job | None:
        """The last search for a better recipe, or the one that waits."""
        return self.trainings.search

    @property
    def prediction(self) -> Job | None:
        """The last job that predicted tasks, or the one that waits."""
        return self.trainings.prediction

    @property
    def predicts(self) -> bool:
        """Whether tasks are predicted."""
        return self.prediction is not None and self.prediction.state is State.STARTED

    @property
    def predicted(self) -> str:
        """How far tasks without annotations are predicted, in words; empty if nothing is known of them."""
        reached = self.prediction.predicted if self.prediction else None
        if reached is None:
            return ""
        if reached.version == UNTRAINED:
            return f"{reached.tasks} of {reached.most} tasks in order"
        unreadable = f", {reached.unreadable} can't be" if reached.unreadable else ""
        return f"{reached.tasks} of {reached.most} tasks predicted{unreadable}"

    @property
    def searches(self) -> bool:
        """Whether a search runs."""
        return self.search is not None and self.search.state is State.STARTED

    @property
    def behind_mark(self) -> str:
        """What a page shows of jobs that are no training run, for a script that looks if it is still so."""
        marks = []
        for job in self.trainings.behind:
            tried = job.candidate.number if job.candidate else 0
            stops = "cancelled" if job.cancelled else ""
            marks.append(f"{job.id} {job.state} {job.step or ''} {tried} {stops}")
        return " ".join(marks)

    @property
    def is_active(self) -> bool:
        """Whether there is something to cancel, or to wait for."""
        return self.status in ACTIVE

    @property
    def waits_to_try_again(self) -> bool:
        """Whether the last try failed, and another follows after a pause."""
        return self.status is Status.WAITING and bool(self.job and self.job.failed_at)

    @property
    def waits_behind(self) -> bool:
        """Whether another job follows the one that runs."""
        return self.status in (Status.TRAINING, Status.STOPPING) and bool(self.trainings.job_in(State.QUEUED))

    @property
    def restorable(self) -> list[VersionSummary]:
        """Versions that could be served again, the one before the served one first."""
        if self.served is None:
            return []
        made_by = self.served.restored or self.served.version
        out = {self.served.version, made_by}
        others = [each for each in self.versions if each.version not in out and not each.unreadable]
        number = version_number(made_by)
        return sorted(others, key=lambda each: version_number(each.version) > number)  # stable

    @property
    def segments(self) -> bool:
        """Whether a version has metrics on whole regions."""
        return any(each.quality and each.quality.segment_f1 is not None for each in self.versions)

    @property
    def points(self) -> bool:
        """Whether a version has metrics on instants."""
        return any(each.quality and each.quality.point_f1 is not None for each in self.versions)

    def as_json(self) -> dict[str, Any]:
        """For programs; jobs in the words of `GET /projects/{id}/training`."""
        job = self.job.model_dump(mode="json") if self.job else {}
        return {
            "project": str(self.project),
            "title": self.known_title,
            "version": self.served.version if self.served else UNTRAINED,
            "trouble": self.trouble,
            "versions": [_version_as_json(each) for each in self.versions],
            "status": self.status,
            "waits_behind": self.waits_behind,
            "updates": self.trainings.updates,
            "job": job.get("id"),
            "problem": self.trainings.problem,
            "search": self.search.model_dump(mode="json", include=SHOWN_OF_SEARCH) if self.search else None,
            "prediction": self.prediction.model_dump(mode="json", include=SHOWN_OF_PREDICTION)
            if self.prediction
            else None,
            "predicted": self.predicted,
            "start": self.start.model_dump(mode="json") if self.start else None,
            "start_mark": self.start_mark,
            "lenders": [
                {
                    "project": str(each.project),
                    "title": each.summary.title,
                    "version": each.summary.version,
                }
                for each in self.offered
            ],
            "behind_mark": self.behind_mark,
            "attempts": job.get("attempts", 0),
            "progress": self.progress.model_dump() if self.progress else None,
            **{name: job.get(name) for name in ("state", "step", "error")},
            **{name: job.get(name) for name in ("queued_at", "not_before", "started_at", "ended_at")},
        }


def _version_as_json(version: VersionSummary) -> dict[str, Any]:
    quality = version.quality
    return {
        "version": version.version,
        "created_at": _iso(version.created_at),
        "tasks": version.tasks,
        **({"annotated": version.annotated} if version.annotated else {}),
        "skipped": version.skipped,
        "restored": version.restored,
        **({"start": version.start} if version.start else {}),
        "quality": asdict(quality) if quality else None,
        **({"unreadable": version.unreadable} if version.unreadable else {}),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
