import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray


@pytest.fixture
def real_values() -> NDArray[np.float32]:
    """A real series, `(T, 2)` float32."""
    table = pd.read_csv("tests/data/time_series.csv")
    return table[["sensorone", "sensortwo"]].to_numpy(np.float32)
