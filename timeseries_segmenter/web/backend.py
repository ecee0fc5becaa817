"""The parts of the service, put together once, and what several of its rooms ask of them."""

import logging
from functools import partial
from typing import Any

from flask import current_app
from werkzeug.local import LocalProxy

from timeseries_segmenter.errors import QueueError, StartError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.pair_settings import PREFIX
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.project.model import NO_PROJECT, UNTRAINED
from timeseries_segmenter.project.outline import Outline, misfit, shortened_outline, taken_by
from timeseries_segmenter.project.start import Start
from timeseries_segmenter.report.saved import ReportFiles, saved_report
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.request_series import RequestSources
from timeseries_segmenter.storage.files import writing_to
from timeseries_segmenter.storage.lenders import Lenders
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
        self.lenders = Lenders(self.store)
        link = settings.label_studio_link
        self.reports = ReportFiles(
            self.store, partial(saved_report, label_studio_url=link, dashboard=DASHBOARD)
        )
        self.policy = TrainingPolicy(settings)
        self.serving = Serving(self.store, self.policy.queue.chosen_start)
        self.metrics = Metrics(self.policy.queue)
        self.security = Security(settings)
        self.sources = RequestSources.from_settings(settings, self.metrics.observe_cache)
        self.once = OnceLogger(logger)
        self.precedence = Precedence()

    def handle(
        self, project: int, event: str, config: LabelConfig | None = None, title: str = ""
    ) -> dict[str, Any]:
        """Count an event; the answer holds `job` if one is queued.

        `config` and `title` are the project's, if the event brings them. Raises QueueError if MODEL_DIR can't
        be written.
        """
        if event not in TRAINING_EVENTS and event != TASKS_CREATED:
            return {}
        if event == TASKS_CREATED and not self._looks_at_tasks and self.version(project, config) == UNTRAINED:
            return {}
        job = self.policy.count(project, event, title)
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
        borrowed anew. What comes of a start from another project is kept for the dashboard, and while the
        project has no model of its own, what its labeling config takes from one.
        """
        start, outline = self.serving.start(project, config), self._outline(project, config)
        try:
            if start is None or start.problem:
                self._order_tasks(project)
            predict = self._looks_at_tasks and not self.store.path(project).exists()
            self.policy.note_start(project, start, outline, predict=predict)
        except QueueError as error:
            logger.warning("project %d: its tasks are not looked at before it is trained: %s", project, error)

    def _outline(self, project: int, config: LabelConfig) -> Outline:
        """What the labeling config takes from another project's model; empty if there is one of its own."""
        if self.store.path(project).exists():
            return ()
        taken = taken_by(config)
        kept = shortened_outline(taken)
        problem = (
            f"project {project}: too many names in the labeling config for the dashboard to offer a start "
            f"from another project; name one there ({PREFIX}start)"
        )
        if kept != taken and self.once.is_news(("outline", project), problem):
            logger.warning("%s", problem)
        return kept

    def choose_start(self, project: int, lender: int | None) -> Start | None:
        """Have another project's model predict until there is one of the project's own; None: no longer.

        Raises StartError if it can't be, and QueueError like `handle`.
        """
        start = self._choice(project, lender)
        self.policy.choose_start(project, start, predict=self._looks_at_tasks)
        return start

    def _choice(self, project: int, lender: int | None) -> Start | None:
        trainings = self.policy.queue.read(project)
        if self.store.path(project).exists():
            raise StartError(f"project {project} has a model of its own, and starts from no other")
        if trainings.start and not trainings.start.chosen:
            raise StartError(
                f'the labeling config of project {project} has {PREFIX}start="project:'
                f'{trainings.start.project}", which goes first: change it there'
            )
        if lender is None:
            return None
        if not trainings.outline:
            raise StartError(
                f"the channels and labels of project {project} are not known here: open it in Label Studio, "
                f"or name the other project in its labeling config ({PREFIX}start)"
            )
        served = None if lender == project else self.store.served_summary(lender)
        version = self.store.version(lender)
        if served is None or version == UNTRAINED:
            raise StartError(f"project {lender} has no model to start from: train it, or choose another one")
        if reason := misfit(served.given, trainings.outline):
            raise StartError(f"model {version} {reason}; choose another one")
        return Start(project=lender, version=version, chosen=True)

    def _order_tasks(self, project: int) -> None:
        if project == NO_PROJECT or not self._looks_at_tasks or self.store.path(project).exists():
            return
        trainings = self.policy.queue.look(project)
        if not (trainings.jobs or trainings.behind or trainings.updates or trainings.problem):
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
