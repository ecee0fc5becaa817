"""How many functions of ours a request goes through, and that it parses everything once."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import _wsgi
from model import TimeSeriesSegmenter
from tests.support import recorded
from tests.support.models import of_one_pair
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.web.backend import Backend

ROOT = Path(__file__).parents[2]
MOST = 12
INNER = "predict_tasks"  # bytes → series → probabilities → segments → regions
UNNAMED = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"}


def _place(frame: FrameType) -> str | None:
    """A function of ours as `file function`."""
    code = frame.f_code
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT) or code.co_name in UNNAMED:
        return None
    file = path.relative_to(ROOT).as_posix()
    ours = file in ("model.py", "_wsgi.py") or file.startswith("timeseries_segmenter/")
    return f"{file} {code.co_qualname}" if ours else None


def _is_outer(place: str) -> bool:
    return place.startswith(("timeseries_segmenter/web/", "model.py", "_wsgi.py"))


def hops(ask: Callable[[], TestResponse]) -> tuple[TestResponse, Counter[str]]:
    """What a request is answered, and the calls of our functions on its way, in their order.

    Of the wings below the web, the function by which they are entered counts; what that does by itself is
    their matter. Of a prediction, nothing counts from `predict_tasks` on.
    """
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event != "call" or (place := _place(frame)) is None:
            return
        above: FrameType | None = frame.f_back
        callers = []
        while above is not None:
            callers += [name] if (name := _place(above)) else []
            above = above.f_back
        inner = any(name.endswith(f" {INNER}") for name in [place, *callers])
        if not inner and all(map(_is_outer, callers)):
            calls[place] += 1

    sys.setprofile(note)
    try:
        answer = ask()
    finally:
        sys.setprofile(None)
    return answer, calls


def assert_short(calls: Counter[str], *, once: tuple[str, ...]) -> None:
    listed = "\n".join(f"{number:3} {calls[place]}x {place}" for number, place in enumerate(calls, 1))
    assert len(calls) <= MOST, f"{len(calls)} functions of ours, and {MOST} are enough:\n{listed}"
    for name in once:
        found = [times for place, times in calls.items() if place.endswith(f" {name}")]
        assert found == [1], f"{name} is called {found} times, and once is right:\n{listed}"


def test_a_webhook_goes_through_few_functions_and_is_parsed_once(client: FlaskClient) -> None:
    def ask() -> TestResponse:
        return client.post("/webhook", json=recorded.body("webhook_start_training"))

    ask()
    answer, calls = hops(ask)
    assert answer.status_code == 201
    assert "job" in answer.get_json()
    assert_short(calls, once=("webhook", "read_body", "parse_label_config", "TrainingPolicy.count"))


def test_a_prediction_goes_through_few_functions_and_is_parsed_once(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    def ask() -> TestResponse:
        return client.post("/predict", json=recorded.body("predict_json_inline"))

    backend.store.save(6, of_one_pair(run_walk))
    ask()
    answer, calls = hops(ask)
    assert [len(result["result"]) for result in answer.get_json()["results"]] == [3, 3, 3]
    assert_short(calls, once=("predict", "read_body", "parse_label_config", "Serving.load"))


@pytest.mark.usefixtures("app")
def test_an_answer_names_the_version_of_its_predictions_though_a_newer_one_is_saved_meanwhile(
    settings: Settings, run_walk: Segmenter
) -> None:
    def save() -> str:
        backend: Backend = app.extensions["timeseries_segmenter"]
        return backend.store.save(6, of_one_pair(run_walk))

    class TrainedMeanwhile(TimeSeriesSegmenter):
        def predict(self, *arguments: Any, **named: Any) -> list[dict[str, Any]]:
            predictions = super().predict(*arguments, **named)
            save()
            return predictions

    app: Flask = _wsgi.init_app(TrainedMeanwhile, settings)
    version = save()
    answer = app.test_client().post("/predict", json=recorded.body("predict_json_inline"))
    assert {result["model_version"] for result in answer.get_json()["results"]} == {version}
    assert answer.get_json()["model_version"] == version
