from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import recorded
import torch
from flask import Flask
from flask.testing import FlaskClient
from http_server import HttpServer
from label_studio_server import TOKEN, LabelStudioServer

import _wsgi
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training import Recipe, fit
from timeseries_segmenter.service.backend import Backend
from timeseries_segmenter.service.training_queue import TrainingQueue
from timeseries_segmenter.settings import Settings

VARIABLES = [name.upper() for name in Settings.model_fields] + ["LABEL_STUDIO_URL"]


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the service's settings in the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(tmp_path: Path, bare_environment: None) -> Settings:
    return Settings(
        label_studio_host="http://127.0.0.1:1",  # nobody answers there
        label_studio_api_key=TOKEN,
        model_dir=tmp_path / "models",
        local_files_dir=recorded.DATA,
        train_epochs=5,
        hidden_size=4,
    )


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The service without its worker process: what is queued stays queued."""
    monkeypatch.setattr(TrainingQueue, "_ensure_worker", lambda _: None)
    return _wsgi.init_app(settings=settings)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def backend(app: Flask) -> Backend:
    backend: Backend = app.extensions["timeseries_segmenter"]
    return backend


@pytest.fixture
def studio() -> Iterator[LabelStudioServer]:
    with LabelStudioServer() as server:
        yield server


@pytest.fixture
def other_host() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(scope="session")
def run_walk() -> Segmenter:
    """Learned Run and Walk on the first recorded series."""
    classes = np.zeros(recorded.ROWS, np.int64)
    for first, last, label in recorded.DRAWN:
        classes[first : last + 1] = 1 if label == "Run" else 2
    return train(recorded.values(), classes, [], ("Run", "Walk"), epochs=40)


@pytest.fixture(scope="session")
def beats() -> list[float]:
    """A series of 200 rows with a peak at row 20 and every 40 rows after it."""
    distance = np.abs(np.arange(200) % 40 - 20)
    noise = np.random.default_rng(0).normal(0, 0.1, 200)
    return [float(value) for value in np.maximum(0, 4 - distance) + noise]


@pytest.fixture(scope="session")
def beat(beats: list[float]) -> Segmenter:
    """Learned the peaks as instants."""
    rows = np.arange(20, 200, 40)
    classes = np.zeros(200, np.int64)
    classes[rows] = 1
    return train(beats, classes, rows, ("Beat",), epochs=40)


def train(
    values: list[float], classes: np.ndarray, instants: object, labels: tuple[str, ...], epochs: int
) -> Segmenter:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    example = Example(np.array(values, np.float32)[:, None], classes, np.array(instants, np.int64))
    fitted = fit([example], labels, ("value",), Recipe(epochs=epochs, hidden_size=8))
    torch.set_num_threads(threads)
    return fitted.segmenter
