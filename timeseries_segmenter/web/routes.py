"""Routes beside Label Studio's own: versions, trainings, readiness and metrics."""

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.routing import IntegerConverter, Map

from timeseries_segmenter.project.model import UNTRAINED
from timeseries_segmenter.trainings.job import Job, State
from timeseries_segmenter.web.backend import PROJECT_DIGITS, current_backend, project_number
from timeseries_segmenter.web.bodies import JobStatus, read_body
from timeseries_segmenter.web.monitoring import check_readiness
from timeseries_segmenter.web.pages import done, wants_page

routes = Blueprint("segmenter", __name__)


class ProjectConverter(IntegerConverter):
    """A project's number in a path; no route for one that could be none."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=10**PROJECT_DIGITS - 1)


@routes.route("/versions", methods=["GET", "POST"])
def versions() -> ResponseReturnValue:
    """Versions of a project's model, newest first; of all projects where none is named."""
    content = request.get_json(silent=True)
    named = content.get("project") if isinstance(content, dict) else request.args.get("project")
    try:
        project = project_number(named) if named else None
    except ValueError as error:
        abort(400, f"project: {error}")
    return jsonify({"versions": current_backend().store.versions(project) or [UNTRAINED]})


@routes.get("/projects/<project:project>/training")
def training(project: int) -> ResponseReturnValue:
    """How the project's newest training stands, what became of the ones before, and its versions."""
    backend = current_backend()
    trainings = backend.queue.states.read(project)
    newest = trainings.newest
    failed = [job for job in trainings.jobs if job.state in (State.FAILED, State.QUEUED) and job.error]
    shown = newest.model_dump(mode="json") if newest else {}
    return jsonify(
        trainings.model_dump(mode="json", exclude={"project"})
        | {
            "project": str(project),
            "version": backend.store.version(project),
            "versions": backend.store.versions(project) or [UNTRAINED],
            "state": shown.get("state"),
            "step": shown.get("step"),
            "progress": shown.get("progress"),
            "last_error": failed[-1].error if failed else None,
            "not_before": shown.get("not_before"),
            "problem": trainings.problem,
        }
    )


@routes.post("/projects/<project:project>/training/cancel")
def cancel(project: int) -> ResponseReturnValue:
    """Take back what is queued, and stop what runs."""
    jobs = current_backend().cancel(project)
    if wants_page():
        return done("cancel" if jobs else "nothing-to-cancel", project)
    return jsonify({"cancelled": [job.id for job in jobs]})


@routes.post("/job_status")
def job_status() -> ResponseReturnValue:
    """A job as Label Studio asks for it; 410 for one that is not known, or no longer."""
    asked = read_body(JobStatus)
    job = _find(asked.job)
    if job is None:
        abort(410, f"job: {asked.job!r:.60} is not known")
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


@routes.get("/ready")
def ready() -> ResponseReturnValue:
    """Whether events can be kept and projects can be trained; 503 with the reason where not."""
    backend = current_backend()
    checks = check_readiness(backend.settings, backend.queue)
    wrong = [text for text in checks.values() if text != "ok"]
    if wrong:
        return jsonify({"detail": "; ".join(wrong), "checks": checks}), 503
    return jsonify({"status": "ready", "checks": checks})


def metrics() -> ResponseReturnValue:
    """What all web processes together count, in Prometheus' text format."""
    return Response(current_backend().metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def _find(job: str) -> Job | None:
    try:
        project = project_number(job.partition("-")[0])
    except ValueError:
        return None
    return current_backend().queue.states.read(project).job(job)
