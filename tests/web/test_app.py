import json
import time
from pathlib import Path
from statistics import median

import pytest
from flask import Flask
from flask.testing import FlaskClient

from model import TimeSeriesSegmenter
from tests.support import recorded
from tests.support.models import of_one_pair
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.trainings.job import State
from timeseries_segmenter.trainings.policy import TASKS_CREATED, TRAINING_EVENTS
from timeseries_segmenter.web.backend import Backend
from timeseries_segmenter.web.bodies import first_project, project_number

IGNORED = {"PROJECT_UPDATED", "TASKS_DELETED", "PROJECT_CREATED", "SOMETHING_NEW"}
TAGS = '<View><TimeSeriesLabels name="label" toName="ts">{}</TimeSeriesLabels>{}</View>'
SERIES = '<TimeSeries name="ts" value="$csv_url"><Channel column="value"/></TimeSeries>'
BAD_CONFIGS = {
    "": "empty",
    "<View><Text": "not usable XML",
    "<View/>": "no TimeSeriesLabels",
    TAGS.format('<Label value="Run"/>', ""): "which is not a TimeSeries",
    TAGS.format("", SERIES): "no Label with a value",
    TAGS.format('<Label value="Run"/>', '<TimeSeries name="ts" value="$x"/>'): "no Channel",
    TAGS.format('<Label value="Run"/>', SERIES.replace(' value="$csv_url"', "")): "no value",
}
CONFIG = recorded.body("setup_request_index_time")["schema"]
POSTS = ["/setup", "/predict", "/webhook"]


def test_health_answers_up(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "UP")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/health", None, 200, '{"model_dir":null,"status":"UP","v2":false}'),
        ("GET", "/", None, 200, '{"model_dir":null,"status":"UP","v2":false}'),
        ("POST", "/setup", {"schema": CONFIG}, 200, '{"model_version":"untrained"}'),
        ("POST", "/setup", {"schema": CONFIG, "project": 3}, 200, '{"model_version":"untrained"}'),
        (
            "POST",
            "/predict",
            {"tasks": [], "label_config": CONFIG, "params": None},
            200,
            '{"model_version":"untrained","results":[]}',
        ),
        ("POST", "/webhook", {"action": "TASKS_DELETED"}, 200, '{"status":"ignored"}'),
        ("POST", "/versions", {"project": "3.1"}, 200, '{"versions":["untrained"]}'),
        ("POST", "/versions", None, 200, '{"versions":["untrained"]}'),
        ("GET", "/versions", None, 200, '{"versions":["untrained"]}'),
    ],
)
def test_an_answer_is_the_same_under_every_version_of_label_studio_ml(
    client: FlaskClient, method: str, path: str, body: object, status: int, text: str
) -> None:
    answer = client.open(path, method=method, json=body)
    assert (answer.status_code, answer.text) == (status, text + "\n")


def test_an_event_needs_no_labeling_config(client: FlaskClient) -> None:
    answer = client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 3}})
    assert (answer.status_code, answer.get_json().keys()) == (201, {"job"})


def test_recorded_webhooks_hold_every_kind_label_studio_sends() -> None:
    kinds = {recorded.body(name)["action"] for name in recorded.WEBHOOKS}
    assert kinds >= {"ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED", "START_TRAINING", "PROJECT_UPDATED"}
    assert len(recorded.WEBHOOKS) == 17


@pytest.mark.parametrize("name", recorded.WEBHOOKS)
def test_every_recorded_webhook_gets_its_answer(client: FlaskClient, backend: Backend, name: str) -> None:
    body = recorded.body(name)
    answer = client.post("/webhook", json=body)
    trainings = backend.policy.queue.read(body["project"]["id"])
    if body["action"] in TRAINING_EVENTS:
        assert answer.status_code == 201
        assert answer.get_json()["job"] == trainings.jobs[0].id
        assert trainings.jobs[0].state is State.QUEUED
    elif body["action"] == TASKS_CREATED:  # PREDICT_AFTER_TRAINING is 0
        assert (answer.status_code, answer.json) == (201, {})
        assert trainings.jobs == []
    else:
        assert (answer.status_code, answer.json) == (200, {"status": "ignored"})
        assert trainings.jobs == []


