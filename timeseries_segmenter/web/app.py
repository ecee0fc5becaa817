"""The stock app's hooks, error handlers and routes, all of them this service's own."""

import logging
import time
from typing import Any

from flask import Flask, Response, abort, g, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from timeseries_segmenter.errors import LabelConfigError, QueueError
from timeseries_segmenter.web.backend import EXTENSION, Backend, current_backend
from timeseries_segmenter.web.bodies import BadBody, body_bytes
from timeseries_segmenter.web.cross_origin import is_cross_origin
from timeseries_segmenter.web.label_studio import MODEL_CLASS, VIEWS
from timeseries_segmenter.web.pages import error_page, guard, is_page
from timeseries_segmenter.web.projects import dashboard
from timeseries_segmenter.web.routes import ProjectConverter, routes
from timeseries_segmenter.web.security import OPEN, SECRET_HEADER, WEBHOOK

logger = logging.getLogger(__name__)

REPLACED = ("/train", "/is_training")  # the stock app's own, of Label Studio before 1.4.1
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WEBHOOK_ADVICE = (
    f"no valid credentials; give the webhook in Label Studio the header {SECRET_HEADER} or Authorization"
)
OTHER_SITE = (
    "a page of another site sent this request; open the dashboard itself. Behind a proxy, have it pass the "
    "Host header on"
)
INTERNAL_ERROR = "internal error; the log of this service tells the cause"


def extend(app: Flask, backend: Backend, model_class: type) -> None:
    """Serve `backend` and `model_class` with the stock app; may be called again with others."""
    known = EXTENSION in app.extensions
    app.extensions |= {EXTENSION: backend, MODEL_CLASS: model_class}
    app.config["MAX_CONTENT_LENGTH"] = backend.settings.max_request_mb * 1_000_000
    if known:
        return
    # in place of the stock app's own: it logs bodies and tokens, and 2.x asks for a password once more
    app.before_request_funcs[None] = [_authenticate, _refuse_other_sites, _check_request]
    app.after_request_funcs[None] = [guard, _tell]  # called from the last to the first
    app.register_error_handler(HTTPException, _error)
    app.register_error_handler(BadBody, _bad_body)
    app.register_error_handler(LabelConfigError, _bad_config)
    app.register_error_handler(QueueError, _unavailable)
    app.register_error_handler(RecursionError, _nested)
    for broken in (AssertionError, FileNotFoundError, IndexError):  # the stock app answers these as text
        app.register_error_handler(broken, _broken)
    for rule in app.url_map.iter_rules():
        if rule.rule in VIEWS:
            app.view_functions[rule.endpoint] = VIEWS[rule.rule]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.url_map.converters["project"] = ProjectConverter
    app.register_blueprint(routes)
    app.register_blueprint(dashboard)


def wants_body(backend: Backend, method: str, path: str, headers: Headers) -> bool:
    """Whether a request's body will be read: not that of one which is refused for its head."""
    path = "/" + path.lstrip("/")  # as the app gets it
    known = backend.authentication.allows(path, headers)
    return known and path not in OPEN and not is_cross_origin(method, headers)


def _authenticate() -> ResponseReturnValue | None:
    g.began = time.monotonic()
    if current_backend().authentication.allows(request.path, request.headers):
        return None
    logger.warning(
        "%s %s refused: %s",
        request.method,
        request.path,
        WEBHOOK_ADVICE if request.path == WEBHOOK else "no valid user and password",
    )
    answer = jsonify({"detail": "user and password are needed, or for webhooks the secret; see the README"})
    answer.headers["WWW-Authenticate"] = 'Basic realm="timeseries-segmenter", charset="UTF-8"'
    return answer, 401


def _refuse_other_sites() -> ResponseReturnValue | None:
    """Browsers send user and password by themselves, also for pages of other sites."""
    if not is_cross_origin(request.method, request.headers):
        return None
    logger.warning("%s %s refused: a page of another site sent it", request.method, request.path)
    return _answer(403, OTHER_SITE)


def _check_request() -> None:
    """Refuse what is not served, and a body over the limit whose length is not told."""
    if request.path in REPLACED:
        abort(404, f"{request.path} is not served; Label Studio trains through /webhook")
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(body_bytes()) >= limit:
        raise RequestEntityTooLarge  # Werkzeug cuts such a body off there


def _refuse(detail: str) -> ResponseReturnValue:
    logger.warning("%s %s refused: %s", request.method, request.path, detail)
    return _answer(400, detail)


def _tell(response: Response) -> Response:
    """Count the request, and log a line."""
    seconds = time.monotonic() - g.began
    route = request.url_rule.rule if request.url_rule else "unknown"
    counted = current_backend().metrics
    # bounded, whatever strangers send: each new label is kept for ever
    method = request.method if request.method in METHODS else "other"
    counted.requests.labels(method, route, response.status_code).inc()
    counted.request_seconds.labels(route).observe(seconds)
    about: dict[str, Any] = {"method": method, "route": route, "status": response.status_code}
    project = (request.view_args or {}).get("project")
    if project:
        about["project"] = project
    logger.info(
        "%s %s: %d in %.3f s",
        method,
        request.path if request.url_rule else route,
        response.status_code,
        seconds,
        extra=about | {"seconds": round(seconds, 4)},
    )
    return response


def _answer(status: int, detail: str | None) -> ResponseReturnValue:
    """What went wrong, as a page where a browser asks for one."""
    return error_page(status, detail or "") if is_page() else (jsonify({"detail": detail}), status)


def _error(error: HTTPException) -> ResponseReturnValue:
    return _answer(error.code or 500, INTERNAL_ERROR if error.code == 500 else error.description)


def _bad_body(error: BadBody) -> ResponseReturnValue:
    return _refuse(error.description or "")


def _bad_config(error: LabelConfigError) -> ResponseReturnValue:
    return _refuse(str(error))


def _nested(error: RecursionError) -> ResponseReturnValue:  # noqa: ARG001  it would only tell where
    return _refuse("the body is nested too deeply")


def _unavailable(error: QueueError) -> ResponseReturnValue:
    logger.error("%s %s: %s", request.method, request.path, error)
    return _answer(503, str(error))


def _broken(error: Exception) -> ResponseReturnValue:
    logger.error("%s %s broke", request.method, request.path, exc_info=error)
    return _answer(500, INTERNAL_ERROR)
