"""Starts Label Studio and the service, annotates three series, and shows the rest predicted."""

import argparse
import fcntl
import os
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from label_studio_sdk.core.api_error import ApiError
from rich.console import Console

from demo.report import legend, results
from tools.studio.label_studio import HOME, LabelStudio, template_ready
from tools.studio.processes import DemoError, Interrupted, ended_afterwards, interruptible
from tools.studio.project import Project
from tools.studio.sample import ACTIVITY, BundledExample, example_names, read_example
from tools.studio.service import Service

ANNOTATED = 3
LABEL_STUDIO_PORT = 8080
SERVICE_PORT = 9090
TRAINING_SECONDS = 900
PREDICTION_SECONDS = 120

console = Console(highlight=False)


def main() -> int:
    """Runs the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--once", action="store_true", help="exit after the table instead of waiting for Ctrl-C"
    )
    parser.add_argument(
        "--example", choices=example_names(), default=ACTIVITY, help="folder of examples/ (default: activity)"
    )
    parser.add_argument("--folder", type=Path, default=HOME / "demo", help="keeps data, models and logs")
    arguments = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"
    with interruptible():
        try:
            with ended_afterwards() as started:
                run(read_example(arguments.example), arguments.folder.absolute(), arguments.once, started)
        except (DemoError, ApiError, requests.RequestException) as error:
            console.print(f"The demo failed: {error}", style="red", markup=False, soft_wrap=True)
            return 1
        except Interrupted as interrupted:
            console.print("Everything the demo started has ended.")
            return 0 if str(interrupted) == "SIGINT" and not arguments.once else 1
    return 0


def run(example: BundledExample, folder: Path, once: bool, started: ExitStack) -> None:
    began = time.monotonic()
    take_folder(folder, started)
    studio = start_label_studio(folder, started)
    service = start_service(folder, started, studio)
    series = example.samples
    project = Project(studio, f"{example.title} {datetime.now():%Y-%m-%d %H:%M}", example.config_text)
    tasks = project.import_tasks([{"csv_url": project.upload(sample.path)} for sample in series])
    project.connect(service.url)
    say(f"Project {project.id} with {len(tasks)} series of examples/{example.name}, model connected.")

    for task_id, sample in zip(tasks[:ANNOTATED], series, strict=False):
        project.annotate(task_id, sample.regions)
    annotated = time.monotonic()
    say(f"Submitted the annotations of {ANNOTATED} series; each one starts a training run.")
    job = watch_training(service, project)
    learned = time.monotonic() - annotated
    say(f"Model {job['version']} learned, {learned:.1f} s after the last annotation.")

    others = dict(zip(tasks[ANNOTATED:], series[ANNOTATED:], strict=True))
    service.wait_predicted(project.id, job["version"], PREDICTION_SECONDS)
    say(f"The {len(others)} others have predictions in Label Studio, which nobody asked for.")
    predicted = {task_id: prediction(service, project, task_id, job["version"]) for task_id in others}
    console.print(results(example, others, predicted))
    say(legend(example))
    facts = {
        "Model version": job["version"],
        "Learned in": f"{learned:.1f} s, from the last annotation to the new model",
        "Label Studio": f"{project.url}  (port {studio.port})",
        "Login": f"{studio.credentials.username}  password {studio.credentials.password}",
        "Dashboard": f"{service.url}/projects  (port {service.port})",
        "Report": f"{service.url}/projects/{project.id}/report",
        "Data and logs": str(folder),
    }
    for name, value in facts.items():
        say(f"{name:<14} {value}")
    say(f"The whole loop took {time.monotonic() - began:.0f} s.")
    if not once:
        say("Annotate more series there: the model learns again, and the regions of the rest follow.")
        say("Press Ctrl-C to stop.")
        wait_for_end(studio, service)


def take_folder(folder: Path, started: ExitStack) -> None:
    """Keeps a second demo from writing into the same database."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = started.enter_context((folder / "lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise DemoError("another demo is running in this folder; stop it with Ctrl-C first") from error
    for log in folder.glob("*.log"):
        log.unlink()


def start_label_studio(folder: Path, started: ExitStack) -> LabelStudio:
    studio = LabelStudio(folder / "data", folder / "label-studio.log", LABEL_STUDIO_PORT)
    say_port("Label Studio", LABEL_STUDIO_PORT, studio.port)
    first = not template_ready()
    with console.status("Label Studio is starting …"):
        if first:
            say("Label Studio is creating its database. This takes about a minute, the first time only.")
        started.callback(studio.stop)
        studio.start()
    say(f"Label Studio answers on {studio.url}")
    return studio


def start_service(folder: Path, started: ExitStack, studio: LabelStudio) -> Service:
    service = Service(
        studio.url,
        studio.credentials.token,
        folder / "models",
        folder / "service.log",
        SERVICE_PORT,
    )
    say_port("the segmenter service", SERVICE_PORT, service.port)
    started.callback(service.stop)
    with console.status("The segmenter service is starting …"):
        service.start()
    say(f"The segmenter service answers on {service.url}")
    return service


def watch_training(service: Service, project: Project) -> dict[str, Any]:
    """Shows the training run until it ends: one live line on a terminal, otherwise a line now and then."""
    said = 0.0
    with console.status("Waiting for the training run …") as status:

        def report(job: dict[str, Any]) -> None:
            nonlocal said
            status.update(progress(job))
            if not console.is_terminal and time.monotonic() - said >= 2:
                said = time.monotonic()
                say(progress(job))

        newest = service.newest_job(project.id)
        return service.wait_trained(project.id, newest, TRAINING_SECONDS, report)


def progress(job: dict[str, Any]) -> str:
    metrics = job["progress"]
    if not metrics:
        return f"Training {job['state']}"
    return (
        f"Training: epoch {metrics['epoch']} of at most {metrics['epochs']}, loss {metrics['loss']:.3f}, "
        f"balanced accuracy {metrics['balanced_accuracy']:.2f}, worst class F1 {metrics['min_f1']:.2f}"
    )


def prediction(service: Service, project: Project, task_id: int, version: str) -> list[dict[str, Any]]:
    """The regions that Label Studio stored for a task. Raises `DemoError` if there are none."""
    stored = [each for each in project.predictions(task_id) if each["model_version"] == version]
    if not stored or not stored[-1]["result"]:
        raise DemoError(
            f"Label Studio has no predicted region of model {version} for task {task_id}; "
            f"see {service.child.log} and {project.studio.child.log}"
        )
    return list(stored[-1]["result"])


def wait_for_end(studio: LabelStudio, service: Service) -> None:
    while True:
        for child in (studio.child, service.child):
            if not child.running:
                raise DemoError(f"{child.name} ended by itself{child.log_end()}")
        time.sleep(1)


def say_port(name: str, wanted: int, taken: int) -> None:
    if taken != wanted:
        say(f"Port {wanted} is taken; {name} uses {taken} instead.")


def say(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
