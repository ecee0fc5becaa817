import numpy as np

from timeseries_segmenter.learning.examples import Example, Shapes


def example(classes: list[int], instants: list[int] | None = None) -> Example:
    values = np.zeros((len(classes), 1), np.float32)
    return Example(values, np.array(classes, np.int64), np.array(instants or [], np.int64))


def test_a_class_drawn_mostly_as_instants_is_one_of_points() -> None:
    classes = [0] * 300
    classes[10:50] = [1] * 40
    for row in (100, 160, 220, 280):
        classes[row] = 2
    shapes = Shapes.of([example(classes, [100, 160, 220, 280])], 3)
    assert shapes.points == (2,)
    assert shapes.gap == 30
    assert shapes.widening == 2


def test_ranges_of_one_row_are_no_points() -> None:
    assert Shapes.of([example([0, 1, 0, 0, 1, 0])], 2).points == ()


def test_targets_widen_instants_of_point_classes_alone() -> None:
    classes = [0] * 200
    classes[50] = classes[150] = 1
    shapes = Shapes.of([example(classes, [50, 150])], 2)
    widened = np.flatnonzero(shapes.targets(example(classes, [50, 150])))
    assert widened.tolist() == [*range(46, 55), *range(146, 155)]
    ranges = example([0] * 100 + [1] * 100)
    assert (Shapes.of([ranges], 2).targets(ranges) == ranges.classes).all()


def test_the_stride_follows_short_runs_and_the_window() -> None:
    def stride(run: int, sequence_size: int = 50, background: int = 9000) -> int:
        return Shapes.of([example([0] * background + [1] * run)], 2).stride(sequence_size)

    assert stride(1000) == 8
    assert stride(100) == 4
    assert stride(50) == 2
    assert stride(10) == 1
    assert stride(100, sequence_size=100) == 2
    assert stride(2) == 1
    assert stride(100, background=900) == 1  # too few windows of a longer stride to learn from
