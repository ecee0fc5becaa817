from tests.support.synthetic import example
from timeseries_segmenter.learning.examples import (
    LearnedClass,
    learned_classes,
    with_learned_classes,
)
from timeseries_segmenter.segment import UNKNOWN

LABEL_SETS = (("Run",), ("Beat",))


def ranges(number: int, count: int, length: int = 20) -> list[int]:
    return ([0] * length + [number] * length) * count + [0] * length


def test_ranges_and_instants_of_different_labels_are_one_class_each() -> None:
    classes = learned_classes([example(ranges(1, 3), {5: 2, 45: 2, 85: 2})], LABEL_SETS)
    assert classes == (LearnedClass(("Run",), instant=False), LearnedClass(("Beat",), instant=True))


def test_ranges_and_instants_of_one_label_are_two_classes() -> None:
    drawn = example(ranges(1, 3), {5: 1, 45: 1})
    classes = learned_classes([drawn], LABEL_SETS)
    assert classes == (LearnedClass(("Run",), instant=False), LearnedClass(("Run",), instant=True))
    learned = with_learned_classes(drawn, LABEL_SETS, classes)
    assert learned.classes.tolist() == drawn.classes.tolist()
    assert learned.instant_classes.tolist() == [2, 2]


def test_an_instant_among_ranges_is_a_slip_of_the_hand() -> None:
    drawn = example(ranges(1, 3), {5: 1})
    classes = learned_classes([drawn], LABEL_SETS)
    assert classes == (LearnedClass(("Run",), instant=False),)
    assert len(with_learned_classes(drawn, LABEL_SETS, classes).instants) == 0


def test_a_range_among_instants_is_one_in_its_middle() -> None:
    drawn = example([0] * 50 + [2] * 5 + [0] * 50, {10: 2, 90: 2})
    classes = learned_classes([drawn], LABEL_SETS)
    assert classes == (LearnedClass(("Beat",), instant=True),)
    learned = with_learned_classes(drawn, LABEL_SETS, classes)
    assert learned.instants.tolist() == [10, 52, 90]
    assert learned.instant_classes.tolist() == [1, 1, 1]
    assert not learned.classes.any()


def test_the_rarer_kind_needs_a_tenth_of_the_other() -> None:
    instants = {5 + 40 * place: 1 for place in range(3)}
    assert len(learned_classes([example(ranges(1, 30), instants)], LABEL_SETS)) == 2
    assert len(learned_classes([example(ranges(1, 31), instants)], LABEL_SETS)) == 1


def test_an_instant_does_not_break_the_range_it_stands_in() -> None:
    drawn = example([0] * 100 + [1] * 100, {150: 2})
    assert list(drawn.range_lengths()) == [(1, 100)]


def test_unknown_rows_are_no_range_and_stay_unknown() -> None:
    drawn = example([UNKNOWN] * 20 + [2] * 20 + [UNKNOWN] * 5 + [0] * 5, {47: 1})
    assert list(drawn.range_lengths()) == [(2, 20)]
    classes = learned_classes([drawn], LABEL_SETS)
    assert classes == (LearnedClass(("Run",), instant=True), LearnedClass(("Beat",), instant=False))
    assert with_learned_classes(drawn, LABEL_SETS, classes).classes.tolist() == drawn.classes.tolist()
