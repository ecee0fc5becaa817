"""Predictions that follow the model, in a real Label Studio: nobody asks for them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.support.e2e.loop import Connect, Loop
from tests.support.e2e.variants import NUMERIC
from tests.support.processes import wait_for
from timeseries_segmenter.project.model import UNTRAINED
from tools.studio.service import Service

pytestmark = pytest.mark.e2e

SECONDS = 120
FOREIGN = "another model"


@pytest.fixture
def loop(own_service: Callable[..., Service], connect: Connect) -> Loop:
    return connect(NUMERIC, own_service(PREDICT_AFTER_TRAINING="500"))


def follow(loop: Loop, version: str) -> None:
    loop.service.wait_predicted(loop.project.id, version, SECONDS)


def versions(loop: Loop, task: int) -> list[str]:
    return [each["model_version"] for each in loop.project.predictions(task)]


def test_each_version_takes_the_place_of_the_last_one_and_of_no_other_model(loop: Loop) -> None:
    one, other = loop.others
    loop.project.client.predictions.create(task=other, model_version=FOREIGN, result=[], score=0.5)
    first = loop.learn()
    follow(loop, first)
    loop.assert_predicted(first)
    scores = sorted(loop.stored(task, first)["score"] for task in loop.others)
    assert scores == pytest.approx([1 / 3, 2 / 3])  # places in an order
    began: dict[str, Any] = loop.stored(one, first)

    second = loop.learn(loop.annotated[:1])
    follow(loop, second)
    loop.assert_predicted(second)
    assert (versions(loop, one), versions(loop, other)) == ([second], [FOREIGN, second])

    # an annotator had the task open, whose annotation began as the first version's prediction
    answer = loop.project.session.post(
        f"{loop.project.studio.url}/api/tasks/{one}/annotations/",
        json={"result": began["result"], "parent_prediction": began["id"]},
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    third = str(loop.wait_trained()["version"])
    follow(loop, third)
    assert versions(loop, one) == [second]  # it is annotated by now
    assert versions(loop, other) == [FOREIGN, third]


def test_label_studio_orders_tasks_before_the_first_annotation(loop: Loop) -> None:
    tasks = list(loop.tasks)
    assert wait_for(lambda: all(versions(loop, task) == [UNTRAINED] for task in tasks), SECONDS)
    stored = {task: loop.project.predictions(task)[0] for task in tasks}
    assert all(each["result"] == [] for each in stored.values())
    listed: Any = loop.project.client.tasks.list(
        project=loop.project.id, query=json.dumps({"ordering": ["tasks:predictions_score"]})
    )
    order = [task.id for task in listed]
    assert order == sorted(tasks, key=lambda task: stored[task]["score"])
    version = loop.learn()
    follow(loop, version)
    assert [versions(loop, task) for task in loop.others] == [[version]] * len(loop.others)


def test_the_labeling_stream_shows_what_was_stored_and_asks_the_model_for_nothing(loop: Loop) -> None:
    version = loop.learn()
    follow(loop, version)
    before = loop.service.child.log.read_text().count("regions by")
    studio, session = loop.project.studio, loop.project.session
    given = session.get(f"{studio.url}/api/projects/{loop.project.id}/next", timeout=60).json()
    assert given["id"] == loop.others[0]
    assert [each["model_version"] for each in given["predictions"]] == [version]
    assert given["predictions"][0]["result"]
    assert loop.service.child.log.read_text().count("regions by") == before


def test_a_rollback_and_imported_tasks_are_followed(loop: Loop) -> None:
    first = loop.learn()
    second = loop.learn(loop.annotated[:1])
    follow(loop, second)
    rolled_back = requests.post(
        f"{loop.service.url}/projects/{loop.project.id}/rollback", json={"version": first}, timeout=30
    ).json()["version"]
    follow(loop, rolled_back)
    assert [versions(loop, task) for task in loop.others] == [[rolled_back]] * len(loop.others)

    data = {task.id: task.data for task in loop.project.tasks()}
    (new,) = loop.project.import_tasks([data[loop.others[0]]])
    assert wait_for(lambda: versions(loop, new), SECONDS) == [rolled_back]
    assert [versions(loop, task) for task in loop.others] == [[rolled_back]] * len(loop.others)
