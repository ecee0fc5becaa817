"""What Label Studio asks for, the same under label-studio-ml 1.x and 2.x.

Each view reads its body once, makes a `TimeSeriesSegmenter` for the request, and asks it.
"""

import logging

from flask import Blueprint, abort, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue

from timeseries_segmenter.project.model import UNTRAINED
from timeseries_segmenter.trainings.policy import TASKS_CREATED, TRAINING_EVENTS
from timeseries_segmenter.web.backend import current_backend
from timeseries_segmenter.web.bodies import (
    BadBody,
    JobStatus,
    Predict,
    Setup,
    Webhook,
    first_project,
    project_number,
    project_of_tasks,
    read_body,
)

logger = logging.getLogger(__name__)

MODEL_CLASS = "timeseries_segmenter.model_class"

label_studio = Blueprint("segmenter", __name__)


def health() -> ResponseReturnValue:
    """Whether the service is up; loads nothing."""
    return jsonify({"status": "UP", "model_dir": None, "v2": False})  # as label-studio-ml 1.0.9 answers


def setup() -> ResponseReturnValue:
    """Check a labeling config, and answer the project's model version. 400 says what the config lacks."""
    body = read_body(Setup)
    g.project = body.project
    model = current_app.extensions[MODEL_CLASS](project_id=body.project, label_config=body.schema_)
    if remark := model.config.settings_remark:
        logger.warning("project %d: %s", body.project, remark)
    model.set_up()
    return jsonify({"model_version": model.model_version})


def predict() -> ResponseReturnValue:
    """One prediction for each task, by the project's newest model."""
    body = read_body(Predict)
    context = (body.params or {}).get("context")
    try:
        g.project = body.project or project_of_tasks(context, body.tasks)
    except ValueError as error:
        raise BadBody(str(error)) from error
    model = current_app.extensions[MODEL_CLASS](project_id=g.project, label_config=body.label_config)
    predictions = model.predict(body.tasks, context=context)
    # not the newest one, which may have been saved meanwhile
    version = predictions[0].get("model_version") if predictions else None
    return jsonify({"results": predictions, "model_version": version or model.model_version})


def webhook() -> ResponseReturnValue:
    """Take note of an event of Label Studio; the job that it may bring is done elsewhere."""
    body = read_body(Webhook)
    if body.action not in TRAINING_EVENTS and body.action != TASKS_CREATED:
        return jsonify({"status": "ignored"})
    if body.project is None:
        raise BadBody("project: Field required")
    g.project = body.project.id
    model = current_app.extensions[MODEL_CLASS](
        project_id=body.project.id, label_config=body.project.label_config
    )
    data = {name: value for name, value in request.get_json().items() if name != "action"}
    return jsonify(model.fit(body.action, data)), 201


@label_studio.route("/versions", methods=["GET", "POST"])
def versions() -> ResponseReturnValue:
    """Versions of a project's model, newest first; of all projects if none is named."""
    content = request.get_json(silent=True)
    named = content.get("project") if isinstance(content, dict) else request.args.get("project")
    try:
        project = first_project(named) if named else None
    except ValueError as error:
        abort(400, f"project: {error}")
    return jsonify({"versions": current_backend.store.versions(project) or [UNTRAINED]})


@label_studio.post("/job_status")
def job_status() -> ResponseReturnValue:
    """A job as Label Studio asks for it; 410 for one that is not known, or no longer."""
    asked = read_body(JobStatus).job
    try:
        project = project_number(asked.partition("-")[0])
    except ValueError:
        job = None
    else:
        job = current_backend.policy.queue.read(project).job(asked)
    if job is None:
        abort(410, f"job: {asked!r:.60} is not known")
    moments = job.model_dump(mode="json", include={"queued_at", "started_at", "ended_at"})
    return jsonify(
        {
            "job": job.id,
            "job_status": job.state,
            "error": job.error or "",
            "created_at": moments["queued_at"],
            "enqueued_at": moments["queued_at"],
            "started_at": moments["started_at"],
            "ended_at": moments["ended_at"],
        }
    )
