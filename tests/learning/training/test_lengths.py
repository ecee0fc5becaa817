import numpy as np

from tests.support.synthetic import example
from timeseries_segmenter.learning.training.lengths import Lengths
from timeseries_segmenter.segment import UNKNOWN


def test_lengths_hold_instants_and_their_distance() -> None:
    classes = [0] * 300
    classes[10:50] = [1] * 40
    lengths = Lengths.from_examples([example(classes, dict.fromkeys((100, 160, 220, 280), 2))])
    assert lengths.instant_classes == (2,)
    assert lengths.gap == 30
    assert lengths.widening == 2


def test_ranges_of_one_row_are_no_instants() -> None:
    assert Lengths.from_examples([example([0, 1, 0, 0, 1, 0])]).instant_classes == ()


def test_targets_widen_instants_and_lay_them_over_ranges() -> None:
    drawn = example([1] * 100 + [0] * 100, {50: 2, 150: 2})
    targets = Lengths.from_examples([drawn]).targets(drawn)
    assert np.flatnonzero(targets == 2).tolist() == [*range(46, 55), *range(146, 155)]
    assert (targets[:46] == 1).all()
    assert (targets[55:100] == 1).all()
    without = example([0] * 100 + [1] * 100)
    assert (Lengths.from_examples([without]).targets(without) == without.classes).all()


def test_the_stride_follows_short_runs_and_the_window() -> None:
    def stride(run: int, sequence_size: int = 50, background: int = 9000) -> int:
        return Lengths.from_examples([example([0] * background + [1] * run)]).stride(sequence_size)

    assert stride(1000) == 8
    assert stride(100) == 4
    assert stride(50) == 2
    assert stride(10) == 1
    assert stride(100, sequence_size=100) == 2
    assert stride(2) == 1
    assert stride(100, background=900) == 1  # too few windows of a longer stride to learn from


def test_unknown_rows_are_no_range_and_may_hold_further_instants() -> None:
    classes = [0] * 1000
    classes[10:50] = [1] * 40
    known = example(classes, dict.fromkeys((100, 160, 220, 280), 2))
    classes[500:800] = [UNKNOWN] * 300
    partial = example(classes, dict.fromkeys((100, 160, 220, 280, 900), 2))
    lengths = Lengths.from_examples([partial])
    assert (lengths.gap, lengths.run, lengths.rows) == (30, Lengths.from_examples([known]).run, 700)
    apart = example([0] * 10 + [UNKNOWN] * 70 + [0] * 10, {5: 1, 85: 1})
    assert Lengths.from_examples([apart]).period == 80  # there is nothing better
