"""A bundled example in Label Studio: its first series annotated and learned, the others predicted."""

import re
from dataclasses import dataclass
from typing import Any

from tests.support.e2e.loop import ANNOTATED, TRAINING_SECONDS
from tools.studio.label_studio import LabelStudio
from tools.studio.project import Project
from tools.studio.sample import BundledExample, Sample, read_example
from tools.studio.service import Service

COLOUR = re.compile(r'<Label value="([^"]+)"[^>]*background="(#[0-9a-f]{6})"')


@dataclass(frozen=True, eq=False)
class Lesson:
    """What an example's project knows after its first training."""

    example: BundledExample
    project: Project
    service: Service
    tasks: dict[int, Sample]
    version: str

    @property
    def others(self) -> list[int]:
        return list(self.tasks)[ANNOTATED:]

    @property
    def colours(self) -> dict[str, str]:
        """Labels by their colour in the editor."""
        return {colour: label for label, colour in COLOUR.findall(self.example.config_text)}

    def predicted(self, task: int, version: str | None = None) -> list[dict[str, Any]]:
        """The values of the regions that Label Studio stores for a task, by their start."""
        (stored,) = [
            each
            for each in self.project.predictions(task)
            if each["model_version"] == (version or self.version)
        ]
        stamp = self.tasks[task].series.time.stamp
        return sorted((region["value"] for region in stored["result"]), key=lambda v: stamp(v["start"]))

    def score(self, task: int, version: str) -> float:
        (score,) = [
            each["score"] for each in self.project.predictions(task) if each["model_version"] == version
        ]
        return float(score)


def teach(studio: LabelStudio, service: Service, name: str) -> Lesson:
    example = read_example(name)
    project = Project(studio, example.title, example.config_text)
    ids = project.import_tasks([{"csv_url": project.upload(each.path)} for each in example.samples])
    tasks = dict(zip(ids, example.samples, strict=True))
    project.connect(service.url)
    for task in ids[:ANNOTATED]:
        project.annotate(task, tasks[task].regions)
    job = service.wait_trained(project.id, service.newest_job(project.id), TRAINING_SECONDS)
    project.retrieve_predictions(ids[ANNOTATED:])
    return Lesson(example, project, service, tasks, str(job["version"]))
