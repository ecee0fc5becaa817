"""Which series a report shows, and what of them: thinned out to what a picture can show."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.project.task import TaskId
from timeseries_segmenter.report.content import LEVELS, POSITIONS, Sample, SampleChannel, SampleRegion
from timeseries_segmenter.report.metrics import Classes
from timeseries_segmenter.segment import Segment

FloatArray = NDArray[np.float32]

MOST_SAMPLES = 6
MOST_CHANNELS = 12
STRETCHES = 500  # each with its lowest and highest value
MOST_POINTS = 12_000  # of all channels of a picture
MOST_REGIONS = 160  # annotated and predicted ones: more can't be distinguished


@dataclass(frozen=True, slots=True)
class Predicted:
    """A labelled task, what was predicted for it, the mean F1 of its classes, and its known rows `(T,)`."""

    task: TaskId
    series: Series
    annotated: Sequence[Segment]
    predicted: Sequence[Segment]
    f1: float
    known: NDArray[np.bool_] | None = None


def chosen(tasks: Sequence[Predicted], most: int = MOST_SAMPLES) -> list[tuple[Predicted, str]]:
    """The best, the worst and typical ones, from best to worst, each with what it is."""
    ranked = sorted(tasks, key=lambda each: (-each.f1, isinstance(each.task, str), each.task))
    if len(ranked) <= 1:
        return [(each, "the only one") for each in ranked]
    middle = (len(ranked) - 1) / 2
    order = sorted(range(1, len(ranked) - 1), key=lambda place: abs(place - middle))
    worst = [len(ranked) - 1, len(ranked) - 2] if len(ranked) >= 5 else [len(ranked) - 1]
    typical = [place for place in order if place not in worst][: max(0, most - 1 - len(worst))]
    names = {
        0: "the best",
        **dict.fromkeys(typical, "a typical one"),
        **dict(zip(worst, ("the worst", "the second worst"), strict=False)),
    }
    return [(ranked[place], names[place]) for place in sorted(names)[:most]]


def sample(each: Predicted, why: str, classes: Classes, held_out: bool, time_name: str) -> Sample:
    """The picture of a task, or of the stretch with most of its mistakes where it has too many regions."""
    first, last = _stretch(each, classes)
    time = each.series.time.stamps[first : last + 1]
    edges = np.unique(np.linspace(0, last - first + 1, _stretches(each.series) + 1).astype(np.int64))
    values = each.series.values[first : last + 1, :MOST_CHANNELS]
    return Sample(
        task=each.task,
        why=why,
        held_out=held_out,
        f1=each.f1,
        rows=len(each.series),
        first=first,
        last=last,
        start=float(time[0]),
        stop=float(time[-1]),
        dates=each.series.time.time_format is not None,
        time_name=time_name,
        positions=_positions(time, np.minimum(edges, last - first)),
        channels=[
            _channel(name, column, edges)
            for name, column in zip(each.series.channels[:MOST_CHANNELS], values.T, strict=True)
        ],
        more_channels=max(0, len(each.series.channels) - MOST_CHANNELS),
        drawn=_regions(classes.as_learned(each.annotated), classes, time, first, last),
        predicted=_regions(classes.as_learned(each.predicted), classes, time, first, last),
        unknown=[] if each.known is None else _unknown(each.known[first : last + 1], time),
    )


def _stretches(series: Series) -> int:
    return min(STRETCHES, MOST_POINTS // (2 * min(MOST_CHANNELS, len(series.channels))))


def _stretch(each: Predicted, classes: Classes) -> tuple[int, int]:
    """First and last row of what is shown: all, or about MOST_REGIONS regions around the most mistakes."""
    length = len(each.series)
    regions = [*each.annotated, *each.predicted]
    if len(regions) <= MOST_REGIONS:
        return 0, length - 1
    wrong = classes.rows(each.annotated, length) != classes.rows(each.predicted, length)
    annotated, predicted = (
        {(segment.first, classes.number(segment)) for segment in segments if segment.instant}
        for segments in (each.annotated, each.predicted)
    )
    wrong[[row for row, _ in annotated ^ predicted]] = True
    width = max(2, length * MOST_REGIONS // len(regions))
    mistakes = np.concatenate([[0], np.cumsum(wrong)])
    within = mistakes[width:] - mistakes[:-width]
    best = np.flatnonzero(within == within.max())
    first = int(best[len(best) // 2])
    return first, first + width - 1


def _positions(time: NDArray[np.float64], rows: NDArray[np.int64]) -> list[int]:
    span = float(time[-1] - time[0])
    if span <= 0:
        return [round(share * POSITIONS) for share in np.linspace(0, 1, len(rows))]
    positions: list[int] = np.rint((time[rows] - time[0]) / span * POSITIONS).astype(int).tolist()
    return positions


def _channel(name: str, values: FloatArray, edges: NDArray[np.int64]) -> SampleChannel:
    """Lowest and highest value of each stretch, in the order in which they come."""
    low, high = (float(values.min()), float(values.max())) if np.isfinite(values).all() else (0.0, 0.0)
    levels: list[int | None] = []
    scale = LEVELS / (high - low) if high > low else 0.0
    for start, stop in pairwise(edges):
        stretch = values[start:stop]
        if not np.isfinite(stretch).all():
            levels += [None, None]
            continue
        at_least, at_most = int(stretch.argmin()), int(stretch.argmax())
        for row in sorted((at_least, at_most)):
            levels.append(round((float(stretch[row]) - low) * scale) if scale else LEVELS // 2)
    return SampleChannel(name=name, low=_short(low), high=_short(high), levels=levels)


def _unknown(known: NDArray[np.bool_], time: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Where nothing is learned: as many stretches as a picture can show, the longest ones."""
    runs = [(start, end) for is_known, start, end in runs_of(known.astype(np.int64)) if not is_known]
    longest = sorted(sorted(runs, key=lambda run: run[0] - run[1])[:MOST_REGIONS])
    rows = np.array([0, *(row for run in longest for row in run), len(known) - 1])
    positions = _positions(time, np.minimum(rows, len(known) - 1))[1:-1]
    return list(zip(positions[::2], positions[1::2], strict=True))


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _regions(
    segments: Sequence[Segment], classes: Classes, time: NDArray[np.float64], first: int, last: int
) -> list[SampleRegion]:
    inside = [segment for segment in segments if segment.last >= first and segment.first <= last]
    if not inside:
        return []
    starts = np.array([max(segment.first, first) - first for segment in inside])
    # a row covers the time until the next one
    ends = np.array([min(segment.last + (not segment.instant), last) - first for segment in inside])
    positions = _positions(time, np.concatenate([[0], starts, ends, [len(time) - 1]]))[1:-1]
    return [
        SampleRegion(number=classes.number(segment), start=start, end=end, instant=segment.instant)
        for segment, start, end in zip(
            inside, positions[: len(inside)], positions[len(inside) :], strict=True
        )
    ]
