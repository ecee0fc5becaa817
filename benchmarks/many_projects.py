"""Pages over many projects: `python -m benchmarks.many_projects`, a table in Markdown.

A MODEL_DIR of thousands of projects with five versions each, in real model files of a tiny network, and of
one without a model, on the first page, which is offered a start from any of them. Each row is measured in a
process of its own, in CPU seconds, so that other programs do not count: `cold` is its first answer after the
start, `warm` the median of the next ones. The files were just written and are in the system cache: no disk is
measured. The status is 1 for a missed target.
"""

import argparse
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.training.fit import Recipe, fit
from timeseries_segmenter.project.card import Card, Metrics, PairCard
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.outline import taken_by
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.files import model_path
from timeseries_segmenter.storage.known_files import signature
from timeseries_segmenter.storage.model_file import save_model
from timeseries_segmenter.storage.version_summary import MODEL_NAME, SummaryFiles, VersionSummary
from timeseries_segmenter.trainings.job import START_TRAINING, Job, State
from timeseries_segmenter.trainings.project_trainings import ProjectTrainings

BROWSER = {"Accept": "text/html"}
WITHOUT_SUMMARIES = "first page, of models that were saved elsewhere"
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "first page": ("/projects", BROWSER),
    "last page": ("/projects?page=1000000", BROWSER),
    "search for a title": ("/projects?search=title 47", BROWSER),
    "as JSON": ("/projects", {}),
    "metrics": ("/metrics", {}),
    "ready": ("/ready", {}),
}
COLD, WARM = 3.0, 0.3  # seconds, the targets
CONFIG = (
    '<View><TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/>'
    '</TimeSeriesLabels><TimeSeries name="ts" value="$csv"><Channel column="value"/></TimeSeries></View>'
)
FIRST = datetime(2026, 11, 1, 8, tzinfo=UTC)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=5000)
    parser.add_argument("--versions", type=int, default=5)
    parser.add_argument("--warm", type=int, default=5, help="how many answers after the first one")
    arguments = parser.parse_args()
    met = True
    with TemporaryDirectory() as folder:
        fill(Path(folder), arguments.projects, arguments.versions)
        print(f"| {arguments.projects} projects | cold s | warm s | KB | met |\n|---|---|---|---|---|")
        for name in ("start", WITHOUT_SUMMARIES, *PAGES):
            if name == next(iter(PAGES)):
                keep_summaries(Path(folder))
            with multiprocessing.get_context("spawn").Pool(1) as process:
                measured = process.apply(measure, (Path(folder), name, arguments.warm))
            print(f"| {name} | {measured.as_row} |", flush=True)
            met &= measured.met
    sys.exit(0 if met else 1)


@dataclass(frozen=True)
class Measured:
    """Seconds of the first answer and of the next ones, and how long it is."""

    cold: float
    warm: float | None
    size: int

    @property
    def met(self) -> bool:
        return self.cold <= COLD and (self.warm is None or self.warm <= WARM)

    @property
    def as_row(self) -> str:
        warm = "" if self.warm is None else f"{self.warm:.2f}"
        return f"{self.cold:.2f} | {warm} | {self.size / 1000:.0f} | {'yes' if self.met else 'no'}"


def measure(folder: Path, name: str, times: int) -> Measured:
    """Ask one page of a service that begins anew, `times` more often than once; or time its start."""
    from _wsgi import init_app, serve  # also the start of a service: its imports are not what is measured

    settings = Settings(model_dir=folder, label_studio_api_key="x", log_level="ERROR")
    if name == "start":
        began = time.process_time()
        serve(settings)
        return Measured(time.process_time() - began, None, 0)
    app = init_app(settings=settings)  # looks for no forgotten jobs meanwhile, which would count
    address, headers = PAGES.get(name, ("/projects", BROWSER))
    client, seconds = app.test_client(), []
    for _ in range(1 + times):
        began = time.process_time()
        answer = client.get(address, headers=headers)
        seconds.append(time.process_time() - began)
        assert answer.status_code == 200, answer.text
    return Measured(seconds[0], median(seconds[1:]), len(answer.data))


def fill(folder: Path, projects: int, versions: int) -> None:
    """Projects that were trained so often, each with its model files and the state of its jobs."""
    began = time.process_time()
    model = tiny_model()
    (folder / "versions").mkdir()
    (folder / "training" / "waiting").mkdir(parents=True)
    for project in range(1, projects + 1):
        names = [
            f"p{project}-v{number}-{FIRST + timedelta(hours=number):%Y%m%dT%H%M%SZ}"
            for number in range(1, versions + 1)
        ]
        about = {"version": names[-1], "project": project, "title": f"title {project}", "created_at": FIRST}
        path = folder / "versions" / f"{names[-1]}.pt"
        save_model(path, Model(model.card.model_copy(update=about), model.segmenters))
        for name in names[:-1]:  # the same, to save time
            os.link(path, path.with_name(f"{name}.pt"))
        os.link(path, model_path(folder, project))
        state = ProjectTrainings(project=project, jobs=[ended_job(project, n) for n in range(versions)])
        (folder / "training" / f"project_{project}.json").write_text(state.model_dump_json(indent=1))
        for lock in (f"project_{project}.lock", f"project_{project}.training.lock"):
            (folder / "training" / lock).touch()
    new = ProjectTrainings(project=projects + 1, outline=taken_by(parse_label_config(CONFIG)))
    (folder / "training" / f"project_{new.project}.json").write_text(new.model_dump_json(indent=1))
    size = path.stat().st_size / 1000
    print(
        f"{projects * versions} files of {size:.0f} KB in {time.process_time() - began:.0f} s",
        file=sys.stderr,
    )


def keep_summaries(folder: Path) -> None:
    """Leave what saving a model would have left."""
    files = SummaryFiles(folder / "cache" / "models")
    for path in (*folder.glob("*.pt"), *folder.glob("versions/*.pt")):
        found, name = signature(path), MODEL_NAME.match(path.name)
        assert found, name
        about = {"title": f"title {name and name[1]}", "created_at": FIRST, "tasks": [1, 2, 3]}
        card = Card(label_config=CONFIG, pairs={"label:ts": PairCard()}, **about)
        files.keep(path, found, VersionSummary.from_card(path.stem, card))


def tiny_model() -> Model:
    """Trained for two epochs on one series."""
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 0, 2], 50)
    values = (classes + rng.normal(0, 0.1, 200))[:, None].astype(np.float32)
    none = np.zeros(0, np.int64)
    example = Example(values, classes, none, none)
    segmenter = fit([example], (("Run",), ("Walk",)), ("value",), Recipe(epochs=2, hidden_size=4)).segmenter
    metrics = Metrics(macro_f1=0.8, segment_f1={"50": 0.7})
    pairs = {"label:ts": PairCard(epochs=2, training=metrics, held_out=metrics)}
    return Model(Card(label_config=CONFIG, tasks=[1, 2, 3], pairs=pairs), {"label:ts": segmenter})


def ended_job(project: int, number: int) -> Job:
    """A training run that made a version."""
    moment = FIRST + timedelta(hours=number)
    moments = {"queued_at": moment, "started_at": moment, "ended_at": moment + timedelta(seconds=9)}
    return Job(
        id=f"{project}-{number:012}", event=START_TRAINING, state=State.FINISHED, attempts=1, **moments
    )


if __name__ == "__main__":
    main()
