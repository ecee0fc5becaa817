import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from filelock import FileLock
from flask.testing import FlaskClient

import _wsgi
from tests.support import recorded
from tests.support.models import of_one_pair
from tests.support.need import need
from tests.support.processes import fill, small_disk, wait_for
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings import worker_process
from timeseries_segmenter.trainings.job import Job, Progress, State
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.web.backend import Backend

START = recorded.body("webhook_start_training")


def queue(client: FlaskClient, project: int = 3) -> str:
    job: str = client.post("/webhook", json=START | {"project": {"id": project}}).get_json()["job"]
    return job


def start(backend: Backend, project: int = 3) -> Job:
    with backend.policy.queue.change(project) as trainings:
        job = need(trainings.job_in(State.QUEUED))
        job.start("host:7")
        job.progress = Progress(epoch=4, epochs=9, loss=0.5, balanced_accuracy=0.8, min_f1=0.25)
    return job


def status(client: FlaskClient, job: str) -> dict[str, str]:
    answer = client.post("/job_status", json={"job": job})
    assert answer.status_code == 200
    content: dict[str, str] = answer.get_json()
    return content


def test_a_job_is_told_in_label_studios_form_from_its_queueing_to_its_end(
    client: FlaskClient, backend: Backend
) -> None:
    job = queue(client)
    queued = status(client, job)
    assert (queued["job"], queued["job_status"], queued["error"]) == (job, "queued", "")
    assert queued["enqueued_at"] == queued["created_at"]
    assert queued["started_at"] is queued["ended_at"] is None
    start(backend)
    started = status(client, job)
    assert (started["job_status"], started["ended_at"]) == ("started", None)
    with backend.policy.queue.change(3) as trainings:
        trainings.finish(trainings.jobs[0], "p3-v1", [], 2.0)
    finished = status(client, job)
    assert (finished["job_status"], finished["error"]) == ("finished", "")
    assert finished["created_at"] <= finished["started_at"] <= finished["ended_at"]


def test_a_failed_job_tells_its_error(client: FlaskClient, backend: Backend) -> None:
    job = queue(client)
    start(backend)
    with backend.policy.queue.change(3) as trainings:
        trainings.fail(trainings.jobs[0], "no annotated task")
    assert (status(client, job)["job_status"], status(client, job)["error"]) == (
        "failed",
        "no annotated task",
    )


@pytest.mark.parametrize("job", ["3-0123456789ab", "99999-x", "x", "", "../3", "-3", "9" * 30 + "-1", "3"])
def test_an_unknown_job_is_gone(client: FlaskClient, job: str) -> None:
    queue(client)
    answer = client.post("/job_status", json={"job": job})
    assert answer.status_code == 410
    assert "is not known" in answer.get_json()["detail"]


@pytest.mark.parametrize("body", [{}, {"job": 5}, {"job": None}, [], "job", {"job": {"id": "3"}}])
def test_a_job_that_is_no_text_is_refused_with_its_field(client: FlaskClient, body: object) -> None:
    answer = client.post("/job_status", json=body)
    assert answer.status_code == 400
    assert answer.get_json()["detail"]
    if isinstance(body, dict):
        assert "job" in answer.get_json()["detail"]


