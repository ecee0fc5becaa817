"""A project's list of jobs, and what each event makes of it."""

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, Field, PrivateAttr

from timeseries_segmenter.project.card import SEARCH_GROWTH, RecipeSearch
from timeseries_segmenter.project.model import UNTRAINED
from timeseries_segmenter.project.outline import Outline
from timeseries_segmenter.project.start import Start
from timeseries_segmenter.trainings.job import (
    CANCELLED,
    LEFT_OUT,
    PREDICTION,
    SEARCH,
    START_TRAINING,
    Job,
    Kind,
    Predicted,
    State,
)
from timeseries_segmenter.trainings.pauses import AFTER_EVENT, AFTER_FAILURE, pause_after

FORMAT = 2  # of state files; earlier ones had no number, and are read too
JOBS_KEPT = 20
MOST_OF_TITLE = 200  # characters; Label Studio takes 50
MOST_SEARCHES = 3  # tries; no model depends on it
MOST_PREDICTIONS = 8  # tries; the next training run asks for one anew


class ProjectTrainings(BaseModel):
    """A project's jobs, oldest first, and the events counted since the newest of them was queued.

    `title` is the project's when Label Studio last named it: a model has that of its training run.
    `outcomes` counts all jobs that ended, by outcome, including those that are no longer kept; `seconds`
    is the time they took together. `prediction` is the last job that predicted tasks, and `search` the last
    search for a better recipe: they are none of `jobs` and in no count of them.

    While the project has no model of its own: `chosen_start` is the project that a person had it start from,
    `start` what came of that, or of the labeling config's `model_start`, when Label Studio last opened the
    project, and `outline` what its labeling config takes from another project's model, by pair.
    """

    format: int = FORMAT
    project: int
    title: str = ""
    updates: int = 0
    jobs: list[Job] = Field(default_factory=list)
    outcomes: Counter[str] = Field(default_factory=Counter)
    seconds: float = 0.0
    prediction: Job | None = None
    search: Job | None = None
    start: Start | None = None
    chosen_start: int | None = None
    outline: Outline = ()
    _problem: str | None = PrivateAttr(None)

    @classmethod
    def unusable(cls, project: int, problem: str) -> "ProjectTrainings":
        """In place of a state that can't be used; `problem` is why."""
        trainings = cls(project=project)
        trainings._problem = problem
        return trainings

    @property
    def problem(self) -> str | None:
        """Why the project's state can't be used, so that the project is not trained."""
        return self._problem

    def name(self, title: str) -> None:
        """Keep the project's title; an empty one says nothing."""
        self.title = title[:MOST_OF_TITLE] or self.title

    def job_in(self, state: State) -> Job | None:
        """The oldest job in a state."""
        return next((job for job in self.jobs if job.state is state), None)

    @property
    def behind(self) -> list[Job]:
        """The jobs that are no training run, in their order."""
        return [job for job in (self.prediction, self.search) if job]

    @property
    def queued(self) -> list[Job]:
        """What waits: a training run, behind it a prediction job, and last a search."""
        jobs = (self.job_in(State.QUEUED), *self.behind)
        return [job for job in jobs if job and job.state is State.QUEUED]

    @property
    def next_due(self) -> Job | None:
        """The first that may be started of what waits."""
        return next((job for job in self.queued if job.is_due), None)

    @property
    def started(self) -> Job | None:
        """The job that runs."""
        jobs = (self.job_in(State.STARTED), *self.behind)
        return next((job for job in jobs if job and job.state is State.STARTED), None)

    @property
    def newest(self) -> Job | None:
        """The started training run, or else the last one that was queued."""
        return self.job_in(State.STARTED) or (self.jobs[-1] if self.jobs else None)

    def without_past(self) -> "ProjectTrainings":
        """Without the jobs that are over, but for the last: so thousands of projects fit in memory."""
        last = next((job for job in reversed(self.jobs) if job.is_over), None)
        jobs = [job for job in self.jobs if job is last or not job.is_over]
        return self.model_copy(update={"jobs": jobs})

    def job(self, identity: str) -> Job | None:
        """The job with that id."""
        return next((job for job in (*self.jobs, *self.behind) if job.id == identity), None)

    def enqueue(self, event: str) -> Job:
        """Return a queued job: the one that waits already, or a new one."""
        job = self.job_in(State.QUEUED)
        if job is None:
            job = self._append(event)
        else:
            job.hurry(event)
            if event == START_TRAINING or job.waits_for_tasks:
                job.event = event
        job.updates += self.updates
        self.updates = 0
        return job

    def cancel(self) -> list[Job]:
        """Take back what is queued, and ask what is started to stop; returns all of it."""
        jobs = [*([self.started] if self.started else []), *self.queued]
        for job in jobs:
            job.cancelled = True
            if job.state is State.QUEUED:
                self.fail(job, CANCELLED)
        return jobs

    def finish(self, job: Job, version: str, skipped: list[str], seconds: float) -> None:
        """Record that the run made a model, and why it left tasks out: in place of what earlier runs said."""
        for earlier in self.jobs:
            earlier.skipped = []  # else the file would hold the same hundred sentences for each job
        job.version, job.skipped = version, skipped
        self._end(job, State.FINISHED, seconds)

    def follow_up(self, job: Job, reason: str, anew: bool) -> Job | None:
        """Queue a job for tasks that a finished one left out for a `reason` that may pass.

        The pause grows with each run that leaves the same ones out; `anew`: further ones are away. Returns
        None if a job waits already, which will read them too.
        """
        if job.cancelled:
            return None
        tries = 1 if anew else job.left_out_tries + 1
        behind = self.job_in(State.QUEUED)
        if behind:
            behind.left_out_tries = tries
            return None
        later = self._append(LEFT_OUT)
        later.left_out_tries = tries
        later.wait(reason, pause_after(tries, AFTER_FAILURE))
        return later

    def look_again(self, job: Job, reason: str, seconds: float) -> None:
        """Queue a job again whose tasks are still away; no other job may be queued."""
        self.seconds += seconds
        job.attempts = 0
        job.left_out_tries += 1
        job.wait(reason, pause_after(job.left_out_tries, AFTER_FAILURE))

    def plan_prediction(self, seconds: float = 0) -> Job:
        """Queue a prediction job, behind all training runs, that begins after so many seconds.

        One that waits anyway is returned; one that runs does so once more.
        """
        job = self.prediction
        if job and job.state is State.STARTED and not job.cancelled:
            job.again = True
            return job
        if seconds and job and job.state is State.QUEUED:
            return job  # and does not wait longer, however many events come
        self.prediction = Job.planned(self.project, PREDICTION, seconds)
        return self.prediction

    def begin_with(self, start: Start | None, *, predict: bool) -> Job | None:
        """Keep what comes of a start from another project; None for no start any longer.

        If another model serves than before, `predict` has it predict the tasks, or without one has them put
        in an order; returns the job then.
        """
        before, self.start = self.start, start
        versions = {each.version if each else UNTRAINED for each in (before, start)}
        return self.plan_prediction() if predict and len(versions) > 1 else None

    def end_prediction(self, job: Job, predicted: Predicted) -> None:
        """Record what was predicted; queue another job if one was asked for meanwhile."""
        job.predicted, job.version = predicted, predicted.version
        self.name(predicted.title)
        self._end(job, State.FINISHED, 0)
        if job.again and not job.cancelled:
            self.prediction = Job.planned(self.project, PREDICTION)

    def plan_search(self, tasks: int, *, asked: bool) -> None:
        """Queue a search, behind all training runs, for a pair with so many annotated tasks; 0: none is due.

        One that failed or was cancelled is not repeated until the tasks have grown by half, unless a person
        `asked` for the training run.
        """
        last = self.search
        if last and last.state is State.QUEUED:
            last = self.search = None  # planned anew
        given_up = last and last.state is State.FAILED and tasks < SEARCH_GROWTH * last.tasks
        if tasks and (asked or not given_up):
            self.search = Job.planned(self.project, SEARCH)
            self.search.tasks = tasks

    def end_search(self, job: Job, searched: dict[str, RecipeSearch], version: str | None) -> None:
        """Record what a search came to, and the version that it led to, if any."""
        job.searched, job.version = searched, version
        self._end(job, State.FINISHED, 0)

    def fail(self, job: Job, error: str, seconds: float = 0) -> None:
        """Record why the run made no model. Its events count again, so that the next job trains."""
        job.error = error
        if not job.cancelled:
            self.updates += job.updates
        self._end(job, State.FAILED, seconds)

    def requeue(self, job: Job) -> None:
        """Queue a job again that its worker put back, or leave it to the job queued after it."""
        if job.kind is not Kind.TRAINING or self.job_in(State.QUEUED) is None:
            job.put_back()
        else:
            self._hand_over(job, "interrupted")

    def try_again(self, job: Job, error: str, pauses: Sequence[float], seconds: float = 0) -> None:
        """Queue a job again whose try failed, or leave it to the job queued after it.

        Each further try waits longer, by `pauses`.
        """
        if job.cancelled:
            self.fail(job, CANCELLED, seconds)
            return
        pause = pause_after(job.attempts, pauses)
        if job.kind is not Kind.TRAINING:
            most = MOST_SEARCHES if job.kind is Kind.SEARCH else MOST_PREDICTIONS
            if job.attempts < most:
                job.wait(error, pause)
            else:
                self.fail(job, error)
            return
        behind = self.job_in(State.QUEUED)
        if behind is None:
            self.seconds += seconds
            job.wait(error, pause)
            return
        behind.attempts += job.attempts
        # it has an event of its own
        behind.wait(error, 0 if behind.from_scratch else min(pause, AFTER_EVENT))
        self._hand_over(job, error, seconds)

    def _append(self, event: str) -> Job:
        job = Job.planned(self.project, event)
        self.jobs = [*self.jobs[1 - JOBS_KEPT :], job]
        return job

    def _hand_over(self, job: Job, error: str, seconds: float = 0) -> None:
        behind = self.job_in(State.QUEUED)
        assert behind is not None
        behind.updates, job.updates = behind.updates + job.updates, 0
        if job.from_scratch:
            behind.event = job.event
        self.fail(job, f"{error}; the job queued after it takes its place", seconds)

    def _end(self, job: Job, state: State, seconds: float) -> None:
        job.end(state)
        if job.kind is not Kind.TRAINING:
            return
        self.outcomes[CANCELLED if job.cancelled and state is State.FAILED else state.value] += 1
        self.seconds += seconds
