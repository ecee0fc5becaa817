"""One Label Studio project, driven through its API as a person would through the browser."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tools.studio.label_studio import LabelStudio
from tools.studio.processes import DemoError

Region = Mapping[str, Any]
DIRECT_UPLOAD = {"commit_to_project": "false"}


class Project:
    """A new project with a labeling config and no tasks. `token` stands in for the legacy token."""

    def __init__(self, studio: LabelStudio, title: str, label_config: str, token: str | None = None) -> None:
        self.studio = studio
        self._connection = httpx.Client(timeout=60)
        self.client = studio.client(self._connection, token)
        self.session = studio.session()
        self.title = title
        created: Any = self.client.projects.create(title=title, label_config=label_config)
        self.id = int(created.id)

    def close(self) -> None:
        self._connection.close()
        self.session.close()

    @property
    def url(self) -> str:
        return f"{self.studio.url}/projects/{self.id}/data"

    def upload(self, path: Path) -> str:
        """Uploads a series and returns the address a task gives for it (`/data/upload/…`)."""
        with path.open("rb") as file:
            answer = self.session.post(
                f"{self.studio.url}/api/projects/{self.id}/import",
                params=DIRECT_UPLOAD,
                files={"file": (path.name, file, "text/csv")},
                timeout=60,
            )
            answer.raise_for_status()
        upload = self.client.files.get(id=answer.json()["file_upload_ids"][0])
        return f"/data/{upload.file}"

    def import_tasks(self, data: Sequence[Mapping[str, Any]]) -> list[int]:
        """Imports one task for each `data` and returns their ids in that order."""
        before = {task.id for task in self.tasks()}
        request: Any = [{"data": each} for each in data]
        self.client.projects.import_tasks(id=self.id, request=request)
        made = sorted(task.id for task in self.tasks() if task.id not in before)
        if len(made) != len(data):
            raise DemoError(f"Label Studio made {len(made)} tasks of {len(data)} in {self.url}")
        return made

    def tasks(self) -> list[Any]:
        return list(self.client.tasks.list(project=self.id, fields="all"))

    def connect(self, backend_url: str, login: tuple[str, str] | None = None) -> int:
        """Connects a model, with user and password if it asks for them; returns its id in Label Studio."""
        names = ("auth_method", "basic_auth_user", "basic_auth_pass")
        fields: Any = dict(zip(names, ("BASIC_AUTH", *login), strict=True)) if login else {}
        return int(self.client.ml.create(project=self.id, url=backend_url, title="Segmenter", **fields).id)

    def backend(self, backend_id: int) -> dict[str, Any]:
        """What Label Studio says of a model, after it has just asked the model itself."""
        answer = self.session.get(f"{self.studio.url}/api/ml", params={"project": self.id}, timeout=60)
        answer.raise_for_status()
        return next(each for each in answer.json() if each["id"] == backend_id)

    def webhooks(self) -> list[Any]:
        return list(self.client.webhooks.list(project=str(self.id)))

    def annotate(self, task_id: int, regions: Iterable[Region]) -> float:
        """Submits one annotation and returns how long Label Studio took, in seconds."""
        began = time.monotonic()
        self.client.annotations.create(id=task_id, result=[dict(region) for region in regions])
        return time.monotonic() - began

    def retrieve_predictions(self, task_ids: Sequence[int]) -> None:
        """Asks Label Studio to ask the model; whether it did shows in `predictions` only."""
        self.session.post(
            f"{self.studio.url}/api/dm/actions",
            params={"id": "retrieve_tasks_predictions", "project": str(self.id)},
            json={"selectedItems": {"all": False, "included": list(task_ids)}},
            timeout=180,
        )

    def predictions(self, task_id: int) -> list[dict[str, Any]]:
        """The stored predictions of one task, oldest first."""
        stored = self.client.predictions.list(task=task_id)
        return sorted((each.model_dump() for each in stored), key=lambda each: int(each["id"]))
