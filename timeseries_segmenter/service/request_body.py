"""What a request must hold before a stock view may see it."""

from abc import ABC, abstractmethod
from typing import Annotated, Any

from flask import request
from pydantic import AfterValidator, BaseModel, ConfigDict, StrictInt, StrictStr, ValidationError
from werkzeug.exceptions import BadRequest

from timeseries_segmenter.errors import LabelConfigError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.service.backend import project_number, request_project
from timeseries_segmenter.service.logs import log_unknown_settings
from timeseries_segmenter.service.training_queue import TRAINING_EVENTS

ProjectNumber = Annotated[StrictInt | StrictStr | None, AfterValidator(lambda value: project_number(value))]


class Body(BaseModel, ABC):
    """What a view needs to find in a request."""

    model_config = ConfigDict(alias_generator=lambda name: name.rstrip("_"))

    @abstractmethod
    def check(self) -> int:
        """The project that is meant. Raises LabelConfigError, or ValueError for a bad project number."""


class Setup(Body):
    """`POST /setup`."""

    schema_: str
    project: ProjectNumber = None

    def check(self) -> int:
        """The config must be one that can be learned."""
        project = project_number(self.project)
        log_unknown_settings(project, parse_label_config(self.schema_))
        return project


class Predict(Body):
    """`POST /predict`."""

    tasks: list[dict[str, Any]]
    label_config: str
    project: ProjectNumber = None
    params: dict[str, Any] | None = None

    @property
    def context(self) -> Any:
        """What the annotator marked so far, or null; Label Studio sends other params as well."""
        return (self.params or {}).get("context")

    def check(self) -> int:
        """The config must be one that can be learned."""
        parse_label_config(self.label_config)
        return request_project(self.project, self.context, self.tasks)


class Project(BaseModel):
    """The project that an event belongs to."""

    id: ProjectNumber
    label_config: str | None = None


class Webhook(Body):
    """`POST /webhook`."""

    action: str
    project: Project | None = None

    @property
    def trains(self) -> bool:
        """Whether the event counts."""
        return self.action in TRAINING_EVENTS

    def check(self) -> int:
        """An event that counts needs a project, and a config that can be learned if it brings one."""
        if not self.trains:
            return 0
        if self.project is None:
            raise ValueError("project: Field required")
        if self.project.label_config:
            parse_label_config(self.project.label_config)
        return project_number(self.project.id)


class JobStatus(BaseModel):
    """`POST /job_status`."""

    job: str


class RollBack(BaseModel):
    """`POST /projects/{id}/rollback`: the version to serve again; absent, null or empty: the one before."""

    model_config = ConfigDict(extra="forbid")

    version: str | None = None


BODIES: dict[str, type[Body]] = {"/setup": Setup, "/predict": Predict, "/webhook": Webhook}


def json_body() -> Any:
    """The JSON that the current request holds. Raises werkzeug's HTTPException: 400, 413 or 415."""
    try:
        return request.get_json()
    except BadRequest as error:
        raise BadRequest("the body is no JSON") from error


def complaint(error: ValidationError | LabelConfigError | ValueError) -> str:
    """What is wrong with a body, the field named first."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
