"""The model that Label Studio connects: learns from annotated regions and predicts the rest."""

from contextlib import nullcontext
from functools import cached_property, partial
from typing import Any

from timeseries_segmenter.web.app import LabelStudioMLBase  # isort: skip  first: it says what is missing
from flask import has_request_context, request

from timeseries_segmenter.errors import ModelFileError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.project.drawn import Drawn
from timeseries_segmenter.project.prediction import PredictionRequest, predict_tasks
from timeseries_segmenter.settings import read_settings
from timeseries_segmenter.sources.request_series import RequestSeries
from timeseries_segmenter.web.backend import Backend
from timeseries_segmenter.web.bodies import first_project, project_number, project_of_tasks
from timeseries_segmenter.web.client_presence import client_waits


class TimeSeriesSegmenter(LabelStudioMLBase):  # type: ignore[misc]  # it brings no types
    """Predicts and trains for one request.

    Objects are cheap: they hold the request's project and labeling config. Models, the queue
    of jobs and settings are in the backend, which `_wsgi.init_app` shares among all requests; an
    object made without one reads the settings from the environment.
    """

    backend: Backend | None = None

    def __init__(
        self,
        project_id: str | int | None = None,
        label_config: str | None = None,
        backend: Backend | None = None,
        **_: Any,
    ) -> None:
        """Raises ValueError for a bad project number, SettingsError for a bad environment.

        The base classes of 1.x and 2.x take different arguments, and what they keep is kept in the
        backend: neither constructor is called.
        """
        # views have parsed it already
        self.project_id = project_id if isinstance(project_id, int) else project_number(project_id)
        self._label_config = label_config
        self._backend = backend or self.backend or Backend(read_settings())

    @property
    def label_config(self) -> str | None:
        """The labeling config's XML."""
        return self._label_config

    @cached_property
    def config(self) -> LabelConfig:
        """The labeling config, parsed. Raises LabelConfigError for one that can't be learned."""
        return parse_label_config(self._label_config or "")

    @property
    def model_version(self) -> str:
        """Changes with every training run; `untrained` before the first, or another project's until then."""
        return self._backend.version(self.project_id, self.config if self._label_config else None)

    def get(self, key: str) -> str | None:
        """What the app of 2.x asks for by key: `model_version`."""
        return self.model_version if key == "model_version" else None

    def set_extra_params(self, extra_params: object) -> None:
        """Take the extra parameters of a model's settings in Label Studio; there are none to take."""

    def versions(self) -> list[str]:
        """Versions of the project's model that are kept, newest first."""
        return self._backend.store.versions(self.project_id) or [self.model_version]

    def predict(
        self, tasks: list[dict[str, Any]], context: dict[str, Any] | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        """One prediction per task, by the project's newest model. Raises LabelConfigError.

        The project is the request's, else the context's, else that of the first task. If the context says
        what an annotator has drawn of the task, these are suggestions after that, and batches give way.
        """
        project = self.project_id or project_of_tasks(context, tasks)
        config, backend = self.config, self._backend
        try:
            model = backend.serving.load(project, config)
        except ModelFileError:  # the store has said so, once
            model = None
        backend.metrics.models.set(backend.store.in_memory)
        waits = partial(client_waits, request.environ) if has_request_context() else None
        first = backend.precedence
        results = context.get("result") if isinstance(context, dict) else None
        drawn = Drawn(results) if isinstance(results, list) and results and len(tasks) == 1 else None
        give_way = (lambda: None) if drawn else first.give_way  # not to itself
        series = RequestSeries(backend.sources, project, config, waits, give_way)
        observe = backend.metrics.observe_prediction
        asked = PredictionRequest(tasks, config, series, backend.once, observe, drawn)
        with first.taken() if drawn else nullcontext():
            return predict_tasks(asked, model)

    def fit(self, event: str, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Count an event and queue a training run when it is due; the run itself works elsewhere.

        The project is the request's, else that in `data`. The answer holds `job` if one is queued.
        Raises LabelConfigError if a labeling config is given that can't be learned.
        """
        config = self.config if self._label_config else None  # it has to be one that can be learned
        named = data.get("project")
        title = named.get("title") if isinstance(named, dict) else None
        return self._backend.handle(
            self.project_id or first_project(named), event, config, title if isinstance(title, str) else ""
        )

    def set_up(self) -> None:
        """Do what is due when Label Studio connects, or opens the project. Raises LabelConfigError."""
        self._backend.set_up(self.project_id, self.config)
