"""The parts of the service, put together once, and the verbs Label Studio asks of it."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from filelock import Timeout
from flask import current_app, has_request_context, request

from timeseries_segmenter.errors import ModelFileError, QueueError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.project.model import NO_PROJECT, Model
from timeseries_segmenter.project.prediction import PredictionRequest, predict_tasks
from timeseries_segmenter.report.files import ReportFiles
from timeseries_segmenter.report.saved import saved_report
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.request_series import RequestSeries, RequestSources
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.storage.version_summary import VersionSummaries
from timeseries_segmenter.trainings.job import Job
from timeseries_segmenter.trainings.known_projects import RoomForUnknown
from timeseries_segmenter.trainings.policy import TRAINING_EVENTS, TrainingPolicy
from timeseries_segmenter.web.client_presence import still_wanted
from timeseries_segmenter.web.metrics import Metrics
from timeseries_segmenter.web.security import Authentication

logger = logging.getLogger(__name__)

DASHBOARD = "../../projects"  # from the address of a report, whatever a proxy puts before both
EXTENSION = "timeseries_segmenter"
PROJECT_DIGITS = 18  # Label Studio counts in 64 bits
PROJECT = re.compile(f"[0-9]{{1,{PROJECT_DIGITS}}}")


class Backend:
    """What one web process needs to answer: made from settings, shared by its requests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = ModelStore(settings)
        self.summaries = VersionSummaries(self.store)
        link = settings.label_studio_link
        self.reports = ReportFiles(
            self.store, partial(saved_report, label_studio_url=link, dashboard=DASHBOARD)
        )
        self.queue = TrainingPolicy(settings)
        self._room = RoomForUnknown(settings, self.queue.states)
        self.metrics = Metrics(self.queue.states)
        self.authentication = Authentication(settings)
        self.sources = RequestSources.from_settings(settings, self.metrics.observe_cache)
        self._once = OnceLogger(logger)

    def predict(
        self, project: int, config: LabelConfig, tasks: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """One prediction per task, by the project's newest model."""
        model = self._model(project)
        self.metrics.models.set(self.store.in_memory)
        wanted = still_wanted(request.environ) if has_request_context() else None
        series = RequestSeries(self.sources, project, config, wanted)
        observe = self.metrics.observe_prediction
        return predict_tasks(PredictionRequest(tasks, config, series, self._once, observe), model)

    def handle(self, project: int, event: str) -> dict[str, Any]:
        """Count a training event; the answer holds `job` where a training is queued.

        Raises QueueError where MODEL_DIR can't be written.
        """
        if event not in TRAINING_EVENTS:
            return {}
        with self._writing():
            self._room.check(project)
            job = self.queue.count(project, event)
        if job is None:
            return {"updates": self.queue.states.read(project).updates}
        logger.info("project %d: %s, training %s is %s", project, event, job.id, job.state)
        return {"job": job.id}

    def cancel(self, project: int) -> list[Job]:
        """Stop the project's training, and take back what waits. Raises QueueError like `handle`."""
        with self._writing():
            return self.queue.cancel(project)

    def knows(self, project: int) -> bool:
        """Whether the project has a model, or had a training event."""
        return self.store.path(project).exists() or project in self.queue.states.projects()

    def roll_back(self, project: int, version: str | None) -> str:
        """Serve an earlier version again, by default the one before; returns its new name.

        Raises VersionError, ModelFileError, and QueueError like `handle`.
        """
        with self._writing():
            served = self.store.roll_back(project, version)
        logger.info("project %d: rolled back, %s is served", project, served, extra={"version": served})
        return served

    def remove_unfinished(self) -> None:
        """Remove what processes left that were killed while they wrote; for the start of the service."""
        try:
            self.store.remove_unfinished()
            self.queue.states.remove_unfinished()
        except OSError as error:
            logger.warning("unfinished files in %s stay: %s", self.settings.model_dir, error)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Timeout as error:
            raise QueueError(f"another process holds {error.lock_file}: try again in a moment") from error
        except OSError as error:
            raise QueueError(
                f"MODEL_DIR={self.settings.model_dir} can't be written ({error.strerror}): give it room and "
                "access rights"
            ) from error

    def _model(self, project: int) -> Model | None:
        try:
            return self.store.load(project)
        except ModelFileError:  # the store has said so, once
            return None


def current_backend() -> Backend:
    """The backend of the app that answers the current request."""
    backend = current_app.extensions[EXTENSION]
    assert isinstance(backend, Backend)
    return backend


def request_project(project: object, context: object, tasks: Sequence[Mapping[str, Any]]) -> int:
    """The project of a prediction: the request's, else the context's, else that of the first task.

    Raises ValueError for one that is no project number.
    """
    inner = context if isinstance(context, Mapping) else {}
    first = tasks[0] if tasks else {}
    return project_number(project, inner.get("project"), inner.get("project_id"), first.get("project"))


def project_number(*candidates: object) -> int:
    """The first candidate that names a project: `47`, `"47"`, `"47.1795343772"` or `{"id": 47}`.

    NO_PROJECT where none does. Raises ValueError for one that is no project number.
    """
    for candidate in candidates:
        if isinstance(candidate, Mapping):
            candidate = candidate.get("id")
        if candidate in (None, "", "None", NO_PROJECT):
            continue
        text = str(candidate).split(".", 1)[0]
        if isinstance(candidate, bool) or not PROJECT.fullmatch(text):
            raise ValueError(f"{candidate!r:.60} is not a project number")
        return int(text)
    return NO_PROJECT
