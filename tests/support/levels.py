"""Tasks that a network learns in a few steps, for searches: the level of the only channel says the label."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support import recorded
from tests.support.label_studio_server import LabelStudioServer
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.validation.candidates import Candidate
from timeseries_segmenter.settings import Settings

CONFIG = recorded.body("predict_json_inline")["label_config"]
LEVELS = {"Run": 3.0, "Walk": -3.0}
MORE_EPOCHS = Candidate("more epochs", lambda best: replace(best, epochs=30))


def data(seed: int) -> dict[str, Any]:
    """A task's data, whose regions are `drawn(seed)`."""
    values = np.random.default_rng(seed).normal(0, 0.3, recorded.ROWS)
    for first, last, label in _segments(seed):
        values[first : last + 1] += LEVELS[label]
    return {"ts": {"time": list(range(recorded.ROWS)), "value": values.round(3).tolist()}}


def drawn(seed: int) -> list[dict[str, Any]]:
    """The regions of an annotation."""
    return recorded.regions(*_segments(seed))


def settings_for(
    settings: Settings, studio: LabelStudioServer, annotated: int, others: int = 0, **changes: object
) -> Settings:
    """Of a service that asks the stand-in, whose project 3 has so many annotated tasks, and others; project 4
    has none yet. One epoch of a small network is a training run.
    """
    studio.configs |= {3: CONFIG, 4: CONFIG}
    for seed in range(annotated + others):
        studio.add_task(3, data(seed), *([drawn(seed)] if seed < annotated else []))
    small = {"local_files_dir": None, "train_epochs": 1, "hidden_size": 16}
    return settings.model_copy(update={"label_studio_host": studio.url} | small | changes)


def try_more_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make searches try more epochs alone; without a forest, nothing is learned in one, of two steps."""
    monkeypatch.setattr(Prepared, "grow_forest", lambda _: None)
    monkeypatch.setattr("timeseries_segmenter.project.recipes.CANDIDATES", (MORE_EPOCHS,))


def _segments(seed: int) -> list[tuple[int, int, str]]:
    return [(first + seed, last + seed, label) for first, last, label in recorded.DRAWN]
