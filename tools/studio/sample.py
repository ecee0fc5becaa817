"""The bundled examples: real series, and the regions people should find in them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import Series, read_series
from timeseries_segmenter.labeling.targets import annotation_segments
from timeseries_segmenter.segment import LabelSet, Segment
from tools.studio.processes import ROOT

EXAMPLES = ROOT / "examples"
ACTIVITY = "activity"


@dataclass(frozen=True, eq=False)
class Sample:
    """One series: its CSV, what is read from it, and its true regions."""

    path: Path
    series: Series
    regions: tuple[dict[str, Any], ...]


@dataclass(frozen=True, eq=False)
class BundledExample:
    """One folder of `examples/`; its first tasks are to be annotated, the others to be predicted."""

    name: str
    config_text: str
    pair: LabelPair
    samples: tuple[Sample, ...]

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()

    @property
    def label_sets(self) -> tuple[LabelSet, ...]:
        return tuple((label,) for label in self.pair.labels)

    def segments(self, sample: Sample, regions: Any) -> list[Segment]:
        """Regions of a sample, annotated or predicted, as segments of its rows."""
        return annotation_segments({"result": list(regions)}, self.pair, sample.series)


def example_names() -> list[str]:
    return sorted(tasks.parent.name for tasks in EXAMPLES.glob("*/tasks.json"))


def read_example(name: str = ACTIVITY) -> BundledExample:
    folder = EXAMPLES / name
    config_text = (folder / "config.xml").read_text()
    (pair,) = parse_label_config(config_text).pairs
    samples = []
    for task in json.loads((folder / "tasks.json").read_text()):
        path = folder / task["data"]["csv_url"]
        series = read_series(path.read_bytes(), pair, task["id"])
        samples.append(Sample(path, series, tuple(task["annotations"][0]["result"])))
    return BundledExample(name, config_text, pair, tuple(samples))
