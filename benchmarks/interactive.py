"""What an annotator who draws waits for: `python -m benchmarks.interactive`, a table in Markdown.

The bundled series, repeated to a number of rows, are files that the service knows already, and the model, of
the default settings. Each answer completes one drawn region. CPU seconds are those of the whole process while
nothing else is asked; seconds on the clock are measured alone, and while four clients have batches predicted.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from flask.testing import FlaskClient

import _wsgi
from timeseries_segmenter.labeling.tag import REGION_TYPE
from timeseries_segmenter.learning.training.fit import Recipe, fit
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.labelled_task import LabelledTask
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.export_file import read_config, read_tasks
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.web.backend import EXTENSION, Backend

DATA = Path(__file__).resolve().parent.parent / "examples" / "activity"
CONFIG = DATA / "config.xml"
ROWS = (1_000, 10_000, 100_000)
COLUMNS = ("rows", "CPU ms", "ms, median", "ms, longest", "beside batches: ms, median", "longest")
CLIENTS = 4
BATCH = 20  # tasks
PROJECT = 1


def main() -> None:
    """Print one row a number of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS)
    parser.add_argument("--answers", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            label_studio_api_key="none", model_dir=Path(folder, "models"), local_files_dir=Path(folder)
        )
        app = _wsgi.init_app(settings=settings)
        backend: Backend = app.extensions[EXTENSION]
        backend.store.save(PROJECT, _model())
        text = pd.concat([pd.read_csv(path) for path in sorted(DATA.glob("*.csv"))])
        for rows in arguments.rows:
            body = _body(text, rows, Path(folder))
            client = app.test_client()
            _seconds(client, body)  # has the series read
            began = time.process_time()
            alone = [_seconds(client, body) for _ in range(arguments.answers)]
            cpu = (time.process_time() - began) / arguments.answers
            with _batches([app.test_client() for _ in range(CLIENTS)], body):
                beside = [_seconds(client, body) for _ in range(arguments.answers)]
            seconds = [cpu, *(how(each) for each in (alone, beside) for how in (statistics.median, max))]
            print(f"| {rows} | {' | '.join(f'{1000 * each:.0f}' for each in seconds)} |", flush=True)


def _model() -> Model:
    (pair,) = read_config(CONFIG).pairs
    label_sets = [(label,) for label in pair.labels]
    series = TaskSeries.from_settings(Settings(local_files_dir=DATA))
    tasks = [LabelledTask.read(task, pair, series.of_task(task)) for task in read_tasks(DATA / "tasks.json")]
    examples = [task.example(label_sets) for task in tasks if task]
    return Model(Card(), {pair.name: fit(examples, label_sets, pair.channels, Recipe()).segmenter})


def _body(text: pd.DataFrame, rows: int, folder: Path) -> dict[str, Any]:
    """A request by somebody who has drawn one region on a series of so many rows."""
    (pair,) = read_config(CONFIG).pairs
    parts = pd.concat([text] * (1 + rows // len(text)))[:rows]
    parts.assign(time=np.arange(rows) / 10).to_csv(folder / f"{rows}.csv", index=False)
    drawn = {
        "id": "drawn",
        "from_name": pair.from_name,
        "to_name": pair.to_name,
        "type": REGION_TYPE,
        "origin": "manual",
        "value": {"start": 0.0, "end": 9.9, "instant": False, REGION_TYPE: [pair.labels[0]]},
    }
    return {
        "tasks": [{"id": 1, "data": {"csv_url": f"{rows}.csv"}}],
        "label_config": CONFIG.read_text(),
        "project": str(PROJECT),
        "params": {"context": {"result": [drawn]}},
    }


def _seconds(client: FlaskClient, body: dict[str, Any]) -> float:
    began = time.monotonic()
    (prediction,) = client.post("/predict", json=body).get_json()["results"]
    seconds = time.monotonic() - began
    if not prediction["result"]:
        raise SystemExit("nothing was suggested")
    return seconds


@contextmanager
def _batches(clients: list[FlaskClient], body: dict[str, Any]) -> Iterator[None]:
    """Clients that have the same series predicted, again and again."""
    batch = body | {"tasks": body["tasks"] * BATCH, "params": None}
    ended = threading.Event()

    def ask(client: FlaskClient) -> None:
        while not ended.is_set():
            client.post("/predict", json=batch)

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(1)
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
