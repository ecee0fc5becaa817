import numpy as np

from timeseries_segmenter.learning.examples import (
    Example,
    LearnedClass,
    Shapes,
    learned_classes,
    with_learned_classes,
)

LABEL_SETS = (("Run",), ("Beat",))


def example(classes: list[int], instants: dict[int, int] | None = None) -> Example:
    """`instants` has the class of each row."""
    rows = instants or {}
    return Example(
        np.zeros((len(classes), 1), np.float32),
        np.array(classes, np.int64),
        np.array(list(rows), np.int64),
        np.array(list(rows.values()), np.int64),
    )


def ranges(number: int, count: int, length: int = 20) -> list[int]:
    return ([0] * length + [number] * length) * count + [0] * length


def test_ranges_and_points_of_different_labels_are_one_class_each() -> None:
    classes = learned_classes([example(ranges(1, 3), {5: 2, 45: 2, 85: 2})], LABEL_SETS)
    assert classes == (LearnedClass(("Run",), point=False), LearnedClass(("Beat",), point=True))


def test_ranges_and_points_of_one_label_are_two_classes() -> None:
    drawn = example(ranges(1, 3), {5: 1, 45: 1})
    classes = learned_classes([drawn], LABEL_SETS)
    assert classes == (LearnedClass(("Run",), point=False), LearnedClass(("Run",), point=True))
    learned = with_learned_classes(drawn, LABEL_SETS, classes)
    assert learned.classes.tolist() == drawn.classes.tolist()
    assert learned.instant_classes.tolist() == [2, 2]


def test_an_instant_among_ranges_is_a_slip_of_the_hand() -> None:
    drawn = example(ranges(1, 3), {5: 1})
    classes = learned_classes([drawn], LABEL_SETS)
    assert classes == (LearnedClass(("Run",), point=False),)
    assert len(with_learned_classes(drawn, LABEL_SETS, classes).instants) == 0


def test_a_range_among_instants_is_one_in_its_middle() -> None:
    drawn = example([0] * 50 + [2] * 5 + [0] * 50, {10: 2, 90: 2})
    classes = learned_classes([drawn], LABEL_SETS)
    assert classes == (LearnedClass(("Beat",), point=True),)
    learned = with_learned_classes(drawn, LABEL_SETS, classes)
    assert learned.instants.tolist() == [10, 52, 90]
    assert learned.instant_classes.tolist() == [1, 1, 1]
    assert not learned.classes.any()


def test_the_rarer_kind_needs_a_tenth_of_the_other() -> None:
    instants = {5 + 40 * place: 1 for place in range(3)}
    assert len(learned_classes([example(ranges(1, 30), instants)], LABEL_SETS)) == 2
    assert len(learned_classes([example(ranges(1, 31), instants)], LABEL_SETS)) == 1


def test_shapes_tell_points_and_their_distance() -> None:
    classes = [0] * 300
    classes[10:50] = [1] * 40
    shapes = Shapes.of([example(classes, dict.fromkeys((100, 160, 220, 280), 2))])
    assert shapes.points == (2,)
    assert shapes.gap == 30
    assert shapes.widening == 2


def test_ranges_of_one_row_are_no_points() -> None:
    assert Shapes.of([example([0, 1, 0, 0, 1, 0])]).points == ()


def test_an_instant_does_not_break_the_range_it_stands_in() -> None:
    drawn = example([0] * 100 + [1] * 100, {150: 2})
    assert list(drawn.range_lengths()) == [(1, 100)]


def test_targets_widen_instants_and_lay_them_over_ranges() -> None:
    drawn = example([1] * 100 + [0] * 100, {50: 2, 150: 2})
    targets = Shapes.of([drawn]).targets(drawn)
    assert np.flatnonzero(targets == 2).tolist() == [*range(46, 55), *range(146, 155)]
    assert (targets[:46] == 1).all()
    assert (targets[55:100] == 1).all()
    without = example([0] * 100 + [1] * 100)
    assert (Shapes.of([without]).targets(without) == without.classes).all()


def test_the_stride_follows_short_runs_and_the_window() -> None:
    def stride(run: int, sequence_size: int = 50, background: int = 9000) -> int:
        return Shapes.of([example([0] * background + [1] * run)]).stride(sequence_size)

    assert stride(1000) == 8
    assert stride(100) == 4
    assert stride(50) == 2
    assert stride(10) == 1
    assert stride(100, sequence_size=100) == 2
    assert stride(2) == 1
    assert stride(100, background=900) == 1  # too few windows of a longer stride to learn from
