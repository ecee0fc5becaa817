"""Whether a real Label Studio says of each change to its tasks what `KnownTasks` makes use of."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.support.e2e.variants import NUMERIC
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources import known_tasks, label_studio
from timeseries_segmenter.sources.known_tasks import KnownTasks
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.task_query import TaskQuery
from tools.studio.label_studio import LabelStudio
from tools.studio.project import Project

pytestmark = pytest.mark.e2e

TASKS = 6


def result(start: int) -> list[dict[str, Any]]:
    value = {"start": start, "end": start + 9, "instant": False, "timeserieslabels": ["Run"]}
    region = {
        "id": "r",
        "from_name": "label",
        "to_name": "ts",
        "type": "timeserieslabels",
        "origin": "manual",
    }
    return [region | {"value": value}]


@dataclass
class Annotated:
    """A project of which each task has an annotation."""

    project: Project
    tasks: list[int]
    annotations: list[int]

    def annotate(self, place: int, **marks: Any) -> None:
        self.project.client.annotations.create(id=self.tasks[place], result=result(50), **marks)

    def change(self, place: int, **changes: Any) -> None:
        self.project.client.annotations.update(id=self.annotations[place], **changes)

    def act(self, name: str, *places: int, **options: Any) -> None:
        """An action of the Data Manager on some tasks."""
        included = [self.tasks[place] for place in places]
        answer = self.project.session.post(
            f"{self.project.studio.url}/api/dm/actions",
            params={"id": name, "project": str(self.project.id)},
            json={"selectedItems": {"all": False, "included": included}, **options},
            timeout=60,
        )
        answer.raise_for_status()


@pytest.fixture
def annotated(studio: LabelStudio) -> Iterator[Annotated]:
    project = Project(studio, "known tasks", NUMERIC.config)
    tasks = project.import_tasks([{"series": f"https://example.com/{number}.csv"} for number in range(TASKS)])
    annotations = [project.client.annotations.create(id=task, result=result(5)).id for task in tasks]
    yield Annotated(project, tasks, [int(each) for each in annotations if each])
    project.close()


CHANGES: dict[str, Callable[[Annotated], object]] = {
    "annotated again": lambda each: each.annotate(1),
    "another one skipped": lambda each: each.annotate(1, was_cancelled=True),
    "changed": lambda each: each.change(2, result=result(100)),
    "ground truth": lambda each: each.change(2, ground_truth=True),
    "skipped": lambda each: each.change(3, was_cancelled=True),
    "taken back": lambda each: each.change(3, was_cancelled=False),
    "deleted": lambda each: each.project.client.annotations.delete(id=each.annotations[4]),
    "task deleted": lambda each: each.project.client.tasks.delete(id=str(each.tasks[5])),
    "task changed": lambda each: each.project.client.tasks.update(
        id=str(each.tasks[2]), data={"series": "https://example.com/other.csv"}
    ),
    "imported": lambda each: each.project.client.projects.import_tasks(
        id=each.project.id,
        request=[{"data": {"series": "x"}, "annotations": [{"result": result(5)}]}],  # type: ignore[list-item]
    ),
    "annotations deleted in bulk": lambda each: each.act("delete_tasks_annotations", 0, 1),
    "tasks deleted in bulk": lambda each: each.act("delete_tasks", 2),
}


def test_each_change_in_label_studio_is_seen_at_the_next_look(
    studio: LabelStudio, annotated: Annotated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # without looking back, and without reading some again: what is seen is what Label Studio says
    monkeypatch.setattr(known_tasks, "LOOK_BACK", timedelta(0))
    monkeypatch.setattr(known_tasks, "PAGE_SIZE", 2)
    monkeypatch.setattr("timeseries_segmenter.sources.known_tasks._Look._read_some_again", lambda _: None)
    settings = Settings(
        label_studio_host=studio.url,
        label_studio_api_key=SecretStr(studio.credentials.token),
        model_dir=tmp_path,
    )
    # the project's connection, which is closed with it
    monkeypatch.setattr(label_studio, "_http_client", lambda *_: annotated.project._connection)
    client = LabelStudioClient(settings)
    number = annotated.project.id

    def listed() -> list[dict[str, Any]]:
        known = KnownTasks(settings, client)
        ids = [each.id for each in known.annotated(number, NUMERIC.config)]
        return [task | {"predictions": []} for task in known.read(number, ids)]

    before = listed()
    assert [task["id"] for task in before] == annotated.tasks
    find, since = client.find_tasks, list[str]()

    def watched(project: int, query: TaskQuery, *arguments: Any, **options: Any) -> Any:
        since.append(query.since)
        return find(project, query, *arguments, **options)

    monkeypatch.setattr(client, "find_tasks", watched)
    for name, change in CHANGES.items():
        change(annotated)
        since.clear()
        after = listed()
        assert since[0], f"{name}: all are listed"
        assert after == list(client.labelled_tasks(number)), name
        assert after != before, name
        before = after
