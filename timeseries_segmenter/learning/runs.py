"""Runs of rows with one class."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def run_starts(classes: IntArray) -> IntArray:
    """Rows at which a run of one class starts, the first row included."""
    changes = np.flatnonzero(np.diff(classes)) + 1
    return np.concatenate([[0], changes])


def runs_of(classes: IntArray) -> list[tuple[int, int, int]]:
    """Class, first row and the row behind the last one of each run."""
    starts = run_starts(classes)
    ends = [*starts[1:].tolist(), len(classes)]
    return list(zip(classes[starts].tolist(), starts.tolist(), ends, strict=True))
