"""Label Studio 1.23.2 as far as the service asks it: projects, tasks, tokens and files."""

import base64
import itertools
import json
import operator
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.http_server import HttpServer, Reply, Request

TOKEN = "5f0c2b9e7d3a41c8b6e0f4d29a1c7e38b5d60f42"
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "greater": operator.gt,
    "equal": operator.eq,
    "greater_or_equal": operator.ge,
    "less_or_equal": operator.le,
}
COLUMNS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "total_annotations": lambda task: submitted(task),
    "updated_at": lambda task: task["updated_at"],
    "id": lambda task: task["id"],
}


class LabelStudioServer(HttpServer):
    """`configs` and `tasks` by project, `files` by path, `storage` from a URI to where it is."""

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address)
        self.authorizations = {f"Token {TOKEN}"}
        self.refresh_token = ""
        self.access_lifetime = 300.0  # seconds
        self.configs: dict[int, str] = {}
        self.tasks: dict[int, list[dict[str, Any]]] = {}
        self.files: dict[str, bytes] = {}
        self.storage: dict[str, str] = {}
        self.predictions_made = 0
        self.stores_predictions = True  # whether the token's owner may have it do so
        self.clock = datetime(2026, 11, 22, 10, 44, 33, 643968, UTC)

    def issue_personal_access_token(self, lifetime: float = 3600) -> str:
        """A token that is worth nothing until it is exchanged; the legacy one stops working."""
        self.refresh_token = jwt("refresh", lifetime)
        self.authorizations = set()
        return self.refresh_token

    def add_task(
        self, project: int, data: dict[str, Any], *results: list[dict[str, Any]], **marks: Any
    ) -> int:
        """A task with one annotation for each list of results; returns its id."""
        tasks = self.tasks.setdefault(project, [])
        number: int = max(project * 1000, *(task["id"] for task in tasks), 0) + 1
        task = {"id": number, "data": data, "annotations": [], "project": project}
        tasks.append(task | {"created_at": self.now(), "updated_at": self.now()})
        for result in results:
            self.annotate(number, result, **marks)
        return number

    def now(self) -> str:
        """The time of the next change, which comes a second after the last one."""
        self.clock += timedelta(seconds=1)
        return self.clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def task(self, number: int) -> dict[str, Any]:
        """A task by its id, as it is kept here."""
        return next(task for tasks in self.tasks.values() for task in tasks if task["id"] == number)

    def annotate(self, task: int, result: list[dict[str, Any]], **marks: Any) -> int:
        """A new annotation of a task, maybe skipped or the ground truth by its `marks`; returns its id."""
        annotated = self.task(task)
        ids = [each["id"] for each in annotated["annotations"]]
        annotation = {
            "id": max([task * 10 - 1, *ids]) + 1,
            "result": result,
            "was_cancelled": False,
            "ground_truth": False,
            "created_at": self.now(),
            "task": task,
            "project": annotated["project"],
        }
        annotated["annotations"].append(annotation)
        self.change_annotation(task, len(ids), **marks)
        return int(annotation["id"])

    def change_annotation(self, task: int, place: int, **changes: Any) -> None:
        """Change an annotation of a task, by its place among them: its `result`, `was_cancelled`, …"""
        changed = self.task(task)
        changed["annotations"][place] |= {"updated_at": self.now()} | changes
        changed["updated_at"] = self.now()

    def delete_annotation(self, task: int, place: int) -> None:
        changed = self.task(task)
        del changed["annotations"][place]
        changed["updated_at"] = self.now()

    def delete_task(self, number: int) -> None:
        for tasks in self.tasks.values():
            tasks[:] = [task for task in tasks if task["id"] != number]

    def vouch(self, body: dict[str, Any]) -> None:
        """Have the project and the tasks of a request for predictions, as if it came from here."""
        named = str(body.get("project")).partition(".")[0]
        project = int(named) if named.isdecimal() else 0
        self.configs[project] = body["label_config"]
        mine = {task["id"]: task for task in self.tasks.get(project, [])}
        sent = {
            task["id"]: {
                "id": task["id"],
                "data": deepcopy(task["data"]),
                "annotations": [],
                "project": project,
            }
            for task in body["tasks"]
            if "id" in task and "data" in task
        }
        self.tasks[project] = list((sent | mine).values())

    def answer(self, request: Request) -> Reply:
        if request.path in self.routes:
            return super().answer(request)
        if request.path == "/api/token/refresh/":
            return self._refresh(json.loads(request.body))
        if request.headers["Authorization"] not in self.authorizations:
            return failure(401, "Invalid token.")
        if request.path == "/api/tasks/":
            return self._page(request.query)
        steps = request.path.strip("/").split("/")
        if steps[:2] == ["api", "projects"] and steps[3:] == ["import", "predictions"]:
            return self._import_predictions(int(steps[2]), json.loads(request.body))
        if steps[:2] == ["api", "predictions"]:
            return self._change_prediction(request, int(steps[2]))
        if steps == ["api", "projects"]:
            return self._projects(request.query)
        if steps[:2] == ["api", "projects"] and int(steps[2]) in self.configs:
            return ok({"id": int(steps[2]), "title": "series", "label_config": self.configs[int(steps[2])]})
        if request.path in self.files:
            return Reply(self.files[request.path])
        if steps[0] == "tasks" and steps[2] == "presign":
            uri = base64.urlsafe_b64decode(request.query["fileuri"]).decode()
            if uri in self.storage:
                return Reply(status=303, headers={"Location": self.storage[uri]})
        return failure(404, "Not found.")

    def _page(self, query: dict[str, str]) -> Reply:
        tasks = self.tasks.get(int(query["project"]), [])
        selected = json.loads(query.get("query", "{}")).get("selectedItems", {"all": True})
        if not selected["all"]:
            tasks = [task for task in tasks if task["id"] in selected["included"]]
        asked = json.loads(query.get("query", "{}"))
        tasks = [{"updated_at": "2026-11-22T10:44:33.643968Z"} | task for task in tasks]
        for item in asked.get("filters", {}).get("items", []):
            column = COLUMNS[item["filter"].removeprefix("filter:tasks:")]
            holds, value = OPERATORS[item["operator"]], item["value"]
            tasks = [task for task in tasks if holds(column(task), value)]
        if ordering := asked.get("ordering"):
            name = ordering[0].removeprefix("-tasks:")
            tasks = sorted(tasks, key=lambda task: task[name], reverse=True)
        page, size = int(query["page"]), int(query["page_size"])
        if page > 1 and (page - 1) * size >= len(tasks):
            return failure(404, "Invalid page.")
        found = tasks[(page - 1) * size : page * size]
        if query.get("fields") != "all":
            found = [{key: value for key, value in task.items() if key != "annotations"} for task in found]
        annotations = sum(map(submitted, tasks))
        return ok(
            {"total_annotations": annotations, "total_predictions": 0, "total": len(tasks), "tasks": found}
        )

    def add_prediction(self, task: int, version: str, **prediction: Any) -> int:
        """A stored prediction of a task by some model; returns its id."""
        found = self.task(task)
        self.predictions_made += 1
        stored = {"id": self.predictions_made, "task": task, "model_version": version} | prediction
        found.setdefault("predictions", []).append(stored)
        return self.predictions_made

    def predictions(self, project: int) -> dict[int, list[dict[str, Any]]]:
        """The stored predictions of each task that has any."""
        return {task["id"]: task["predictions"] for task in self.tasks[project] if task.get("predictions")}

    def _import_predictions(self, project: int, predictions: list[dict[str, Any]]) -> Reply:
        known = {task["id"] for task in self.tasks[project]}
        if not self.stores_predictions:
            return failure(403, "You do not have permission to perform this action.")
        if any(each["task"] not in known for each in predictions):
            return failure(400, "Validation error")
        for each in predictions:
            given = dict(each)
            self.add_prediction(given.pop("task"), given.pop("model_version"), **given)
        return ok({"created": len(predictions)})

    def _change_prediction(self, request: Request, number: int) -> Reply:
        for task in itertools.chain.from_iterable(self.tasks.values()):
            for stored in task.get("predictions", []):
                if stored["id"] == number and request.method == "DELETE":
                    task["predictions"].remove(stored)
                    return Reply(status=204)
                if stored["id"] == number:
                    stored.update(json.loads(request.body))
                    return ok(stored)
        return failure(404, "Not found.")

    def _projects(self, query: dict[str, str]) -> Reply:
        wanted = set(map(int, query["ids"].split(","))) if "ids" in query else set(self.configs)
        found = [{"id": project, "title": "series"} for project in sorted(wanted & self.configs.keys())]
        page = found[: int(query["page_size"])]
        following = "http://next" if len(found) > len(page) else None
        return ok({"count": len(found), "next": following, "previous": None, "results": page})

    def _refresh(self, body: dict[str, str]) -> Reply:
        if body["refresh"] != self.refresh_token:
            return failure(401, "Token is invalid")
        access = jwt("access", self.access_lifetime)
        self.authorizations = {f"Bearer {access}"}
        return ok({"access": access})


def jwt(kind: str, lifetime: float) -> str:
    """An unsigned token in the form of Label Studio's; `lifetime` in seconds."""
    claims = {"token_type": kind, "exp": int(time.time() + lifetime), "jti": str(time.monotonic_ns())}
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


def ok(content: object) -> Reply:
    return Reply(json.dumps(content).encode(), headers={"Content-Type": "application/json"})


def failure(status: int, detail: str) -> Reply:
    content = {"status_code": status, "version": "1.23.2", "detail": detail, "exc_info": None}
    return Reply(json.dumps(content).encode(), status, {"Content-Type": "application/json"})


def submitted(task: dict[str, Any]) -> int:
    """How many annotations of a task were not skipped."""
    return sum(not annotation["was_cancelled"] for annotation in task["annotations"])
