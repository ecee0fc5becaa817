"""Tasks that were sampled at different rates."""

from typing import Any

import numpy as np
import pytest

from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.labelled_task import read_labelled_tasks
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.prediction import PredictionRequest, predict_tasks
from timeseries_segmenter.project.training import ModelTraining, train_model
from timeseries_segmenter.report.builder import reported
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.task_series import TaskSeries

PAIR = "label:ts"
CONFIG = parse_label_config(
    """<View>
    <TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/></TimeSeriesLabels>
    <TimeSeries name="ts" value="$ts" valueType="json" timeColumn="t"><Channel column="x"/></TimeSeries>
    </View>"""
)
FINE, COARSE = 0.1, 0.4  # s from row to row
SECONDS = 80


def task(number: int, interval: float) -> dict[str, Any]:
    """`Run` shakes four times as fast as `Walk`: at four times the interval, `Walk` looks like `Run`."""
    random = np.random.default_rng(number)
    times = np.arange(0, SECONDS, FINE)
    shaking = np.zeros(len(times))
    regions = []
    start = float(random.integers(5, 10))
    for label in random.permutation(["Run", "Walk", "Run", "Walk"]):
        inside = (times >= start) & (times <= start + 12)
        shaking[inside] = np.sin(times[inside] * (2.5 if label == "Run" else 0.625))
        value = {"start": start, "end": start + 12, "instant": False, "timeserieslabels": [label]}
        regions.append({"from_name": "label", "to_name": "ts", "type": "timeserieslabels", "value": value})
        start += 12 + float(random.integers(3, 7))
    rows = slice(None, None, round(interval / FINE))
    values = 3 * shaking + random.normal(scale=0.2, size=len(times))
    return {
        "id": number,
        "data": {"ts": {"t": times[rows].round(2).tolist(), "x": values[rows].tolist()}},
        "annotations": [{"id": number, "result": regions}],
    }


def train(tasks: list[dict[str, Any]]) -> ModelTraining:
    settings = Settings(train_epochs=120, hidden_size=16)
    series = TaskSeries.from_settings(settings)
    labelled = read_labelled_tasks(tasks, CONFIG, series, (), lambda left_out: pytest.fail(left_out.reason))
    return train_model(labelled, CONFIG, settings)


def assert_found(model: Model, tasks: list[dict[str, Any]]) -> None:
    """All annotated regions, and no others, with ends that are at most a second off."""
    predictions = predict_tasks(PredictionRequest(tasks, CONFIG, TaskSeries.from_settings(Settings())), model)
    for each, predicted in zip(tasks, predictions, strict=True):
        drawn, found = (
            [region["value"] for region in regions]
            for regions in (each["annotations"][0]["result"], predicted["result"])
        )
        assert [value["timeserieslabels"] for value in found] == [
            value["timeserieslabels"] for value in drawn
        ]
        for one, other in zip(drawn, found, strict=True):
            assert other["start"] in each["data"]["ts"]["t"]
            assert other["start"] == pytest.approx(one["start"], abs=1.0)
            assert other["end"] == pytest.approx(one["end"], abs=1.0)


def test_tasks_at_a_quarter_of_the_rate_are_learned_as_well_and_the_report_says_so() -> None:
    tasks = [task(number, COARSE if number % 2 else FINE) for number in range(6)]
    training = train(tasks)
    model = reported(training, Card())
    card = model.card.pairs[PAIR]
    assert card.held_out is not None
    assert card.held_out.rows == sum(len(each["data"]["ts"]["t"]) for each in tasks)
    assert card.held_out.macro_f1 > 0.9
    assert (card.held_out.segment_f1["50"] or 0) > 0.85
    assert card.sampling.startswith(
        "3 of 6 series, mostly with a row every 0.4, are sampled unevenly or at another rate than most: they "
        "were brought to a row every 0.1"
    )
    assert_found(model, [task(10, FINE), task(11, COARSE)])


def test_a_rate_that_no_annotated_task_had_is_predicted_as_well_and_equal_rates_are_left_alone() -> None:
    model = reported(train([task(number, FINE) for number in range(3)]), Card())
    assert model.card.pairs[PAIR].sampling == ""
    assert_found(model, [task(10, FINE), task(11, COARSE)])
