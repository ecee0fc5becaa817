"""The model that Label Studio connects: learns from annotated regions and predicts the rest."""

from contextlib import suppress
from functools import cached_property
from typing import Any

from timeseries_segmenter import INSTALL

# first: where it is missing, nothing slow should be imported before saying so
try:
    with suppress(ImportError):  # 2.x alone: it would open a SQLite file in MODEL_DIR, wherever that is
        import label_studio_ml.cache

        label_studio_ml.cache.create_cache = lambda *_, **__: {}
    from label_studio_ml.model import LabelStudioMLBase
except ModuleNotFoundError as error:
    raise SystemExit(f"The package {error.name} is missing: {INSTALL}") from None

from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.settings import read_settings
from timeseries_segmenter.web.backend import Backend, project_number, request_project


class TimeSeriesSegmenter(LabelStudioMLBase):  # type: ignore[misc]  # it brings no types
    """Predicts and trains for one request.

    Objects are cheap: they hold the request's project and labeling config. Models, the training
    queue and settings are in the backend, which `_wsgi.init_app` shares among all requests; an
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
        self.project_id = project_number(project_id)
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
        """Changes with every training; `untrained` before the first."""
        return self._backend.store.version(self.project_id)

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
        """One prediction per task. Raises LabelConfigError.

        The project is the request's, else the context's, else that of the first task.
        """
        project = request_project(self.project_id, context, tasks)
        return self._backend.predict(project, self.config, tasks)

    def fit(self, event: str, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Count an event and queue a training when it is due; the training itself runs elsewhere.

        The answer holds `job` where one is queued. Raises LabelConfigError where a labeling config is given
        that can't be learned.
        """
        if self._label_config:
            parse_label_config(self._label_config)
        return self._backend.handle(project_number(data.get("project"), self.project_id), event)
