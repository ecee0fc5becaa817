"""Predictions for labeling configs of several pairs of tags, and with settings of their own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from tests.support import recorded
from tests.support.models import PAIR, of_one_pair
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.web.backend import Backend

CONFIG = recorded.body("predict_json_inline")["label_config"]
SERIES = {"time": list(range(recorded.ROWS)), "value": recorded.values()}
SECOND = (
    CONFIG.removeprefix("<View>")
    .removesuffix("</View>")
    .replace('"label"', '"tag"')
    .replace('"ts"', '"b"')
    .replace('"$ts"', '"$b"')
    .replace("Run", "Jump")
    .replace("Walk", "Sit")
)
BOTH = CONFIG.replace("</View>", SECOND + "</View>")

Predict = Callable[..., dict[str, Any]]


@pytest.fixture
def predict(client: FlaskClient) -> Predict:
    """The prediction of a task of project 6 with this data."""

    def ask(data: dict[str, Any], label_config: str = CONFIG) -> dict[str, Any]:
        body = {"tasks": [{"id": 1, "data": data}], "project": "6.1", "label_config": label_config}
        (result,) = client.post("/predict", json=body).get_json()["results"]
        return dict(result)

    return ask


def drawn(result: dict[str, Any], from_name: str = "label") -> list[list[str]]:
    regions = [region for region in result["result"] if region["from_name"] == from_name]
    return [region["value"]["timeserieslabels"] for region in regions]


def test_each_pair_of_tags_draws_its_own_regions(
    predict: Predict, backend: Backend, run_walk: Segmenter
) -> None:
    renamed = replace(run_walk, label_sets=(("Jump",), ("Sit",)))
    backend.store.save(6, Model(Card(), {PAIR: run_walk, "tag:b": renamed}))
    result = predict({"ts": SERIES, "b": SERIES}, BOTH)
    assert drawn(result) == [[label] for *_, label in recorded.DRAWN]
    assert {region["to_name"] for region in result["result"] if region["from_name"] == "tag"} == {"b"}
    assert {label for labels in drawn(result, "tag") for label in labels} == {"Jump", "Sit"}


def test_the_score_is_that_of_the_pair_that_scores_lowest(
    predict: Predict, backend: Backend, run_walk: Segmenter
) -> None:
    values = np.array(recorded.values(), np.float32)[:, None]
    flat = dict(SERIES, value=[1.0] * recorded.ROWS)
    sure, unsure = sorted(run_walk.predict(each).confidence for each in (values, np.ones_like(values)))[::-1]
    assert sure != unsure
    backend.store.save(6, Model(Card(), {PAIR: run_walk, "tag:b": run_walk}))
    assert predict({"ts": SERIES, "b": flat}, BOTH)["score"] == unsure
    assert predict({"ts": flat, "b": SERIES}, BOTH)["score"] == unsure


def test_a_pair_whose_series_is_missing_costs_its_own_regions_alone(
    predict: Predict, backend: Backend, run_walk: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    backend.store.save(6, Model(Card(), {PAIR: run_walk, "tag:b": run_walk}))
    result = predict({"ts": SERIES}, BOTH)
    assert len(drawn(result)) == len(recorded.DRAWN)
    assert drawn(result, "tag") == []
    assert 'no value for "b"' in caplog.text


def test_a_pair_that_was_not_learned_draws_nothing(
    predict: Predict, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.save(6, of_one_pair(run_walk))
    result = predict({"ts": SERIES, "b": SERIES}, BOTH)
    assert len(drawn(result)) == len(result["result"]) == len(recorded.DRAWN)


def test_tags_that_were_renamed_are_known_by_being_the_only_ones(
    predict: Predict, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.save(6, of_one_pair(run_walk))
    renamed = CONFIG.replace('"label"', '"activity"')
    assert len(drawn(predict({"ts": SERIES}, renamed), "activity")) == len(recorded.DRAWN)


def test_a_region_has_all_labels_of_its_set_where_the_choice_is_multiple(
    predict: Predict, backend: Backend, run_walk: Segmenter
) -> None:
    both = replace(run_walk, label_sets=(("Run",), ("Run", "Walk")))
    backend.store.save(6, of_one_pair(both))
    several = CONFIG.replace('toName="ts"', 'toName="ts" choice="multiple"')
    expected = {"Run": ["Run"], "Walk": ["Run", "Walk"]}
    assert drawn(predict({"ts": SERIES}, several)) == [expected[label] for *_, label in recorded.DRAWN]
    assert drawn(predict({"ts": SERIES})) == [["Run"] for _ in recorded.DRAWN]


def test_labels_of_the_task_alone_are_drawn(predict: Predict, backend: Backend, run_walk: Segmenter) -> None:
    backend.store.save(6, of_one_pair(run_walk))
    dynamic = CONFIG.replace('toName="ts"', 'toName="ts" value="$labels"').replace('<Label value="Run"/>', "")
    dynamic = dynamic.replace('<Label value="Walk"/>', "")
    assert drawn(predict({"ts": SERIES, "labels": [{"value": "Walk"}]}, dynamic)) == [
        [label] for *_, label in recorded.DRAWN if label == "Walk"
    ]
    assert drawn(predict({"ts": SERIES}, dynamic)) == []


def test_predicted_values_name_what_the_model_calls_a_label(
    predict: Predict, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.save(6, of_one_pair(run_walk))
    renamed = CONFIG.replace('<Label value="Run"', '<Label value="Jog" predicted_values="Run"')
    assert renamed != CONFIG
    expected = [["Jog" if label == "Run" else label] for *_, label in recorded.DRAWN]
    assert drawn(predict({"ts": SERIES}, renamed)) == expected


def test_regions_below_the_threshold_of_the_config_are_not_drawn(
    predict: Predict, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.save(6, of_one_pair(run_walk))
    scores = sorted(region["score"] for region in predict({"ts": SERIES})["result"])
    sure = CONFIG.replace('toName="ts"', f'toName="ts" model_score_threshold="{scores[1]}"')
    kept = predict({"ts": SERIES}, sure)["result"]
    assert sorted(region["score"] for region in kept) == scores[1:]


def test_a_bad_setting_is_refused_at_setup_with_its_name_and_value(client: FlaskClient) -> None:
    body = recorded.body("setup_request_index_time")
    body["schema"] = CONFIG.replace('toName="ts"', 'toName="ts" model_epochs="lots"')
    answer = client.post("/setup", json=body)
    assert answer.status_code == 400
    assert 'TimeSeriesLabels "label" has model_epochs="lots"' in answer.get_json()["detail"]


def test_a_misspelt_setting_is_named_in_the_log_at_setup(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    body = recorded.body("setup_request_index_time")
    body["schema"] = CONFIG.replace('toName="ts"', 'toName="ts" model_epoch="5"')
    assert client.post("/setup", json=body).status_code == 200
    assert "has model_epoch, which this service doesn't know" in caplog.text
    assert "model_epochs" in caplog.text
