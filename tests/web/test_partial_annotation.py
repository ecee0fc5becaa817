"""From partly annotated tasks in Label Studio to predictions, through the service."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import recorded
from tests.support.label_studio_server import LabelStudioServer
from tests.support.models import PAIR
from tests.support.near import near
from tests.support.need import need
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.runner import JobRunner

START = recorded.body("webhook_start_training")
PROJECT = START["project"]["id"]
CONFIG: str = recorded.body("predict_json_inline")["label_config"]
REST = '<Label value="Rest" model_background="true"/>'
NEAR = 6  # rows


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return settings.model_copy(
        update={
            "label_studio_host": studio.url,
            "local_files_dir": None,
            "train_epochs": 60,
            "hidden_size": 8,
        }
    )


def data(task: int) -> dict[str, Any]:
    return {"ts": {"time": list(range(recorded.ROWS)), "value": recorded.values(task)}}


def train(client: FlaskClient, settings: Settings) -> None:
    assert client.post("/webhook", json=START).status_code == 201
    assert JobRunner(settings, JobQueue(settings.model_dir)).run(PROJECT)


def predict(client: FlaskClient, config: str, task: int) -> list[tuple[int, int, str]]:
    body = {"tasks": [{"id": task, "data": data(2)}], "label_config": config, "project": f"{PROJECT}.1"}
    answer = client.post("/predict", json=body)
    values = [region["value"] for region in json.loads(answer.text)["results"][0]["result"]]
    return [(value["start"], value["end"], value["timeserieslabels"][0]) for value in values]


def test_what_nobody_annotated_teaches_nothing_if_the_config_says_so(
    client: FlaskClient, settings: Settings, studio: LabelStudioServer
) -> None:
    config = CONFIG.replace("<TimeSeriesLabels ", '<TimeSeriesLabels model_unlabeled="ignore" ')
    config = config.replace("</TimeSeriesLabels>", f"{REST}</TimeSeriesLabels>")
    studio.configs[PROJECT] = config
    annotated = [(40, 89, "Run"), (95, 125, "Rest"), (130, 189, "Walk")]  # and not the Run after it
    for task in (0, 1):
        studio.add_task(PROJECT, data(task), recorded.regions(*annotated))
    empty = studio.add_task(PROJECT, data(0), [])
    new = studio.add_task(PROJECT, data(2))
    train(client, settings)
    found = predict(client, config, new)
    assert [label for _, _, label in found] == ["Run", "Walk", "Run"]
    for (start, end, _), (first, last, _) in zip(found, recorded.DRAWN, strict=True):
        assert (start, end) == (near(first, NEAR), near(last, NEAR))
    card = need(ModelStore(settings).load(PROJECT)).card
    (skipped,) = card.skipped
    assert skipped.startswith(f"Task {empty}: its annotation has no region")
    metrics = need(card.pairs[PAIR].held_out)
    assert metrics.rows == 2 * (50 + 31 + 60)  # the others are in no metric
    assert [each.support for each in metrics.classes] == [62, 100, 120]


def test_what_people_disagree_about_teaches_nothing_and_is_named(
    client: FlaskClient, settings: Settings, studio: LabelStudioServer
) -> None:
    studio.configs[PROJECT] = CONFIG
    other = [(42, 89, "Run"), (130, 189, "Run"), (220, 259, "Run")]  # takes Walk for Run
    for task in (0, 1):
        studio.add_task(PROJECT, data(task), recorded.regions(*recorded.DRAWN))
    disputed = studio.add_task(PROJECT, data(0), recorded.regions(*recorded.DRAWN), recorded.regions(*other))
    people = studio.tasks[PROJECT][-1]["annotations"]
    for number, annotation in enumerate(people, 1):
        annotation["completed_by"] = number
    new = studio.add_task(PROJECT, data(2))
    train(client, settings)
    assert [label for _, _, label in predict(client, CONFIG, new)] == ["Run", "Walk", "Run"]
    card = need(ModelStore(settings).load(PROJECT)).card
    assert card.skipped == []
    assert card.remarks[0].startswith("1 task has annotations of several people")
    assert card.tasks[-1] == disputed
    metrics = need(card.pairs[PAIR].held_out)
    assert metrics.rows == 3 * recorded.ROWS - 62  # 2 and 60 rows are disputed
