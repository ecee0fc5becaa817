"""Made series whose labels anybody can see."""

import numpy as np

from timeseries_segmenter.learning.examples import Example

LABEL_SETS = (("Run",), ("Walk",))


def synthetic(seed: int, rows: int = 300, level: float = 0.0) -> Example:
    """Two channels; `Run` shakes the first fast, `Walk` slowly."""
    random = np.random.default_rng(seed)
    classes = np.zeros(rows, np.int64)
    start = int(random.integers(20, 50))
    for number in random.permutation([1, 2, 1]):
        classes[start : start + 50] = number
        start += 50 + int(random.integers(20, 40))
    time = np.arange(rows)
    shaking = np.where(classes == 1, np.sin(time), np.where(classes == 2, np.sin(time / 4), 0.0))
    values = np.stack([3 * shaking, random.normal(size=rows)], axis=1)
    values += random.normal(scale=0.2, size=values.shape) + level
    return Example(values.astype(np.float32), classes)


def events(seed: int, rows: int = 600) -> Example:
    """One channel with a bump every 40 to 60 rows, each drawn as an instant."""
    random = np.random.default_rng(seed)
    rows_of_events = np.cumsum(random.integers(40, 60, size=10))
    values = random.normal(scale=0.1, size=rows)
    for row in rows_of_events:
        values[row - 3 : row + 4] += [0.3, 0.7, 1.5, 3, 1.5, 0.7, 0.3]
    return Example(
        values[:, None].astype(np.float32),
        np.zeros(rows, np.int64),
        rows_of_events,
        np.ones_like(rows_of_events),
    )


def mixed(seed: int) -> Example:
    """`Run` as ranges and as instants: the first channel shakes, the second has bumps anywhere."""
    ranges, points = synthetic(seed), events(seed)
    rows = points.instants[points.instants < 300]
    values = np.stack([ranges.values[:, 0], points.values[:300, 0]], axis=1)
    return Example(values, np.where(ranges.classes == 1, 1, 0), rows, np.ones_like(rows))


def example(classes: list[int], instants: dict[int, int] | None = None) -> Example:
    """One channel of zeros, annotated: the class of each row, and that of the row of each instant."""
    rows = instants or {}
    return Example(
        np.zeros((len(classes), 1), np.float32),
        np.array(classes, np.int64),
        np.array(list(rows), np.int64),
        np.array(list(rows.values()), np.int64),
    )
