"""The most probable path through a series, stretch by stretch, if entering a class has a price.

Viterbi's algorithm (1967). What all paths share is settled and let go of, so that memory does not grow with
the series.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

LEAST_PROBABILITY = 1e-6


class Stay(NamedTuple):
    """Rows `start` to `end`, not included, on which the path stays in the class `number`; `score` is the mean
    of that class's scores.
    """

    number: int
    start: int
    end: int
    score: float


class _Run(NamedTuple):
    """Rows from `start` on with one most probable class, each class's sum of scores, and the class that the
    best path to each class comes from.
    """

    start: int
    scores: list[float]
    came_from: list[int]


class BestPath:
    """Takes the probabilities of one stretch of rows after the other; `prices` are nats, one a class.

    Classes change only where the most probable class does, so the search runs over runs of equal argmax
    instead of rows.
    """

    def __init__(self, prices: Sequence[float]) -> None:
        self._prices = list(prices)
        self._classes = range(len(self._prices))
        self._totals: list[float] = []
        self._undecided: list[_Run] = []
        self._open: tuple[int, int, FloatArray, FloatArray] | None = None  # class, start, gains, scores
        self._rows = 0
        self._stays: list[Stay] = []
        self._staying: tuple[int, int, float] | None = None  # class, start, sum of scores

    def add(self, probabilities: FloatArray, scores: FloatArray) -> None:
        """The next rows: probabilities and scores of each class, both `(classes, rows)`."""
        classes = most_probable(probabilities)
        starts = np.concatenate([[0], np.flatnonzero(classes[1:] != classes[:-1]) + 1])
        logs = np.log(np.maximum(probabilities, np.float32(LEAST_PROBABILITY)))
        gains = np.add.reduceat(logs, starts, axis=1, dtype=np.float64).T
        sums = np.add.reduceat(scores, starts, axis=1, dtype=np.float64).T
        firsts = starts + self._rows
        if self._open is not None:
            number, start, gain, score = self._open
            if number == classes[0]:
                firsts[0], gains[0], sums[0] = start, gains[0] + gain, sums[0] + score
            else:
                self._close(start, gain.tolist(), score.tolist())
        for start, gain, score in zip(
            firsts[:-1].tolist(), gains[:-1].tolist(), sums[:-1].tolist(), strict=True
        ):
            self._close(start, gain, score)
        self._open = (int(classes[-1]), int(firsts[-1]), gains[-1], sums[-1])
        self._rows += probabilities.shape[1]
        self._settle()

    def end(self) -> list[Stay]:
        """Where the path stays, from the first row to the last one."""
        if self._open is None:
            return []
        _, start, gain, score = self._open
        self._close(start, gain.tolist(), score.tolist())
        number = self._totals.index(max(self._totals))
        self._emit(self._path_to(number, len(self._undecided) - 1))
        assert self._staying is not None
        number, start, total = self._staying
        return [*self._stays, Stay(number, start, self._rows, total / (self._rows - start))]

    def _close(self, start: int, gains: list[float], scores: list[float]) -> None:
        """Take a step over a whole run: lists are faster here than arrays of a few classes."""
        if not self._totals:
            self._totals = gains
            self._undecided.append(_Run(start, scores, list(self._classes)))
            return
        highest = max(self._totals)
        best = self._totals.index(highest)
        entered = [highest - price for price in self._prices]
        came_from = [
            best if there > here else number
            for number, there, here in zip(self._classes, entered, self._totals, strict=True)
        ]
        self._totals = [
            max(there, here) + gain for there, here, gain in zip(entered, self._totals, gains, strict=True)
        ]
        self._undecided.append(_Run(start, scores, came_from))

    def _settle(self) -> None:
        """Emit the runs up to the last one in which all paths meet."""
        at_end = set(self._classes)
        for place in range(len(self._undecided) - 1, 0, -1):
            at_end = {self._undecided[place].came_from[number] for number in at_end}
            if len(at_end) == 1:
                self._emit(self._path_to(at_end.pop(), place - 1))
                return

    def _path_to(self, number: int, place: int) -> list[int]:
        """The classes of the undecided runs up to a place, on the best path to a class there."""
        path = [number]
        for run in reversed(self._undecided[1 : place + 1]):
            path.append(run.came_from[path[-1]])
        return path[::-1]

    def _emit(self, path: Sequence[int]) -> None:
        for number, run in zip(path, self._undecided, strict=False):
            if self._staying is not None and self._staying[0] == number:
                _, start, total = self._staying
                self._staying = (number, start, total + run.scores[number])
                continue
            if self._staying is not None:
                before, start, total = self._staying
                self._stays.append(Stay(before, start, run.start, total / (run.start - start)))
            self._staying = (number, run.start, run.scores[number])
        del self._undecided[: len(path)]


def most_probable(probabilities: FloatArray) -> NDArray[np.int16]:
    """The class of each row, `(T,)`, by `(classes, T)`; several times as fast as NumPy's argmax."""
    highest = probabilities[0].copy()
    classes = np.zeros(len(highest), np.int16)
    for number in range(1, len(probabilities)):
        np.putmask(classes, probabilities[number] > highest, number)
        np.maximum(highest, probabilities[number], out=highest)
    return classes
