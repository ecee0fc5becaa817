"""What Label Studio asks for: the views of the stock app's routes, the same under 1.x and 2.x.

Each reads its body once, makes a `TimeSeriesSegmenter` for the request, and asks it.
"""

import logging
from typing import Any

from flask import current_app, g, has_request_context, jsonify, request
from flask.typing import ResponseReturnValue

from timeseries_segmenter.web.bodies import Predict, Setup, Webhook, read_body
from timeseries_segmenter.web.routes import metrics, versions

logger = logging.getLogger(__name__)

MODEL_CLASS = "timeseries_segmenter.model_class"


class OfRequest(logging.Filter):
    """Adds the project to what is logged while a request is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every entry pass."""
        if has_request_context() and "project" in g and not hasattr(record, "project"):
            record.project = g.project
        return True


def health() -> ResponseReturnValue:
    """Whether the service is up; loads nothing."""
    return jsonify({"status": "UP", "model_dir": None, "v2": False})  # as label-studio-ml 1.0.9 answers


def setup() -> ResponseReturnValue:
    """Check a labeling config, and answer the project's model version. 400 says what the config lacks."""
    body = read_body(Setup)
    model = _model(body.project, body.schema_)
    if remark := model.config.settings_remark:
        logger.warning("project %d: %s", body.project, remark)
    return jsonify({"model_version": model.model_version})


def predict() -> ResponseReturnValue:
    """One prediction for each task, by the project's newest model."""
    body = read_body(Predict)
    model = _model(body.project, body.label_config)
    predictions = model.predict(body.tasks, context=body.context)
    return jsonify({"results": predictions, "model_version": model.model_version})


def webhook() -> ResponseReturnValue:
    """Take note of an event of Label Studio; the training that it may bring runs elsewhere."""
    body = read_body(Webhook)
    if not body.trains:
        return jsonify({"status": "ignored"})
    assert body.project is not None
    data = {name: value for name, value in request.get_json().items() if name != "action"}
    return jsonify(_model(body.project.id, body.project.label_config).fit(body.action, data)), 201


# the stock app has these routes; its own `/train` and `/is_training` are not served
VIEWS = {
    "/": health,
    "/health": health,
    "/setup": setup,
    "/predict": predict,
    "/webhook": webhook,
    "/versions": versions,
    "/metrics": metrics,
}


def _model(project: int, label_config: str | None) -> Any:
    g.project = project
    return current_app.extensions[MODEL_CLASS](project_id=project, label_config=label_config)
