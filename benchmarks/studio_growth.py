"""What one more annotation costs with a real Label Studio: `python -m benchmarks.studio_growth`, a table.

As `benchmarks.growth`, but the project is in a Label Studio that is started for it, with an upload for each
task, annotated at the import. `make growth-in-studio` installs it first.
"""

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.pool import Pool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import requests

from benchmarks.growth import COLUMNS, CONFIG, DISTINCT, Case, Cost, events, print_row, read_all, run, series
from tests.support import recorded
from tests.support.e2e.loop import started
from tools.studio.label_studio import LabelStudio
from tools.studio.project import DIRECT_UPLOAD, Project

AT_ONCE = 100  # files or tasks in a request


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=2_000, help="so many annotated tasks")
    parser.add_argument("--rows", type=int, default=1_000, help="so many rows in each")
    parser.add_argument("--runs", type=int, default=3, help="with one more annotation; their median")
    arguments = parser.parse_args()
    case = Case(arguments.tasks, arguments.rows)
    with TemporaryDirectory() as name:
        folder = Path(name)
        with started(LabelStudio(folder / "data", folder / "label-studio.log")) as studio:
            measure(studio, case, arguments.runs, folder / "models")


def measure(studio: LabelStudio, case: Case, runs: int, folder: Path) -> None:
    """Print the rows of a case."""
    project = Project(studio, "growth", CONFIG)
    tasks = fill(project, case)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    of_run = (studio.url, folder, True, studio.credentials.token, project.id)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as trainer:
        print_row(case, "first", [train(trainer, *of_run)], True)
        with context.Pool(1) as reader:
            reader.apply(read_all, (studio.url, folder, studio.credentials.token, project.id))
        measured, seconds = [], []
        for task in tasks[:runs]:
            seconds.append(project.annotate(task, recorded.regions(*events(0, case.rows))))
            measured.append(train(trainer, *of_run))
        print_row(case, "one more", measured, True)
    print(f"\nLabel Studio took {max(seconds):.2f} s to store an annotation, at most.")
    project.close()


def train(trainer: Pool, *of_run: Any) -> tuple[int, Cost, Cost]:
    """One training run: its requests, what it takes until series are read, and what it takes in all."""
    counted: tuple[int, Cost, Cost] = trainer.apply(counting_run, of_run)
    return counted


def counting_run(*of_run: Any) -> tuple[int, Cost, Cost]:
    """In the trainer: as `growth.run`, with the requests that were sent."""
    sent: list[object] = []

    def counting(send: Callable[..., Any]) -> Callable[..., Any]:
        def count(sender: object, request: object, *others: Any, **options: Any) -> Any:
            sent.append(request)
            return send(sender, request, *others, **options)

        return count

    kinds: Sequence[tuple[Any, Callable[..., Any]]] = [
        (each, each.send) for each in (httpx.Client, requests.adapters.HTTPAdapter)
    ]
    for kind, send in kinds:
        kind.send = counting(send)
    try:
        fetching, whole = run(*of_run)
    finally:
        for kind, send in kinds:
            kind.send = send
    return len(sent), fetching, whole


def fill(project: Project, case: Case) -> list[int]:
    """Annotated tasks, each with an upload of its own; returns their ids."""
    distinct = [series(seed, case.rows) for seed in range(DISTINCT)]
    importing = f"{project.studio.url}/api/projects/{project.id}/import"
    for first in range(0, case.annotated, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, case.annotated))
        files = {
            str(number): (f"{number}.csv", distinct[number % DISTINCT], "text/csv") for number in numbers
        }
        project.session.post(importing, params=DIRECT_UPLOAD, files=files, timeout=600).raise_for_status()
        uploads = _uploads(project)
        tasks: Any = [
            {
                "data": {"csv": uploads[number]},
                "annotations": [{"result": recorded.regions(*events(number % DISTINCT, case.rows))}],
            }
            for number in numbers
        ]
        project.client.projects.import_tasks(id=project.id, request=tasks)
    made: Any = project.client.tasks.list(project=project.id)
    return sorted(int(each.id) for each in made)


def _uploads(project: Project) -> dict[int, str]:
    """The addresses of uploads, by the number that their files are called."""
    listed = project.session.get(
        f"{project.studio.url}/api/projects/{project.id}/file-uploads", params={"all": "true"}, timeout=600
    )
    listed.raise_for_status()
    files = (each["file"] for each in listed.json())
    return {int(Path(file).stem.rpartition("-")[2]): f"/data/{file}" for file in files}


if __name__ == "__main__":
    main()
