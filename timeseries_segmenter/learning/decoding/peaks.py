"""The peaks of the probability of instants, stretch by stretch."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

REACH = 3  # deviations of a Gaussian


class Found(NamedTuple):
    """Peaks by row: their `rows`, the most probable kind of instant there, and its score, each `(N,)`."""

    rows: IntArray
    kinds: IntArray
    scores: FloatArray


class Peaks:
    """Takes the probabilities of `kinds` kinds of instants, one stretch of rows after the other.

    A peak is a row where their sum, smoothed by a Gaussian of deviation `smoothing`, is at least `threshold`
    and the highest within `gap` rows.
    """

    def __init__(self, kinds: int, threshold: float, gap: int, smoothing: float = 0.0) -> None:
        self._threshold = threshold
        self._gap = gap
        self._smoothing = smoothing
        self._reach = reach_of(smoothing)
        self._raw: FloatArray = np.zeros((kinds, 0), np.float32)
        self._smooth: FloatArray = np.zeros(
            (kinds, 1), np.float32
        )  # an event on the first or last row is a peak as well
        self._scores: FloatArray = np.zeros((kinds, 1), np.float32)  # from the same row on
        self._first = -1  # that row
        self._rows = 0
        self._found: list[tuple[IntArray, FloatArray, IntArray, FloatArray]] = []

    def add(self, probabilities: FloatArray, scores: FloatArray) -> None:
        """The next rows, both `(kinds, rows)`."""
        before = self._reach if self._rows == 0 else 0
        padded = np.pad(probabilities, ((0, 0), (before, 0)), mode="edge")
        self._raw = np.concatenate([self._raw, padded], axis=1)
        self._scores = np.concatenate([self._scores, scores], axis=1)
        self._rows += probabilities.shape[1]
        self._look()

    def end(self) -> Found:
        """All peaks."""
        if self._rows == 0:
            return Found(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
        self._raw = np.pad(self._raw, ((0, 0), (0, self._reach)), mode="edge")
        self._look(after=1)
        rows, heights, kinds, scores = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        kept = _highest_apart(rows, heights, self._gap)
        return Found(rows[kept], kinds[kept], scores[kept])

    def _look(self, after: int = 0) -> None:
        if self._raw.shape[1] <= 2 * self._reach and not after:
            return
        smoothed = smooth(self._raw, self._smoothing)
        self._raw = self._raw[:, self._raw.shape[1] - 2 * self._reach :]
        self._smooth = np.pad(np.concatenate([self._smooth, smoothed], axis=1), ((0, 0), (0, after)))
        heights = self._smooth.sum(axis=0)
        here = heights[1:-1]
        found = np.flatnonzero((here >= self._threshold) & (here > heights[:-2]) & (here >= heights[2:]))
        kinds = self._smooth[:, found + 1].argmax(axis=0)
        scores = self._scores[kinds, found + 1]
        self._found.append((found + self._first + 1, here[found], kinds, scores))
        looked_at = len(here)
        self._smooth, self._scores = self._smooth[:, looked_at:], self._scores[:, looked_at:]
        self._first += looked_at


def smooth(probabilities: FloatArray, smoothing: float) -> FloatArray:
    """`(kinds, T)` under a Gaussian, `(kinds, T - 2 reach)`."""
    if smoothing == 0:
        return probabilities
    reach = reach_of(smoothing)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / smoothing) ** 2)
    kernel /= kernel.sum()
    return np.stack([np.convolve(row, kernel, mode="valid") for row in probabilities]).astype(np.float32)


def reach_of(smoothing: float) -> int:
    """Rows on either side that a smoothed one depends on."""
    return int(np.ceil(REACH * smoothing))


def _highest_apart(rows: IntArray, heights: FloatArray, gap: int) -> NDArray[np.bool_]:
    """Which of the sorted rows are kept if, from the highest on, each excludes those within `gap` rows."""
    firsts = np.searchsorted(rows, rows - gap, side="right").tolist()
    ends = np.searchsorted(rows, rows + gap, side="left").tolist()
    free = np.ones(len(rows), bool)
    kept = np.zeros(len(rows), bool)
    for place in np.argsort(-heights, kind="stable").tolist():
        if free[place]:
            kept[place] = True
            free[firsts[place] : ends[place]] = False
    return kept
