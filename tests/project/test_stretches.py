from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.support import recorded
from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series, TimeAxis
from timeseries_segmenter.project.left_out import LeftOut
from timeseries_segmenter.project.stretches import LEAST_WEIGHT, SHARE, Room, Taken, cuts, take_tasks
from timeseries_segmenter.segment import UNKNOWN, Segment

CONFIG = parse_label_config(recorded.body("predict_json_inline")["label_config"])
(PAIR,) = CONFIG.pairs
ROWS = 128_000
STRETCH = int(ROWS * SHARE)


class Rows:
    """Series of as many rows as a task's data says, whose values are the numbers of their rows."""

    def __init__(self, counted: bool = False) -> None:
        self.counted = counted
        self.asked: list[Any] = []

    def of_tasks(
        self, tasks: Iterable[Mapping[str, Any]], _: Sequence[LabelPair]
    ) -> Iterator[tuple[Mapping[str, Any], "OfTask"]]:
        for task in tasks:
            self.asked.append(task["id"])
            yield task, OfTask(task, self.counted)


class OfTask:
    def __init__(self, task: Mapping[str, Any], counted: bool) -> None:
        self.task, self.counted = task, counted

    def read(self, pair: LabelPair) -> Series:
        rows = self.task["data"]["rows"]
        if not rows:
            raise SeriesError(f"Task {self.task['id']}: no rows.")
        stamps = np.arange(rows, dtype=np.float64) * (1 if self.counted else 0.5)
        return Series(
            np.arange(rows, dtype=np.float32)[:, None],
            pair.channels,
            TimeAxis(stamps, is_counted=self.counted),
        )


def task(number: int, rows: int, *regions: tuple[float, float, str]) -> dict[str, Any]:
    annotation = {"id": number * 10, "result": recorded.regions(*regions)}
    return {"id": number, "data": {"rows": rows}, "annotations": [annotation]}


def room_for(rows: int, run: int = 1) -> Room:
    """For so many rows of one channel, each of which counts as a part of one."""
    return Room(int(rows * LEAST_WEIGHT), 0, run)


def take(tasks: Sequence[dict[str, Any]], rows: int = ROWS, run: int = 1, **kept: Any) -> Taken:
    left_out: list[LeftOut] = kept.get("left_out", [])
    series = kept.get("series", Rows())
    return take_tasks(tasks, CONFIG, series, (SeriesError,), left_out.append, room_for(rows, run))


def lengths(taken: Taken) -> list[tuple[Any, int]]:
    return [(each.task, len(each.series)) for each in taken.labelled[PAIR.name]]


def test_tasks_that_fit_are_taken_whole_whatever_their_lengths() -> None:
    taken = take([task(1, 100, (5, 9, "Run")), task(2, ROWS - 200, (5, 9, "Run")), task(3, 100)])
    assert lengths(taken) == [(1, 100), (2, ROWS - 200), (3, 100)]
    assert all(each.whole is None for each in taken.labelled[PAIR.name])


