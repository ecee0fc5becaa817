"""The whole loop with a real Label Studio. What it stored is what counts, never what it answered."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from variants import LABELS, NUMERIC, VARIANTS, Variant

from demo.label_studio import LabelStudio
from demo.processes import ROOT
from demo.project import Project
from demo.sample import Sample, samples
from demo.service import Service
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of

pytestmark = pytest.mark.e2e

ANNOTATED = 3
TASKS = 5
TRAINING_SECONDS = 240
WEBHOOK_LIMIT_SECONDS = 1.0
MINIMUM_F1 = 0.6


@dataclass
class Loop:
    """A project of one variant with its tasks, connected to a service."""

    project: Project
    service: Service
    variant: Variant
    tasks: dict[int, Sample]
    backend: int

    @property
    def annotated(self) -> list[int]:
        return list(self.tasks)[:ANNOTATED]

    @property
    def others(self) -> list[int]:
        return list(self.tasks)[ANNOTATED:]

    @property
    def version(self) -> str:
        return str(self.service.training(self.project.id)["version"])

    def annotate(self) -> list[float]:
        """Submits the annotations and returns the seconds Label Studio took for each."""
        return [
            self.project.annotate(task, self.variant.regions(self.tasks[task])) for task in self.annotated
        ]

    def wait_trained(self) -> dict[str, Any]:
        newest = self.service.newest_job(self.project.id)
        return self.service.wait_trained(self.project.id, newest, TRAINING_SECONDS)

    def learn(self) -> str:
        """Annotates, waits for the training, and returns the new version."""
        self.annotate()
        return str(self.wait_trained()["version"])

    def stored(self, task: int, version: str) -> dict[str, Any]:
        """The one prediction of `version` that Label Studio stores for a task."""
        (prediction,) = [each for each in self.project.predictions(task) if each["model_version"] == version]
        return prediction

    def assert_predicted(self, version: str) -> None:
        for task in self.others:
            prediction, sample = self.stored(task, version), self.tasks[task]
            assert prediction["result"]
            assert 0 < prediction["score"] <= 1
            for region in prediction["result"]:
                assert (region["from_name"], region["to_name"]) == ("label", "ts")
                assert region["type"] == "timeserieslabels"
            length = len(sample.times)
            truth = self.variant.classes(self.variant.regions(sample), length)
            predicted = self.variant.classes(prediction["result"], length)
            scores = scores_of(confusion_matrix(truth, predicted, classes=len(LABELS) + 1))
            assert scores.macro_f1 > MINIMUM_F1
            assert scores.min_f1 > 0, "a true label was never found"


Connect = Callable[..., Loop]


@pytest.fixture
def connect(studio: LabelStudio, tmp_path: Path) -> Iterator[Connect]:
    """Makes a project of the bundled series in one variant and connects it to a service."""
    projects: list[Project] = []

    def connected(variant: Variant, service: Service, token: str | None = None) -> Loop:
        project = Project(studio, f"e2e {variant.name}", variant.config, token)
        projects.append(project)
        series = samples()[:TASKS]
        ids = project.import_tasks([variant.task(project, sample, tmp_path) for sample in series])
        backend = project.connect(service.url)
        return Loop(project, service, variant, dict(zip(ids, series, strict=True)), backend)

    yield connected
    for project in projects:
        project.close()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_annotations_become_stored_predictions(variant: Variant, service: Service, connect: Connect) -> None:
    loop = connect(variant, service)

    untrained = loop.version
    backend = loop.project.backend(loop.backend)
    assert (backend["state"], backend["model_version"]) == ("CO", untrained)
    assert [hook.url for hook in loop.project.webhooks()] == [f"{service.url}/webhook"]

    loop.project.retrieve_predictions(loop.others)
    assert [loop.stored(task, untrained)["result"] for task in loop.others] == [[], []]

    assert max(loop.annotate()) < WEBHOOK_LIMIT_SECONDS
    version = loop.wait_trained()["version"]
    assert version == loop.version != untrained
    assert version in service.versions()
    assert loop.project.backend(loop.backend)["model_version"] == version

    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(version)


def test_every_training_gets_a_version_and_predictions_of_its_own(service: Service, connect: Connect) -> None:
    loop = connect(NUMERIC, service)
    first = loop.learn()
    loop.project.retrieve_predictions(loop.others)
    task = loop.others[0]

    loop.project.annotate(task, loop.variant.regions(loop.tasks[task]))
    second = str(loop.wait_trained()["version"])
    loop.project.retrieve_predictions(loop.others)

    assert first != second
    loop.assert_predicted(first)
    loop.assert_predicted(second)


def test_two_projects_never_see_each_other_s_labels(service: Service, connect: Connect) -> None:
    renamed = replace(NUMERIC, name="other labels", labels=("Racket", "Fast feet", "Slow feet"))
    one, two = connect(NUMERIC, service), connect(renamed, service)

    version_one = one.learn()
    two.project.retrieve_predictions(two.others)
    assert [two.stored(task, two.version)["result"] for task in two.others] == [[], []]

    version_two = two.learn()
    assert version_one != version_two
    assert one.version == version_one
    for loop, version in ((one, version_one), (two, version_two)):
        loop.project.retrieve_predictions(loop.others)
        loop.assert_predicted(version)


def test_a_killed_service_serves_the_same_version_after_its_restart(
    own_service: Callable[..., Service], connect: Connect
) -> None:
    service = own_service()
    loop = connect(NUMERIC, service)
    version = loop.learn()

    service.kill()
    loop.project.retrieve_predictions(loop.others)
    assert [loop.project.predictions(task) for task in loop.others] == [[], []]

    service.start()
    assert loop.version == version
    assert version in service.versions()
    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(version)
    assert loop.version == version


def test_a_training_cut_short_by_a_kill_is_taken_up_after_the_restart(
    own_service: Callable[..., Service], connect: Connect
) -> None:
    service = own_service()
    loop = connect(NUMERIC, service)
    untrained = loop.version
    loop.annotate()

    service.kill()
    service.start()

    deadline = time.monotonic() + TRAINING_SECONDS
    while loop.version == untrained and time.monotonic() < deadline:
        time.sleep(0.5)
    assert loop.version != untrained
    loop.project.retrieve_predictions(loop.others)
    loop.assert_predicted(loop.version)


@pytest.mark.filterwarnings("ignore:The `parse_obj` method is deprecated")  # the SDK's own
def test_a_personal_access_token_does_what_the_legacy_token_does(
    studio: LabelStudio, own_service: Callable[..., Service], connect: Connect
) -> None:
    token = studio.personal_access_token()
    studio.allow_tokens(legacy=False, personal=True)
    try:
        loop = connect(NUMERIC, own_service(token), token)
        version = loop.learn()
        loop.project.retrieve_predictions(loop.others)
        loop.assert_predicted(version)
    finally:
        studio.allow_tokens(legacy=True, personal=True)


def test_the_demo_exits_by_itself_with_the_table(tmp_path: Path) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "demo", "--once", "--folder", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Predicted segments" in demo.stdout
    assert "Model version" in demo.stdout
