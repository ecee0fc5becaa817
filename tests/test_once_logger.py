import logging
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import recorded
from tests.support.label_studio_server import LabelStudioServer
from tests.support.models import of_one_pair
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.once_logger import MOST, OnceLogger
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.web.backend import Backend

FILES = "predict_batch_3_tasks_index_time"


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return settings.model_copy(update={"label_studio_host": studio.url})


@pytest.fixture
def body(studio: LabelStudioServer, backend: Backend, run_walk: Segmenter) -> dict[str, Any]:
    """A request with three tasks on Label Studio, whose files are not there."""
    backend.store.save(recorded_project(), of_one_pair(run_walk))
    body = recorded.body(FILES)
    for number, task in enumerate(body["tasks"]):
        task["data"]["csv_url"] = f"/data/upload/1/{number}.csv"
    studio.vouch(body)
    return body


def recorded_project() -> int:
    return int(str(recorded.body(FILES)["project"]).split(".")[0])


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_unreadable_task_is_named_once_and_again_after_a_change(
    client: FlaskClient, studio: LabelStudioServer, body: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def predict() -> list[bool]:
        caplog.clear()
        answer = client.post("/predict", json=body)
        return [bool(result["result"]) for result in answer.get_json()["results"]]

    names = [task["id"] for task in body["tasks"]]
    assert predict() == [False] * 3
    assert len(warnings(caplog)) == 3
    for name, line in zip(names, warnings(caplog), strict=True):
        assert f"Task {name}" in line
    for _ in range(2):
        assert predict() == [False] * 3
        assert warnings(caplog) == []
        assert "no prediction for 3 more tasks, whose reasons were named before" in caplog.text
    studio.files["/data/upload/1/0.csv"] = b"value\n1\nhigh\n"
    studio.files["/data/upload/1/1.csv"] = recorded.csv(FILES)
    assert predict() == [False, True, False]
    (line,) = warnings(caplog)  # another reason
    assert f"Task {names[0]}" in line
    assert "high" in line
    del studio.files["/data/upload/1/1.csv"]
    assert predict() == [False] * 3
    (line,) = warnings(caplog)  # it could be read meanwhile
    assert f"Task {names[1]}" in line


def test_channels_that_are_gone_are_named_once(
    client: FlaskClient, body: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    body["label_config"] = body["label_config"].replace('column="value"', 'column="renamed"')
    assert "renamed" in body["label_config"]
    for _ in range(3):
        client.post("/predict", json=body)
    assert len([line for line in warnings(caplog) if "needs the channels value" in line]) == 1


def test_what_was_logged_takes_no_more_room_than_it_should(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    once = OnceLogger(logging.getLogger("test"))
    for number in range(MOST + 1):
        assert once.is_news(number, "broken")
    assert not once.is_news(MOST, "broken")
    assert once.is_news(0, "broken")  # forgotten for the newest
    once(tmp_path, "it is full")
    once(tmp_path, "it is full")
    once.forget(tmp_path)
    once(tmp_path, "it is full")
    assert caplog.messages == ["it is full"] * 2
