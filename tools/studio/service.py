"""The segmenter service of this project, started as `python _wsgi.py` with settings of its own."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from tools.studio.processes import ROOT, Child, DemoError, free_port

START_SECONDS = 120
WEBHOOK_SECONDS = 15
# set in somebody's shell for their own service, these would turn this one into something else
NOT_INHERITED = (
    "LABEL_STUDIO_URL",
    "REDIS_URL",
    "PORT",
    "START_TRAINING_EACH_N_UPDATES",
    "BASIC_AUTH_USER",
    "BASIC_AUTH_PASS",
    "WEBHOOK_SECRET",
)


class Service:
    """One segmenter service that asks one Label Studio for its tasks."""

    def __init__(
        self,
        label_studio_url: str,
        token: str,
        model_dir: Path,
        log: Path,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port(port)
        self.child = Child("the segmenter service", log)
        self.env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED} | {
            "LABEL_STUDIO_HOST": label_studio_url,
            "LABEL_STUDIO_API_KEY": token,
            "MODEL_DIR": str(model_dir.absolute()),
            "LOG_LEVEL": "INFO",
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONUNBUFFERED": "1",
            **(settings or {}),
        }
        user = self.env.get("BASIC_AUTH_USER")
        self._login = (user, self.env["BASIC_AUTH_PASS"]) if user else None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the service and waits until it answers. Raises `DemoError` if it doesn't."""
        command = [sys.executable, "_wsgi.py", "--host", "127.0.0.1", "--port", str(self.port)]
        self.child.start(command, self.env, cwd=ROOT)
        self.child.wait_ready(f"{self.url}/health", START_SECONDS)

    def stop(self) -> None:
        self.child.stop()

    def kill(self) -> None:
        self.child.kill()

    def training(self, project_id: int) -> dict[str, Any]:
        """What the service says of a project: its model's version and its jobs, oldest first."""
        return self._get(f"/projects/{project_id}/training")

    def versions(self) -> list[str]:
        return list(self._get("/versions")["versions"])

    def newest_job(self, project_id: int) -> str:
        """The id of the newest job. Raises `DemoError` if no event of the project arrives."""
        deadline = time.monotonic() + WEBHOOK_SECONDS
        while time.monotonic() < deadline:
            jobs = self.training(project_id)["jobs"]
            if jobs:
                return str(jobs[-1]["id"])
            time.sleep(0.2)
        raise DemoError(f"no annotation of project {project_id} reached the service{self.child.log_end()}")

    def wait_trained(
        self,
        project_id: int,
        job_id: str,
        seconds: float,
        report: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Waits for the end of a training run, calling `report` with its job, and returns the job.

        Raises `DemoError` if the run fails or takes longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            jobs = self.training(project_id)["jobs"]
            job = next(each for each in jobs if each["id"] == job_id)
            current = next((each for each in jobs if each["state"] == "started"), job)
            if report is not None:
                report(current)
            if job["state"] == "finished":
                return dict(job)
            if job["state"] == "failed":
                raise DemoError(f"the training failed: {job['error']}; see {self.child.log}")
            time.sleep(0.2)
        raise DemoError(f"the training did not end within {seconds:.0f} s{self.child.log_end()}")

    def wait_predicted(self, project_id: int, version: str, seconds: float) -> dict[str, Any]:
        """Waits until tasks are predicted by a version, without anybody asking for it; returns the job.

        Raises `DemoError` if that fails or takes longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = self.training(project_id)["prediction"] or {}
            if job.get("version") == version and job["state"] == "finished":
                return dict(job)
            if job.get("state") == "failed":
                raise DemoError(f"the predictions failed: {job['error']}; see {self.child.log}")
            time.sleep(0.2)
        raise DemoError(f"nothing was predicted by {version} within {seconds:.0f} s{self.child.log_end()}")

    def _get(self, path: str) -> dict[str, Any]:
        try:
            answer = requests.get(self.url + path, auth=self._login, timeout=10)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise DemoError(f"the segmenter service failed: {error}{self.child.log_end()}") from error
        return dict(answer.json())
