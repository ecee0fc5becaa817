"""Class probabilities per row to segments.

Ranges are the most probable path on which entering a class has a price (Viterbi, 1967).
Instants are the peaks of the instant classes' probability, one per event.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.landmark import Landmark
from timeseries_segmenter.segment import UNKNOWN, LabelSet, Segment

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

PRICE_PER_ROW = 1 / 2  # nats per row of a class's median run: shorter runs must be that much surer
# nats per row of the shortest label's median run, at most: coming back from it to a class of long
# runs must not cost more than it can bring
MOST_PER_SHORTEST_ROW = 2.5
LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True)
class Decoding:
    """What was learned from the training segments about their lengths.

    `prices` are nats, one per class with background first. `instant_classes` are those annotated as
    instants; `gap` is the least number of rows between two of them, `threshold` the least
    probability of one, `smoothing` the deviation, in rows, of a Gaussian that is laid over it. An instant
    is at the `landmark` near the peak of its probability if there is one, else `offset` rows before the peak.
    """

    prices: tuple[float, ...]
    instant_classes: tuple[int, ...] = ()
    gap: int = 1
    threshold: float = 0.5
    smoothing: float = 0.0
    offset: int = 0
    landmark: Landmark | None = None

    @classmethod
    def fit(cls, ranges: Sequence[IntArray], classes: int) -> "Decoding":
        """Prices from the classes of the training series' ranges, each `(T,)`.

        A person says where a range ends, but not where background ends that UNKNOWN rows follow: its length
        counts only if there is no other.
        """
        lengths: list[list[int]] = [[] for _ in range(classes)]
        cut: list[int] = []
        for rows in ranges:
            runs = runs_of(rows)
            numbers = [0, *(number for number, _, _ in runs), 0]
            for (number, start, end), *beside in zip(runs, numbers, numbers[2:], strict=False):
                if number == 0 and UNKNOWN in beside:
                    cut.append(end - start)
                elif number != UNKNOWN:
                    lengths[number].append(end - start)
        lengths[0] = lengths[0] or cut
        medians = [float(np.median(runs)) if runs else 0.0 for runs in lengths]
        most = MOST_PER_SHORTEST_ROW * min((median for median in medians[1:] if median), default=np.inf)
        return cls(tuple(min(PRICE_PER_ROW * median, most) for median in medians))

    def at_prices(self, factors: Sequence[float]) -> "Decoding":
        """The same with the price of each class multiplied by a factor of its own."""
        prices = tuple(price * factor for price, factor in zip(self.prices, factors, strict=True))
        return replace(self, prices=prices)

    def segments(
        self,
        probabilities: FloatArray,
        label_sets: Sequence[LabelSet],
        calibrated: FloatArray | None = None,
        values: FloatArray | None = None,
    ) -> list[Segment]:
        """Segments of `(T, 1 + len(label_sets))` probabilities, by first row; background is left out.

        Scores are those of the `calibrated` probabilities, if there are any. The series' `values` `(T, C)`
        help to place instants.
        `label_sets` are those of the classes from 1 on; one that was learned both as ranges and as
        instants is there twice.
        """
        of_ranges = self._without_instants(probabilities)
        path = self.path(of_ranges)
        if calibrated is None:
            calibrated = probabilities
        scores = of_ranges if calibrated is probabilities else self._without_instants(calibrated)
        segments = [
            Segment(
                start,
                end - 1,
                label_sets[number - 1],
                min(1.0, float(scores[start:end, number].mean())),
                instant=end - start == 1,
            )
            for number, start, end in runs_of(path)
            if number
        ]
        peaks, numbers = self._peaks_and_classes(probabilities)
        for row, peak, number in zip(self._rows(peaks, probabilities, values), peaks, numbers, strict=True):
            score = float(calibrated[peak, number])
            segments.append(Segment(int(row), int(row), label_sets[number - 1], score, instant=True))
        return sorted(segments, key=lambda segment: segment.first)

    def ranges(self, probabilities: FloatArray) -> IntArray:
        """Class of the range that each row belongs to, `(T,)`; 0 for background."""
        return self.path(self._without_instants(probabilities))

    def instants(
        self, probabilities: FloatArray, values: FloatArray | None = None
    ) -> tuple[IntArray, IntArray]:
        """Rows of the instants, `(N,)`, and their classes; the series' `values` help to place them."""
        peaks, classes = self._peaks_and_classes(probabilities)
        return self._rows(peaks, probabilities, values), classes

    def _peaks_and_classes(self, probabilities: FloatArray) -> tuple[IntArray, IntArray]:
        if not self.instant_classes:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        of_instants = self.instant_probabilities(probabilities)
        peaks = self.peaks(of_instants)
        return peaks, np.array(self.instant_classes)[of_instants[peaks].argmax(axis=1)]

    def _rows(self, peaks: IntArray, probabilities: FloatArray, values: FloatArray | None) -> IntArray:
        if self.landmark and values is not None and self.landmark.is_in(values):
            return self.landmark.move(peaks, values)
        return np.clip(peaks - self.offset, 0, max(0, len(probabilities) - 1))

    def instant_probabilities(self, probabilities: FloatArray) -> FloatArray:
        """Those of the classes of instants, `(T, I)`, smoothed: a peak is in the middle of its event."""
        of_instants = probabilities[:, self.instant_classes]
        if self.smoothing == 0:
            return of_instants
        reach = int(np.ceil(3 * self.smoothing))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / self.smoothing) ** 2)
        kernel /= kernel.sum()
        padded = np.pad(of_instants, ((reach, reach), (0, 0)), mode="edge")
        columns = [np.convolve(column, kernel, mode="valid") for column in padded.T]
        return np.stack(columns, axis=1).astype(np.float32)

    def _without_instants(self, probabilities: FloatArray) -> FloatArray:
        if not self.instant_classes:
            return probabilities
        # a row that holds an instant says nothing about the range around it
        probabilities = probabilities + probabilities[:, self.instant_classes].sum(axis=1, keepdims=True)
        probabilities[:, self.instant_classes] = 0
        return probabilities

    def peaks(self, of_instants: FloatArray) -> IntArray:
        """Rows of the highest `(T, I)` probability within `gap` rows."""
        instant = of_instants.sum(axis=1)
        around = np.pad(instant, 1)  # an event on the first or last row is a peak as well
        rows = np.flatnonzero((instant >= self.threshold) & (instant > around[:-2]) & (instant >= around[2:]))
        free = np.ones(len(instant), bool)
        peaks = []
        for row in rows[np.argsort(-instant[rows], kind="stable")]:
            if free[row]:
                peaks.append(int(row))
                free[max(0, row - self.gap + 1) : row + self.gap] = False
        return np.array(sorted(peaks), np.int64)

    def path(self, probabilities: FloatArray) -> IntArray:
        """Best class per row, `(T,)`.

        Classes change only where the most probable class does, so the search runs over runs
        of equal argmax instead of rows.
        """
        starts = run_starts(probabilities.argmax(axis=1))
        logs = np.log(np.maximum(probabilities, LEAST_PROBABILITY), dtype=np.float32)
        gains = np.add.reduceat(logs, starts, axis=0, dtype=np.float64)
        prices = np.array(self.prices)
        came_from = np.empty(gains.shape, np.int64)
        total = gains[0]
        stay = np.arange(gains.shape[1])
        for step in range(1, len(gains)):
            best = total.argmax()
            entered = total[best] - prices
            enters = entered > total
            came_from[step] = np.where(enters, best, stay)
            total = np.where(enters, entered, total) + gains[step]
        path = np.empty(len(gains), np.int64)
        path[-1] = total.argmax()
        for step in range(len(gains) - 1, 0, -1):
            path[step - 1] = came_from[step, path[step]]
        return np.repeat(path, np.diff([*starts, len(probabilities)]))


def class_of(segment: Segment, label_sets: Sequence[LabelSet], instant_classes: Collection[int]) -> int:
    """The class of a segment, 0 if there is none; of either kind if it has only that one.

    `label_sets` are those of the classes from 1 on, `instant_classes` those of instants.
    """
    numbers = [number for number, labels in enumerate(label_sets, 1) if labels == segment.labels]
    same_kind = [number for number in numbers if (number in instant_classes) == segment.instant]
    return next(iter(same_kind or numbers), 0)


def run_starts(classes: IntArray) -> IntArray:
    """Rows at which a run of one class starts, the first row included."""
    changes = np.flatnonzero(np.diff(classes)) + 1
    return np.concatenate([[0], changes])


def runs_of(classes: IntArray) -> list[tuple[int, int, int]]:
    """Class, first row and the row behind the last one of each run."""
    starts = run_starts(classes)
    ends = [*starts[1:].tolist(), len(classes)]
    return list(zip(classes[starts].tolist(), starts.tolist(), ends, strict=True))
