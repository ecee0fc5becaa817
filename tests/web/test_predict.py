import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from model import TimeSeriesSegmenter
from tests.support import recorded
from tests.support.http_server import Reply
from tests.support.label_studio_server import LabelStudioServer
from tests.support.models import of_one_pair
from timeseries_segmenter.learning.segmenter import Segmentation, Segmenter
from timeseries_segmenter.segment import Segment
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_file import save_model
from timeseries_segmenter.web.backend import Backend

TRIPLE = "predict_batch_3_tasks_index_time"
INLINE = "predict_json_inline"
CHANNEL = '<Channel column="value"/>'
OTHER = '<Channel column="other"/>'
BEATS = [20, 60, 100, 140, 180]  # rows
TOLERANCE = 3  # rows between a segment and where the model finds it

Predict = Callable[[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return settings.model_copy(update={"label_studio_host": studio.url})


@pytest.fixture
def predict(client: FlaskClient, studio: LabelStudioServer) -> Predict:
    """Asks, and checks what Label Studio can't do without: strict JSON, one entry a task."""

    def ask(body: dict[str, Any]) -> list[dict[str, Any]]:
        studio.vouch(body)
        answer = client.post("/predict", json=body)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = json.loads(answer.text, parse_constant=pytest.fail)["results"]
        assert len(results) == len(body["tasks"])
        for result in results:
            assert set(result) == {"model_version", "score", "result"}
            assert isinstance(result["score"], float)
        return results

    return ask


@pytest.fixture
def version(backend: Backend, run_walk: Segmenter) -> str:
    """Of project 6, which is that of most recorded requests."""
    return backend.store.save(6, of_one_pair(run_walk))


def served(name: str, studio: LabelStudioServer) -> dict[str, Any]:
    """A recorded request whose series are there, on the host it names and on Label Studio."""
    body = recorded.body(name)
    for number, task in enumerate(body["tasks"]):
        if "csv_url" in task["data"]:
            address = task["data"]["csv_url"].replace("http://127.0.0.1:8099", studio.url)
            task["data"]["csv_url"] = address
            studio.files[address.removeprefix(studio.url)] = recorded.csv(name, number)
    return body


def forget_downloads(backend: Backend) -> None:
    for path in backend.settings.series_cache_dir.glob("*.*"):
        path.unlink()


def spans(result: dict[str, Any]) -> list[tuple[Any, Any, str]]:
    values = [region["value"] for region in result["result"]]
    return [(value["start"], value["end"], value["timeserieslabels"][0]) for value in values]


def found(result: dict[str, Any], times: list[Any]) -> list[tuple[int, int, str]]:
    """Regions as rows; fails if a start or end is not a sample's time, as the form writes it."""
    kinds = {type(time) for time in times}
    for start, end, _ in spans(result):
        assert type(start) in kinds | {int}
        assert type(end) in kinds | {int}
    return [(times.index(start), times.index(end), label) for start, end, label in spans(result)]


def assert_found(rows: list[tuple[int, int, str]]) -> None:
    assert [label for *_, label in rows] == [label for *_, label in recorded.DRAWN]
    for (first, last, _), (true_first, true_last, _) in zip(rows, recorded.DRAWN, strict=True):
        assert abs(first - true_first) <= TOLERANCE
        assert abs(last - true_last) <= TOLERANCE


@pytest.mark.parametrize("name", recorded.PREDICTIONS)
def test_an_untrained_project_gets_an_entry_without_regions_for_each_task(
    predict: Predict, name: str
) -> None:
    for result in predict(recorded.body(name)):
        assert result == {"model_version": "untrained", "score": 0.0, "result": []}


@pytest.mark.parametrize("name", recorded.PREDICTIONS)
def test_every_recorded_form_gets_the_regions_in_its_own_time(
    predict: Predict, backend: Backend, studio: LabelStudioServer, run_walk: Segmenter, name: str
) -> None:
    body = served(name, studio)
    version = backend.store.save(int(body["project"].split(".")[0]), of_one_pair(run_walk))
    for result in predict(body):
        assert result["model_version"] == version
        assert_found(found(result, recorded.times(name)))
        for region in result["result"]:
            assert (region["from_name"], region["to_name"]) == ("label", "ts")
            assert region["type"] == "timeserieslabels"
            assert region["value"]["instant"] is False
        assert len({region["id"] for region in result["result"]}) == len(result["result"])


def test_dates_are_the_text_of_the_time_cells(
    predict: Predict, backend: Backend, studio: LabelStudioServer, run_walk: Segmenter
) -> None:
    backend.store.save(5, of_one_pair(run_walk))
    body = served("predict_string_date_time", studio)
    cells = set(recorded.csv("predict_string_date_time").decode().replace("\n", ",").split(","))
    for start, end, _ in spans(predict(body)[0]):
        assert {start, end} <= cells


def test_scores_are_probabilities_and_the_tasks_tells_how_sure_the_model_is_of_its_series(
    predict: Predict, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.save(6, of_one_pair(run_walk))
    body = recorded.body(INLINE)
    for task, result in zip(body["tasks"], predict(body), strict=True):
        scores = [region["score"] for region in result["result"]]
        assert len(scores) == 3
        assert all(0.5 < score <= 1 for score in scores)
        values = np.array(task["data"]["ts"]["value"], np.float32)[:, None]
        assert result["score"] == run_walk.predict(values).confidence
        assert 0 < result["score"] < max(scores)


def beat_request(beats: dict[str, list[float]], channels: str) -> dict[str, Any]:
    body = recorded.body(INLINE)
    body["label_config"] = body["label_config"].replace('"Run"', '"Beat"').replace(CHANNEL, channels)
    body["tasks"] = [{"id": 7, "data": {"ts": {"time": [row / 4 for row in range(200)]} | beats}}]
    return body


def test_instants_are_exactly_the_regions_whose_start_equals_their_end(
    predict: Predict, backend: Backend, beat: Segmenter, beats: dict[str, list[float]]
) -> None:
    backend.store.save(6, of_one_pair(beat))
    regions = predict(beat_request(beats, CHANNEL + OTHER))[0]["result"]
    assert [region["value"]["start"] * 4 for region in regions] == pytest.approx(BEATS, abs=1)
    for region in regions:
        assert region["value"]["instant"] is True
        assert region["value"]["end"] == region["value"]["start"]


def test_channels_reordered_since_training_are_read_in_the_order_of_the_training(
    predict: Predict, backend: Backend, beat: Segmenter, beats: dict[str, list[float]]
) -> None:
    backend.store.save(6, of_one_pair(beat))
    (result,) = predict(beat_request(beats, OTHER + CHANNEL))
    assert result == predict(beat_request(beats, CHANNEL + OTHER))[0]
    assert [start * 4 for start, *_ in spans(result)] == pytest.approx(BEATS, abs=1)


@pytest.mark.parametrize("left", [CHANNEL, OTHER])
def test_a_channel_removed_since_training_means_no_regions(
    predict: Predict,
    backend: Backend,
    beat: Segmenter,
    beats: dict[str, list[float]],
    caplog: pytest.LogCaptureFixture,
    left: str,
) -> None:
    version = backend.store.save(6, of_one_pair(beat))
    (result,) = predict(beat_request(beats, left))
    assert result == {"model_version": version, "score": 0.0, "result": []}
    assert "train again" in caplog.text


@pytest.mark.usefixtures("version")
def test_one_row_of_a_range_label_is_an_instant_and_equal_stamps_are_too(
    predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = [Segment(3, 3, ("Run",)), Segment(10, 12, ("Walk",)), Segment(20, 25, ("Run",))]
    monkeypatch.setattr(Segmenter, "predict", lambda *_: Segmentation(drawn, 0.5))
    body = recorded.body(INLINE)
    body["tasks"][0]["data"]["ts"]["time"] = [row if not 10 <= row <= 12 else 10 for row in range(300)]
    values = [region["value"] for region in predict(body)[0]["result"]]
    assert [(value["start"], value["end"], value["instant"]) for value in values] == [
        (3, 3, True),
        (10, 10, True),
        (20, 25, False),
    ]


@pytest.mark.usefixtures("version")
def test_missing_cells_leave_the_answer_strict_json(predict: Predict) -> None:
    body = recorded.body(INLINE)
    body["tasks"][0]["data"]["ts"]["value"][50:60] = [None] * 10
    body["tasks"][1]["data"]["ts"]["value"] = [None] * 300
    results = predict(body)
    assert "Run" in {label for *_, label in spans(results[0])}
    assert all(0 <= result["score"] <= 1 for result in results)


LABELS = '<Label value="Run"/><Label value="Walk"/>'
CHANGED_LABELS = {
    "removed": ('<Label value="Run"/>', {"Run"}),
    "renamed": ('<Label value="Run"/><Label value="Hike"/>', {"Run"}),
    "given an alias": ('<Label value="Run"/><Label value="Walk" alias="w"/>', {"Run"}),
    "reordered": ('<Label value="Walk"/><Label value="Run"/>', {"Run", "Walk"}),
    "added": ('<Label value="Sit"/>' + LABELS, {"Run", "Walk"}),
    "all others": ('<Label value="Sit"/><Label value="Lie"/>', set()),
}


@pytest.mark.parametrize("change", CHANGED_LABELS)
def test_labels_changed_since_training_never_yield_a_wrong_label(
    predict: Predict, change: str, version: str
) -> None:
    body = recorded.body(INLINE)
    tags, still_known = CHANGED_LABELS[change]
    body["label_config"] = body["label_config"].replace(LABELS, tags)
    times = list(range(recorded.ROWS))
    right = [span for span in recorded.DRAWN if span[2] in still_known]
    for result in predict(body):
        assert result["model_version"] == version
        rows = found(result, times)
        assert [label for *_, label in rows] == [label for *_, label in right]
        for row, true in zip(rows, right, strict=True):
            assert row[:2] == pytest.approx(true[:2], abs=TOLERANCE)


CHANGED_CHANNELS = {
    "added": (CHANNEL + OTHER, True),
    "added before": (OTHER + CHANNEL, True),
    "written in capitals": ('<Channel column="VALUE"/>', True),
    "replaced": (OTHER, False),
}


@pytest.mark.parametrize("change", CHANGED_CHANNELS)
def test_channels_changed_since_training_are_found_by_name_or_nothing_is_drawn(
    predict: Predict, change: str, version: str
) -> None:
    body = recorded.body(INLINE)
    tags, fits = CHANGED_CHANNELS[change]
    body["label_config"] = body["label_config"].replace(CHANNEL, tags)
    for task in body["tasks"]:
        task["data"]["ts"]["other"] = task["data"]["ts"]["value"][::-1]
    for result in predict(body):
        assert result["model_version"] == version
        if fits:
            assert_found(found(result, list(range(recorded.ROWS))))
        else:
            assert result["result"] == []


BAD_TASKS = [
    {"id": 8},
    {"id": 8, "data": None},
    {"id": 8, "data": {}},
    {"id": 8, "data": {"ts": None}},
    {"id": 8, "data": {"ts": 5}},
    {"id": 8, "data": {"ts": "{"}},
    {"id": 8, "data": {"ts": {}}},
    {"id": 8, "data": {"ts": {"time": [0, 1]}}},
    {"id": 8, "data": {"ts": {"time": [0, 1], "value": ["a", "b"]}}},
    {"id": 8, "data": {"ts": {"time": [1, 0], "value": [1, 2]}}},
    {"id": 8, "data": {"ts": {"time": [0, 1], "value": [1]}}},
    {"id": 8, "data": {"ts": {"time": [], "value": []}}},
    {"id": 8, "data": {"ts": {"time": 5, "value": {}}}},
    {},
]


@pytest.mark.parametrize("bad", BAD_TASKS)
def test_a_bad_task_costs_one_task_and_is_named_in_the_log(
    predict: Predict, caplog: pytest.LogCaptureFixture, bad: dict[str, Any], version: str
) -> None:
    body = recorded.body(INLINE)
    body["tasks"][1] = bad
    results = predict(body)
    assert results[1] == {"model_version": version, "score": 0.0, "result": []}
    for result in (results[0], results[2]):
        assert_found(found(result, list(range(recorded.ROWS))))
    warnings = [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert len(warnings) == 1
    assert "8" in warnings[0] or not bad


BAD_ADDRESSES = [
    "http://127.0.0.1:1/gone.csv",
    "http://[broken",
    "http://host:99999/x.csv",
    "http://",
    "ftp://host/x.csv",
    "file:///etc/passwd",
    "/etc/passwd",
    "../../etc/passwd",
    "x\0.csv",
    "s3://bucket/gone.csv",
    "/data/upload/3/gone.csv",
    "",
    "   ",
]


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_an_address_that_cannot_be_fetched_costs_one_task(
    predict: Predict, backend: Backend, studio: LabelStudioServer, run_walk: Segmenter, address: str
) -> None:
    backend.store.save(3, of_one_pair(run_walk))
    body = served(TRIPLE, studio)
    body["tasks"][1]["data"]["csv_url"] = address
    assert [len(result["result"]) for result in predict(body)] == [3, 0, 3]


@pytest.mark.usefixtures("version")
def test_a_model_that_breaks_on_a_series_costs_one_task(
    predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict_series, calls = Segmenter.predict, []

    def second_breaks(segmenter: Segmenter, *series: Any) -> Segmentation:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return predict_series(segmenter, *series)

    monkeypatch.setattr(Segmenter, "predict", second_breaks)
    assert [len(result["result"]) for result in predict(recorded.body(INLINE))] == [3, 0, 3]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"project": "6.1795343773"}, 6),
        ({"project": 6}, 6),
        ({"project": "6", "params": {"context": {"project": 7}}}, 6),
        ({"project": None, "params": {"context": {"project": "6.1"}}}, 6),
        ({"project": None, "params": {"context": {"project_id": 6}}}, 6),
        ({"project": None, "params": None, "task": 6}, 6),
        ({"project": "", "task": "6"}, 6),
        ({"project": None, "params": {"context": None}}, 0),
        ({}, 0),
    ],
)
def test_the_model_is_that_of_the_project_in_the_request_its_context_or_its_tasks(
    predict: Predict, backend: Backend, run_walk: Segmenter, named: dict[str, Any], expected: int
) -> None:
    versions = {project: backend.store.save(project, of_one_pair(run_walk)) for project in (0, 6, 7)}
    body = recorded.body(INLINE)
    for key in ("project", "params"):
        del body[key]
    body |= {key: value for key, value in named.items() if key != "task"}
    for task in body["tasks"]:
        task["project"] = named.get("task")
    assert {result["model_version"] for result in predict(body)} == {versions[expected]}


def test_requests_without_a_project_are_served_by_model_project_0(
    predict: Predict, backend: Backend, settings: Settings, run_walk: Segmenter
) -> None:
    backend.store.save(0, of_one_pair(run_walk))
    assert (settings.model_dir / "model_project_0.pt").exists()
    body = recorded.body(INLINE) | {"project": None}
    for task in body["tasks"]:
        del task["project"]
    assert [len(result["result"]) for result in predict(body)] == [3, 3, 3]


def test_a_damaged_model_file_is_named_in_the_log_and_the_version_before_serves(
    predict: Predict,
    client: FlaskClient,
    backend: Backend,
    run_walk: Segmenter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = (
        backend.store.save(6, of_one_pair(run_walk)),
        backend.store.save(6, of_one_pair(run_walk)),
    )
    for path in (backend.store.path(6), backend.store.path(6).parent / "versions" / f"{second}.pt"):
        path.write_bytes(path.read_bytes()[:5000])
    results = predict(recorded.body(INLINE))
    assert [(len(result["result"]), result["model_version"]) for result in results] == [(3, first)] * 3
    assert "model_project_6.pt" in caplog.text
    setup = {"project": "6.1", "schema": recorded.body(INLINE)["label_config"]}
    assert client.post("/setup", json=setup).json == {"model_version": first}


def test_where_no_model_file_is_whole_there_are_no_regions(
    predict: Predict, client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.path(6).parent.mkdir(parents=True)
    save_model(backend.store.path(6), of_one_pair(run_walk, version="by hand"))
    backend.store.path(6).write_bytes(backend.store.path(6).read_bytes()[:5000])
    assert [result["result"] for result in predict(recorded.body(INLINE))] == [[], [], []]
    setup = {"project": "6.1", "schema": recorded.body(INLINE)["label_config"]}
    assert client.post("/setup", json=setup).json == {"model_version": "untrained"}


def test_a_model_file_without_a_version_is_no_internal_error(
    predict: Predict, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.path(6).parent.mkdir(parents=True)
    save_model(backend.store.path(6), of_one_pair(run_walk, title="by hand"))
    predict(recorded.body(INLINE))


def test_a_model_saved_by_another_process_is_served_at_once(
    predict: Predict, backend: Backend, settings: Settings, run_walk: Segmenter
) -> None:
    from timeseries_segmenter.storage.model_store import ModelStore

    first = backend.store.save(6, of_one_pair(run_walk))
    assert predict(recorded.body(INLINE))[0]["model_version"] == first
    # as the worker does: with a store of its own
    second = ModelStore(settings).save(6, of_one_pair(run_walk))
    assert predict(recorded.body(INLINE))[0]["model_version"] == second


def test_predictions_of_many_projects_at_once_are_each_of_their_own_model(
    app: Flask, backend: Backend, run_walk: Segmenter
) -> None:
    other = replace(run_walk, label_sets=(("Sit",), ("Lie",)))
    projects = {
        project: (run_walk, other)[project % 2] for project in range(1, 13)
    }  # more than fit in memory
    versions = {
        project: backend.store.save(project, of_one_pair(model)) for project, model in projects.items()
    }
    body = recorded.body(INLINE)
    body["label_config"] = body["label_config"].replace(
        '<Label value="Walk"/>', '<Label value="Walk"/><Label value="Sit"/><Label value="Lie"/>'
    )

    def ask(project: int) -> tuple[int, dict[str, Any]]:
        answer = app.test_client().post("/predict", json=body | {"project": f"{project}.1"})
        return project, answer.get_json()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, [*projects] * 8))
    for project, answer in answers:
        assert answer["model_version"] == versions[project]
        for result in answer["results"]:
            found = {region["value"]["timeserieslabels"][0] for region in result["result"]}
            assert {(label,) for label in found} == set(projects[project].label_sets)


def test_no_tasks_get_no_entries(predict: Predict) -> None:
    body = recorded.body(INLINE)
    body["tasks"] = []
    assert predict(body) == []


@pytest.mark.usefixtures("version")
def test_250_tasks_get_250_entries(predict: Predict) -> None:
    body = recorded.body(INLINE)
    body["tasks"] = body["tasks"][:1] * 250
    assert {len(result["result"]) for result in predict(body)} == {3}


def test_series_that_label_studio_serves_are_asked_for_with_the_token(
    predict: Predict, backend: Backend, studio: LabelStudioServer, run_walk: Segmenter
) -> None:
    backend.store.save(3, of_one_pair(run_walk))
    body = served(TRIPLE, studio)
    assert [len(result["result"]) for result in predict(body)] == [3, 3, 3]
    forget_downloads(backend)
    studio.authorizations = {"Token another"}
    studio.routes["/idx1.csv"] = lambda _: Reply(recorded.csv(TRIPLE))
    assert [len(result["result"]) for result in predict(body)] == [3, 0, 0]


def test_the_config_in_the_request_wins_over_the_one_of_the_training(
    predict: Predict, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.save(6, of_one_pair(run_walk, label_config=recorded.body(INLINE)["label_config"]))
    body = recorded.body(INLINE)
    body["label_config"] = (
        body["label_config"].replace('name="label"', 'name="tag"').replace('"ts"', '"signal"')
    )
    regions = predict(body)[0]["result"]
    assert {(region["from_name"], region["to_name"]) for region in regions} == {("tag", "signal")}


def test_the_model_object_is_made_for_each_request(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    build = TimeSeriesSegmenter.__init__

    def note(model: TimeSeriesSegmenter, **arguments: Any) -> None:
        made.append(arguments["project_id"])
        build(model, **arguments)

    monkeypatch.setattr(TimeSeriesSegmenter, "__init__", note)
    for project in ("6.1", "7.1"):
        client.post("/predict", json=recorded.body(INLINE) | {"project": project})
    assert made == [6, 7]
