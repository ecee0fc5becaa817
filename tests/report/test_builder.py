import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support import reports
from tests.support.near import near
from tests.support.need import need
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.time.axis import TimeAxis
from timeseries_segmenter.learning.segment_metrics import Matches
from timeseries_segmenter.project.agreement import Agreement
from timeseries_segmenter.project.card import Card, PairCard
from timeseries_segmenter.project.evaluation import Comparison, evaluate
from timeseries_segmenter.report.builder import pair_report
from timeseries_segmenter.report.content import LEVELS, Previous, Report
from timeseries_segmenter.report.metrics import Classes, mean_f1, measure
from timeseries_segmenter.report.samples import MOST_CHANNELS, MOST_REGIONS, Predicted, chosen, sample
from timeseries_segmenter.segment import Segment

RANGES = Classes(("background", "A", "B"), (("A",), ("B",)), frozenset())
BEATS = Classes(("background", "N", "V"), (("N",), ("V",)), frozenset({1, 2}))
BOTH = Classes(("background", "A", "N"), (("A",), ("N",)), frozenset({2}))


def beat(row: int, label: str) -> Segment:
    return Segment(row, row, (label,), instant=True)


def series(rows: int, channels: int = 1) -> Series:
    values = np.random.default_rng(0).normal(size=(rows, channels)).astype(np.float32)
    return Series(
        values, tuple(f"c{number}" for number in range(channels)), TimeAxis(np.arange(rows, dtype=float))
    )


def test_a_report_tells_the_figures_that_an_evaluation_gives() -> None:
    found = reports.part(checked=reports.checked()).held_out
    assert found is not None
    comparisons = [
        Comparison(task.segments, segments, len(task.series))
        for task, segments in zip(reports.tasks(), reports.predicted(), strict=True)
    ]
    expected = evaluate(comparisons, reports.LABEL_SETS)
    assert found.macro_f1 == pytest.approx(expected["macro_f1"], abs=1e-4)
    assert found.segment_f1 == pytest.approx(expected["segment_f1"], abs=1e-4)
    assert {each.name: each.f1 for each in found.classes} == pytest.approx(expected["f1"], abs=1e-4)
    assert found.corrections is not None
    assert found.corrections.model_dump() == pytest.approx(expected["corrections"], abs=1e-4)
    assert (found.true_segments, found.rows) == (9, 1200)
    assert np.sum(found.confusions[0].counts) == 1200
    assert [each.support for each in found.classes] == [300, 300, 300, 300]


def test_a_report_survives_being_saved_and_is_small() -> None:
    report = reports.report(reports.part(checked=reports.checked()))
    (pair,) = report.pairs
    card = Card(
        project=47,
        title=report.title,
        created_at=datetime.fromisoformat(report.created_at),
        tasks=report.tasks,
        seconds=report.seconds,
        pairs={pair.name: PairCard.model_validate(pair, from_attributes=True)},
    )
    text = report.beside_card()
    assert Report.from_saved(text, card) == report
    assert len(text) < 150_000


def test_what_the_card_holds_is_not_saved_in_the_report_once_more() -> None:
    report = reports.report(reports.part(checked=reports.checked()))
    saved = json.loads(report.beside_card())
    assert saved.keys() == {"pairs", "next", "stretches", "previous"}
    assert not saved["pairs"][0].keys() & PairCard.model_fields.keys()


def test_a_report_that_is_whole_in_itself_wins() -> None:
    report = reports.report(reports.part(checked=reports.checked()))
    assert Report.from_saved(report.model_dump_json(), Card(title="another")) == report


def test_held_out_series_are_shown_as_such_and_training_ones_where_there_are_no_others() -> None:
    held_out, training = reports.part(checked=reports.checked()), reports.part()
    assert all(each.held_out for each in held_out.samples)
    assert held_out.samples[0].f1 >= held_out.samples[-1].f1
    assert training.held_out is None
    assert not any(each.held_out for each in training.samples)


