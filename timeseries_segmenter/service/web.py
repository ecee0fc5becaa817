"""What the stock app lacks: checked requests, errors as JSON, versions, the state of trainings."""

import logging
from abc import ABC, abstractmethod
from typing import Annotated, Any

from flask import Flask, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from werkzeug.exceptions import HTTPException

from timeseries_segmenter.errors import LabelConfigError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.service.backend import Backend, project_number, request_project
from timeseries_segmenter.service.logs import log_other_pairs
from timeseries_segmenter.service.model_store import UNTRAINED
from timeseries_segmenter.service.training_queue import TRAINING_EVENTS

logger = logging.getLogger(__name__)

EXTENSION = "timeseries_segmenter"
REPLACED = ("/train", "/is_training")  # the stock app's own, of Label Studio before 1.4.1
INTERNAL_ERROR = "internal error; the log of this service tells the cause"


ProjectNumber = Annotated[int | str | None, AfterValidator(lambda value: project_number(value))]


class _Body(BaseModel, ABC):
    """What a stock view needs to find in a request; `check` raises LabelConfigError or ValueError."""

    model_config = ConfigDict(alias_generator=lambda name: name.rstrip("_"))

    @abstractmethod
    def check(self) -> None: ...


class _Setup(_Body):
    schema_: str
    project: ProjectNumber = None

    def check(self) -> None:
        log_other_pairs(project_number(self.project), parse_label_config(self.schema_))


class _Predict(_Body):
    tasks: list[dict[str, Any]]
    label_config: str
    project: ProjectNumber = None
    params: dict[str, Any] | None = None

    def check(self) -> None:
        request_project(self.project, (self.params or {}).get("context"), self.tasks)
        parse_label_config(self.label_config)


class _Project(BaseModel):
    id: ProjectNumber
    label_config: str | None = None


class _Webhook(_Body):
    action: str
    project: _Project | None = None

    def check(self) -> None:
        if self.action not in TRAINING_EVENTS:
            return
        if self.project is None:
            raise ValueError("project: Field required")
        if self.project.label_config:
            parse_label_config(self.project.label_config)


BODIES: dict[str, type[_Body]] = {"/setup": _Setup, "/predict": _Predict, "/webhook": _Webhook}


def extend(app: Flask, backend: Backend) -> None:
    """Serve `backend` with the stock app; may be called again with another backend."""
    known = EXTENSION in app.extensions
    app.extensions[EXTENSION] = backend
    app.config["MAX_CONTENT_LENGTH"] = backend.settings.max_request_mb * 1_000_000
    if known:
        return
    app.before_request(_check_request)
    app.after_request(_without_traceback)
    app.register_error_handler(HTTPException, _error)
    for broken in (AssertionError, FileNotFoundError, IndexError):  # the stock app answers these as text
        app.register_error_handler(broken, _broken)
    if "get_version" in app.view_functions:
        app.view_functions["get_version"] = _versions
    app.add_url_rule("/versions", "versions", _versions, methods=["GET"])
    app.add_url_rule("/projects/<int:project>/training", "training", _training, methods=["GET"])


def _check_request() -> ResponseReturnValue | None:
    """Answer 400 with the field's name before a stock view meets a body it can't take."""
    if request.path in REPLACED:
        abort(404, f"{request.path} is not served; Label Studio trains through /webhook")
    model = BODIES.get(request.path)
    if model is None or request.method != "POST":
        return None
    try:
        content = request.get_json()
    except RecursionError:
        return _refuse("the body is nested too deeply")
    if not isinstance(content, dict):
        return _refuse("the body should be a JSON object")
    try:
        body = model.model_validate(content)
        body.check()
        if isinstance(body, _Webhook) and body.action not in TRAINING_EVENTS:
            return jsonify({"status": "ignored"}), 200
        if isinstance(body, _Predict):
            # the stock views hand all params on by name, and 2.x takes no null
            content["params"] = {"context": (body.params or {}).get("context")}
    except ValidationError as error:
        first = error.errors()[0]
        return _refuse(f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}")
    except (LabelConfigError, ValueError) as error:
        return _refuse(str(error))
    return None


def _refuse(detail: str) -> ResponseReturnValue:
    logger.warning("%s %s refused: %s", request.method, request.path, detail)
    return jsonify({"detail": detail}), 400


def _without_traceback(response: Response) -> Response:
    """The stock views answer a failure with its traceback; that belongs in the log alone."""
    if response.status_code == 500 and not response.direct_passthrough:
        response.set_data(current_app.json.dumps({"detail": INTERNAL_ERROR}))
        response.mimetype = "application/json"
    return response


def _error(error: HTTPException) -> ResponseReturnValue:
    return jsonify({"detail": error.description}), error.code or 500


def _broken(error: Exception) -> ResponseReturnValue:
    logger.error("%s %s broke", request.method, request.path, exc_info=error)
    return jsonify({"detail": INTERNAL_ERROR}), 500


def _versions() -> ResponseReturnValue:
    content = request.get_json(silent=True)
    project = content.get("project") if isinstance(content, dict) else request.args.get("project")
    try:
        number = project_number(project) if project else None
    except ValueError as error:
        return _refuse(f"project: {error}")
    return jsonify({"versions": _backend().store.versions(number) or [UNTRAINED]})


def _training(project: int) -> ResponseReturnValue:
    backend = _backend()
    trainings = backend.queue.states.read(project).model_dump(mode="json")
    return jsonify(trainings | {"project": str(project), "version": backend.store.version(project)})


def _backend() -> Backend:
    backend = current_app.extensions[EXTENSION]
    assert isinstance(backend, Backend)
    return backend