def test_no_more_tasks_are_read_than_there_is_room_for() -> None:
    series = Rows()
    taken = take([task(number, 400, (5, 9, "Run")) for number in range(10_000)], series=series)
    assert len(taken.read) == len(series.asked) == ROWS // 400
    assert lengths(taken) == [(number, 400) for number in range(ROWS // 400)]


def test_long_series_share_the_room_and_short_ones_stay_whole() -> None:
    long = [task(number, 400_000, (5, 9, "Run")) for number in range(4)]
    short = [task(number, 500, (5, 9, "Run")) for number in range(4, 8)]
    taken = lengths(take([*long, *short]))
    assert [rows for number, rows in taken if number >= 4] == [500] * 4
    assert ROWS * 0.8 <= sum(rows for _, rows in taken) <= ROWS
    assert {number for number, _ in taken} == set(range(8))


def test_a_series_of_any_length_takes_no_more_than_a_run_learns_from() -> None:
    taken = take([task(1, 2_000_000, (5, 9, "Run"))])
    assert ROWS * 0.9 <= sum(rows for _, rows in lengths(taken)) <= ROWS
    for each in taken.labelled[PAIR.name]:
        assert each.whole == 2_000_000
        assert each.series.values.base is None  # the whole series is not kept in memory
        assert each.series.values[0] == each.first


@pytest.mark.parametrize(("channels", "cost"), [(1, 25), (2, 25), (6, 75), (8, 100), (16, 200)])
def test_a_row_counts_by_its_channels(channels: int, cost: float) -> None:
    (labelled,) = take([task(1, 100, (5, 9, "Run"))]).labelled[PAIR.name]
    wide = Series(
        np.zeros((100, channels), np.float32),
        tuple(map(str, range(channels))),
        TimeAxis(np.arange(100, dtype=np.float64)),
    )
    assert Room(ROWS, 0, 1).cost(type(labelled)(1, wide, labelled.annotated, ())) == cost


def test_stretches_with_rare_labels_come_first_and_background_is_there_too() -> None:
    runs = [(row / 2, (row + 50) / 2, "Run") for row in range(0, 2_000_000, 2 * STRETCH)]
    walk = (345_678 / 2, 345_700 / 2, "Walk")
    for run in range(1, 5):
        taken = take([task(1, 2_000_000, *runs, walk)], run=run).labelled[PAIR.name]
        labels = [{segment.labels[0] for segment in each.segments} for each in taken]
        assert {"Walk"} <= set().union(*labels)
        assert sum("Run" in each for each in labels) >= 8
        assert set() in labels


def test_other_runs_take_other_stretches_and_the_same_run_the_same() -> None:
    def firsts(run: int) -> list[int]:
        taken = take([task(1, 2_000_000, (5, 9, "Run"))], run=run)
        return [each.first for each in taken.labelled[PAIR.name]]

    assert firsts(1) == firsts(1) == sorted(firsts(1))
    assert len({*firsts(1), *firsts(2)}) > 1.5 * len(firsts(1))


@pytest.mark.parametrize("counted", [True, False])
def test_regions_of_a_stretch_have_the_rows_and_times_that_the_series_has(counted: bool) -> None:
    per_row = 1 if counted else 0.5
    drawn = (700_000 * per_row, 700_100 * per_row, "Run")
    taken = take([task(1, 2_000_000, drawn)], series=Rows(counted)).labelled[PAIR.name]
    (held,) = [each for each in taken if each.segments]
    (segment,) = held.segments
    assert held.first + segment.first == 700_000
    assert len(segment) == 101
    assert held.series.start_end(segment.first, segment.last) == drawn[:2]
    assert (held.series.times is None) == counted
    assert held.example([("Run",)]).classes.sum() == 101


def test_a_stretch_without_known_rows_is_not_taken() -> None:
    (config,) = [
        parse_label_config(
            recorded.body("predict_json_inline")["label_config"].replace(
                "<TimeSeriesLabels ", '<TimeSeriesLabels model_unlabeled="ignore" '
            )
        )
    ]
    tasks = [task(1, 2_000_000, (5, 9, "Run"), (300_000, 300_010, "Run"))]
    taken = take_tasks(tasks, config, Rows(), (SeriesError,), print, room_for(ROWS))
    examples = [each.example([("Run",)]) for each in taken.labelled[PAIR.name]]
    assert len(examples) == 2
    assert all((each.classes != UNKNOWN).any() for each in examples)


def test_tasks_that_are_left_out_leave_their_room_to_others() -> None:
    left_out: list[LeftOut] = []
    bad = [task(number, 0, (5, 9, "Run")) for number in range(50)]
    good = [task(number, 400, (5, 9, "Run")) for number in range(50, 500)]
    taken = take([*bad, *good], left_out=left_out)
    assert len(left_out) == 50
    assert sum(rows for _, rows in lengths(taken)) == ROWS


def test_a_cut_is_beside_a_region_that_it_would_go_through() -> None:
    assert cuts([], 1000, 4) == [0, 250, 500, 750, 1000]
    assert cuts([Segment(240, 259, ("Run",))], 1000, 4) == [0, 240, 500, 750, 1000]
    assert cuts([Segment(200, 260, ("Run",))], 1000, 4) == [0, 261, 500, 750, 1000]
    overlapping = [Segment(200, 252, ("Run",)), Segment(251, 280, ("Walk",))]
    assert cuts(overlapping, 1000, 4) == [0, 281, 500, 750, 1000]
    assert cuts([Segment(249, 249, ("Beat",), instant=True)], 1000, 4) == [0, 250, 500, 750, 1000]


def test_a_region_longer_than_a_stretch_is_cut() -> None:
    assert cuts([Segment(100, 900, ("Sleep",))], 1000, 4) == [0, 250, 500, 750, 1000]
    taken = take([task(1, 2_000_000, (100, 450_000, "Run"))]).labelled[PAIR.name]
    for each in taken:
        for segment in each.segments:
            assert 0 <= segment.first <= segment.last < len(each.series)
