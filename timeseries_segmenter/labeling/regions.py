"""Segments as the regions of a Label Studio prediction."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.tag import REGION_TYPE
from timeseries_segmenter.segment import Segment, label_set_name


def predicted_segments(segments: Iterable[Segment], pair: LabelPair) -> list[Segment]:
    """Segments with the pair's own labels, and a score that Label Studio can keep.

    Those without a label that the pair has, and those that score below its threshold, are left out.
    """
    predicted = []
    for segment in segments:
        labels = pair.label_set(segment.labels)
        # a NaN would keep the task's page from opening
        score = float(segment.score) if math.isfinite(segment.score) else 0.0
        if labels and score >= pair.settings.score_threshold:
            predicted.append(replace(segment, labels=labels, score=score))
    return predicted


def stored_segments(segments: Sequence[Segment], series: Series) -> list[Segment]:
    """Segments as they come back from Label Studio, which knows times and no rows.

    Of rows that share a time, a range has all or none; an instant is the middle one.
    """
    stamps = series.time.stamps
    if not (stamps[1:] == stamps[:-1]).any():
        return list(segments)
    stored = []
    for segment in segments:
        first = int(np.searchsorted(stamps, stamps[segment.first], side="left"))
        last = int(np.searchsorted(stamps, stamps[segment.last], side="right")) - 1
        moved = replace(segment, first=first, last=last)
        stored.append(moved.as_instant() if segment.instant else moved)
    return stored


def to_regions(segments: Iterable[Segment], pair: LabelPair, series: Series) -> list[dict[str, object]]:
    """Results of a prediction, one a segment, with `start` and `end` in the series' own time.

    Which segments they are, see `predicted_segments`. The same segments have the same ids each time.
    """
    regions: dict[str, dict[str, object]] = {}
    predicted = predicted_segments(segments, pair)
    ends = series.time.start_ends([(segment.first, segment.last) for segment in predicted])
    for segment, (start, end) in zip(predicted, ends, strict=True):
        identity = _identity(segment, pair, regions)
        regions[identity] = {
            "id": identity,
            "from_name": pair.from_name,
            "to_name": pair.to_name,
            "type": REGION_TYPE,
            "origin": "prediction",
            "value": {
                "start": start,
                "end": end,
                "instant": start == end,
                REGION_TYPE: list(segment.labels),
            },
            "score": segment.score,
        }
    return list(regions.values())


def _identity(segment: Segment, pair: LabelPair, taken: Iterable[str]) -> str:
    """Ten hexadecimal digits that no other region of this result has."""
    key = f"{pair.name}/{segment.first}/{segment.last}/{label_set_name(segment.labels)}"
    attempts = (f"{key}/{attempt}".encode() for attempt in itertools.count())
    identities = (blake2b(attempt, digest_size=5).hexdigest() for attempt in attempts)
    return next(identity for identity in identities if identity not in taken)
