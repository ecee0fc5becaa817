"""Bodies of requests, each parsed once into a typed object that its view uses."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from flask import request
from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictInt, StrictStr, ValidationError
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from timeseries_segmenter.project.model import NO_PROJECT
from timeseries_segmenter.web.backend import current_backend

PROJECT_DIGITS = 18  # Label Studio counts in 64 bits
CONTAINER = 5  # values: what an object or a list takes in memory, compared with a number
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
ADVICE = "send fewer tasks at a time, or raise it"


def project_number(value: object) -> int:
    """A project as requests name it: `47`, `"47"` or `"47.1795343772"`; NO_PROJECT for None and `""`.

    Raises ValueError for what is not a project number.
    """
    if value in (None, "", "None", NO_PROJECT):
        return NO_PROJECT
    if not isinstance(value, int | str):  # it is not repeated, whatever it holds
        raise ValueError("should be a project's number, or a text that begins with it")
    text = str(value).partition(".")[0]
    if isinstance(value, bool) or not re.fullmatch(f"[0-9]{{1,{PROJECT_DIGITS}}}", text):
        raise ValueError(f"{value!r:.60} is not a project number")
    return int(text)


def first_project(*named: object) -> int:
    """The first of several numbers, or objects with an `id`, that names a project. Raises ValueError."""
    for each in named:
        value = each.get("id") if isinstance(each, Mapping) else each
        if number := project_number(value if value is None or isinstance(value, int) else str(value)):
            return number
    return NO_PROJECT


def project_of_tasks(context: object, tasks: Sequence[Mapping[str, Any]]) -> int:
    """The project of a prediction request that names none itself: its context's, else its first task's.

    Raises ValueError for what is not a project number.
    """
    outer = context if isinstance(context, Mapping) else {}
    return first_project(
        outer.get("project"), outer.get("project_id"), *[t.get("project") for t in tasks[:1]]
    )


ProjectNumber = Annotated[
    int, BeforeValidator(project_number, json_schema_input_type=StrictInt | StrictStr | None)
]
AnyBody = TypeVar("AnyBody", bound=BaseModel)


class BadBody(BadRequest):
    """A body that a view can't use; the description names the field."""


class Setup(BaseModel):
    """`POST /setup`."""

    model_config = ConfigDict(alias_generator=lambda name: name.rstrip("_"))

    schema_: str
    project: ProjectNumber = NO_PROJECT


class Predict(BaseModel):
    """`POST /predict`; `params.context` is what the annotator marked so far."""

    tasks: list[dict[str, Any]]
    label_config: str
    project: ProjectNumber = NO_PROJECT
    params: dict[str, Any] | None = None


class Project(BaseModel):
    """The project that an event belongs to."""

    id: ProjectNumber
    label_config: str | None = None


class Webhook(BaseModel):
    """`POST /webhook`; training events need a project."""

    action: str
    project: Project | None = None


class JobStatus(BaseModel):
    """`POST /job_status`."""

    job: str


class RollBack(BaseModel):
    """`POST /projects/{id}/rollback`: the version to serve again; absent, null or empty: the one before."""

    model_config = ConfigDict(extra="forbid")

    version: str | None = None


class StartFrom(BaseModel):
    """`POST /projects/{id}/start`: the project to start from; absent, null or empty: none any longer."""

    model_config = ConfigDict(extra="forbid")

    project: ProjectNumber = NO_PROJECT


def read_body(model: type[AnyBody], *, form: bool = False) -> AnyBody:
    """The current request's body; with `form`, one without a body or from an HTML form is taken too.

    How much it holds is seen before it is parsed: that may take twenty times the memory.
    Raises BadBody, which names the first field that can't be used, or werkzeug's HTTPException: 400, 413
    or 415.
    """
    if form and (request.mimetype in FORMS or not request.get_data()):
        content: Any = request.form.to_dict()
    else:
        settings, body = current_backend.settings, request.get_data()
        # commas and brackets in strings count, too: to tell them apart would take as long as parsing
        values = body.count(b",") + CONTAINER * (body.count(b"{") + body.count(b"["))
        if values > settings.max_request_values:
            raise RequestEntityTooLarge(
                f"the body holds some {values:,} values (an object or a list counts as {CONTAINER}), and "
                f"MAX_REQUEST_VALUES={settings.max_request_values} are taken: {ADVICE}"
            )
        try:
            content = request.get_json()
        except BadRequest as error:
            raise BadRequest("the body is no JSON") from error
        tasks = content.get("tasks") if isinstance(content, dict) else None
        if isinstance(tasks, list) and len(tasks) > settings.max_request_tasks:
            raise RequestEntityTooLarge(
                f"tasks: {len(tasks):,}, and MAX_REQUEST_TASKS={settings.max_request_tasks} are taken: "
                f"{ADVICE}"
            )
    if not isinstance(content, dict):
        raise BadBody("the body should be a JSON object")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        raise BadBody(": ".join(filter(None, (".".join(map(str, first["loc"])), message)))) from error
