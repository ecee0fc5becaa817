"""Takes a project's queued job, runs it, and keeps what became of it."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import Timeout

from timeseries_segmenter.errors import SegmenterError, StateError
from timeseries_segmenter.project.model import NO_PROJECT
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.job import CANCELLED, Job, Kind, Predicted, State
from timeseries_segmenter.trainings.memory import give_back_memory
from timeseries_segmenter.trainings.observer import JobObserver
from timeseries_segmenter.trainings.pauses import AFTER_FAILURE, AFTER_TIMEOUT
from timeseries_segmenter.trainings.project_trainings import ProjectTrainings
from timeseries_segmenter.trainings.queue import PATIENCE as STATE_PATIENCE
from timeseries_segmenter.trainings.queue import JobQueue, worker_name
from timeseries_segmenter.trainings.stop import TrainingStopped, stopped_by

if TYPE_CHECKING:
    from timeseries_segmenter.trainings.annotate_next import LookedAt
    from timeseries_segmenter.trainings.run import Outcome, SearchOutcome

logger = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds; another process may hold the lock for a look
GRACE = 2.0  # seconds in which a worker that is free takes a job, so that none behind it has to give way
GIVES_WAY = "a job that goes first waits"  # why one ends
PROGRESS_PATIENCE = 2.0  # seconds for the lock on a state; progress that is not shown costs nothing


class JobRunner:
    """Runs queued jobs in the main thread of its process, one project at a time anywhere."""

    def __init__(self, settings: Settings, queue: JobQueue) -> None:
        self._settings = settings
        self._queue = queue
        self._looked_at: tuple[str, LookedAt] = ("", {})  # by the version that was trained last

    def run(self, project: int) -> bool:
        """Run the project's queued job, if there is one that is due and nobody trains the project.

        Returns False if this process was asked to end; the job is queued again then. Raises OSError
        if MODEL_DIR can't be used.
        """
        try:
            with self._queue.only_one(project, PATIENCE):
                return self._run_queued(project)
        except Timeout:
            return True
        finally:
            give_back_memory()

    def _run_queued(self, project: int) -> bool:
        try:
            if project not in self._queue.waiting():
                return True
            # seconds, in which the job waits, and may be cancelled as one that does
            import timeseries_segmenter.trainings.run  # noqa: F401

            job = self._take(project)
            return job is None or self._run(project, job)
        except (Timeout, StateError) as error:
            # what was not written down is taken for interrupted, and tried again
            logger.error("project %d: the state of its training can't be written: %s", project, error)
            return True

    def _take(self, project: int) -> Job | None:
        with self._queue.change(project) as trainings:
            job = trainings.next_due
            if job:
                job.start(worker_name())
            return job

    def _run(self, project: int, job: Job) -> bool:
        import torch  # here: a worker that only waits does without

        from timeseries_segmenter.trainings.run import SearchOutcome

        torch.set_num_threads(1)  # more gain nothing with networks of this size, and slow predictions down
        logger.info("project %d: %s %s started (%s)", project, job.kind, job.id, job.event)
        began = time.monotonic()
        try:
            with stopped_by(lambda: self._reason_to_stop(project, job, began)):
                outcome = self._outcome(project, job)
        except TrainingStopped as stopped:
            if stopped.reason is None:
                self._put_back(project, job, "this process has to end")
                return False
            if stopped.reason == GIVES_WAY:
                self._put_back(project, job, GIVES_WAY)
                return True
            self._try_again(project, job, stopped.reason, began, AFTER_TIMEOUT)
        except SegmenterError as error:
            if error.passing:
                self._try_again(project, job, str(error), began)
            else:
                self._fail(project, job, str(error), began)
        except OSError as error:
            advice = "look at the disk of MODEL_DIR and its access rights"
            self._try_again(project, job, f"{error}; {advice}", began)
        except Exception as error:  # whatever it is, the queue goes on and says so
            logger.exception("project %d: %s %s broke", project, job.kind, job.id)
            self._try_again(project, job, f"{type(error).__name__}: {error}; see the log", began)
        else:
            if isinstance(outcome, SearchOutcome):
                self._finish_search(project, job, outcome)
            elif isinstance(outcome, Predicted):
                self._finish_prediction(project, job, outcome)
            else:
                self._finish(project, job, outcome, time.monotonic() - began)
        return True

    def _outcome(self, project: int, job: Job) -> "Outcome | SearchOutcome | Predicted":
        from timeseries_segmenter.trainings.predictions import PredictionRun
        from timeseries_segmenter.trainings.run import TrainingRun

        observer = JobObserver(project, lambda: self._changing(project, job, PROGRESS_PATIENCE))
        if job.kind is Kind.PREDICTION:
            looked_at, self._looked_at = self._looked_at, ("", {})
            return PredictionRun(self._settings).run(project, job.predicted, observer.on_predicted, looked_at)
        run = TrainingRun(self._settings)
        last = self._queue.read(project).search
        # a version that a search made says so in its card
        searches = last.searched if last and last.version is None else {}
        if job.kind is Kind.SEARCH:
            return run.search(project, observer, searches)
        return run.run(
            project,
            observer,
            from_scratch=job.from_scratch,
            only_for_tasks=job.waits_for_tasks,
            searches=searches,
        )

    def _finish(self, project: int, job: Job, outcome: "Outcome", seconds: float) -> None:
        later: Job | None = None
        with self._changing(project, job) as (trainings, ended):
            if outcome.away and not (outcome.is_new or ended.cancelled or trainings.job_in(State.QUEUED)):
                trainings.look_again(ended, outcome.away, seconds)
                later = ended
            else:
                trainings.finish(ended, outcome.version, outcome.skipped, seconds)
                if outcome.away:
                    later = trainings.follow_up(ended, outcome.away, outcome.further_away)
                if outcome.is_new:
                    self._looked_at = outcome.version, outcome.looked_at
                    trainings.plan_search(outcome.searchable, asked=job.from_scratch)
                    self._plan_prediction(trainings)
        if later:
            logger.warning("project %d: next try %s: %s", project, _moment(later), outcome.away)

    def _finish_search(self, project: int, job: Job, outcome: "SearchOutcome") -> None:
        with self._changing(project, job) as (trainings, ended):
            trainings.end_search(ended, outcome.searched, outcome.version)
            if outcome.version:
                self._plan_prediction(trainings)
        logger.info("project %d: search %s ended: %s", project, job.id, outcome.version or "no new version")

    def _finish_prediction(self, project: int, job: Job, predicted: Predicted) -> None:
        with self._changing(project, job) as (trainings, ended):
            trainings.end_prediction(ended, predicted)

    def _plan_prediction(self, trainings: ProjectTrainings) -> None:
        if self._settings.predict_after_training and trainings.project != NO_PROJECT:
            trainings.plan_prediction()

    def _fail(self, project: int, job: Job, error: str, began: float) -> None:
        logger.error("project %d: %s %s failed: %s", project, job.kind, job.id, error)
        with self._changing(project, job) as (trainings, ended):
            trainings.fail(ended, error, time.monotonic() - began)

    def _try_again(
        self, project: int, job: Job, error: str, began: float, pauses: Sequence[float] = AFTER_FAILURE
    ) -> None:
        with self._changing(project, job) as (trainings, ended):
            trainings.try_again(ended, error, pauses, time.monotonic() - began)
        if ended.not_before:
            logger.error(
                "project %d: %s %s failed, next try %s: %s",
                project,
                job.kind,
                job.id,
                _moment(ended),
                error,
            )
        else:
            logger.error("project %d: %s %s failed: %s", project, job.kind, job.id, ended.error)

    def _reason_to_stop(self, project: int, job: Job, began: float) -> str | None:
        limit = self._settings.training_timeout
        if time.monotonic() - began > limit:
            lower = "PREDICT_SECONDS" if job.kind is Kind.PREDICTION else "TRAIN_EPOCHS"
            return f"took longer than TRAINING_TIMEOUT={limit} seconds; raise it, or lower {lower}"
        trainings = self._queue.read(project)
        running = trainings.job(job.id)
        if running and running.cancelled:
            return CANCELLED
        if job.kind is not Kind.TRAINING:
            follows = trainings.next_due
            if (follows and follows.kind.rank < job.kind.rank) or self._queue.overdue(GRACE, job.kind):
                return GIVES_WAY
        return None

    def _put_back(self, project: int, job: Job, reason: str) -> None:
        with self._changing(project, job) as (trainings, running):
            running.attempts -= 1  # the training run did not fail by itself
            trainings.requeue(running)
        logger.info("project %d: %s %s is queued again: %s", project, job.kind, job.id, reason)

    @contextmanager
    def _changing(
        self, project: int, job: Job, patience: float = STATE_PATIENCE
    ) -> Iterator[tuple[ProjectTrainings, Job]]:
        """The project's trainings and the job in them, to change; a lost job is changed for nobody."""
        with self._queue.change(project, patience) as trainings:
            known = trainings.job(job.id)
            # its state file was damaged meanwhile, and set aside
            yield (trainings, known) if known else (ProjectTrainings(project=project), job)


def _moment(job: Job) -> str:
    return f"{job.due:%Y-%m-%d %H:%M:%S} UTC"
