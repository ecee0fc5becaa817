"""The parts of the service, put together once, and what several of its rooms ask of them."""

import logging
from functools import partial
from typing import Any

from flask import current_app
from werkzeug.local import LocalProxy

from timeseries_segmenter.errors import QueueError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.project.model import NO_PROJECT, UNTRAINED
from timeseries_segmenter.report.saved import ReportFiles, saved_report
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.request_series import RequestSources
from timeseries_segmenter.storage.files import writing_to
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.storage.serving import Serving
from timeseries_segmenter.trainings.policy import (
    ROLLED_BACK,
    TASKS_CREATED,
    TRAINING_EVENTS,
    TrainingPolicy,
)
from timeseries_segmenter.web.metrics import Metrics
from timeseries_segmenter.web.precedence import Precedence
from timeseries_segmenter.web.security import Security

logger = logging.getLogger(__name__)

DASHBOARD = "../../projects"  # from the address of a report, whatever a proxy puts before both
EXTENSION = "timeseries_segmenter"


class Backend:
    """What one web process needs to answer: made from settings, shared by its requests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = ModelStore(settings)
        self.serving = Serving(self.store)
        link = settings.label_studio_link
        self.reports = ReportFiles(
            self.store, partial(saved_report, label_studio_url=link, dashboard=DASHBOARD)
        )
        self.policy = TrainingPolicy(settings)
        self.metrics = Metrics(self.policy.queue)
        self.security = Security(settings)
        self.sources = RequestSources.from_settings(settings, self.metrics.observe_cache)
        self.once = OnceLogger(logger)
        self.precedence = Precedence()

    def handle(self, project: int, event: str, config: LabelConfig | None = None) -> dict[str, Any]:
        """Count an event; the answer holds `job` if one is queued.

        `config` is the project's, if the event brings it. Raises QueueError if MODEL_DIR can't be written.
        """
        if event not in TRAINING_EVENTS and event != TASKS_CREATED:
            return {}
        if event == TASKS_CREATED and not self._looks_at_tasks and self.version(project, config) == UNTRAINED:
            return {}
        job = self.policy.count(project, event)
        if job is None:
            return {"updates": self.policy.queue.read(project).updates}
        logger.info("project %d: %s, job %s is %s", project, event, job.id, job.state)
        return {"job": job.id}

    def version(self, project: int, config: LabelConfig | None = None) -> str:
        """The version that predicts the project's tasks, of another project's model if the config says so."""
        return self.serving.version(project, config) if config else self.store.version(project)

    def set_up(self, project: int, config: LabelConfig) -> None:
        """Do what is due for a project that Label Studio connects or opens.

        Its tasks are put in an order if nothing has happened to it yet, or predicted by a model that is
        borrowed anew. What comes of a start from another project is kept for the dashboard.
        """
        start = self.serving.start(project, config)
        try:
            if start is None or start.problem:
                self._order_tasks(project)
            self.policy.note_start(project, start, predict=self._looks_at_tasks)
        except QueueError as error:
            logger.warning("project %d: its tasks are not looked at before it is trained: %s", project, error)

    def _order_tasks(self, project: int) -> None:
        if project != NO_PROJECT and self._looks_at_tasks and not self.knows(project):
            self.handle(project, TASKS_CREATED)

    @property
    def _looks_at_tasks(self) -> bool:
        token = self.settings.label_studio_api_key.get_secret_value()
        return bool(token) and self.settings.predict_after_training > 0

    def knows(self, project: int) -> bool:
        """Whether the project has a model, or had a training event."""
        return self.store.path(project).exists() or self.policy.queue.has(project)

    def roll_back(self, project: int, version: str | None) -> str:
        """Serve an earlier version again, by default the one before; returns its new name.

        Raises VersionError, ModelFileError, and QueueError like `handle`.
        """
        with writing_to(self.settings.model_dir):
            served = self.store.roll_back(project, version)
        logger.info("project %d: rolled back, %s is served", project, served, extra={"version": served})
        try:
            self.policy.count(project, ROLLED_BACK)
        except QueueError as error:
            logger.warning("project %d: its tasks are not predicted by %s: %s", project, served, error)
        return served

    def remove_unfinished(self) -> None:
        """Remove what processes left that were killed while they wrote; for the start of the service."""
        try:
            self.store.remove_unfinished()
            self.policy.queue.remove_unfinished()
        except OSError as error:
            logger.warning("unfinished files in %s stay: %s", self.settings.model_dir, error)


# the backend of the app that answers the current request
current_backend: Backend = LocalProxy(lambda: current_app.extensions[EXTENSION])  # type: ignore[assignment]
