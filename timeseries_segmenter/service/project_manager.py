"""label-studio-ml 1.x with the behaviour of 2.x: a model object per request, for its project.

The manager of 1.0.9 keeps one model for all projects and starts a process for each event.
"""

from typing import Any

from label_studio_ml.model import LabelStudioMLBase, LabelStudioMLManager


class ProjectManager(LabelStudioMLManager):  # type: ignore[misc]
    """Makes `model_class(project_id=…, label_config=…)` for each request and asks it."""

    def fetch(
        self,
        project: str | None = None,
        label_config: str | None = None,
        force_reload: bool = False,
        **kwargs: Any,
    ) -> LabelStudioMLBase:
        """The model of a project; its `model_version` is the one that predictions carry."""
        return self.model_class(project_id=project, label_config=label_config)

    def predict(
        self,
        tasks: list[dict[str, Any]],
        project: str | None = None,
        label_config: str | None = None,
        force_reload: bool = False,
        try_fetch: bool = True,
        **kwargs: Any,
    ) -> tuple[list[dict[str, Any]], LabelStudioMLBase]:
        """Predictions and the model that made them."""
        model = self.fetch(project, label_config)
        return model.predict(tasks, **kwargs), model

    def webhook(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """The answer to an event."""
        project = data["project"]
        model = self.fetch(project["id"], project.get("label_config"))
        answer: dict[str, Any] = model.fit(event, data)
        return answer
