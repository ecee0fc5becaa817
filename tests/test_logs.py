import json
import logging
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient

from tests.support import recorded
from tests.support.http_server import Reply
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from tests.support.models import of_one_pair
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.logs import QUIET, configure_logging
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.web.app import OfRequest
from timeseries_segmenter.web.backend import Backend

ACCESS_TOKEN = "9d81c7b2a3e4f5061728394a5b6c7d8e9f001122"


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return settings.model_copy(update={"label_studio_host": studio.url})


@pytest.fixture
def set_up_log() -> Iterator[Callable[..., None]]:
    """`configure_logging`, until the end of the test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in (*QUIET, "gunicorn.error")}
    yield lambda level, form="text": configure_logging(
        Settings(log_level=level, log_format=form), OfRequest()
    )
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def ask_everything(
    client: FlaskClient, backend: Backend, studio: LabelStudioServer, model: Segmenter
) -> None:
    backend.store.save(3, of_one_pair(model))
    setup = recorded.body("setup_request_index_time") | {"access_token": ACCESS_TOKEN}
    client.post("/setup", json=setup, headers={"Authorization": f"Basic {ACCESS_TOKEN}"})
    client.post("/setup", json=setup | {"schema": "<View/>"})
    client.post("/setup", json=setup | {"project": {"secret": ACCESS_TOKEN}})
    predict = recorded.body("predict_batch_3_tasks_index_time")
    predict["params"] |= {"login": "reader", "password": ACCESS_TOKEN}
    uploaded, signed, gone = predict["tasks"]
    uploaded["data"]["csv_url"] = "/data/upload/3/series.csv"
    studio.files["/data/upload/3/series.csv"] = recorded.csv("index")
    signed["data"]["csv_url"] = f"{studio.url}/signed.csv?X-Amz-Signature={ACCESS_TOKEN}"
    studio.routes["/signed.csv"] = lambda _: Reply(recorded.csv("index"))
    gone["data"]["csv_url"] = f"{studio.url}/gone.csv?X-Amz-Signature={ACCESS_TOKEN}"
    studio.vouch(predict)
    assert [
        len(result["result"]) for result in client.post("/predict", json=predict).get_json()["results"]
    ] == [
        3,
        3,
        0,
    ]
    webhook = recorded.body("webhook_annotation_created_range_and_instant")
    webhook["project"]["token"] = ACCESS_TOKEN
    client.post("/webhook", json=webhook)
    client.post("/webhook", data=f'{{"token": "{ACCESS_TOKEN}"', content_type="application/json")


def test_neither_tokens_nor_bodies_reach_any_logger_of_the_service(
    client: FlaskClient,
    backend: Backend,
    studio: LabelStudioServer,
    run_walk: Segmenter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    ask_everything(client, backend, studio, run_walk)
    own = [
        record for record in caplog.records if not record.name.startswith(("urllib3", "httpcore", "httpx"))
    ]
    assert any(record.name.startswith("timeseries_segmenter") for record in own)
    text = "\n".join(record.getMessage() for record in own)
    for secret in (ACCESS_TOKEN, TOKEN, "TimeSeriesLabels name=", "annotation_created"):
        assert secret not in text


def test_neither_tokens_nor_bodies_reach_standard_error_at_debug(
    set_up_log: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    client: FlaskClient,
    backend: Backend,
    studio: LabelStudioServer,
    run_walk: Segmenter,
) -> None:
    set_up_log("DEBUG")
    ask_everything(client, backend, studio, run_walk)
    text = capsys.readouterr().err
    assert "regions by p3-v1" in text
    for secret in (ACCESS_TOKEN, TOKEN, "TimeSeriesLabels name="):
        assert secret not in text


@pytest.mark.parametrize(("level", "lines"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_the_level_is_where_the_log_begins(
    set_up_log: Callable[..., None], capsys: pytest.CaptureFixture[str], level: str, lines: int
) -> None:
    set_up_log(level)
    for name in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger("timeseries_segmenter.x"), name)("a line")
    written = capsys.readouterr().err.splitlines()
    assert len(written) == lines
    assert written[-1].endswith("ERROR timeseries_segmenter.x: a line")


def test_a_series_that_fails_is_named_without_its_signature(
    client: FlaskClient,
    backend: Backend,
    studio: LabelStudioServer,
    run_walk: Segmenter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ask_everything(client, backend, studio, run_walk)
    (line,) = [record.message for record in caplog.records if "gone.csv" in record.message]
    assert f"{studio.url}/gone.csv answered 404" in line


def test_json_entries_of_a_request_tell_project_task_version_and_seconds(
    set_up_log: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    client: FlaskClient,
    backend: Backend,
    run_walk: Segmenter,
) -> None:
    version = backend.store.save(6, of_one_pair(run_walk))
    set_up_log("INFO", "json")
    client.post("/predict", json=recorded.body("predict_json_inline"))
    client.get("/projects/7/training")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    tasks = [line for line in lines if "task" in line]
    assert [line["task"] for line in tasks] == [
        task["id"] for task in recorded.body("predict_json_inline")["tasks"]
    ]
    for line in tasks:
        assert (line["project"], line["version"], line["rows"]) == (6, version, recorded.ROWS)
        assert 0 < line["seconds"] < 10
    predict, training = (line for line in lines if "route" in line)
    assert (predict["project"], predict["method"], predict["status"]) == (6, "POST", 200)
    assert (training["project"], training["route"]) == (7, "/projects/<project:project>/training")
    assert {"asctime", "levelname", "name", "message"} <= set(predict)


def test_nobody_writes_entries_of_their_own(
    set_up_log: Callable[..., None], capsys: pytest.CaptureFixture[str], client: FlaskClient
) -> None:
    set_up_log("INFO")
    client.post("/x%0a2026-11-22 10:00:00,000 INFO forged: entry%0d")
    config = '<View><TimeSeriesLabels name="a&#10;forged: b" toName="c"/></View>'
    client.post("/setup", json={"schema": config, "project": "3"})
    client.post("/predict", json={"tasks": [], "project": "3\nforged: c", "label_config": config})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5  # one for each request, and one for each that is refused
    assert not [line for line in lines if line.startswith(("forged", "2026-11-22 10:00"))]