@pytest.mark.parametrize("event", sorted(TRAINING_EVENTS))
def test_every_training_event_queues_a_job(client: FlaskClient, event: str) -> None:
    assert "job" in client.post("/webhook", json={"action": event, "project": {"id": 3}}).get_json()


@pytest.mark.parametrize("event", sorted(IGNORED))
def test_other_events_are_ignored_whatever_they_hold(client: FlaskClient, event: str) -> None:
    answer = client.post("/webhook", json={"action": event, "project": {"id": 3, "label_config": "<nothing"}})
    assert (answer.status_code, answer.json) == (200, {"status": "ignored"})


def test_webhooks_are_answered_within_the_second_that_label_studio_waits(client: FlaskClient) -> None:
    body = recorded.body("webhook_annotations_created_predictions_to_annotations")
    seconds = []
    for project in range(1, 10):
        body["project"]["id"] = project
        began = time.thread_time()  # of this thread alone, however busy the machine is
        assert client.post("/webhook", json=body).status_code == 201
        seconds.append(time.thread_time() - began)
    assert median(seconds) < 0.9


def test_projects_are_counted_apart(client: FlaskClient, backend: Backend) -> None:
    for project in (3, 3, 7):
        client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": project}})
    jobs = [backend.policy.queue.read(project).jobs for project in (3, 7)]
    assert [len(of_project) for of_project in jobs] == [1, 1]
    assert jobs[0][0].id != jobs[1][0].id


@pytest.mark.parametrize(("xml", "missing"), BAD_CONFIGS.items())
def test_a_config_that_cannot_be_learned_is_refused_at_setup(
    client: FlaskClient, xml: str, missing: str
) -> None:
    answer = client.post("/setup", json={"project": "3.1795343772", "schema": xml})
    assert answer.status_code == 400
    assert missing in answer.get_json()["detail"]


@pytest.mark.parametrize(("xml", "missing"), BAD_CONFIGS.items())
def test_a_config_that_cannot_be_learned_is_refused_at_predict(
    client: FlaskClient, xml: str, missing: str
) -> None:
    answer = client.post("/predict", json={"tasks": [], "project": "3.1", "label_config": xml})
    assert answer.status_code == 400
    assert missing in answer.get_json()["detail"]


@pytest.mark.parametrize(("xml", "missing"), list(BAD_CONFIGS.items())[1:])
def test_a_config_that_cannot_be_learned_is_refused_at_a_training_event(
    client: FlaskClient, backend: Backend, xml: str, missing: str
) -> None:
    body = recorded.body("webhook_start_training")
    body["project"]["label_config"] = xml
    answer = client.post("/webhook", json=body)
    assert answer.status_code == 400
    assert missing in answer.get_json()["detail"]
    assert backend.policy.queue.read(3).jobs == []


BAD_BODIES = [
    ("/setup", {}, "schema"),
    ("/setup", {"schema": 5}, "schema"),
    ("/setup", {"schema": CONFIG, "project": "three"}, "three"),
    ("/setup", {"schema": CONFIG, "project": {"id": 3}}, "project"),
    ("/predict", {"label_config": CONFIG}, "tasks"),
    ("/predict", {"tasks": {"id": 1}, "label_config": CONFIG}, "tasks"),
    ("/predict", {"tasks": [1], "label_config": CONFIG}, "tasks"),
    ("/predict", {"tasks": []}, "label_config"),
    ("/predict", {"tasks": [], "label_config": CONFIG, "project": "../3"}, "../3"),
    ("/predict", {"tasks": [], "label_config": CONFIG, "params": "none"}, "params"),
    ("/webhook", {}, "action"),
    ("/webhook", {"action": ["START_TRAINING"], "project": {"id": 3}}, "action"),
    ("/webhook", {"action": "START_TRAINING"}, "project"),
    ("/webhook", {"action": "START_TRAINING", "project": 3}, "project"),
    ("/webhook", {"action": "START_TRAINING", "project": {}}, "project.id"),
    ("/webhook", {"action": "START_TRAINING", "project": {"id": "x"}}, "project.id"),
    ("/webhook", {"action": "START_TRAINING", "project": {"id": -3}}, "project.id"),
]