def test_a_projects_training_tells_state_progress_versions_and_the_last_error(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    assert client.get("/projects/3/training").get_json()["state"] is None
    queue(client)
    start(backend)
    with backend.policy.queue.change(3) as trainings:
        trainings.fail(trainings.jobs[0], "gone")
    first = backend.store.save(3, of_one_pair(run_walk))
    job = queue(client)
    assert client.get("/projects/3/training").get_json()["state"] == "queued"
    start(backend)
    given = client.get("/projects/3/training").get_json()
    assert (given["state"], given["progress"]["epoch"], given["last_error"]) == ("started", 4, "gone")
    assert (given["version"], given["versions"]) == (first, [first])
    assert [known["state"] for known in given["jobs"]] == ["failed", "started"]
    assert given["jobs"][1]["id"] == job


def test_what_is_queued_is_taken_back(client: FlaskClient, backend: Backend) -> None:
    job = queue(client)
    assert client.post("/projects/3/training/cancel").json == {"cancelled": [job]}
    assert (status(client, job)["job_status"], status(client, job)["error"]) == ("failed", "cancelled")
    assert backend.policy.queue.waiting() == []
    assert client.post("/projects/3/training/cancel").json == {"cancelled": []}
    assert queue(client) != job


def test_what_runs_is_asked_to_stop_and_counts_as_running_until_it_did(
    client: FlaskClient, backend: Backend
) -> None:
    job = queue(client)
    start(backend)
    behind = queue(client)
    assert client.post("/projects/3/training/cancel").json == {"cancelled": [job, behind]}
    assert status(client, job)["job_status"] == "started"
    assert status(client, behind)["job_status"] == "failed"


def test_other_projects_trainings_stay(client: FlaskClient, backend: Backend) -> None:
    queue(client)
    client.post("/projects/4/training/cancel")
    assert backend.policy.queue.waiting() == [3]


@pytest.mark.parametrize(
    "project", ["x", "-3", "3.5", "9" * 19, "9" * 300, "9" * 5000, "..", "%2e%2e", "3%00"]
)
def test_a_project_is_a_number(client: FlaskClient, project: str) -> None:
    assert client.get(f"/projects/{project}/training").status_code == 404
    assert client.post(f"/projects/{project}/training/cancel").status_code == 404


def test_looking_at_a_project_leaves_nothing_on_disk(client: FlaskClient, settings: Settings) -> None:
    for method in (client.get("/projects/3/training"), client.post("/projects/3/training/cancel")):
        assert method.status_code == 200
    assert not settings.model_dir.exists()


def test_a_service_that_can_keep_events_is_ready(client: FlaskClient, settings: Settings) -> None:
    assert client.get("/ready").get_json()["status"] == "ready"
    assert not settings.model_dir.exists()


def test_a_lock_that_another_process_holds_is_waited_for(client: FlaskClient, backend: Backend) -> None:
    backend.policy.queue.folder.mkdir(parents=True)
    with FileLock(backend.policy.queue.folder / "project_3.training.lock"):
        assert queue(client)  # a job that runs keeps nobody from queueing the next


def test_a_full_disk_is_told_and_events_come_through_once_there_is_room(
    client: FlaskClient, backend: Backend, settings: Settings, run_walk: Segmenter
) -> None:
    with small_disk(settings.model_dir):
        queue(client)
        version = backend.store.save(3, of_one_pair(run_walk))
        filling = fill(settings.model_dir)
        answer = client.post("/webhook", json=START)
        assert answer.status_code == 503
        assert "MODEL_DIR" in answer.get_json()["detail"]
        assert "No space left" in answer.get_json()["detail"]
        assert client.post("/projects/3/training/cancel").status_code == 503
        assert client.get("/projects/3/training").get_json()["version"] == version
        with pytest.raises(OSError, match=r"can't be written|No space"):
            backend.store.save(3, of_one_pair(run_walk))
        assert backend.store.version(3) == version
        filling.unlink()
        assert client.post("/webhook", json=START).status_code == 201
        assert backend.store.save(3, of_one_pair(run_walk)) == backend.store.version(3) != version
        assert not list(settings.model_dir.rglob("*unfinished*"))


def test_a_folder_that_is_read_only_is_told_and_its_models_serve_on(
    client: FlaskClient, backend: Backend, settings: Settings, run_walk: Segmenter
) -> None:
    body = recorded.body("predict_json_inline") | {"project": "3.1"}
    with small_disk(settings.model_dir):
        version = backend.store.save(3, of_one_pair(run_walk))
        subprocess.run(["mount", "-o", "remount,ro", settings.model_dir], check=True)
        answer = client.post("/webhook", json=START)
        assert (answer.status_code, "Read-only" in answer.get_json()["detail"]) == (503, True)
        ready = client.get("/ready")
        assert ready.status_code == 503
        assert str(settings.model_dir) in ready.get_json()["detail"]
        results = client.post("/predict", json=body).get_json()["results"]
        assert [(len(result["result"]), result["model_version"]) for result in results] == [(3, version)] * 3
        assert client.get("/health").status_code == 200


def test_a_service_whose_disk_is_full_is_not_ready(client: FlaskClient, settings: Settings) -> None:
    with small_disk(settings.model_dir):
        assert client.get("/ready").status_code == 200
        filling = fill(settings.model_dir)
        ready = client.get("/ready")
        assert ready.status_code == 503
        assert "the disk is full" in ready.get_json()["checks"]["model_dir"]
        filling.unlink()
        assert client.get("/ready").status_code == 200
        assert list(settings.model_dir.iterdir()) == []


def test_a_service_whose_queue_is_stuck_is_not_ready(client: FlaskClient, backend: Backend) -> None:
    queue(client)
    with backend.policy.queue.change(3) as trainings:
        trainings.jobs[0].queued_at -= timedelta(seconds=50)
    assert client.get("/ready").status_code == 200  # a training process needs time to start
    with backend.policy.queue.change(3) as trainings:
        trainings.jobs[0].queued_at -= timedelta(seconds=50)
    ready = client.get("/ready")
    assert ready.status_code == 503
    assert "project 3 waits" in ready.get_json()["checks"]["queue"]
    queue(client, 4)
    start(backend, 4)
    with backend.policy.queue.only_one(4):  # the other one has its turn
        assert client.get("/ready").status_code == 200
    assert client.get("/ready").status_code == 503
    with backend.policy.queue.change(3) as trainings:  # it waits for its next try
        trainings.jobs[0].not_before = datetime.now(UTC) + timedelta(hours=1)
    assert client.get("/ready").status_code == 200


def test_a_service_whose_training_process_cannot_start_is_not_ready_until_it_can(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, endings: list[TrainingPolicy]
) -> None:
    app = _wsgi.init_app(settings=settings)
    backend: Backend = app.extensions["timeseries_segmenter"]
    endings.append(backend.policy)
    client = app.test_client()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        patch.setattr(worker_process, "LONGEST_PAUSE", 0.1)
        assert client.post("/webhook", json=START).status_code == 201
        ready = wait_for(lambda: (answer := client.get("/ready")).status_code == 503 and answer)
        assert "can't be started" in ready.get_json()["checks"]["workers"]
    backend.policy.cancel(3)
    wait_for(lambda: client.get("/ready").status_code == 200)