def test_labels_with_too_few_regions_are_named_with_their_counts() -> None:
    few = reports.part().few
    assert [(each.name, each.regions, each.tasks) for each in few] == [
        ("Badminton", 3, 3), ("Running", 3, 3), ("Walking", 3, 3),
    ]  # fmt: skip


def test_instants_count_within_the_tolerance_those_of_their_label_before_nearer_ones_of_another() -> None:
    true = [beat(100, "N"), beat(200, "V"), beat(300, "N")]
    predicted = [beat(103, "N"), beat(101, "V"), beat(205, "V"), beat(306, "N")]
    found = measure([Comparison(true, predicted, 400)], BEATS)
    assert found.of_instants
    assert found.confusions[0].unit == "instants"
    assert found.confusions[0].names == ["nothing", "N", "V"]
    assert found.confusions[0].counts == [[0, 1, 1], [1, 1, 0], [0, 0, 1]]
    n, v = found.classes[1:]
    assert (n.precision, n.recall, n.f1, n.support) == (0.5, 0.5, 0.5, 2)
    assert (v.precision, v.recall) == (0.5, 1)
    assert found.mean_f1 == pytest.approx((need(n.f1) + need(v.f1)) / 2, abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.sampled_from([RANGES, BEATS, BOTH]))
def test_the_mean_f1_of_one_series_is_that_of_all_its_metrics(seed: int, classes: Classes) -> None:
    random = np.random.default_rng(seed)

    def segments() -> list[Segment]:
        rows = np.sort(random.choice(100, 2 * random.integers(0, 4), replace=False)).reshape(-1, 2).tolist()
        labels = [str(random.choice(["A", "B", "N", "V"])) for _ in rows]
        return [
            beat(first, label) if random.random() < 0.4 else Segment(first, last, (label,))
            for (first, last), label in zip(rows, labels, strict=True)
        ]

    known = random.random(100) < 0.9 if seed % 2 else None
    comparison = Comparison(segments(), segments(), 100, known)
    assert mean_f1(comparison, classes) == near(measure([comparison], classes).mean_f1, 1e-4)


def test_a_label_that_is_never_predicted_has_no_precision_and_f1_zero() -> None:
    found = measure([Comparison([Segment(0, 9, ("B",))], [], 20)], RANGES)
    assert (found.classes[2].precision, found.classes[2].recall, found.classes[2].f1) == (None, 0, 0)
    assert (found.classes[1].f1, found.classes[1].support) == (None, 0)


def test_a_range_of_a_label_that_is_learned_as_instants_counts_as_one_in_its_middle() -> None:
    found = measure([Comparison([Segment(40, 60, ("N",))], [beat(50, "N")], 100)], BEATS)
    assert found.confusions[0].counts[1][1] == 1


def test_the_best_the_worst_and_typical_series_are_shown() -> None:
    tasks = [Predicted(number, series(10), [], [], number / 10) for number in range(10)]
    shown = chosen(tasks)
    assert [(each.task, why) for each, why in shown] == [
        (9, "the best"), (6, "a typical one"), (5, "a typical one"), (4, "a typical one"),
        (1, "the second worst"), (0, "the worst"),
    ]  # fmt: skip
    assert [why for _, why in chosen(tasks[:2])] == ["the best", "the worst"]
    assert [why for _, why in chosen(tasks[:1])] == ["the only one"]
    assert chosen([]) == []


def test_a_thinned_out_series_keeps_its_peaks() -> None:
    long = series(100_000)
    long.values[54_321] = 50
    shown = sample(Predicted(1, long, [], [], 1.0), "the best", RANGES, held_out=True, time_name="t")
    assert len(shown.channels[0].levels) == 1000
    assert shown.channels[0].high == 50
    at = shown.channels[0].levels.index(LEVELS)
    assert at // 2 == 54_321 * 500 // 100_000
    assert shown.positions[0] == 0


