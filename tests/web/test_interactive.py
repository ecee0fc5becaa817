"""Label Studio's interactive requests: what an annotator draws is completed."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from tests.support import recorded
from tests.support.models import of_one_pair
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.web.backend import Backend

PROJECT = 1  # of the recorded request
FIRST, WALK, SECOND = recorded.DRAWN
TOLERANCE = 3  # rows

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(client: FlaskClient) -> Ask:
    """The prediction in the answer to the recorded request, with these regions."""

    def asked(regions: list[dict[str, Any]]) -> dict[str, Any]:
        body = recorded.body("interactive_json_inline")
        body["params"]["context"]["result"] = regions
        answer = client.post("/predict", json=body)
        assert answer.status_code == 200, answer.text
        (prediction,) = json.loads(answer.text, parse_constant=pytest.fail)["results"]
        return dict(prediction)

    return asked


@pytest.fixture
def version(backend: Backend, run_walk: Segmenter) -> str:
    return backend.store.save(PROJECT, of_one_pair(run_walk))


def spans(prediction: dict[str, Any]) -> list[tuple[int, int, str]]:
    values = [region["value"] for region in prediction["result"]]
    return [(value["start"], value["end"], value["timeserieslabels"][0]) for value in values]


def test_the_other_regions_of_a_drawn_label_are_the_answer(ask: Ask, version: str) -> None:
    prediction = ask(recorded.regions(FIRST))
    assert prediction["model_version"] == version
    ((first, last, label),) = spans(prediction)
    assert label == SECOND[2]
    assert abs(first - SECOND[0]) <= TOLERANCE
    assert abs(last - SECOND[1]) <= TOLERANCE
    assert {region["origin"] for region in prediction["result"]} == {"prediction"}


@pytest.mark.usefixtures("version")
def test_the_recorded_request_gets_the_regions_that_its_own_does_not_overlap(client: FlaskClient) -> None:
    body = recorded.body("interactive_json_inline")
    (drawn,) = body["params"]["context"]["result"]
    assert drawn["value"]["timeserieslabels"] == ["Run"]
    (prediction,) = client.post("/predict", json=body).get_json()["results"]
    assert [label for *_, label in spans(prediction)] == ["Run", "Run"]
    assert all(first > drawn["value"]["end"] for first, *_ in spans(prediction))


def test_nothing_is_added_to_suggestions_that_came_before(ask: Ask, version: str) -> None:
    (suggested,) = ask(recorded.regions(FIRST))["result"]
    answer = ask([*recorded.regions(FIRST), suggested])
    assert (answer["model_version"], answer["result"]) == (version, [])
    changed = suggested | {"origin": "prediction-changed"}
    assert ask([*recorded.regions(FIRST), changed])["result"] == []


def test_nothing_is_suggested_without_a_model(ask: Ask) -> None:
    untrained = {"model_version": "untrained", "score": 0.0, "result": []}
    assert ask(recorded.regions(FIRST)) == untrained


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize(
    "context", [None, {}, [], "text", {"result": None}, {"result": "text"}, {"result": []}]
)
def test_a_context_that_says_nothing_of_what_is_drawn_gets_the_whole_prediction(
    client: FlaskClient, context: Any
) -> None:
    body = recorded.body("interactive_json_inline") | {"params": {"context": context}}
    (prediction,) = client.post("/predict", json=body).get_json()["results"]
    assert len(spans(prediction)) == len(recorded.DRAWN)


@pytest.mark.usefixtures("version")
def test_nobody_draws_on_several_tasks_at_once(client: FlaskClient) -> None:
    body = recorded.body("interactive_json_inline")
    body["tasks"] *= 2
    for prediction in client.post("/predict", json=body).get_json()["results"]:
        assert len(spans(prediction)) == len(recorded.DRAWN)


def test_instants_are_completed_too(
    client: FlaskClient, backend: Backend, beat: Segmenter, beats: dict[str, list[float]]
) -> None:
    backend.store.save(PROJECT, of_one_pair(beat))
    body = recorded.body("interactive_json_inline")
    channels = '<Channel column="value"/><Channel column="other"/>'
    body["label_config"] = (
        body["label_config"].replace('<Channel column="value"/>', channels).replace("Run", "Beat")
    )
    body["tasks"][0]["data"]["ts"] = {"time": np.arange(200).tolist()} | beats
    body["params"]["context"]["result"] = recorded.regions((61, 61, "Beat"))
    (prediction,) = client.post("/predict", json=body).get_json()["results"]
    assert np.allclose([first for first, *_ in spans(prediction)], [20, 100, 140, 180], atol=2)


@pytest.mark.usefixtures("version")
def test_a_region_that_has_no_place_costs_its_answer_and_is_in_the_log(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(recorded.regions((5000, 5010, "Run")))["result"] == []
    assert "lies outside the series" in caplog.text


@pytest.mark.usefixtures("version")
def test_batches_give_way_between_two_tasks_and_who_draws_does_not(
    ask: Ask, client: FlaskClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[str] = []
    monkeypatch.setattr(backend.precedence, "give_way", lambda: waits.append("a task"))
    assert ask(recorded.regions(FIRST))["result"]
    assert waits == []
    batch = recorded.body("interactive_json_inline") | {"params": None}
    batch["tasks"] *= 3
    assert len(client.post("/predict", json=batch).get_json()["results"]) == 3
    assert len(waits) == 3
