"""What a real Label Studio 1.23.2 sent, and the series that its requests speak of."""

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from timeseries_segmenter.labeling.time.formats import TimeFormat

DATA = Path(__file__).parents[1] / "data"
REQUESTS = DATA / "label_studio" / "requests"

WEBHOOKS = sorted(path.stem for path in REQUESTS.glob("webhook_*.json"))
PREDICTIONS = sorted(path.stem for path in REQUESTS.glob("predict_*.json"))

ROWS = 300  # of every recorded series
DRAWN = [(40, 89, "Run"), (130, 189, "Walk"), (220, 259, "Run")]  # what is in each of them
DATE = TimeFormat("%Y-%m-%d %H:%M:%S")


def body(name: str) -> dict[str, Any]:
    """A recorded request's body, a new one each time."""
    content: dict[str, Any] = deepcopy(_read(name)["body"])
    return content


def values(task: int = 0) -> list[float]:
    """The channel of one of the three inline series; the other forms hold the same kind."""
    column: list[float] = body("predict_json_inline")["tasks"][task]["data"]["ts"]["value"]
    return column


def form(label_config: str) -> str:
    """The recorded prediction request whose series have the form that a labeling config says."""
    marks = {
        'valueType="json"': "predict_json_inline",
        "timeFormat=": "predict_string_date_time",
        'sep=";"': "predict_semicolon_sep",
        "timeColumn=": "predict_numeric_time",
    }
    named = (name for mark, name in marks.items() if mark in label_config)
    return next(named, "predict_batch_3_tasks_index_time")


def times(form: str) -> list[Any]:
    """The time of each row as the form's CSV writes it."""
    if form == "predict_numeric_time":
        return [row * 0.5 for row in range(ROWS)]
    if form == "predict_string_date_time":
        return [DATE.format(1_704_067_200_000 + row * 60_000) for row in range(ROWS)]
    return list(range(ROWS))


def csv(form: str, task: int = 0) -> bytes:
    """The file that a recorded task's `csv_url` names."""
    separator = ";" if form == "predict_semicolon_sep" else ","
    if "index" in form or "single" in form:
        return "\n".join(["value", *map(str, values(task))]).encode()
    rows = [f"{time}{separator}{value}" for time, value in zip(times(form), values(task), strict=True)]
    return "\n".join([f"time{separator}value", *rows]).encode()


def regions(*drawn: tuple[Any, Any, str]) -> list[dict[str, Any]]:
    """Results of an annotation: start, end and label of each region."""
    return [
        {
            "id": f"r{number}",
            "from_name": "label",
            "to_name": "ts",
            "type": "timeserieslabels",
            "origin": "manual",
            "value": {"start": start, "end": end, "instant": start == end, "timeserieslabels": [label]},
        }
        for number, (start, end, label) in enumerate(drawn)
    ]


@cache
def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((REQUESTS / f"{name}.json").read_text())
    return content
