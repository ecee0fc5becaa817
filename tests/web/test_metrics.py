from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

import _wsgi
from tests.support import recorded
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import LabelStudioServer
from tests.support.models import of_one_pair
from tests.support.need import need
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.job import State
from timeseries_segmenter.web.backend import Backend

START = recorded.body("webhook_start_training")
PREFIX = "timeseries_segmenter_"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name.removeprefix(PREFIX), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(client: FlaskClient) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return samples(answer.text)


def requests_to(route: str, status: int, method: str = "POST") -> tuple[str, tuple[tuple[str, str], ...]]:
    return ("requests_total", (("method", method), ("route", route), ("status", str(status))))


def test_requests_are_counted_by_route_and_status(client: FlaskClient) -> None:
    setup = recorded.body("setup_request_index_time")
    for _ in range(3):
        client.post("/setup", json=setup)
    client.post("/setup", json={})
    for project in (3, 4, 5):
        client.get(f"/projects/{project}/training")
    for path in ("/nowhere", "/wp-admin", "/%00"):
        client.get(path)
    client.open("/health", method="BREW")
    read_ = read(client)
    assert read_[requests_to("/setup", 200)] == 3
    assert read_[requests_to("/setup", 400)] == 1
    assert read_[requests_to("/projects/<project:project>/training", 200, "GET")] == 3
    assert read_[requests_to("unknown", 404, "GET")] == 3
    assert read_[("request_seconds_count", (("route", "/setup"),))] == 4
    assert [
        value
        for (name, labels), value in read_.items()
        if name == "requests_total" and ("method", "other") in labels
    ] == [1]
    assert not any("BREW" in str(key) or "wp-admin" in str(key) for key in read_)


def test_predictions_count_rows_seconds_and_models(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.save(6, of_one_pair(run_walk))
    body = recorded.body("predict_json_inline")
    assert read(client)[("predicted_rows_total", ())] == 0
    client.post("/predict", json=body)
    counted = read(client)
    assert counted[("predicted_rows_total", ())] == 3 * recorded.ROWS
    assert counted[("prediction_seconds_count", ())] == 3
    assert 0 < counted[("prediction_seconds_sum", ())] < 10
    assert counted[("models_in_memory", ())] == 1


def test_series_that_did_not_change_count_as_cache_hits(
    settings: Settings, run_walk: Segmenter, studio: LabelStudioServer
) -> None:
    app = _wsgi.init_app(settings=settings.model_copy(update={"label_studio_host": studio.url}))
    client, backend = app.test_client(), app.extensions["timeseries_segmenter"]

    def unchanged(request: Request) -> Reply:
        if request.headers["If-None-Match"] == '"1"':
            return Reply(status=304)
        return Reply(recorded.csv("index"), headers={"ETag": '"1"'})

    studio.routes["/x.csv"] = unchanged
    backend.store.save(3, of_one_pair(run_walk))
    body = recorded.body("predict_test_single_task") | {"project": "3.1"}
    body["tasks"][0]["data"]["csv_url"] = f"{studio.url}/x.csv"
    studio.vouch(body)
    for _ in range(3):
        client.post("/predict", json=body)
    counted = read(client)
    assert counted[("series_cache_total", (("result", "miss"),))] == 1
    assert counted[("series_cache_total", (("result", "hit"),))] == 2


def test_trainings_are_counted_by_outcome_with_their_seconds_and_the_queue(
    client: FlaskClient, backend: Backend
) -> None:
    for project in (3, 4, 5, 6):
        client.post("/webhook", json=START | {"project": {"id": project}})
    assert read(client)[("training_queue_length", ())] == 4
    with backend.policy.queue.change(3) as trainings:
        job = need(trainings.job_in(State.QUEUED))
        job.start("host:7")
        trainings.finish(need(job), "p3-v1", [], 12.5)
    with backend.policy.queue.change(4) as trainings:
        job = need(trainings.job_in(State.QUEUED))
        job.start("host:7")
        trainings.fail(need(job), "gone", 2.0)
    client.post("/projects/5/training/cancel")
    with backend.policy.queue.change(6) as trainings:
        need(trainings.job_in(State.QUEUED)).start("host:7")
    counted = read(client)
    outcomes = [
        counted[("trainings_total", (("outcome", name),))] for name in ("finished", "failed", "cancelled")
    ]
    assert outcomes == [1, 1, 1]
    assert counted[("training_seconds_total", ())] == 14.5
    assert (counted[("training_queue_length", ())], counted[("trainings_running", ())]) == (0, 1)


def test_a_training_is_counted_for_good(client: FlaskClient, backend: Backend) -> None:
    for number in range(30):
        with backend.policy.queue.change(3) as trainings:
            job = trainings.enqueue("ANNOTATION_CREATED")
            job.start("host:7")
            trainings.finish(job, f"p3-v{number}", [], 1.0)
    assert len(backend.policy.queue.read(3).jobs) < 30
    assert read(client)[("trainings_total", (("outcome", "finished"),))] == 30


@pytest.mark.parametrize("damage", ["{", "[]"])
def test_a_state_that_is_damaged_does_not_hide_the_others(
    client: FlaskClient, backend: Backend, damage: str
) -> None:
    for project in (3, 4):
        client.post("/webhook", json=START | {"project": {"id": project}})
    Path(backend.policy.queue.folder / "project_3.json").write_text(damage)
    assert read(client)[("training_queue_length", ())] == 1
