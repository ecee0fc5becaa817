"""Tells workers on any machine through Redis that a project waits for its training.

RQ carries no more than the number of a project: the queue itself is in MODEL_DIR, so a Redis that
is away, or has lost everything, delays a training and loses none.
"""

import logging

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from timeseries_segmenter.errors import QueueError
from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)

NAME = "timeseries-segmenter"
TRAIN = "timeseries_segmenter.service.redis_worker.train"  # by name: only workers import it
WEB_TIMEOUT = 0.3  # seconds; Label Studio waits one for the answer to a webhook
MARGIN = 60  # seconds after TRAINING_TIMEOUT, within which the training ends by itself


class RedisQueue:
    """A queue of RQ that `python -m timeseries_segmenter worker` processes take from."""

    def __init__(self, rq: Queue, training_timeout: int) -> None:
        self.rq = rq
        self._timeout = training_timeout + MARGIN

    @classmethod
    def of_web(cls, settings: Settings) -> "RedisQueue":
        """For the answer to a request: gives up on Redis at once."""
        connection = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_connect_timeout=WEB_TIMEOUT,
            socket_timeout=WEB_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        return cls(_queue(connection), settings.training_timeout)

    @classmethod
    def of_worker(cls, settings: Settings) -> "RedisQueue":
        """For a worker, which can wait."""
        connection = Redis.from_url(settings.redis_url.get_secret_value())
        return cls(_queue(connection), settings.training_timeout)

    def wake(self, project: int) -> None:
        """Tell a worker. Where Redis is away, workers find the job by themselves once it is back."""
        try:
            self.rq.enqueue(TRAIN, project, job_timeout=self._timeout, result_ttl=0)
        except RedisError as error:
            logger.warning(
                "project %d: Redis can't be reached (%s); the training starts once it can", project, error
            )

    def check(self) -> None:
        """Raises QueueError where Redis does not answer."""
        try:
            self.rq.connection.ping()
        except RedisError as error:
            raise QueueError(
                f"Redis can't be reached ({error}); check REDIS_URL, and that it runs"
            ) from error


def _queue(connection: Redis) -> Queue:
    # JSON: a pickle would let everybody who reaches Redis run code in the workers
    return Queue(NAME, connection=connection, serializer=JSONSerializer)
