"""What the stock app lacks: checked requests, errors as JSON, versions, the state of trainings."""

import logging
from typing import Any

from flask import Flask, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from werkzeug.exceptions import HTTPException

from timeseries_segmenter.errors import LabelConfigError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.service.backend import Backend, project_number
from timeseries_segmenter.service.logs import log_other_pairs
from timeseries_segmenter.service.model_store import UNTRAINED
from timeseries_segmenter.service.training_queue import TRAINING_EVENTS

logger = logging.getLogger(__name__)

EXTENSION = "timeseries_segmenter"
INTERNAL_ERROR = "internal error; the log of this service tells the cause"


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Setup(_Body):
    schema_: str
    project: str | int | None = None

    model_config = ConfigDict(alias_generator=lambda name: name.rstrip("_"))


class _Predict(_Body):
    tasks: list[dict[str, Any]]
    label_config: str
    project: str | int | None = None
    params: dict[str, Any] | None = None


class _Project(_Body):
    id: int | str
    label_config: str | None = None

    @field_validator("id")
    @classmethod
    def _number(cls, value: int | str) -> int:
        return project_number(value)


class _Webhook(_Body):
    action: str
    project: _Project | None = None


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
    app.add_url_rule("/versions", "versions", _versions, methods=["GET"])
    app.add_url_rule("/projects/<int:project>/training", "training", _training, methods=["GET"])


def _check_request() -> ResponseReturnValue | None:
    """Answer 400 with the field's name before a stock view meets a body it can't take."""
    model = BODIES.get(request.path)
    if model is None or request.method != "POST":
        return None
    content = request.get_json()
    if not isinstance(content, dict):
        return _refuse("the body should be a JSON object")
    try:
        body = model.model_validate(content)
        if isinstance(body, _Webhook):
            return _check_webhook(body)
        if isinstance(body, _Predict):
            content["params"] = content.get("params") or {}  # 2.x takes no null
        assert isinstance(body, _Setup | _Predict)
        project = project_number(body.project)
        config = parse_label_config(body.schema_ if isinstance(body, _Setup) else body.label_config)
        if isinstance(body, _Setup):
            log_other_pairs(project, config)
    except ValidationError as error:
        first = error.errors()[0]
        return _refuse(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    except (LabelConfigError, ValueError) as error:
        return _refuse(str(error))
    return None


def _check_webhook(body: _Webhook) -> ResponseReturnValue | None:
    if body.action not in TRAINING_EVENTS:
        return jsonify({"status": "ignored"}), 200
    if body.project is None:
        return _refuse("project: Field required")
    if body.project.label_config:
        parse_label_config(body.project.label_config)
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


def _versions() -> ResponseReturnValue:
    project = request.args.get("project")
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
