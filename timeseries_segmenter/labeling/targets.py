"""Annotations as what the network learns: one class index per row."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.segment import LabelSet, Segment


def choose_annotation(annotations: Sequence[Mapping[str, object]]) -> Mapping[str, object] | None:
    """The one annotation of a task that counts, None where there is none.

    Skipped ones never do; a ground truth does before any other; of several, the newest.
    """
    submitted = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    truths = [annotation for annotation in submitted if annotation.get("ground_truth")]
    return max(truths or submitted, key=_age, default=None)


def annotation_segments(annotation: Mapping[str, object], pair: LabelPair, series: Series) -> list[Segment]:
    """The drawn regions as segments, by their first row.

    Passed over are results that are no regions of this pair of tags (relations, other
    controls), regions without start, end or a known label, and those wholly out of the series'
    range.

    Raises:
        SeriesError: a start or end can't be read, or they are in the wrong order.

    """
    results = annotation.get("result")
    segments = [
        segment
        for region in (results if isinstance(results, list) else [])
        if isinstance(region, Mapping) and (segment := _segment(region, pair, series))
    ]
    return sorted(segments, key=lambda segment: (segment.first, segment.last))


def drawn_label_sets(segments: Iterable[Segment], labels: Sequence[str]) -> tuple[LabelSet, ...]:
    """The label sets that there are to learn: each label by itself, and each combination that was drawn.

    A label that was drawn in combinations alone has no set of its own. A class per combination is
    the label powerset of Tsoumakas and Katakis (2007, doi 10.4018/jdwm.2007070101).
    """
    drawn = {segment.labels for segment in segments}
    combinations = [each for each in drawn if len(each) > 1]
    combined = {label for each in combinations for label in each}
    alone = [(label,) for label in labels if (label,) in drawn or label not in combined]
    return (*alone, *sorted(combinations, key=lambda each: [labels.index(label) for label in each]))


def class_indices(
    segments: Sequence[Segment], label_sets: Sequence[LabelSet], length: int
) -> NDArray[np.int64]:
    """The class of each row, `(length,)` int64: 0 for background, i + 1 for `label_sets[i]`.

    Where segments overlap, the shorter one has its rows.
    """
    classes = np.zeros(length, dtype=np.int64)
    numbers = {labels: number for number, labels in enumerate(label_sets, start=1)}
    for segment in sorted(segments, key=len, reverse=True):
        if segment.labels in numbers:
            classes[segment.first : segment.last + 1] = numbers[segment.labels]
    return classes


def _segment(region: Mapping[str, object], pair: LabelPair, series: Series) -> Segment | None:
    if region.get("from_name") != pair.from_name or region.get("to_name") != pair.to_name:
        return None
    value = region.get("value")
    if not isinstance(value, Mapping) or value.get("start") is None or value.get("end") is None:
        return None
    names = value.get("timeserieslabels")
    labels = pair.label_set(names) if isinstance(names, list) else ()
    if not labels:
        return None
    try:
        rows = series.rows(value["start"], value["end"])
        instant = series.time.stamp(value["start"]) == series.time.stamp(value["end"])
    except SeriesError as error:
        raise SeriesError(f'Region "{region.get("id")}": {error}.') from error
    if rows is None:
        return None
    identity = region.get("id")
    return Segment(
        *rows,
        labels,
        instant=instant or value.get("instant") is True,
        region=identity if isinstance(identity, str) else None,
    )


def _age(annotation: Mapping[str, object]) -> tuple[float, float, int]:
    number = annotation.get("id")
    return (
        _seconds(annotation.get("updated_at")),
        _seconds(annotation.get("created_at")),
        number if isinstance(number, int) else 0,
    )


def _seconds(time: object) -> float:
    """A time of Label Studio's API since 1970; before all others where it is none."""
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return -np.inf
    if not isinstance(time, datetime):
        return -np.inf
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
