"""The bundled real series once more, written in every way Label Studio can show a series."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tools.studio.project import Project
from tools.studio.sample import Sample

CHANNELS = ("ax", "ay", "az", "gx", "gy", "gz")
LABELS = ("Badminton", "Running", "Walking")
FIRST_DAY = datetime(2024, 1, 1)

Stamp = float | int | str


def date_stamp(row: int) -> str:
    return (FIRST_DAY + timedelta(seconds=row)).strftime("%Y-%m-%d %H:%M:%S")


def seconds_stamp(row: int) -> float:
    return round(row / 10, 1)


def row_stamp(row: int) -> int:
    return row


def spans(regions: Iterable[dict[str, Any]]) -> list[tuple[float, float, str]]:
    """Start and end in seconds, and label, of each region of the bundled series, in order of time."""
    values = [region["value"] for region in regions]
    return sorted((float(v["start"]), float(v["end"]), v["timeserieslabels"][0]) for v in values)


@dataclass(frozen=True)
class Variant:
    """One way to write a series: attributes of the `TimeSeries` tag and the time of a row."""

    name: str
    stamp: Callable[[int], Stamp]
    attributes: str
    sep: str = ","
    timed: bool = True
    inline: bool = False
    labels: tuple[str, ...] = LABELS

    @property
    def config(self) -> str:
        labels = "".join(f'<Label value="{label}"/>' for label in self.labels)
        channels = "".join(f'<Channel column="{channel}"/>' for channel in CHANNELS)
        return (
            f'<View><TimeSeriesLabels name="label" toName="ts">{labels}</TimeSeriesLabels>'
            f'<TimeSeries name="ts" value="$series" {self.attributes}>{channels}</TimeSeries></View>'
        )

    def task(self, project: Project, sample: Sample, folder: Path) -> dict[str, Any]:
        """The task's data, after its series was uploaded where it isn't written inline."""
        frame = pd.read_csv(sample.path)
        frame["time"] = [self.stamp(row) for row in range(len(frame))]
        if not self.timed:
            frame = frame.drop(columns="time")
        if self.inline:
            return {"series": frame.to_dict(orient="list")}
        path = folder / sample.path.name
        frame.to_csv(path, sep=self.sep, index=False)
        return {"series": project.upload(path)}

    def regions(self, sample: Sample) -> list[dict[str, Any]]:
        """The true regions, as the editor writes them for this config."""
        names = dict(zip(LABELS, self.labels, strict=True))
        return [
            {
                "from_name": "label",
                "to_name": "ts",
                "type": "timeserieslabels",
                "value": {
                    "start": self.stamp(round(start * 10)),
                    "end": self.stamp(round(end * 10)),
                    "instant": False,
                    "timeserieslabels": [names[label]],
                },
            }
            for start, end, label in spans(sample.regions)
        ]

    def classes(self, regions: list[dict[str, Any]], length: int) -> NDArray[np.int64]:
        """The class of each row `(T,)`. Fails where a start or end isn't a row's own time."""
        row_of = {self.stamp(row): row for row in range(length)}
        classes = np.zeros(length, dtype=np.int64)
        for region in regions:
            value = region["value"]
            start, end = row_of[value["start"]], row_of[value["end"]]
            assert start <= end
            assert value["instant"] is (start == end)
            (label,) = value["timeserieslabels"]
            classes[start : end + 1] = self.labels.index(label) + 1
        return classes


NUMERIC = Variant("numeric time", seconds_stamp, 'valueType="url" timeColumn="time"')
DATES = Variant("date strings", date_stamp, 'timeColumn="time" timeFormat="%Y-%m-%d %H:%M:%S"')
ROWS = Variant("no time column", row_stamp, 'valueType="url"', timed=False)
INLINE = Variant("inline json", seconds_stamp, 'valueType="json" timeColumn="time"', inline=True)
SEMICOLONS = Variant("semicolons", seconds_stamp, 'sep=";" timeColumn="time"', sep=";")
VARIANTS = (NUMERIC, DATES, ROWS, INLINE, SEMICOLONS)
