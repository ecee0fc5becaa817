"""The bundled real series and the regions people should find in them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from timeseries_segmenter.labeling.targets import class_indices
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.segment import Segment

DATA = Path(__file__).resolve().parent / "data" / "basicmotions"
LABELS = ("Badminton", "Running", "Walking")


@dataclass(frozen=True, slots=True)
class Sample:
    """One series: its CSV, its times `(T,)` in seconds, and its true regions."""

    path: Path
    times: NDArray[np.float64]
    regions: tuple[dict[str, Any], ...]


def samples() -> list[Sample]:
    """The bundled tasks in their order."""
    found = []
    for task in json.loads((DATA / "tasks.json").read_text()):
        path = DATA / task["data"]["csv_url"]
        times = pd.read_csv(path, usecols=["time"])["time"].to_numpy(float)
        found.append(Sample(path, times, tuple(task["annotations"][0]["result"])))
    return found


def spans(regions: Any) -> list[tuple[float, float, str]]:
    """Start, end and label of each region, in order of time."""
    values = [region["value"] for region in regions]
    return sorted((float(v["start"]), float(v["end"]), v["timeserieslabels"][0]) for v in values)


def segments(regions: Any, times: NDArray[np.float64]) -> list[Segment]:
    """The regions as segments of the rows whose times they span, both ends inclusive."""
    found = []
    for start, end, label in spans(regions):
        # times are multiples of 0.1 s, which floats hold only nearly
        first = int(np.searchsorted(times, start - 1e-6))
        last = int(np.searchsorted(times, end + 1e-6)) - 1
        found.append(Segment(first, last, (label,)))
    return found


def row_f1(true: list[Segment], predicted: list[Segment], length: int) -> float:
    """Mean F1 of the classes that occur in the truth, background among them, row by row."""
    label_sets = [(label,) for label in LABELS]
    pair = (class_indices(true, label_sets, length), class_indices(predicted, label_sets, length))
    return scores_of(confusion_matrix(*pair, classes=len(LABELS) + 1)).macro_f1
