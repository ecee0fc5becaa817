import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings
from numpy.typing import ArrayLike, NDArray

import _wsgi
from tests.support import recorded
from tests.support.http_server import HttpServer
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from tests.support.processes import kill, workers
from tests.support.synthetic import LABEL_SETS, events, synthetic
from timeseries_segmenter.example_settings import NAMES
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.fit import Fitted, Recipe, fit
from timeseries_segmenter.segment import LabelSet
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.trainings.worker_process import WorkerProcesses
from timeseries_segmenter.web.backend import Backend

torch.set_num_threads(1)  # as in the service: the networks here are too small for more

# a deadline of an example measures the machine, which other tests use at the same time
hypothesis_settings.register_profile("tests", deadline=None)
hypothesis_settings.load_profile("tests")

VARIABLES = {name.upper() for name in Settings.model_fields}.union(*NAMES.values())


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the service's settings in the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_worker_left() -> Iterator[None]:
    """Another test would take a training process that was left for its own."""
    yield
    assert workers(os.getpid()) == []


@pytest.fixture
def endings(_no_worker_left: None) -> Iterator[list[TrainingPolicy]]:
    """Ends the workers of queues, and waits until nothing of them is left."""
    queues: list[TrainingPolicy] = []
    yield queues
    for policy in queues:
        process = policy.workers
        assert isinstance(process, WorkerProcesses)
        while supervisors := [each for each in process._supervisors if each.is_alive()]:
            for project in policy.queue.projects():
                with policy.queue.change(project) as trainings:
                    trainings.jobs = []
                    trainings.prediction = trainings.search = None
            for worker in workers(os.getpid()):
                with suppress(ProcessLookupError):
                    kill(worker)
            supervisors[0].join(0.2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        label_studio_host="http://127.0.0.1:1",  # nobody answers there
        label_studio_api_key=TOKEN,
        data_allowed_hosts=("127.0.0.1",),  # tests serve series there
        model_dir=tmp_path / "models",
        local_files_dir=recorded.DATA,
        train_epochs=5,
        hidden_size=4,
        search_seconds=0,  # a test that searches says so
        predict_after_training=0,  # and one that predicts afterwards
    )


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The service without its worker process: what is queued stays queued."""
    monkeypatch.setattr(WorkerProcesses, "wake", lambda *_: None)
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
    return train({"value": recorded.values()}, classes, [], (("Run",), ("Walk",)))


@pytest.fixture(scope="session")
def beats() -> dict[str, list[float]]:
    """A series of 200 rows: `value` has a peak at row 20 and every 40 rows after it, `other` none."""
    rows = np.arange(200)
    peaks = np.maximum(0, 4 - np.abs(rows % 40 - 20))
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 200))
    return {"value": (peaks + noise[0]).tolist(), "other": (np.sin(rows / 30) + noise[1]).tolist()}


@pytest.fixture(scope="session")
def beat(beats: dict[str, list[float]]) -> Segmenter:
    """Learned the peaks of two channels as instants."""
    rows = np.arange(20, 200, 40)
    return train(beats, np.zeros(200, np.int64), rows, (("Beat",),))


@pytest.fixture(scope="session")
def fitted() -> Fitted:
    examples = [synthetic(seed) for seed in range(4)]
    return fit(examples, LABEL_SETS, ("x", "y"), Recipe(epochs=60, hidden_size=16))


@pytest.fixture(scope="session")
def fitted_events() -> Fitted:
    return fit([events(seed) for seed in range(4)], (("Beat",),), ("x",), Recipe(epochs=60, hidden_size=16))


def train(
    series: dict[str, list[float]],
    classes: NDArray[np.int64],
    instants: ArrayLike,
    label_sets: Sequence[LabelSet],
) -> Segmenter:
    values = np.array(list(series.values()), np.float32).T
    rows = np.array(instants, np.int64)
    example = Example(values, classes, rows, np.ones_like(rows))
    return fit([example], label_sets, tuple(series), Recipe(epochs=40, hidden_size=8)).segmenter