def test_a_short_series_a_flat_one_and_one_without_values_can_be_shown() -> None:
    one = sample(Predicted(1, series(1), [], [], 1.0), "the best", RANGES, held_out=True, time_name="t")
    assert len(one.channels[0].levels) == 2
    empty = series(30, channels=2)
    empty.values[:, 0] = np.nan
    empty.values[:, 1] = 3
    shown = sample(Predicted(1, empty, [], [], 1.0), "the best", RANGES, held_out=True, time_name="t")
    assert set(shown.channels[0].levels) == {None}
    assert set(shown.channels[1].levels) == {LEVELS // 2}


def test_of_many_channels_some_are_shown_and_the_others_counted() -> None:
    shown = sample(Predicted(1, series(5000, 40), [], [], 1.0), "", RANGES, held_out=True, time_name="t")
    assert (len(shown.channels), shown.more_channels) == (MOST_CHANNELS, 40 - MOST_CHANNELS)
    assert len(shown.model_dump_json()) < 70_000


def test_of_a_series_with_a_thousand_instants_the_stretch_with_most_mistakes_is_shown() -> None:
    rows = 100_000
    true = [beat(row, "N") for row in range(50, rows, 100)]
    predicted = [beat(row, "V" if 70_000 < row < 71_000 else "N") for row in range(50, rows, 100)]
    shown = sample(Predicted(1, series(rows), true, predicted, 0.9), "", BEATS, held_out=True, time_name="t")
    assert shown.first < 70_050
    assert shown.last > 70_950
    assert len(shown.drawn) + len(shown.predicted) <= MOST_REGIONS + 4


def test_stretches_that_teach_nothing_are_shown_the_longest_ones_of_many() -> None:
    def unknown(known: NDArray[np.bool_]) -> list[tuple[int, int]]:
        of = Predicted(1, series(len(known)), [], [], 1.0, known)
        return sample(of, "", RANGES, held_out=True, time_name="t").unknown

    known = np.ones(1001, np.bool_)
    assert unknown(known) == []
    known[:100] = known[500:600] = known[900:] = False
    assert unknown(known) == [(0, 1000), (5000, 6000), (9000, 10_000)]
    many = np.arange(1001) % 2 == 0
    many[300:400] = False
    assert len(unknown(many)) == MOST_REGIONS
    assert (3000 - 10, 4000) in unknown(many)


def test_the_version_before_is_known_by_its_card() -> None:
    metrics = measure([Comparison([Segment(0, 9, ("A",))], [Segment(0, 8, ("A",))], 20)], RANGES, 0.1)
    pairs = {"label:ts": PairCard(held_out=metrics), "other:ts": PairCard()}
    created_at = datetime.fromisoformat("2026-11-25T10:15:00+00:00")
    found = Previous.from_card(Card(version="p1-v1-x", created_at=created_at, pairs=pairs))
    assert found.created_at == "2026-11-25T10:15:00+00:00"
    assert list(found.pairs) == ["label:ts"]
    assert found.pairs["label:ts"].segment_f1["50"] == 1
    assert found.pairs["label:ts"].calibration_error == 0.1
    assert found.pairs["label:ts"].f1 == {each.name: each.f1 for each in metrics.classes}
    assert Previous.from_card(Card(version="p1-v1-x")).pairs == {}


def test_agreement_adds_up_over_tasks_and_the_lowest_comes_first() -> None:
    of_one = Agreement(2, {("Running",): (50, 100), ("Walking",): (90, 100)}, {("Beat",): Matches(1, 2, 2)})
    of_another = Agreement(3, {("Running",): (0, 50)}, {("Beat",): Matches(3, 3, 3)})
    tasks = [
        replace(task, agreement=agreement)
        for task, agreement in zip(reports.tasks(), (of_one, None, of_another), strict=True)
    ]
    found = need(pair_report("label:ts", tasks, reports.fitted(), None).agreement)
    assert found.tasks == 2
    assert [(each.name, each.rows, each.instants) for each in found.labels] == [
        ("Running", near(1 / 3, 1e-4), None),
        ("Beat", None, 0.8),
        ("Walking", 0.9, None),
    ]
    assert [(each.task, each.annotations, each.share) for each in found.lowest] == [(3, 3, 0), (1, 2, 0.7)]
    assert reports.part().agreement is None
