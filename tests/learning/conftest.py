import numpy as np
import pandas as pd
import pytest

from tests.support.synthetic import LABEL_SETS, events, synthetic
from timeseries_segmenter.learning.training import Fitted, Recipe, fit


@pytest.fixture(scope="session")
def fitted() -> Fitted:
    examples = [synthetic(seed) for seed in range(4)]
    return fit(examples, LABEL_SETS, ("x", "y"), Recipe(epochs=60, hidden_size=16))


@pytest.fixture(scope="session")
def fitted_events() -> Fitted:
    return fit([events(seed) for seed in range(4)], (("Beat",),), ("x",), Recipe(epochs=60, hidden_size=16))


@pytest.fixture
def real_values() -> np.ndarray:
    """A real series, `(T, 2)` float32."""
    table = pd.read_csv("tests/data/time_series.csv")
    return table[["sensorone", "sensortwo"]].to_numpy(np.float32)
