"""How sure a model is of a whole series."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

LEAST_SURE_SHARE = 0.1  # of the rows: most rows of most series are easy, and set few series apart
BINS = 1 << 16  # of probabilities from 0 to 1


class Confidence:
    """Mean probability of the most probable class, over the tenth of the rows with the lowest.

    What a model is least sure of teaches it most (least confidence, Lewis and Gale 1994, arXiv
    cmp-lg/9407020). A series that is surely all background has a high confidence, one without
    rows has 0. Rows are counted in bins, so that a series may be long.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)
        self._sums = np.zeros(BINS)

    def add(self, calibrated: FloatArray) -> None:
        """The calibrated probabilities `(classes, rows)` of some rows."""
        highest = calibrated.max(axis=0, initial=0)
        bins = np.minimum((highest * np.float32(BINS)).astype(np.int64), BINS - 1)
        self._counts += np.bincount(bins, minlength=BINS)
        self._sums += np.bincount(bins, highest, BINS)

    def value(self) -> float:
        """From 0 to 1, to one in BINS."""
        rows = int(np.ceil(self._counts.sum() * LEAST_SURE_SHARE))
        if not rows:
            return 0.0
        up_to = np.cumsum(self._counts)
        last = int(np.searchsorted(up_to, rows))  # the bin of which some rows count
        more = rows - int(up_to[last] - self._counts[last])
        total = self._sums[:last].sum() + more * self._sums[last] / self._counts[last]
        return float(total / rows)


def confidence(calibrated: FloatArray) -> float:
    """The same of all rows at once, `(T, classes)`."""
    whole = Confidence()
    whole.add(calibrated.T)
    return whole.value()
