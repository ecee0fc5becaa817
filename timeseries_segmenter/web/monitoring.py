"""What monitors ask for: whether the service is ready, and its metrics."""

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST

from timeseries_segmenter.errors import QueueError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.files import folder_problem
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.web.backend import current_backend

OK = "ok"
STUCK = 60  # seconds; a training process needs some of them to start

monitoring = Blueprint("monitoring", __name__)


@monitoring.get("/ready")
def ready() -> ResponseReturnValue:
    """Whether events can be kept and projects can be trained; 503 with the reason if not."""
    checks = check_readiness(current_backend.settings, current_backend.policy)
    wrong = [text for text in checks.values() if text != OK]
    if wrong:
        return jsonify({"detail": "; ".join(wrong), "checks": checks}), 503
    return jsonify({"status": "ready", "checks": checks})


def metrics() -> ResponseReturnValue:
    """What all web processes together count, in Prometheus' text format."""
    return Response(current_backend.metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def check_readiness(settings: Settings, policy: TrainingPolicy) -> dict[str, str]:
    """For each part `ok`, or what is wrong with it and what to do; found out within milliseconds."""
    return {
        "model_dir": folder_problem(settings.model_dir) or OK,
        "workers": _check_workers(policy),
        "queue": _check_queue(policy),
    }


def _check_workers(policy: TrainingPolicy) -> str:
    try:
        policy.workers.check()
    except QueueError as error:
        return str(error)
    return OK


def _check_queue(policy: TrainingPolicy) -> str:
    try:
        overdue = policy.queue.overdue(STUCK)
        if not overdue or policy.queue.any_trained():
            return OK
    except OSError as error:
        return f"the queue can't be looked through: {error}"
    return (
        f"project {overdue[0]} waits for its training for more than {STUCK} s, and no process trains: "
        "the log says why"
    )
