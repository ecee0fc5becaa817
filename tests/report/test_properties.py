"""Whatever people draw on whatever series: a training run is reported, and its page can be shown."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from timeseries_segmenter.errors import SeriesError, TrainingError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.labelled_task import LabelledTask, read_labelled_tasks
from timeseries_segmenter.project.left_out import LeftOut
from timeseries_segmenter.project.training import train_model
from timeseries_segmenter.report.builder import reported
from timeseries_segmenter.report.content import Report
from timeseries_segmenter.report.page import render
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.task_series import TaskSeries

SETTINGS = Settings(train_epochs=2, hidden_size=2, sequence_size=4)
CARD = Card(
    project=47,
    created_at=datetime(2026, 11, 25, 10, tzinfo=UTC),
    title="<b>$x^2$</b>",
    tasks=[1],
    skipped=["Task 9: <i>broken</i>"],
    seconds={"fitting": 1.0},
)
LABELS = ("A", "$B$", "<c>")
CONFIG = """<View>
  <TimeSeriesLabels name="label" toName="ts"{choice} model_unlabeled="{unlabeled}">
    <Label value="A"/><Label value="$B$"/><Label value="&lt;c&gt;"/>
  </TimeSeriesLabels>
  <TimeSeries name="ts" valueType="json" value="$ts" timeColumn="time"{format}>
    <Channel column="x"/><Channel column="y"/>
  </TimeSeries>
</View>"""

cells = st.none() | st.floats(-1e3, 1e3) | st.sampled_from([0.0, 1e30, -1e30])


@st.composite
def columns(draw: st.DrawFn, rows: int, dates: bool) -> dict[str, list[Any]]:
    random = np.random.default_rng(draw(st.integers(0, 99)))
    steps = np.cumsum(random.integers(0 if draw(st.booleans()) else 1, 4, rows)).tolist()
    x = draw(st.sampled_from(["noise", "constant", "missing", "cells"]))
    values: dict[str, list[Any]] = {
        "noise": random.normal(size=rows).tolist(),
        "constant": [3.5] * rows,
        "missing": [None] * rows,
        "cells": draw(st.lists(cells, min_size=rows, max_size=rows)) if rows < 30 else [1e30] * rows,
    }
    times = [f"2024-01-01 00:{step // 60 % 60:02d}:{step % 60:02d}" for step in steps] if dates else steps
    return {"time": times, "x": values[x], "y": random.normal(size=rows).tolist()}


@st.composite
def tasks(draw: st.DrawFn, number: int, dates: bool) -> dict[str, Any]:
    rows = draw(st.sampled_from([1, 2, 3, 8, 25, 60]))
    series = draw(columns(rows, dates))
    annotations = [
        {"id": person, "completed_by": person, "result": draw(regions(rows, series["time"]))}
        for person in range(1, draw(st.sampled_from([2, 2, 3])))
    ]
    return {"id": number, "data": {"ts": series}, "annotations": annotations}


@st.composite
def regions(draw: st.DrawFn, rows: int, time: Sequence[Any]) -> list[dict[str, Any]]:
    regions: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 5))):
        first, last = sorted(draw(st.tuples(st.integers(0, rows - 1), st.integers(0, rows - 1))))
        labels = draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=2, unique=True))
        value = {"start": time[first], "end": time[last], "timeserieslabels": labels}
        regions.append({"id": f"r{len(regions)}", "from_name": "label", "to_name": "ts", "value": value})
    return regions


@st.composite
def projects(draw: st.DrawFn) -> tuple[LabelConfig, list[dict[str, Any]]]:
    dates, multiple = draw(st.booleans()), draw(st.booleans())
    xml = CONFIG.format(
        choice=' choice="multiple"' if multiple else "",
        unlabeled=draw(st.sampled_from(["background", "background", "span"])),
        format=' timeFormat="%Y-%m-%d %H:%M:%S"' if dates else "",
    )
    drawn = [draw(tasks(number, dates)) for number in range(1, draw(st.integers(2, 5)))]
    certain = {"start": drawn[0]["data"]["ts"]["time"][0], "timeserieslabels": ["A"]}
    region = {
        "id": "one",
        "from_name": "label",
        "to_name": "ts",
        "value": certain | {"end": certain["start"]},
    }
    for annotation in drawn[0]["annotations"]:
        annotation["result"].append(region)
    return parse_label_config(xml), drawn


def teaches_nothing(task: LeftOut) -> None:
    assert re.search("nothing is learned|agree on no row", task.reason)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(projects())
def test_every_training_is_reported_and_its_page_can_be_shown(
    project: tuple[LabelConfig, list[dict[str, Any]]],
) -> None:
    config, drawn = project
    labelled: dict[str, list[LabelledTask]] = read_labelled_tasks(
        drawn, config, TaskSeries.from_settings(SETTINGS), (SeriesError,), teaches_nothing
    )
    try:
        training = train_model(labelled, config, SETTINGS)
    except TrainingError:
        reject()  # people agree on nothing, or all of it has one label
    model = reported(training, CARD)
    assert model.report
    report = Report.from_saved(model.report, model.card)
    assert [pair.name for pair in report.pairs] == ["label:ts"]
    assert (report.pairs[0].held_out is None) == (len(labelled["label:ts"]) == 1)
    again = reported(training, CARD, model.card)
    page = render(report.model_copy(update={"previous": None}), "v2", label_studio_url="http://studio")
    assert "&lt;b&gt;$x^2$&lt;/b&gt;" in page
    assert "<b>$x^2$</b>" not in page
    assert again.card.pairs == model.card.pairs
