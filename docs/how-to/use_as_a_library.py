"""Learns from two annotated series and predicts regions on a third, without Label Studio or a disk."""

import numpy as np
import torch

from timeseries_segmenter import (
    Example,
    Recipe,
    annotated_label_sets,
    annotation_segments,
    class_indices,
    fit,
    parse_label_config,
    read_series,
    to_regions,
)

CONFIG = """
<View>
  <TimeSeriesLabels name="label" toName="ts"><Label value="Shake"/></TimeSeriesLabels>
  <TimeSeries name="ts" value="$series" valueType="json" timeColumn="t"><Channel column="x"/></TimeSeries>
</View>
"""


def columns(start: int, seed: int) -> dict[str, list[float]]:
    """400 rows of noise that is ten times as strong for 100 rows from `start` on."""
    noise = np.random.default_rng(seed).normal(size=400)
    noise[start : start + 100] *= 10
    return {"t": [row / 10 for row in range(400)], "x": noise.tolist()}


def region(start: float, end: float) -> dict[str, object]:
    """A region as Label Studio stores it, in the time of the series."""
    value = {"start": start, "end": end, "instant": False, "timeserieslabels": ["Shake"]}
    return {"from_name": "label", "to_name": "ts", "type": "timeserieslabels", "value": value}


def main() -> list[dict[str, object]]:
    """Return the regions predicted on the third series."""
    pair = parse_label_config(CONFIG).pairs[0]
    annotated = [
        (read_series(columns(50, seed=1), pair, task=1), {"result": [region(5.0, 14.9)]}),
        (read_series(columns(200, seed=2), pair, task=2), {"result": [region(20.0, 29.9)]}),
    ]
    segments = [annotation_segments(annotation, pair, series) for series, annotation in annotated]
    label_sets = annotated_label_sets((each for of_task in segments for each in of_task), pair.labels)
    examples = [
        Example(series.values, class_indices(of_task, label_sets, len(series)), times=series.times)
        for (series, _), of_task in zip(annotated, segments, strict=True)
    ]
    fitted = fit(examples, label_sets, pair.channels, Recipe(epochs=100, hidden_size=8))

    new = read_series(columns(120, seed=3), pair, task=3)
    return to_regions(fitted.segmenter.segments(new.values, new.times), pair, new)


if __name__ == "__main__":
    torch.set_num_threads(1)  # more gain nothing with networks of this size
    for found in main():
        print(found["value"], found["score"])
