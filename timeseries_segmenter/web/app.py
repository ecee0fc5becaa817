"""label-studio-ml's app, 1.0.9 or 2.x, made into this service: all that is hooked into it is seen here."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from timeseries_segmenter import INSTALL

# first: if it is missing, nothing slow should be imported before saying so
try:
    with suppress(ImportError):  # 2.x alone: it would open a SQLite file in MODEL_DIR
        import label_studio_ml.cache

        label_studio_ml.cache.create_cache = lambda *_, **__: {}
    import label_studio_ml.api as stock
    from label_studio_ml.model import LabelStudioMLBase
except ModuleNotFoundError as missing:
    raise SystemExit(f"The package {missing.name} is missing: {INSTALL}") from None

from flask import Flask, Response, abort, g, has_request_context, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge

from timeseries_segmenter.errors import LabelConfigError, QueueError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.web.backend import EXTENSION, Backend, current_backend
from timeseries_segmenter.web.bodies import BadBody
from timeseries_segmenter.web.label_studio import (
    MODEL_CLASS,
    health,
    label_studio,
    predict,
    setup,
    versions,
    webhook,
)
from timeseries_segmenter.web.monitoring import metrics, monitoring
from timeseries_segmenter.web.pages import error_page, is_page
from timeseries_segmenter.web.projects import ProjectConverter, dashboard
from timeseries_segmenter.web.security import Objection

__all__ = ["REPLACED", "LabelStudioMLBase", "OfRequest", "create_app"]

logger = logging.getLogger(__name__)

# the stock app has these routes; its answers differ between versions
VIEWS: dict[str, Callable[[], ResponseReturnValue]] = {
    "/": health,
    "/health": health,
    "/setup": setup,
    "/predict": predict,
    "/webhook": webhook,
    "/versions": versions,
    "/metrics": metrics,
}
REPLACED = ("/train", "/is_training")  # likewise, of Label Studio before 1.4.1: they are not served
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # not "no-referrer": browsers would send `Origin: null` with the page's own forms
    "Referrer-Policy": "same-origin",
}
CREDENTIALS_NEEDED = "user and password are needed, or for webhooks the secret; see the README"
OTHER_SITE = (
    "a page of another site sent this request; open the dashboard itself. Behind a proxy, have it pass the "
    "Host header on"
)
INTERNAL_ERROR = "internal error; the log of this service says why"


class OfRequest(logging.Filter):
    """Adds the project to what is logged while a request is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every entry pass."""
        if has_request_context() and "project" in g and not hasattr(record, "project"):
            record.project = g.project
        return True


def create_app(model_class: type, settings: Settings) -> Flask:
    """Serve `model_class` with `settings`; may be called again with others, for the one app of a process."""
    backend = Backend(settings)
    served = type(model_class.__name__, (model_class,), {"backend": backend})
    app: Flask = stock.init_app(served)
    known = EXTENSION in app.extensions
    app.extensions |= {EXTENSION: backend, MODEL_CLASS: served}
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_mb * 1_000_000
    if not known:
        _install(app)
    return app


def _install(app: Flask) -> None:
    # in place of the stock app's own: it logs bodies and tokens, and 2.x asks for a password once more
    app.before_request_funcs[None] = [admit]
    app.after_request_funcs[None] = [finish]
    app.after_request_funcs[dashboard.name] = [read_file]
    app.register_error_handler(HTTPException, answer_error)
    app.register_error_handler(BadBody, refuse_body)
    app.register_error_handler(LabelConfigError, refuse_body)
    app.register_error_handler(RecursionError, refuse_body)
    app.register_error_handler(QueueError, answer_unavailable)
    for broken in (AssertionError, FileNotFoundError, IndexError):  # the stock app answers these as text
        app.register_error_handler(broken, answer_broken)
    for rule in app.url_map.iter_rules():
        app.view_functions[rule.endpoint] = VIEWS.get(rule.rule, app.view_functions[rule.endpoint])
    app.url_map.converters["project"] = ProjectConverter
    for blueprint in (label_studio, dashboard, monitoring):
        app.register_blueprint(blueprint)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def admit() -> ResponseReturnValue | None:
    """Refuse who may not ask, what is not served, and a body over the limit whose length is not said."""
    g.began = time.monotonic()
    objection = current_backend.security.objection(request.method, request.path, request.headers)
    if objection:
        logger.warning("%s %s refused: %s", request.method, request.path, objection.value)
        if objection is Objection.OTHER_SITE:
            return _answer(403, OTHER_SITE)
        answer = jsonify({"detail": CREDENTIALS_NEEDED})
        answer.headers["WWW-Authenticate"] = 'Basic realm="timeseries-segmenter", charset="UTF-8"'
        return answer, 401
    if request.path in REPLACED:
        abort(404, f"{request.path} is not served; Label Studio trains through /webhook")
    limit = request.max_content_length
    if request.content_length is None and limit is not None:
        try:
            body = request.get_data()
        except OSError as error:  # chunks that are none, in Werkzeug's own server
            raise BadRequest(f"the body can't be read: {error}") from error
        if len(body) >= limit:
            raise RequestEntityTooLarge  # Werkzeug cuts such a body off there
    return None


def finish(response: Response) -> Response:
    """Have browsers do no more with an answer than it is meant for; count the request, and log a line."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    seconds = time.monotonic() - g.began
    route = request.url_rule.rule if request.url_rule else "unknown"
    counted = current_backend.metrics
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


def read_file(response: Response) -> Response:
    """Take a file that would be streamed into memory, such as a style sheet, and close it."""
    response.direct_passthrough = False
    response.make_sequence()
    response.close()
    return response


def answer_error(error: HTTPException) -> ResponseReturnValue:
    """Whatever is wrong by HTTP."""
    return _answer(error.code or 500, INTERNAL_ERROR if error.code == 500 else error.description)


def refuse_body(error: BadBody | LabelConfigError | RecursionError) -> ResponseReturnValue:
    """A body that can't be used: 400, with a line in the log."""
    nested = isinstance(error, RecursionError)  # its message would only say where
    detail = "the body is nested too deeply" if nested else getattr(error, "description", str(error))
    logger.warning("%s %s refused: %s", request.method, request.path, detail)
    return _answer(400, detail)


def answer_unavailable(error: QueueError) -> ResponseReturnValue:
    """MODEL_DIR or Redis can't be used now."""
    logger.error("%s %s: %s", request.method, request.path, error)
    return _answer(503, str(error))


def answer_broken(error: Exception) -> ResponseReturnValue:
    """A fault of this service."""
    logger.error("%s %s broke", request.method, request.path, exc_info=error)
    return _answer(500, INTERNAL_ERROR)


def _answer(status: int, detail: str | None) -> ResponseReturnValue:
    """What went wrong, as a page if a browser asks for one."""
    return error_page(status, detail or "") if is_page() else (jsonify({"detail": detail}), status)
