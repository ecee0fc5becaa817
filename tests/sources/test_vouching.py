"""For which files the token is sent where no password is set: those that Label Studio vouches for."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import _wsgi
from tests.support import recorded
from tests.support.http_server import HttpServer, Reply, Request
from tests.support.label_studio_server import LabelStudioServer
from tests.support.models import of_one_pair
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources import vouching
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.vouching import Vouching
from timeseries_segmenter.web.backend import Backend

UPLOAD = "/data/upload/3/series.csv"
SECRET = "/data/upload/99/salaries.csv"
PROJECT = 3

Regions = Callable[..., list[int]]


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer, tmp_path: Path) -> Settings:
    (tmp_path / "local.csv").write_bytes(recorded.csv("index"))
    return settings.model_copy(update={"label_studio_host": studio.url, "local_files_dir": tmp_path})


@pytest.fixture
def regions(settings: Settings, run_walk: Segmenter) -> Regions:
    """The number of regions of each task in the answer of a service with these settings."""
    clients: dict[str, Any] = {}

    def ask(body: dict[str, Any], **changes: Any) -> list[int]:
        key = repr(changes)
        auth = changes.pop("auth", None)
        if key not in clients:
            app = _wsgi.init_app(settings=settings.model_copy(update=changes))
            backend: Backend = app.extensions["timeseries_segmenter"]
            for project in (0, PROJECT, 5):
                backend.store.save(project, of_one_pair(run_walk))
            clients[key] = app.test_client()
        answer = clients[key].post("/predict", json=body, auth=auth)
        assert answer.status_code == 200, answer.text
        return [len(result["result"]) for result in answer.json["results"]]

    return ask


def request_for(*addresses: str) -> dict[str, Any]:
    body = recorded.body("predict_test_single_task") | {"project": f"{PROJECT}.1795343773"}
    first = body["tasks"][0]
    body["tasks"] = [
        first | {"id": number, "data": {"csv_url": address}} for number, address in enumerate(addresses, 1)
    ]
    return body


@pytest.fixture
def honest(studio: LabelStudioServer) -> dict[str, Any]:
    """A request that Label Studio could have sent, for one file of its own."""
    studio.files |= {UPLOAD: recorded.csv("index"), SECRET: recorded.csv("index")}
    studio.storage["s3://bucket/x.csv"] = studio.url + UPLOAD
    body = request_for(UPLOAD)
    studio.vouch(body)
    return body


def asked(studio: LabelStudioServer, path: str) -> list[Request]:
    return [request for request in studio.requests if request.path == path]


def tokens(studio: LabelStudioServer) -> list[Request]:
    """Requests for files that brought the token."""
    files = [request for request in studio.requests if not request.path.startswith("/api/")]
    return [request for request in files if request.headers["Authorization"]]


def test_what_label_studio_names_is_read(regions: Regions, honest: dict[str, Any]) -> None:
    assert regions(honest) == [3]


@pytest.mark.parametrize("source", [SECRET, "{studio}" + SECRET, "s3://bucket/x.csv"])
def test_another_address_than_that_of_the_task_is_asked_for_without_the_token(
    regions: Regions,
    honest: dict[str, Any],
    studio: LabelStudioServer,
    source: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = source.format(studio=studio.url)
    forged = deepcopy(honest)
    forged["tasks"][0]["data"]["csv_url"] = source
    assert regions(forged) == [0]
    assert tokens(studio) == []
    assert "task 1 of project 3 in Label Studio does not name it" in caplog.text
    assert "BASIC_AUTH_USER" in caplog.text
    studio.vouch(request_for(source) | {"project": "4"})  # it is that of another project
    assert regions(forged) == [0]
    assert tokens(studio) == []
    studio.tasks[PROJECT][0]["data"] = {"csv_url": source}
    assert regions(forged) == [3]


def test_what_label_studio_gives_anybody_and_what_is_opened_by_settings_needs_no_word_of_it(
    regions: Regions, studio: LabelStudioServer, other_host: HttpServer
) -> None:
    studio.serve("/samples/time-series.csv", recorded.csv("index"))
    sources = ["/samples/time-series.csv", other_host.serve("/x.csv", recorded.csv("index")), "local.csv"]
    forged = request_for(*sources)
    assert regions(forged) == [3, 3, 3]
    assert tokens(studio) == []


def test_what_the_token_brought_is_not_kept_for_those_who_come_without(
    regions: Regions, honest: dict[str, Any], studio: LabelStudioServer
) -> None:
    def unchanged(request: Request) -> Reply:
        """A server that looks at validators before it looks at tokens."""
        if request.headers["If-None-Match"]:
            return Reply(status=304)
        if request.headers["Authorization"] not in studio.authorizations:
            return Reply(status=401)
        return Reply(recorded.csv("index"), headers={"ETag": '"1"'})

    studio.routes[UPLOAD] = unchanged
    assert regions(honest) == [3]
    honest["tasks"][0]["id"] = 2
    assert regions(honest) == [0]


def test_another_labeling_config_than_the_projects_reads_nothing(
    regions: Regions, honest: dict[str, Any], studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    forged = deepcopy(honest)
    forged["label_config"] = honest["label_config"].replace("<TimeSeries ", '<TimeSeries timeColumn="value" ')
    assert forged["label_config"] != honest["label_config"]
    assert regions(forged) == [0]
    assert tokens(studio) == []
    assert "its labeling config is not the one that project 3 has" in caplog.text
    assert regions(honest) == [3]
    assert regions(forged) == [0]  # also after the honest one is known


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"project": None}, "names no project"),
        ({"project": "5"}, "answered 404"),
        ({"tasks": "text id"}, "does not name it"),
        ({"tasks": "no id"}, "does not name it"),
        ({"tasks": "twice"}, "does not name it"),
    ],
)
def test_a_request_that_names_nothing_of_label_studio_reads_nothing(
    regions: Regions,
    honest: dict[str, Any],
    studio: LabelStudioServer,
    change: dict[str, Any],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (task,) = honest["tasks"]
    tasks = {
        "text id": [task | {"id": "1"}],
        "no id": [{key: value for key, value in task.items() if key != "id"}],
        "twice": [task, task | {"data": {"csv_url": SECRET}}],
    }
    forged = {key: tasks.get(value, value) if key == "tasks" else value for key, value in change.items()}
    if "project" in change:  # else that of the task counts
        task["project"] = None
    assert set(regions(honest | forged)) == {0}
    assert tokens(studio) == []
    assert reason in caplog.text


def test_who_knows_the_password_is_believed(
    regions: Regions, honest: dict[str, Any], studio: LabelStudioServer
) -> None:
    password = {"basic_auth_user": "studio", "basic_auth_pass": SecretStr("p"), "auth": ("studio", "p")}
    honest["tasks"][0]["data"]["csv_url"] = SECRET
    assert regions(honest, **password) == [3]
    assert not [request for request in studio.requests if request.path.startswith("/api/")]


def test_a_secret_for_webhooks_is_no_password_for_predictions(
    regions: Regions, honest: dict[str, Any], studio: LabelStudioServer
) -> None:
    honest["tasks"][0]["data"]["csv_url"] = SECRET
    assert regions(honest, webhook_secret=SecretStr("s")) == [0]
    assert tokens(studio) == []


@pytest.mark.parametrize("failure", ["no token", "away"])
def test_where_label_studio_can_not_be_asked_the_token_is_not_sent(
    regions: Regions,
    honest: dict[str, Any],
    studio: LabelStudioServer,
    failure: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if failure == "away":
        studio.routes[f"/api/projects/{PROJECT}/"] = lambda _: Reply(b"", 403)
    assert regions(honest, **({"label_studio_api_key": SecretStr("")} if failure == "no token" else {})) == [
        0
    ]
    assert "Label Studio can't be asked whether the request is its own" in caplog.text
    assert ("LABEL_STUDIO_API_KEY" if failure == "no token" else "answered 403") in caplog.text


def test_inline_series_need_no_word_of_label_studio(regions: Regions, studio: LabelStudioServer) -> None:
    inline = recorded.body("predict_json_inline")
    assert set(regions(inline | {"project": "5"})) == {3}
    assert studio.requests == []


def test_label_studio_is_asked_once_for_a_batch_and_its_word_is_remembered(
    regions: Regions, studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = request_for(*[f"/data/upload/3/{number}.csv" for number in range(120)])
    studio.files |= {task["data"]["csv_url"]: recorded.csv("index") for task in body["tasks"][:2]}
    studio.vouch(body)
    assert regions(body) == [3, 3] + [0] * 118  # the other files are gone
    queries = asked(studio, "/api/tasks/")
    assert [len(json.loads(each.query["query"])["selectedItems"]["included"]) for each in queries] == [
        100,
        20,
    ]
    assert {each.query["resolve_uri"] for each in queries} == {"false"}
    assert len(asked(studio, f"/api/projects/{PROJECT}/")) == 1
    body["tasks"] = body["tasks"][:2]
    assert regions(body) == [3, 3]
    assert len(asked(studio, "/api/tasks/")) == 2
    monkeypatch.setattr(vouching, "REMEMBERED", -1.0)
    studio.tasks[PROJECT] = []
    body["tasks"][0]["data"]["csv_url"] = "/data/upload/3/1.csv"  # of the other task
    assert regions(body) == [0, 3]


def test_what_is_remembered_is_bounded(
    settings: Settings, studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(vouching, "MOST_REMEMBERED", 3)
    body = request_for(*[f"/data/upload/3/{number}.csv" for number in range(9)])
    studio.vouch(body)
    all_of_them = Vouching(settings, LabelStudioClient(settings))
    voucher = all_of_them.of_request(PROJECT, parse_label_config(body["label_config"]), body["tasks"])
    assert voucher
    assert [voucher.objection(task["id"], task["data"]["csv_url"]) for task in body["tasks"]] == [None] * 9
    assert len(all_of_them._known) == 3
