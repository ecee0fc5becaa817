"""How sure a model is of what it says about one series."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

LEAST_SURE_SHARE = 0.1  # of the rows: most rows of most series are easy, and tell series little apart


def confidence(calibrated: FloatArray) -> float:
    """Mean probability of the most probable class, by `(T, classes)` calibrated probabilities, over the
    tenth of the rows where it is lowest.

    What a model is least sure of teaches it most (least confidence, Lewis and Gale 1994, arXiv
    cmp-lg/9407020). A series that is surely all background has a high confidence, one without
    rows has 0.
    """
    highest = calibrated.max(axis=1, initial=0)
    rows = int(np.ceil(len(highest) * LEAST_SURE_SHARE))
    if not rows:
        return 0.0
    return float(np.partition(highest, rows - 1)[:rows].mean())
