"""Segments as the regions of a Label Studio prediction."""

import math
from collections.abc import Iterable
from hashlib import blake2b

from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.segment import Segment


def to_regions(segments: Iterable[Segment], config: LabelConfig, series: Series) -> list[dict[str, object]]:
    """Results of a prediction, one a segment, with `start` and `end` in the series' own time.

    Segments whose label the config doesn't have are passed over. The same segments have
    the same ids each time.
    """
    regions: dict[str, dict[str, object]] = {}
    for segment in segments:
        if segment.label not in config.labels:
            continue
        start, end = series.start_end(segment.first, segment.last)
        identity = _identity(segment, config, regions)
        regions[identity] = {
            "id": identity,
            "from_name": config.from_name,
            "to_name": config.to_name,
            "type": "timeserieslabels",
            "origin": "prediction",
            "value": {
                "start": start,
                "end": end,
                "instant": start == end,
                "timeserieslabels": [segment.label],
            },
            # A NaN would keep the task's page from opening.
            "score": float(segment.score) if math.isfinite(segment.score) else 0.0,
        }
    return list(regions.values())


def _identity(segment: Segment, config: LabelConfig, taken: Iterable[str]) -> str:
    """Ten hexadecimal digits that no other region of this result has."""
    attempt = 0
    while True:
        key = f"{config.from_name}/{segment.first}/{segment.last}/{segment.label}/{attempt}"
        identity = blake2b(key.encode(), digest_size=5).hexdigest()
        if identity not in taken:
            return identity
        attempt += 1
