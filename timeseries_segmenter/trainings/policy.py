"""When a project is trained or its tasks predicted: counts events, queues and cancels jobs, wakes workers."""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from filelock import Timeout

from timeseries_segmenter.errors import StateError
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.project.model import NO_PROJECT
from timeseries_segmenter.project.outline import Outline
from timeseries_segmenter.project.start import Start
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.files import writing_to
from timeseries_segmenter.trainings.job import START_TRAINING, Job, State
from timeseries_segmenter.trainings.known_projects import RoomForUnknown
from timeseries_segmenter.trainings.late_events import LateEvents
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.worker_process import WorkerProcesses

logger = logging.getLogger(__name__)

PATIENCE = 0.5  # seconds for a project's lock; Label Studio waits one for the answer to a webhook
SETTLED = 10.0  # seconds: Label Studio names new tasks before others can see them
LOOK = 5.0  # seconds between two looks for what was forgotten

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


TASKS_CREATED = "TASKS_CREATED"
ROLLED_BACK = "ROLLED_BACK"  # this service's own
# what has tasks predicted, by the model that there is; each with the seconds before that
PREDICTION_EVENTS = {TASKS_CREATED: SETTLED, ROLLED_BACK: 0.0}


class Workers(Protocol):
    """Processes that run queued jobs."""

    def wake(self, project: int) -> None:
        """Have the project's queued job run, now or as soon as possible; never raises."""

    def look_after(self, due: Sequence[int]) -> None:
        """Have jobs run that are due and that the workers may not know of; never raises."""

    def check(self) -> None:
        """Raises QueueError if the workers can't be reached or started."""


class TrainingPolicy:
    """Counts a project's events, and queues a job when enough have come.

    The queue is in `MODEL_DIR`, so nothing is lost when this process ends, or Redis. Without Redis,
    TRAINING_PROCESSES next to this one train; with it, as many as were started.
    """

    def __init__(self, settings: Settings) -> None:
        self._updates = settings.start_training_each_n_updates
        self._predicts = settings.predict_after_training > 0
        self.queue = JobQueue(settings.model_dir)
        self.workers = _workers(settings, self.queue)
        self._room = RoomForUnknown(settings, self.queue)
        self._model_dir = settings.model_dir
        self._late = LateEvents(self.queue.folder)
        self._log_once = OnceLogger(logger)

    def count(self, project: int, event: str, title: str = "") -> Job | None:
        """Count an event; returns the queued job once enough have come, at once for START_TRAINING.

        One of PREDICTION_EVENTS is not counted, but has tasks predicted, or put in an order. The project's
        `title` is kept if the event names it.

        Events that come during a training run share one job behind it. If another process holds the
        project's lock, the event is kept, and counted within seconds of its release.
        Raises QueueError: StateError if the project's state can't be used, others if MODEL_DIR can't be
        written, or if too many unknown projects wait already.
        """
        if event in PREDICTION_EVENTS:
            if not self._predicts:
                return None
            waits = self.queue.look(project).prediction
            if PREDICTION_EVENTS[event] and waits and waits.state is State.QUEUED:
                return waits  # thousands of tasks may come one by one
        with writing_to(self._model_dir):
            self._room.check(project)
            try:
                return self._count(project, [event], PATIENCE, title)
            except Timeout:
                self._late.keep(project, event)
                logger.warning(
                    "project %d: its state is locked; %s is kept, and counted later", project, event
                )
                return None

    def note_start(self, project: int, start: Start | None, outline: Outline, *, predict: bool) -> None:
        """Keep what comes of a start from another project, and what the labeling config takes from one.

        If another model serves than before, `predict` has it predict the project's tasks. Raises QueueError
        as `count` does.
        """
        known = self.queue.look(project)
        if project == NO_PROJECT or (known.start, known.outline) == (start, outline):
            return
        with writing_to(self._model_dir), suppress(Timeout):  # the next look at the project does it then
            self._begin_with(project, start, predict=predict, outline=outline)

    def choose_start(self, project: int, start: Start | None, *, predict: bool) -> None:
        """Keep a person's choice of a start from another project; None takes it back.

        `predict` is as for `note_start`. Raises QueueError as `count` does, and if the state is locked.
        """
        chosen = start.project if start else None
        with writing_to(self._model_dir):
            self._begin_with(project, start, predict=predict, chosen_start=chosen)

    def _begin_with(self, project: int, start: Start | None, *, predict: bool, **kept: object) -> None:
        self._room.check(project)
        with self.queue.change(project, PATIENCE) as trainings:
            for name, value in kept.items():
                setattr(trainings, name, value)
            planned = trainings.begin_with(start, predict=predict)
        if planned:
            whose = f"project {start.project}, {start.version}" if start else "no other"
            logger.info("project %d: starts from %s", project, whose)
            self.workers.wake(project)

    def cancel(self, project: int) -> list[Job]:
        """Take back what is queued, and stop what runs, within seconds. Raises QueueError."""
        trainings = self.queue.read(project)
        if not (trainings.jobs or trainings.behind):
            return []  # nothing should be written for a project that does not exist
        with writing_to(self._model_dir), self.queue.change(project, PATIENCE) as trainings:
            jobs = trainings.cancel()
        for job in jobs:
            logger.info("project %d: job %s is cancelled", project, job.id)
        return jobs

    def resume(self) -> None:
        """Take up what was queued or running when the service ended; look again every few seconds."""
        self.look()
        threading.Thread(target=self._keep_looking, name="lookout", daemon=True).start()

    def _keep_looking(self) -> None:
        while True:
            time.sleep(LOOK)
            try:
                self.look()
                self._log_once.forget(self)
            except Exception as error:  # the next look may do better, and there has to be one
                if self._log_once.is_news(self, repr(error)):
                    logger.exception("the look for forgotten jobs failed; it goes on")

    def look(self) -> None:
        """Find what was forgotten: late events, interrupted jobs, and jobs whose wake-up was lost."""
        self._remove_unfinished()
        for project in self._late.projects():
            try:
                self._count(project, [], PATIENCE)
                self._log_once.forget(project)
            except (OSError, StateError) as error:
                self._log_once(project, f"project {project}: its late events can't be counted yet: {error}")
        self.queue.take_up()
        self.workers.look_after(self.queue.waiting())

    def _remove_unfinished(self) -> None:
        try:
            self._late.remove_unfinished()
            self._log_once.forget(self._late)
        except OSError as error:
            self._log_once(self._late, f"unfinished files in {self._late.folder} stay: {error}")

    def _count(self, project: int, events: Sequence[str], patience: float, title: str = "") -> Job | None:
        job = None
        with (
            self.queue.locked(project, patience),
            self._late.taken(project) as late,
            self.queue.saved(project) as trainings,
        ):
            trainings.name(title)
            for event in [*late, *events]:
                if event in PREDICTION_EVENTS:
                    planned = trainings.plan_prediction(PREDICTION_EVENTS[event])
                    job = job or planned
                    continue
                trainings.updates += 1
                if event == START_TRAINING or trainings.updates >= self._updates:
                    job = trainings.enqueue(event)
        if job and job.is_due:
            self.workers.wake(project)
        return job


def _workers(settings: Settings, queue: JobQueue) -> Workers:
    if not settings.redis_url.get_secret_value():
        return WorkerProcesses(settings, queue)
    from timeseries_segmenter.trainings.bell import RedisBell  # slow to import, and not always there

    return RedisBell.for_web(settings)
