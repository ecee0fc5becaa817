"""How sure a model is of what it says about one series."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def confidence(calibrated: FloatArray) -> float:
    """The share of rows expected to be right, by `(T, classes)` calibrated probabilities.

    Series in order of it, least sure first, are those to annotate next (least confidence, Lewis and
    Gale 1994, arXiv cmp-lg/9407020). One that is surely all background has a high confidence.
    """
    return float(calibrated.max(axis=1).mean()) if len(calibrated) else 0.0
