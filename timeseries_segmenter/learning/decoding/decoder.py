"""Class probabilities per row to segments.

Ranges are the most probable path on which entering a class has a price (Viterbi, 1967).
Instants are the peaks of the instant classes' probability, one per event.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.best_path import BestPath
from timeseries_segmenter.learning.decoding.landmark import Landmark
from timeseries_segmenter.learning.decoding.peaks import Peaks, reach_of, smooth
from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.segment import UNKNOWN, LabelSet, Segment

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

PRICE_PER_ROW = 1 / 2  # nats per row of a class's median run: shorter runs must be that much surer
# nats per row of the shortest label's median run, at most: coming back from it to a class of long
# runs must not cost more than it can bring
MOST_PER_SHORTEST_ROW = 2.5


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
        decoder = Decoder(self)
        by_class = np.ascontiguousarray(probabilities.T)
        decoder.add(by_class, by_class if calibrated is None else np.ascontiguousarray(calibrated.T))
        return decoder.segments(label_sets, values)

    def ranges(self, probabilities: FloatArray) -> IntArray:
        """Class of the range that each row belongs to, `(T,)`; 0 for background."""
        return self.path(self.without_instants(probabilities.T).T)

    def instants(
        self, probabilities: FloatArray, values: FloatArray | None = None
    ) -> tuple[IntArray, IntArray]:
        """Rows of the instants, `(N,)`, and their classes; the series' `values` help to place them."""
        peaks = self.peaks_of_instants()
        if self.instant_classes:
            of_instants = probabilities[:, self.instant_classes].T
            peaks.add(of_instants, of_instants)
        found = peaks.end()
        classes = np.array(self.instant_classes, np.int64)[found.kinds]
        return self.rows_of(found.rows, len(probabilities), values), classes

    def peaks_of_instants(self) -> Peaks:
        """What finds the peaks of the classes of instants."""
        return Peaks(len(self.instant_classes), self.threshold, self.gap, self.smoothing)

    def rows_of(self, peaks: IntArray, length: int, values: FloatArray | None) -> IntArray:
        """Where instants are, given the peaks of their probability in a series of `length` rows."""
        if self.landmark and values is not None and self.landmark.is_in(values):
            return self.landmark.move(peaks, values)
        return np.clip(peaks - self.offset, 0, max(0, length - 1))

    def instant_probabilities(self, probabilities: FloatArray) -> FloatArray:
        """Those of the classes of instants, `(T, I)`, smoothed: a peak is in the middle of its event."""
        of_instants = probabilities[:, self.instant_classes]
        if self.smoothing == 0:
            return of_instants
        reach = reach_of(self.smoothing)
        padded = np.pad(of_instants, ((reach, reach), (0, 0)), mode="edge")
        return smooth(padded.T, self.smoothing).T

    def without_instants(self, probabilities: FloatArray) -> FloatArray:
        """`(classes, T)`, those of instants shared among the others."""
        if not self.instant_classes:
            return probabilities
        # a row that holds an instant says nothing about the range around it
        probabilities = probabilities + probabilities[list(self.instant_classes)].sum(axis=0)
        probabilities[list(self.instant_classes)] = 0
        return probabilities

    def peaks(self, of_instants: FloatArray) -> IntArray:
        """Rows of the highest `(T, I)` probability within `gap` rows."""
        peaks = Peaks(of_instants.shape[1], self.threshold, self.gap)
        peaks.add(of_instants.T, of_instants.T)
        return peaks.end().rows

    def path(self, probabilities: FloatArray) -> IntArray:
        """Best class per row of `(T, classes)`, `(T,)`."""
        path = BestPath(self.prices)
        path.add(np.ascontiguousarray(probabilities.T), probabilities.T)
        stays = path.end()
        return np.repeat([stay.number for stay in stays], [stay.end - stay.start for stay in stays])


class Decoder:
    """Decodes one series, stretch by stretch."""

    def __init__(self, decoding: Decoding) -> None:
        self._decoding = decoding
        self._instant_classes = list(decoding.instant_classes)
        self._path = BestPath(decoding.prices)
        self._peaks = decoding.peaks_of_instants()
        self._rows = 0

    def add(self, probabilities: FloatArray, calibrated: FloatArray) -> None:
        """The next rows, both `(classes, rows)`."""
        of_ranges = self._decoding.without_instants(probabilities)
        same = calibrated is probabilities
        self._path.add(of_ranges, of_ranges if same else self._decoding.without_instants(calibrated))
        if self._instant_classes:
            self._peaks.add(probabilities[self._instant_classes], calibrated[self._instant_classes])
        self._rows += probabilities.shape[1]

    def segments(self, label_sets: Sequence[LabelSet], values: FloatArray | None) -> list[Segment]:
        """As `Decoding.segments`."""
        segments = [
            Segment(
                stay.start,
                stay.end - 1,
                label_sets[stay.number - 1],
                min(1.0, stay.score),
                instant=stay.end - stay.start == 1,
            )
            for stay in self._path.end()
            if stay.number
        ]
        for row, number, score in zip(*self.instants(values), strict=True):
            segments.append(Segment(int(row), int(row), label_sets[number - 1], float(score), instant=True))
        return sorted(segments, key=lambda segment: segment.first)

    def instants(self, values: FloatArray | None) -> tuple[IntArray, IntArray, FloatArray]:
        """Rows of the instants, their classes and their scores, each `(N,)`."""
        found = self._peaks.end()
        classes = np.array(self._instant_classes, np.int64)[found.kinds]
        return self._decoding.rows_of(found.rows, self._rows, values), classes, found.scores


def class_of(segment: Segment, label_sets: Sequence[LabelSet], instant_classes: Collection[int]) -> int:
    """The class of a segment, 0 if there is none; of either kind if it has only that one.

    `label_sets` are those of the classes from 1 on, `instant_classes` those of instants.
    """
    numbers = [number for number, labels in enumerate(label_sets, 1) if labels == segment.labels]
    same_kind = [number for number in numbers if (number in instant_classes) == segment.instant]
    return next(iter(same_kind or numbers), 0)
