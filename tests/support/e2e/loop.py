"""A project, its tasks and the service that learns them, as the end-to-end tests drive them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.support.e2e.variants import LABELS, Variant
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from tools.studio.label_studio import LabelStudio
from tools.studio.project import Project
from tools.studio.sample import Sample
from tools.studio.service import Service

ANNOTATED = 3
TASKS = 5
TRAINING_SECONDS = 240
MINIMUM_F1 = 0.6

Program = TypeVar("Program", LabelStudio, Service)


@contextmanager
def started(program: Program) -> Iterator[Program]:
    """Ends it as well, also where it did not start all the way."""
    try:
        program.start()
        yield program
    finally:
        program.stop()


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

    def annotate(self, tasks: Iterable[int] | None = None) -> list[float]:
        """Submits annotations and returns the seconds Label Studio took for each."""
        return [
            self.project.annotate(task, self.variant.regions(self.tasks[task]))
            for task in (self.annotated if tasks is None else tasks)
        ]

    def wait_trained(self) -> dict[str, Any]:
        newest = self.service.newest_job(self.project.id)
        return self.service.wait_trained(self.project.id, newest, TRAINING_SECONDS)

    def learn(self, tasks: Iterable[int] | None = None) -> str:
        """Annotates, waits for the training, and returns the new version."""
        self.annotate(tasks)
        return str(self.wait_trained()["version"])

    def stored(self, task: int, version: str) -> dict[str, Any]:
        """The one prediction of `version` that Label Studio stores for a task."""
        (prediction,) = [each for each in self.project.predictions(task) if each["model_version"] == version]
        return prediction

    def assert_predicted(self, version: str, tasks: Iterable[int] | None = None) -> None:
        for task in self.others if tasks is None else tasks:
            prediction, sample = self.stored(task, version), self.tasks[task]
            assert prediction["result"]
            assert 0 < prediction["score"] <= 1
            for region in prediction["result"]:
                assert (region["from_name"], region["to_name"]) == ("label", "ts")
                assert region["type"] == "timeserieslabels"
            length = len(sample.series)
            truth = self.variant.classes(self.variant.regions(sample), length)
            predicted = self.variant.classes(prediction["result"], length)
            scores = scores_of(confusion_matrix(truth, predicted, classes=len(LABELS) + 1))
            assert scores.macro_f1 > MINIMUM_F1
            assert scores.min_f1 > 0, "a true label was never found"


Connect = Callable[..., Loop]
