from dataclasses import replace

import numpy as np

from benchmarks.missing_labels import first_halves, without_some
from tests.support import reports
from timeseries_segmenter.segment import UNKNOWN


def test_three_regions_in_ten_are_missing_and_the_rest_is_as_it_was() -> None:
    tasks = [replace(each, task=number) for number, each in enumerate(reports.tasks() * 10)]
    segments = [(each.task, segment) for each in tasks for segment in each.segments]
    fewer = without_some(tasks, np.random.default_rng(0))
    kept = [(each.task, segment) for each in fewer for segment in each.segments]
    assert len(kept) == round(0.7 * len(segments))
    assert set(kept) < set(segments)
    assert kept != [
        (each.task, segment)
        for each in without_some(tasks, np.random.default_rng(1))
        for segment in each.segments
    ]
    assert not any((each.example(reports.LABEL_SETS).classes == UNKNOWN).any() for each in fewer)


def test_second_halves_are_background_or_unknown() -> None:
    (task, *_) = reports.tasks()
    middle = len(task.series) / 2
    (half,) = first_halves([task])
    assert half.segments == [each for each in task.segments if each.first < middle]
    assert len(half.segments) < len(task.segments)
    last = half.segments[-1].last
    assert not half.example(reports.LABEL_SETS).classes[last + 1 :].any()
    (span,) = first_halves([task], "span")
    assert span.segments == half.segments
    assert (span.example(reports.LABEL_SETS).classes[last + 1 :] == UNKNOWN).all()
