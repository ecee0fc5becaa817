"""Rows of one training run, shared out among series; long ones are cut into stretches."""

import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import SegmenterError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.project.annotated_task import Kind
from timeseries_segmenter.project.labelled_task import LabelledTask, read_each
from timeseries_segmenter.project.left_out import LeftOut
from timeseries_segmenter.project.selection import spread
from timeseries_segmenter.project.series_reader import SeriesReader
from timeseries_segmenter.project.task import TaskId
from timeseries_segmenter.segment import Segment

IntArray = NDArray[np.int64]

SHARE = 1 / 32  # of a run's rows that a stretch has: many places of a long series, and many windows in each
LEAST_ROWS = 4000  # of a stretch: ten of the longest windows there are by default
CHANNELS = 8  # of a row that counts as one: memory and time grow with both
LEAST_WEIGHT = 1 / 4  # of a row: probabilities take as much whatever the channels
MOVED = 1 / 4  # of a stretch that a cut may move, so that no region is cut


@dataclass(frozen=True, slots=True)
class Room:
    """What one training run takes: `rows` of CHANNELS channels, more of fewer channels, and fewer of more.

    `seed` and `run` say which stretches of long series it takes.
    """

    rows: int
    seed: int
    run: int

    def cost(self, task: LabelledTask) -> float:
        """The rows that a task counts for."""
        return len(task.series) * _weight(task)

    def count_stretches(self, task: LabelledTask) -> int:
        """How many stretches its series has; 1 if it is too short for more."""
        rows = max(LEAST_ROWS, self.rows * SHARE / _weight(task))
        return max(1, round(len(task.series) / rows))

    def stretches(self, task: LabelledTask, most: int) -> list[LabelledTask]:
        """Some stretches of a task, those that say most first: at most so many, and those that teach."""
        places = cuts(task.annotated.segments, len(task.series), self.count_stretches(task))
        teaches = np.logical_or.reduceat(task.annotated.known, places[:-1])
        numbers = np.flatnonzero(teaches).tolist()
        random.Random(f"{self.seed} {self.run} {task.task}").shuffle(numbers)
        kinds = _kinds([*task.annotated.segments, *task.annotated.background], places)
        first = spread(numbers, lambda each: kinds[each], self.seed, self.run)[:most]
        return [task.stretch(places[number], places[number + 1] - 1) for number in first]


@dataclass(slots=True)
class Taken:
    """The tasks of each pair that a run learns from, by its name, and those that it tried to `read`."""

    labelled: dict[str, list[LabelledTask]]
    read: list[TaskId] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A task that may be learned from, whole or as some of its stretches, of about equal `cost`."""

    pair: str
    whole: LabelledTask | None
    stretches: Sequence[LabelledTask]
    count: int
    cost: float

    @classmethod
    def from_task(cls, pair: str, task: LabelledTask, room: Room) -> "_Candidate":
        """The whole of a series that never fits is not kept: it would wait in memory for all that follow."""
        count = room.count_stretches(task)
        cost = room.cost(task) / count
        if room.cost(task) <= room.rows:
            return cls(pair, task, (), count, cost)
        stretches = room.stretches(task, int(room.rows / cost))
        return cls(pair, None, stretches, len(stretches), cost)

    def tasks(self, count: int, room: Room) -> list[LabelledTask]:
        """What a run learns from if there is room for `count` stretches, in the order of their rows."""
        if self.whole and count == self.count:
            return [self.whole]
        taken = room.stretches(self.whole, count) if self.whole else self.stretches[:count]
        return sorted(taken, key=lambda each: each.first)


def take_tasks(
    tasks: Iterable[Mapping[str, Any]],
    config: LabelConfig,
    series: SeriesReader,
    errors: tuple[type[SegmenterError], ...],
    left_out: Callable[[LeftOut], None],
    room: Room,
) -> Taken:
    """Read tasks, one after the other, until there is no room for a stretch of another one.

    Series that are too short for several stretches are taken as they are. Long ones share what is left
    evenly, if there is not enough room for the whole of all. `errors` and `left_out` are as in `read_each`.
    """
    taken = Taken({pair.name: [] for pair in config.pairs})
    candidates: list[_Candidate] = []
    left = float(room.rows)
    for task, of_pairs in read_each(tasks, config, series, errors, left_out):
        taken.read.append(task["id"])
        candidates += [_Candidate.from_task(name, read, room) for name, read in of_pairs.items()]
        left -= sum(each.cost for each in candidates[len(candidates) - len(of_pairs) :])
        if left <= 0:
            break
    for candidate, count in zip(candidates, _shared_out(candidates, left), strict=True):
        taken.labelled[candidate.pair] += candidate.tasks(count, room)
    return taken


def _shared_out(candidates: Sequence[_Candidate], left: float) -> list[int]:
    """How many stretches of each are taken: one, and then one more of those with the fewest rows so far."""
    counts = [1] * len(candidates)
    waiting = [(each.cost, place) for place, each in enumerate(candidates) if each.count > 1]
    heapify(waiting)
    while waiting:
        rows, place = heappop(waiting)
        candidate = candidates[place]
        if candidate.cost > left:
            continue
        left -= candidate.cost
        counts[place] += 1
        if counts[place] < candidate.count:
            heappush(waiting, (rows + candidate.cost, place))
    return counts


def _weight(task: LabelledTask) -> float:
    return max(LEAST_WEIGHT, len(task.series.channels) / CHANNELS)


def cuts(segments: Iterable[Segment], rows: int, count: int) -> list[int]:
    """First rows of so many stretches of about equal length, the first of them 0, and `rows` as their end.

    A cut that would go through segments is beside them, if that is near.
    """
    covered = _covered(segments)
    places = [0]
    for number in range(1, count):
        place = number * rows // count
        at = int(np.searchsorted(covered[:, 1], place))
        if at < len(covered) and covered[at, 0] < place:
            first, last = covered[at].tolist()
            beside = min(first, last + 1, key=lambda row: abs(row - place))
            if abs(beside - place) <= MOVED * rows / count:
                place = beside
        if places[-1] < place < rows:
            places.append(place)
    return [*places, rows]


def _covered(segments: Iterable[Segment]) -> IntArray:
    """First and last rows, `(N, 2)`, of what segments cover together, in their order."""
    covered: list[list[int]] = []
    for segment in sorted(segments, key=lambda each: each.first):
        if covered and segment.first <= covered[-1][1]:
            covered[-1][1] = max(covered[-1][1], segment.last)
        else:
            covered.append([segment.first, segment.last])
    return np.array(covered, np.int64).reshape(-1, 2)


def _kinds(segments: Iterable[Segment], places: Sequence[int]) -> list[set[Kind]]:
    """What each stretch holds."""
    kinds: list[set[Kind]] = [set() for _ in pairwise(places)]
    for segment in segments:
        first, last = (bisect_right(places, row) - 1 for row in (segment.first, segment.last))
        for number in range(first, last + 1):
            kinds[number].add(("", "", segment.labels, segment.instant))
    return kinds
