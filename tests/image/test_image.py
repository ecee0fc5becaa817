"""The image and `docker-compose.yml`, with a real container engine (`make image-test`)."""

import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import recorded
from tests.support.image.engine import IMAGE, ROOT, Engine
from tests.support.image.label_studio import PROJECT
from tests.support.image.stack import SERVICE, Stack
from tests.support.processes import wait_for
from timeseries_segmenter import __version__

pytestmark = pytest.mark.image

LARGEST = 2_500_000_000  # bytes: PyTorch's CPU build; with CUDA it is three times that
GRACE = 40  # seconds, `stop_grace_period` of the compose file
START = {"action": "START_TRAINING", "project": {"id": PROJECT}}


def start_training(stack: Stack) -> str:
    answer = requests.post(f"{stack.url}/webhook", json=START, timeout=30)
    job: str = answer.json()["job"]
    return job


def job_of(stack: Stack, identity: str) -> dict[str, Any]:
    trainings = requests.get(f"{stack.url}/projects/{PROJECT}/training", timeout=30).json()
    (job,) = [job for job in trainings["jobs"] if job["id"] == identity]
    assert isinstance(job, dict)
    return job


def wait_for_model(stack: Stack, identity: str) -> dict[str, Any]:
    """The job once it ended, as it must, with a model."""
    job = wait_for(lambda: (job := job_of(stack, identity))["state"] in ("finished", "failed") and job, 300)
    assert isinstance(job, dict)
    assert job["state"] == "finished", job["error"]
    return job


def version(stack: Stack) -> str:
    setup = {"project": f"{PROJECT}.1", "schema": recorded.body("predict_json_inline")["label_config"]}
    served: str = requests.post(f"{stack.url}/setup", json=setup, timeout=30).json()["model_version"]
    return served


def prediction_request() -> dict[str, Any]:
    """The recorded request, for the tasks that the stand-in has."""
    body = recorded.body("predict_json_inline")
    for number, task in enumerate(body["tasks"], start=PROJECT * 1000 + 1):
        task |= {"id": number, "project": PROJECT}
    return body | {"project": f"{PROJECT}.1"}


def test_the_image_says_its_version_and_is_of_the_size_that_the_docs_name(engine: Engine, build: str) -> None:
    del build
    image = engine.inspect(IMAGE)
    assert image["Config"]["Labels"]["org.opencontainers.image.version"] == __version__
    print(f"timeseries-segmenter {__version__}: {image['Size'] / 1e9:.2f} GB")
    assert image["Size"] < LARGEST


def test_a_change_of_the_code_installs_no_package_again(engine: Engine, build: str, tmp_path: Path) -> None:
    del build
    changed = tmp_path / "changed"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.splitlines():
        (changed / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, changed / name)
    with (changed / "model.py").open("a") as file:
        file.write(f"# changed at {time.time_ns()}\n")
    output = engine.build_image(changed, "timeseries-segmenter:changed")
    engine.ask("rmi", "timeseries-segmenter:changed")
    assert "pip install" in output
    assert "Successfully installed" not in output


def test_the_version_of_the_label_must_be_that_of_the_code(engine: Engine, build: str) -> None:
    del build
    wrong = replace(engine, build=(*engine.build, "--build-arg", "VERSION=0.0.0"))
    with pytest.raises(AssertionError, match=f"AssertionError: {__version__}"):
        wrong.build_image(ROOT, "timeseries-segmenter:wrong")


def test_the_health_check_of_the_image_holds(stack: Stack) -> None:
    container = stack.engine.inspect(stack.container(SERVICE))
    how, *command = container["Config"]["Healthcheck"]["Test"]
    assert how == "CMD"
    stack.execute(*command)


def test_the_service_has_no_rights_and_owns_its_volume(stack: Stack) -> None:
    assert stack.execute("id", "-un").strip() == "segmenter"
    assert stack.execute("stat", "-c", "%U", "/data/models").strip() == "segmenter"


def test_a_training_in_the_container_makes_a_model_that_a_restart_keeps(stack: Stack) -> None:
    job = wait_for_model(stack, start_training(stack))
    assert version(stack) == job["version"]
    answer = requests.post(f"{stack.url}/predict", json=prediction_request(), timeout=60).json()
    assert [each["model_version"] for each in answer["results"]] == [job["version"]] * 3
    assert all(each["result"] for each in answer["results"])
    stack.compose("restart")
    stack.wait()
    assert version(stack) == job["version"]
    again = requests.post(f"{stack.url}/predict", json=prediction_request(), timeout=60).json()
    assert again == answer


def test_the_command_line_works_in_the_container(stack: Stack) -> None:
    wait_for_model(stack, start_training(stack))
    listed = stack.execute("python", "-m", "timeseries_segmenter", "versions", "--project", str(PROJECT))
    assert version(stack) in listed


def test_the_service_ends_within_its_grace_period_and_takes_its_training_up_again(
    engine: Engine, build: str, tmp_path: Path
) -> None:
    del build
    endless = {"TRAIN_EPOCHS": "100000", "BALANCED_ACCURACY_THRESHOLD": "1", "MIN_CLASS_F1_THRESHOLD": "1"}
    with Stack(engine, tmp_path, "segmenter-stop-test", **endless) as stack:
        stack.wait()
        job = start_training(stack)
        wait_for(lambda: job_of(stack, job)["progress"], 120)
        began = time.monotonic()
        stack.compose("stop")
        assert time.monotonic() - began < GRACE
        assert engine.inspect(stack.container(SERVICE))["State"]["ExitCode"] == 0
        stack.compose("start")
        stack.wait()
        wait_for(lambda: job_of(stack, job)["progress"], 120)
        assert job_of(stack, job)["attempts"] == 1


def test_workers_train_what_redis_hands_out(engine: Engine, build: str, tmp_path: Path) -> None:
    del build
    redis = {"REDIS_URL": "redis://redis:6379/0"}
    with Stack(engine, tmp_path, "segmenter-workers-test", "workers", **redis) as stack:
        stack.wait()
        job = wait_for_model(stack, start_training(stack))
        host = engine.inspect(stack.container("worker"))["Config"]["Hostname"]
        assert job["worker"].partition(":")[0] == host
        assert version(stack) == job["version"]
