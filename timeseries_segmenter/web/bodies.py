"""Bodies of requests, each parsed once into a typed object that its view uses."""

from typing import Annotated, Any, Self, TypeVar

from flask import request
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)
from werkzeug.exceptions import BadRequest

from timeseries_segmenter.project.model import NO_PROJECT
from timeseries_segmenter.trainings.policy import TRAINING_EVENTS
from timeseries_segmenter.web.backend import current_backend, project_number, request_project
from timeseries_segmenter.web.body_bounds import check_tasks, check_values


def _project(value: object) -> int:
    if value is not None and not isinstance(value, int | str):
        raise ValueError("should be a project's number, or a text that begins with it")
    return project_number(value)


ProjectNumber = Annotated[int, BeforeValidator(_project, json_schema_input_type=StrictInt | StrictStr | None)]
AnyBody = TypeVar("AnyBody", bound=BaseModel)


class BadBody(BadRequest):
    """A body that a view can't use; the description names the field."""


class Setup(BaseModel):
    """`POST /setup`."""

    model_config = ConfigDict(alias_generator=lambda name: name.rstrip("_"))

    schema_: str
    project: ProjectNumber = NO_PROJECT


class Predict(BaseModel):
    """`POST /predict`."""

    tasks: list[dict[str, Any]]
    label_config: str
    project: ProjectNumber = NO_PROJECT
    params: dict[str, Any] | None = None

    @property
    def context(self) -> Any:
        """What the annotator marked so far, or null; Label Studio sends other params as well."""
        return (self.params or {}).get("context")

    @model_validator(mode="after")
    def _one_project(self) -> Self:
        self.project = request_project(self.project, self.context, self.tasks)
        return self


class Project(BaseModel):
    """The project that an event belongs to."""

    id: ProjectNumber
    label_config: str | None = None


class Webhook(BaseModel):
    """`POST /webhook`."""

    action: str
    project: Project | None = None

    @property
    def trains(self) -> bool:
        """Whether the event counts."""
        return self.action in TRAINING_EVENTS

    @model_validator(mode="after")
    def _needs_project(self) -> Self:
        if self.trains and self.project is None:
            raise ValueError("project: Field required")
        return self


class JobStatus(BaseModel):
    """`POST /job_status`."""

    job: str


class RollBack(BaseModel):
    """`POST /projects/{id}/rollback`: the version to serve again; absent, null or empty: the one before."""

    model_config = ConfigDict(extra="forbid")

    version: str | None = None


def read_body(model: type[AnyBody]) -> AnyBody:
    """The current request's body. Raises BadBody, or werkzeug's HTTPException: 400, 413 or 415."""
    return parse_body(model, json_body())


def parse_body(model: type[AnyBody], content: object) -> AnyBody:
    """The body that `content` is. Raises BadBody, which names the first field that can't be used."""
    if not isinstance(content, dict):
        raise BadBody("the body should be a JSON object")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        raise BadBody(": ".join(filter(None, (".".join(map(str, first["loc"])), message)))) from error


def body_bytes() -> bytes:
    """The current request's body. Raises werkzeug's HTTPException: 400 or 413."""
    try:
        return request.get_data()
    except OSError as error:  # chunks that are none, in Werkzeug's own server
        raise BadRequest(f"the body can't be read: {error}") from error


def json_body() -> Any:
    """The JSON that the current request holds. Raises werkzeug's HTTPException: 400, 413 or 415."""
    settings = current_backend().settings
    check_values(body_bytes(), settings.max_request_values)
    try:
        content = request.get_json()
    except BadRequest as error:
        raise BadRequest("the body is no JSON") from error
    check_tasks(content, settings.max_request_tasks)
    return content
