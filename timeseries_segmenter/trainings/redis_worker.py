"""A process that runs the jobs that the bell rings for; any number, on any machine, over one MODEL_DIR."""

import logging
import os
import signal
import time

from timeseries_segmenter.trainings.bell import RedisBell, is_training  # isort: skip  first: says what is missing
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.job import Job

from timeseries_segmenter.errors import QueueError
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.settings import Settings, read_settings
from timeseries_segmenter.trainings.known_projects import KnownProjects
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.runner import JobRunner

logger = logging.getLogger(__name__)

INTERVAL = 5  # seconds between two looks for jobs that wait or were interrupted
WORKER_TTL = 15 + INTERVAL  # RQ waits for jobs 15 s less than this
NICENESS = 5  # predictions come first, if they share a machine


def serve(settings: Settings) -> None:
    """Run queued jobs, one at a time, until SIGTERM or Ctrl-C; then put the running one back.

    Raises QueueError if Redis can't be reached at the start; waits if it goes away later.
    """
    import timeseries_segmenter.trainings.run  # noqa: F401  once, not in every work horse

    os.nice(NICENESS)
    bell = RedisBell.for_worker(settings)
    bell.ping()
    logger.info("jobs come through Redis, models go to %s", settings.model_dir)
    while not _work(settings, bell):
        _wait_for(bell)


def train(project: int) -> None:
    """What RQ calls in a process of its own: run a project's job, and wake a worker if another one is due."""
    settings = read_settings()
    queue = JobQueue(settings.model_dir)
    try:
        if JobRunner(settings, queue).run(project) and project in queue.waiting():
            RedisBell.for_worker(settings).wake(project)
    except OSError as error:
        logger.error("project %d waits, since MODEL_DIR can't be used: %s", project, error)


class TrainingWorker(Worker):
    """An RQ worker that also looks into MODEL_DIR, and puts a running job back when asked to end."""

    def __init__(self, settings: Settings, bell: RedisBell) -> None:
        super().__init__(
            [bell.rq],
            connection=bell.rq.connection,
            serializer=bell.rq.serializer,
            worker_ttl=WORKER_TTL,
            maintenance_interval=INTERVAL,
            log_job_description=False,
        )
        self.asked_to_end = False
        self._bell = bell
        self._queue = JobQueue(settings.model_dir)
        self._known = KnownProjects(settings, self._queue)
        self._log_once = OnceLogger(logger)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a project's job and nothing else, whatever is in Redis."""
        if is_training(job):
            if not self._queue.read(job.args[0]).queued:
                job.delete()  # forgotten, or trained already: no process for it
            else:
                super().execute_job(job, queue)
        else:
            logger.error("the job %.60r in Redis does not train a project; it is removed", job.id)
            job.delete()

    def run_maintenance_tasks(self) -> None:
        """Wake workers for jobs that RQ does not know of, because Redis or a worker was away."""
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        try:
            self._queue.take_up()
            self._bell.look_after(self._known.all_first(INTERVAL))
        except OSError as error:
            self._log_once(self, f"MODEL_DIR can't be used: {error}; jobs wait")
        else:
            self._log_once.forget(self)

    def handle_warm_shutdown_request(self) -> None:
        """Put the running job back, for which RQ would wait."""
        self.asked_to_end = True
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)


def _work(settings: Settings, bell: RedisBell) -> bool:
    """Work until asked to end; returns False if Redis went away before."""
    try:
        worker = TrainingWorker(settings, bell)
        worker.work(logging_level=None)
    except RedisError as error:
        logger.error("Redis went away (%s); a running job goes on", error)
        return False
    return worker.asked_to_end


def _wait_for(bell: RedisBell) -> None:
    while True:
        time.sleep(INTERVAL)
        try:
            bell.ping()
        except QueueError as error:
            logger.error("%s", error)
        else:
            return
