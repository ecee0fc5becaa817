"""Labeling configs beyond one tag for one series, in a real Label Studio and its editor."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from tests.support.e2e.chromium import SIZE, chromium, log_in, open_task, show_prediction
from tests.support.e2e.loop import ANNOTATED, TRAINING_SECONDS
from tools.studio.label_studio import LabelStudio
from tools.studio.project import Project
from tools.studio.sample import Sample, read_example
from tools.studio.service import Service

pytestmark = pytest.mark.e2e

TWO_PAIRS = """<View>
  <TimeSeriesLabels name="motion" toName="accelerometer" choice="multiple" model_epochs="300">
    <Label value="Badminton"/><Label value="Running"/><Label value="Walking"/><Label value="Fast"/>
  </TimeSeriesLabels>
  <TimeSeries name="accelerometer" valueType="json" value="$acceleration" timeColumn="time">
    <Channel column="ax"/><Channel column="ay"/><Channel column="az"/>
  </TimeSeries>
  <TimeSeriesLabels name="gait" toName="gyroscope" value="$gaits"/>
  <TimeSeries name="gyroscope" valueType="json" value="$rotation" timeColumn="time">
    <Channel column="gx"/><Channel column="gy"/><Channel column="gz"/>
  </TimeSeries>
</View>"""
GAITS = [{"value": "On foot", "background": "#2a9d8f"}]


def data(sample: Sample) -> dict[str, Any]:
    table = pd.read_csv(sample.path)
    return {
        "acceleration": table[["time", "ax", "ay", "az"]].to_dict(orient="list"),
        "rotation": table[["time", "gx", "gy", "gz"]].to_dict(orient="list"),
        "gaits": GAITS,
    }


def regions(sample: Sample) -> Iterator[dict[str, Any]]:
    """Each motion, running as a fast one, and for the gyroscope whether it is one on foot."""
    for region in sample.regions:
        value = region["value"]
        (motion,) = value["timeserieslabels"]
        motions = [motion, "Fast"] if motion == "Running" else [motion]
        yield drawn(value, "motion", "accelerometer", motions)
        if motion != "Badminton":
            yield drawn(value, "gait", "gyroscope", ["On foot"])


def drawn(value: dict[str, Any], from_name: str, to_name: str, labels: list[str]) -> dict[str, Any]:
    return {
        "from_name": from_name,
        "to_name": to_name,
        "type": "timeserieslabels",
        "value": value | {"timeserieslabels": labels},
    }


def labels_of(found: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
    return Counter((region["from_name"], *region["value"]["timeserieslabels"]) for region in found)


def test_each_pair_of_tags_gets_its_own_regions_with_all_their_labels(
    studio: LabelStudio, service: Service
) -> None:
    project = Project(studio, "Two pairs", TWO_PAIRS)
    series = read_example("activity").samples[: ANNOTATED + 2]
    tasks = dict(zip(project.import_tasks([data(each) for each in series]), series, strict=True))
    backend = project.connect(service.url)
    assert project.backend(backend)["state"] == "CO"
    annotated, others = list(tasks)[:ANNOTATED], list(tasks)[ANNOTATED:]
    for task in annotated:
        project.annotate(task, regions(tasks[task]))
    job = service.wait_trained(project.id, service.newest_job(project.id), TRAINING_SECONDS)
    project.retrieve_predictions(others)

    expected: Counter[tuple[str, ...]] = Counter()
    found: Counter[tuple[str, ...]] = Counter()
    for task in others:
        (prediction,) = project.predictions(task)
        expected += labels_of(list(regions(tasks[task])))
        found += labels_of(prediction["result"])
        for region in prediction["result"]:
            assert region["to_name"] == {"motion": "accelerometer", "gait": "gyroscope"}[region["from_name"]]
    assert set(found) == set(expected)
    assert ("motion", "Running", "Fast") in found
    # a few more or fewer than drawn: how good they are is tested elsewhere
    assert (found - expected).total() + (expected - found).total() <= 0.3 * expected.total()

    with chromium() as browser:
        page = browser.new_page(viewport=SIZE)
        log_in(page, studio)
        open_task(page, studio, project.id, others[0])
        show_prediction(page, str(job["version"]))
        (prediction,) = project.predictions(others[0])
        marks = page.locator(".htx-timeseries-overview .regions rect.region")
        assert marks.count() == len(prediction["result"])
    project.close()
