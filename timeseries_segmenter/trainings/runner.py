"""Takes a project's queued job, runs it, and keeps what became of it."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import Timeout

from timeseries_segmenter.errors import SegmenterError, StateError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.job import (
    AFTER_FAILURE,
    AFTER_TIMEOUT,
    CANCELLED,
    Job,
    ProjectTrainings,
    State,
)
from timeseries_segmenter.trainings.observer import JobObserver
from timeseries_segmenter.trainings.queue import PATIENCE as STATE_PATIENCE
from timeseries_segmenter.trainings.queue import JobQueue, worker_name
from timeseries_segmenter.trainings.stop import TrainingStopped, stopped_by

if TYPE_CHECKING:
    from timeseries_segmenter.trainings.run import Outcome

logger = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds; another process may hold the lock for a look
PROGRESS_PATIENCE = 2.0  # seconds for the lock on a state; progress that is not shown costs nothing


class JobRunner:
    """Runs queued jobs in the main thread of its process, one project at a time anywhere."""

    def __init__(self, settings: Settings, queue: JobQueue) -> None:
        self._settings = settings
        self._queue = queue

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

    def _run_queued(self, project: int) -> bool:
        try:
            queued = self._queue.read(project).job_in(State.QUEUED)
            if queued is None or not queued.is_due:
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
            job = trainings.job_in(State.QUEUED)
            if job is None or not job.is_due:
                return None
            job.start(worker_name())
            return job

    def _run(self, project: int, job: Job) -> bool:
        import torch  # here: a worker that only waits does without

        from timeseries_segmenter.trainings.run import TrainingRun

        torch.set_num_threads(1)  # more gain nothing with networks of this size, and slow predictions down
        logger.info("project %d: training %s started (%s)", project, job.id, job.event)
        began = time.monotonic()
        try:
            with stopped_by(lambda: self._reason_to_stop(project, job, began)):
                observer = JobObserver(project, lambda: self._changing(project, job, PROGRESS_PATIENCE))
                outcome = TrainingRun(self._settings).run(
                    project, observer, from_scratch=job.from_scratch, only_for_tasks=job.waits_for_tasks
                )
        except TrainingStopped as stopped:
            if stopped.reason is None:
                self._put_back(project, job)
                return False
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
            logger.exception("project %d: training %s broke", project, job.id)
            self._try_again(project, job, f"{type(error).__name__}: {error}; see the log", began)
        else:
            self._finish(project, job, outcome, time.monotonic() - began)
        return True

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
        if later:
            logger.warning("project %d: next try %s: %s", project, _moment(later), outcome.away)

    def _fail(self, project: int, job: Job, error: str, began: float) -> None:
        logger.error("project %d: training %s failed: %s", project, job.id, error)
        with self._changing(project, job) as (trainings, ended):
            trainings.fail(ended, error, time.monotonic() - began)

    def _try_again(
        self, project: int, job: Job, error: str, began: float, pauses: Sequence[float] = AFTER_FAILURE
    ) -> None:
        with self._changing(project, job) as (trainings, ended):
            trainings.try_again(ended, error, pauses, time.monotonic() - began)
        if ended.not_before:
            logger.error(
                "project %d: training %s failed, next try %s: %s", project, job.id, _moment(ended), error
            )
        else:
            logger.error("project %d: training %s failed: %s", project, job.id, ended.error)

    def _reason_to_stop(self, project: int, job: Job, began: float) -> str | None:
        limit = self._settings.training_timeout
        if time.monotonic() - began > limit:
            return f"took longer than TRAINING_TIMEOUT={limit} seconds; raise it, or lower TRAIN_EPOCHS"
        running = self._queue.read(project).job(job.id)
        return CANCELLED if running and running.cancelled else None

    def _put_back(self, project: int, job: Job) -> None:
        with self._changing(project, job) as (trainings, running):
            running.attempts -= 1  # the training run did not fail by itself
            trainings.requeue(running)
        logger.info("project %d: training %s is queued again, since this process has to end", project, job.id)

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
