"""`TimeSeriesSegmenter` as label-studio-ml 1.x and 2.x use it, without a web server."""

from typing import Any

import pytest
from label_studio_ml.model import LabelStudioMLBase

from model import TimeSeriesSegmenter
from tests.support import recorded
from tests.support.label_studio_server import TOKEN
from tests.support.models import of_one_pair
from timeseries_segmenter.errors import LabelConfigError, SettingsError
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.web.backend import Backend

INLINE = recorded.body("predict_json_inline")
CONFIG = INLINE["label_config"]
TASKS = INLINE["tasks"]


def make(
    backend: Backend, project: str | int | None = "6.1795343773", config: str = CONFIG
) -> TimeSeriesSegmenter:
    return TimeSeriesSegmenter(project_id=project, label_config=config, backend=backend)


def test_it_is_a_model_of_label_studio_ml() -> None:
    assert issubclass(TimeSeriesSegmenter, LabelStudioMLBase)


def test_predictions_are_plain_dicts_one_for_each_task(backend: Backend, run_walk: Segmenter) -> None:
    version = backend.store.save(6, of_one_pair(run_walk))
    predictions = make(backend).predict(TASKS)
    assert [type(prediction) for prediction in predictions] == [dict] * 3
    assert {prediction["model_version"] for prediction in predictions} == {version}
    assert [len(prediction["result"]) for prediction in predictions] == [3, 3, 3]


@pytest.mark.parametrize("context", [None, {}, {"result": [{"id": "x"}]}, [], "text"])
def test_any_context_and_more_arguments_are_taken(backend: Backend, context: Any) -> None:
    predictions = make(backend).predict(TASKS, context=context, login=None, password=None, timeout=3)
    assert [prediction["model_version"] for prediction in predictions] == ["untrained"] * 3


def test_no_tasks_get_no_predictions(backend: Backend) -> None:
    assert make(backend).predict([]) == []


def test_a_prediction_without_a_config_says_what_is_missing(backend: Backend) -> None:
    with pytest.raises(LabelConfigError, match="empty"):
        TimeSeriesSegmenter(project_id="6", backend=backend).predict(TASKS)


def test_the_version_is_that_of_its_project(backend: Backend, run_walk: Segmenter) -> None:
    versions = {project: backend.store.save(project, of_one_pair(run_walk)) for project in (0, 6)}
    assert make(backend).model_version == versions[6]
    assert make(backend).get("model_version") == versions[6]
    assert make(backend).versions() == [versions[6]]
    assert make(backend, None).model_version == versions[0]
    assert make(backend, 7).model_version == "untrained"
    assert make(backend, 7).versions() == ["untrained"]


def test_other_keys_of_the_cache_of_2_x_are_empty(backend: Backend) -> None:
    assert make(backend).get("parsed_label_config") is None
    make(backend).set_extra_params({"any": "thing"})


def test_the_label_config_is_the_requests(backend: Backend) -> None:
    assert make(backend).label_config == CONFIG


@pytest.mark.parametrize("name", recorded.WEBHOOKS)
def test_fit_takes_every_recorded_event(backend: Backend, name: str) -> None:
    data = recorded.body(name)
    event = data.pop("action")
    answer = make(backend, data["project"]["id"]).fit(event, data, additional="argument")
    assert isinstance(answer, dict)
    assert ("job" in answer) is event.startswith(("ANNOTATION", "START"))


@pytest.mark.parametrize(("made_for", "counted"), [(6, 6), (None, 9)])
def test_fit_counts_for_its_project_or_else_that_in_the_data(
    backend: Backend, made_for: int | None, counted: int
) -> None:
    make(backend, made_for).fit("START_TRAINING", {"project": {"id": 9}})
    assert backend.policy.queue.waiting() == [counted]


@pytest.mark.parametrize("project", ["three", "-1", "../3", [3]])
def test_what_is_no_project_is_refused(backend: Backend, project: Any) -> None:
    with pytest.raises(ValueError, match=r"not a project number|should be a project's number"):
        make(backend, project)


def test_without_a_backend_the_environment_is_read(
    monkeypatch: pytest.MonkeyPatch,
    run_walk: Segmenter,
    backend: Backend,
) -> None:
    backend.store.save(6, of_one_pair(run_walk))
    monkeypatch.setenv("MODEL_DIR", str(backend.store.path(6).parent))
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
    model = TimeSeriesSegmenter(project_id=6, label_config=CONFIG)
    assert model.model_version == backend.store.version(6)
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(SettingsError, match="PORT"):
        TimeSeriesSegmenter(project_id=6, label_config=CONFIG)


def test_objects_are_cheap_and_share_the_models_in_memory(
    backend: Backend, run_walk: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.store.save(6, of_one_pair(run_walk))
    make(backend).predict(TASKS[:1])
    monkeypatch.setattr("timeseries_segmenter.storage.model_store.load_model", pytest.fail)
    make(backend).predict(TASKS[:1])


def test_setup_and_health_load_no_weights(
    backend: Backend, client: Any, run_walk: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = backend.store.save(3, of_one_pair(run_walk))
    monkeypatch.setattr("timeseries_segmenter.storage.model_store.load_model", pytest.fail)
    monkeypatch.setattr(ModelStore, "load", pytest.fail)
    assert client.get("/health").status_code == 200
    setup = client.post("/setup", json=recorded.body("setup_request_index_time"))
    assert setup.json == {"model_version": version}