@pytest.mark.parametrize(("path", "body", "named"), BAD_BODIES)
def test_a_malformed_body_gets_400_with_its_field(
    client: FlaskClient, path: str, body: object, named: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 400
    assert named in answer.get_json()["detail"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", '"text"', "[" * 100_000, "\udcff", "{1: 2}"])
def test_a_body_that_is_no_json_object_gets_400(client: FlaskClient, path: str, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    answer = client.post(path, data=data, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["detail"]


@pytest.mark.parametrize("path", [*POSTS, "/job_status"])
def test_a_body_that_is_no_json_is_told_to_be_none(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data='{"action": ', content_type="application/json")
    assert (answer.status_code, answer.json) == (400, {"detail": "the body is no JSON"})


@pytest.mark.parametrize("path", POSTS)
def test_a_body_of_another_type_gets_415(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data="action=START_TRAINING", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert "json" in answer.get_json()["detail"].lower()


@pytest.mark.parametrize("path", POSTS)
def test_a_body_over_the_limit_gets_413(client: FlaskClient, path: str) -> None:
    client.application.config["MAX_CONTENT_LENGTH"] = 1000
    answer = client.post(path, json={"action": "x" * 2000})
    assert answer.status_code == 413
    assert answer.get_json()["detail"]


def test_the_limit_is_max_request_mb(client: FlaskClient) -> None:
    assert client.application.config["MAX_CONTENT_LENGTH"] == 256_000_000


def test_more_tasks_than_one_request_may_hold_get_413_with_the_setting(app: Flask, backend: Backend) -> None:
    backend.settings = backend.settings.model_copy(update={"max_request_tasks": 3})
    for number, status in ((3, 200), (4, 413)):
        tasks = [{"id": each, "data": {}} for each in range(number)]
        answer = app.test_client().post("/predict", json={"tasks": tasks, "label_config": CONFIG})
        assert answer.status_code == status
    assert "MAX_REQUEST_TASKS=3" in answer.get_json()["detail"]


@pytest.mark.parametrize(("piece", "taken"), [("1", 900), ("{}", 180), ("[]", 180)])
def test_more_values_than_one_request_may_hold_get_413_with_the_setting(
    client: FlaskClient, backend: Backend, piece: str, taken: int
) -> None:
    backend.settings = backend.settings.model_copy(update={"max_request_values": 1100})
    for number, status in ((taken, 400), (2 * taken, 413)):
        body = f'{{"schema": "<View/>", "x": [{",".join([piece] * number)}]}}'
        answer = client.post("/setup", data=body, content_type="application/json")
        assert answer.status_code == status
    assert "MAX_REQUEST_VALUES=1100" in answer.get_json()["detail"]


PROJECTS_THAT_ARE_NONE = [
    {"params": {"context": {"project": "three"}}},
    {"params": {"context": {"project": {"id": 3}}}},
    {"params": {"project": 3}},
    {"params": {"tasks": []}},
    {"tasks": [{"id": 1, "data": {}, "project": "three"}]},
    {"tasks": [{"id": 1, "data": {}, "project": [3]}]},
]


@pytest.mark.parametrize("odd", PROJECTS_THAT_ARE_NONE)
def test_odd_params_and_tasks_are_no_internal_error(client: FlaskClient, odd: dict[str, object]) -> None:
    answer = client.post("/predict", json={"tasks": [], "label_config": CONFIG} | odd)
    assert answer.status_code in (200, 400)


@pytest.mark.parametrize("error", [RuntimeError, AssertionError, IndexError, FileNotFoundError, KeyError])
@pytest.mark.parametrize("method", ["predict", "fit", "model_version"])
def test_a_failure_is_answered_as_json_without_traceback(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, method: str, error: type[Exception]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("secret cause")

    monkeypatch.setattr(TimeSeriesSegmenter, method, property(fail) if method == "model_version" else fail)
    requests = {
        "predict": ("/predict", recorded.body("predict_json_inline")),
        "fit": ("/webhook", recorded.body("webhook_start_training")),
        "model_version": ("/setup", recorded.body("setup_request_index_time")),
    }
    path, body = requests[method]
    answer = client.post(path, json=body)
    assert answer.status_code == 500
    assert answer.is_json
    assert answer.get_json()["detail"]
    assert "Traceback" not in answer.text
    assert "secret cause" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/nowhere", None),
        ("GET", "/predict", None),
        ("DELETE", "/health", None),
        ("POST", "/train", {"annotations": [{"id": 1}], "project": "3.1", "label_config": CONFIG}),
        ("POST", "/train", {}),
        ("POST", "/versions", {"project": "three"}),
        ("POST", "/versions", {}),
        ("GET", "/versions?project=three", None),
        ("GET", "/is_training?project=3", None),
        ("GET", "/projects/x/training", None),
    ],
)
def test_every_other_route_answers_json_without_traceback(
    client: FlaskClient, method: str, path: str, body: object
) -> None:
    answer = client.open(path, method=method, json=body)
    assert answer.is_json
    assert "raceback" not in answer.text
    assert answer.status_code != 500


def test_a_version_that_is_no_project_gets_400(client: FlaskClient) -> None:
    assert client.get("/versions?project=../3").status_code == 400


def test_an_untrained_project_says_so(client: FlaskClient) -> None:
    setup = client.post("/setup", json=recorded.body("setup_request_index_time"))
    assert (setup.status_code, setup.json) == (200, {"model_version": "untrained"})
    assert client.get("/versions").json == {"versions": ["untrained"]}
    assert client.get("/versions?project=3").json == {"versions": ["untrained"]}


def test_setup_versions_and_predictions_name_the_same_version(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    first = backend.store.save(6, of_one_pair(run_walk))
    second = backend.store.save(6, of_one_pair(run_walk))
    assert first != second
    body = recorded.body("predict_json_inline")
    setup = client.post("/setup", json={"project": "6.1795343773", "schema": body["label_config"]})
    assert setup.get_json()["model_version"] == second
    predicted = client.post("/predict", json=body).get_json()
    assert predicted["model_version"] == second
    assert {result["model_version"] for result in predicted["results"]} == {second}
    for query in ("", "?project=6", "?project=6.1795343773"):
        assert client.get(f"/versions{query}").json == {"versions": [second, first]}
    assert client.post("/versions", json={"project": "6"}).get_json()["versions"] == [second, first]
    assert client.get("/versions?project=7").json == {"versions": ["untrained"]}


def test_a_model_without_its_history_still_names_its_version(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    version = backend.store.save(6, of_one_pair(run_walk))
    for path in (backend.store.path(6).parent / "versions").iterdir():
        path.unlink()
    assert client.get("/versions?project=6").json == {"versions": [version]}


def test_the_state_of_a_projects_training_can_be_seen(client: FlaskClient) -> None:
    job = client.post("/webhook", json=recorded.body("webhook_start_training")).get_json()["job"]
    state = client.get("/projects/3/training").get_json()
    assert (state["project"], state["version"], state["updates"]) == ("3", "untrained", 0)
    assert [(known["id"], known["state"], known["event"]) for known in state["jobs"]] == [
        (job, "queued", "START_TRAINING")
    ]
    assert client.get("/projects/4/training").get_json()["jobs"] == []


@pytest.mark.parametrize(
    ("candidates", "number"),
    [
        ((47,), 47),
        (("47",), 47),
        (("47.1795343772",), 47),
        ((None, "", "None", "5.1"), 5),
        ((3, 4), 3),
        (({"id": "6.1"},), 6),
        ((), 0),
        ((None,), 0),
    ],
)
def test_a_project_is_the_first_number_that_is_named(candidates: tuple[object, ...], number: int) -> None:
    assert first_project(*candidates) == number


@pytest.mark.parametrize(
    "candidate", ["../1", "-1", "1e3", "٣", True, "[3]", "9" * 19, "0" * 20 + "9" * 30, " 3", "abc.1"]
)
def test_what_names_no_project_is_refused(candidate: object) -> None:
    with pytest.raises(ValueError, match="is not a project number"):
        project_number(candidate)


@pytest.mark.parametrize("value", [[3], {"id": 3}, 3.5, {"secret": 1}])
def test_what_is_of_another_type_is_refused_and_not_repeated(value: object) -> None:
    with pytest.raises(ValueError, match=r"^should be a project's number, or a text that begins with it$"):
        project_number(value)


def test_answers_to_all_recorded_requests_are_strict_json(client: FlaskClient) -> None:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    for path in sorted(Path(recorded.REQUESTS).iterdir()):
        recording = json.loads(path.read_text())
        answer = client.open(recording["path"], method=recording["method"], json=recording["body"])
        assert answer.status_code < 300, path.stem
        assert isinstance(json.loads(answer.text, parse_constant=refuse), dict)
