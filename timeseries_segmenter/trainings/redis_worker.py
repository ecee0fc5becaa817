"""A process that trains what RQ hands it; as many as people like, on any machine over one MODEL_DIR."""

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
from timeseries_segmenter.trainings.job import State
from timeseries_segmenter.trainings.known_projects import KnownProjects
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.runner import JobRunner

logger = logging.getLogger(__name__)

INTERVAL = 5  # seconds between two looks for trainings that wait or were interrupted
WORKER_TTL = 15 + INTERVAL  # RQ waits for jobs 15 s less than this
NICENESS = 5  # predictions come first, where they share a machine


def serve(settings: Settings) -> None:
    """Train what waits, one project at a time, until SIGTERM or Ctrl-C; a running training is put back.

    Raises QueueError where Redis can't be reached at the start; one that goes away later is waited for.
    """
    import timeseries_segmenter.trainings.run  # noqa: F401  once, not in every work horse

    os.nice(NICENESS)
    queue = RedisBell.of_worker(settings)
    queue.ping()
    logger.info("trainings come from Redis, models go to %s", settings.model_dir)
    while not _work(settings, queue):
        _wait_for(queue)


def train(project: int) -> None:
    """What RQ calls in a process of its own: train a project that waits, and tell if it waits again."""
    settings = read_settings()
    states = JobQueue(settings.model_dir)
    try:
        if JobRunner(settings, states).run(project) and project in states.waiting():
            RedisBell.of_worker(settings).wake(project)
    except OSError as error:
        logger.error("project %d waits, since MODEL_DIR can't be used: %s", project, error)


class TrainingWorker(Worker):
    """An RQ worker that looks into MODEL_DIR as well, and has a training put back when it is to end."""

    def __init__(self, settings: Settings, queue: RedisBell) -> None:
        super().__init__(
            [queue.rq],
            connection=queue.rq.connection,
            serializer=queue.rq.serializer,
            worker_ttl=WORKER_TTL,
            maintenance_interval=INTERVAL,
            log_job_description=False,
        )
        self.told_to_end = False
        self._training_queue = queue
        self._states = JobQueue(settings.model_dir)
        self._known = KnownProjects(settings, self._states)
        self._tell = OnceLogger(logger)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a training and nothing else, whatever stands in Redis."""
        if is_training(job):
            if self._states.read(job.args[0]).job_in(State.QUEUED) is None:
                job.delete()  # forgotten, or trained already: no process for it
            else:
                super().execute_job(job, queue)
        else:
            logger.error("the job %.60r in Redis is no training; it is removed", job.id)
            job.delete()

    def run_maintenance_tasks(self) -> None:
        """Tell RQ what waits in MODEL_DIR without its knowing, because Redis or a worker was away."""
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        try:
            self._states.take_up()
            self._training_queue.look_after(self._known.all_first(INTERVAL))
        except OSError as error:
            self._tell(self, f"MODEL_DIR can't be used: {error}; trainings wait")
        else:
            self._tell.forget(self)

    def handle_warm_shutdown_request(self) -> None:
        """RQ would wait for the training; it is put back instead."""
        self.told_to_end = True
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)


def _work(settings: Settings, queue: RedisBell) -> bool:
    """Work until told to end; False where it ended because Redis went away."""
    try:
        worker = TrainingWorker(settings, queue)
        worker.work(logging_level=None)
    except RedisError as error:
        logger.error("Redis went away (%s); a running training goes on", error)
        return False
    return worker.told_to_end


def _wait_for(queue: RedisBell) -> None:
    while True:
        time.sleep(INTERVAL)
        try:
            queue.ping()
        except QueueError as error:
            logger.error("%s", error)
        else:
            return
