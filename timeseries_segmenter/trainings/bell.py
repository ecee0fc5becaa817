"""Wakes workers on any machine through Redis.

RQ carries only project numbers. The queue itself is in MODEL_DIR, so a Redis that is away, or has lost
everything, delays jobs but loses none.
"""

import logging
from collections.abc import Sequence

from timeseries_segmenter.errors import QueueError, SettingsError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.queue import JobQueue

try:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry
    from rq import Queue, Worker
    from rq.exceptions import DeserializationError
    from rq.job import Job
    from rq.serializers import JSONSerializer
except ModuleNotFoundError as error:
    raise SettingsError(
        f"REDIS_URL is set, but the package {error.name} is missing: "
        "pip install 'timeseries-segmenter[redis]'"
    ) from error

logger = logging.getLogger(__name__)

NAME = "timeseries-segmenter"
TRAIN = "timeseries_segmenter.trainings.redis_worker.train"  # by name: only workers import it
WEB_TIMEOUT = 0.3  # seconds; Label Studio waits one for the answer to a webhook
# what RQ would run or send at the end of a job; none of ours has any
HOOKS = ["success_callback_name", "failure_callback_name", "stopped_callback_name", "webhooks"]
KEPT = 3600  # seconds for which RQ keeps what it knows of a process that died
MARGIN = 60  # seconds after TRAINING_TIMEOUT, within which the run ends by itself


class RedisBell:
    """An RQ queue from which `python -m timeseries_segmenter worker` processes take project numbers."""

    def __init__(self, rq: Queue, settings: Settings) -> None:
        self.rq = rq
        self._timeout = settings.training_timeout + MARGIN
        self._queue = JobQueue(settings.model_dir)

    @classmethod
    def for_web(cls, settings: Settings) -> "RedisBell":
        """For the answer to a request: gives up on Redis at once."""
        connection = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_connect_timeout=WEB_TIMEOUT,
            socket_timeout=WEB_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        return cls(_queue(connection), settings)

    @classmethod
    def for_worker(cls, settings: Settings) -> "RedisBell":
        """For a worker, which can wait."""
        connection = Redis.from_url(settings.redis_url.get_secret_value())
        return cls(_queue(connection), settings)

    def wake(self, project: int) -> None:
        """Wake a worker. If Redis is away, workers find the job by themselves once it is back."""
        try:
            self.rq.enqueue(TRAIN, project, job_timeout=self._timeout, result_ttl=0, failure_ttl=KEPT)
        except RedisError as error:
            logger.warning(
                "project %d: Redis can't be reached (%s); the job starts once it can", project, error
            )

    def look_after(self, due: Sequence[int]) -> None:
        """Wake workers for projects that Redis does not know of, because it was away or lost everything."""
        try:
            known = {job.args[0] for job in self.rq.jobs if is_training(job)} if due else set()
        except RedisError as error:
            logger.debug("Redis can't be reached: %s", error)  # the event that met it, and /ready, said so
            return
        for project in due:
            if project not in known and not self._queue.is_trained(project):
                self.wake(project)

    def check(self) -> None:
        """Raises QueueError if Redis does not answer, or no worker runs."""
        self.ping()
        try:
            workers = Worker.all(queue=self.rq, serializer=self.rq.serializer)
        except RedisError as error:
            raise _away(error) from error
        if not workers:
            raise QueueError("no worker runs: start one with `python -m timeseries_segmenter worker`")

    def ping(self) -> None:
        """Raises QueueError if Redis does not answer."""
        try:
            self.rq.connection.ping()
        except RedisError as error:
            raise _away(error) from error


def is_training(job: Job) -> bool:
    """Whether an RQ job is one that this service made: a project to train, and nothing else."""
    if any(job.connection.hmget(job.key, HOOKS)):
        return False
    try:
        return job.func_name == TRAIN and [type(each) for each in job.args] == [int] and not job.kwargs
    except DeserializationError:
        return False


def _away(error: RedisError) -> QueueError:
    return QueueError(f"Redis can't be reached ({error}); check REDIS_URL, and that it runs")


def _queue(connection: Redis) -> Queue:
    # JSON: a pickle would let anybody who reaches Redis run code in the workers
    return Queue(NAME, connection=connection, serializer=JSONSerializer)
