"""When a project is trained: events counted, jobs queued and cancelled, workers told."""

import logging
from typing import Protocol

from timeseries_segmenter.service.training_job import START_TRAINING, Job
from timeseries_segmenter.service.training_state import TrainingStates
from timeseries_segmenter.service.worker_process import WorkerProcess
from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)

TRAINING_EVENTS = frozenset(
    {
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATION_DELETED",
        "ANNOTATIONS_CREATED",
        "ANNOTATIONS_DELETED",
        START_TRAINING,
    }
)


class Workers(Protocol):
    """Processes that run queued jobs."""

    def wake(self, project: int) -> None:
        """Have the project's queued job run, now or as soon as possible; never raises."""

    def check(self) -> None:
        """Raises QueueError where the workers can't be reached."""


class TrainingQueue:
    """Counts a project's events, and queues a training when it is due.

    The queue is in `MODEL_DIR`, so nothing is lost when this process ends, or Redis. Without Redis
    one process beside this one trains, with it as many as were started.
    """

    def __init__(self, settings: Settings) -> None:
        self._updates = settings.start_training_each_n_updates
        self.states = TrainingStates(settings.model_dir)
        self.workers = _workers(settings, self.states)

    def count(self, project: int, event: str) -> Job | None:
        """Count an event; returns the queued job once enough have come, at once for START_TRAINING.

        Events that come while a training of the project runs share one job behind it. Raises OSError
        where MODEL_DIR can't be written.
        """
        with self.states.change(project) as trainings:
            trainings.updates += 1
            due = event == START_TRAINING or trainings.updates >= self._updates
            job = trainings.enqueue(event) if due else None
        if job:
            self.workers.wake(project)
        return job

    def cancel(self, project: int) -> list[Job]:
        """Take back what is queued, and stop what runs, within seconds. Raises OSError."""
        if not self.states.read(project).jobs:
            return []  # nothing should be written for a project that is none
        with self.states.change(project) as trainings:
            jobs = trainings.cancel()
        for job in jobs:
            logger.info("project %d: training %s is cancelled", project, job.id)
        return jobs

    def resume(self) -> None:
        """Take up what was queued or running when the service last ended."""
        for project in self.states.waiting() or self.states.interrupted():
            self.workers.wake(project)


def _workers(settings: Settings, states: TrainingStates) -> Workers:
    if not settings.redis_url.get_secret_value():
        return WorkerProcess(settings, states)
    from timeseries_segmenter.service.redis_queue import RedisQueue  # slow to import, and not always there

    return RedisQueue.of_web(settings)
