"""Tables as JSON: in the task, deep in it, as text, or in a file. Made by chance."""

import json
import math
from random import Random

from tests.support.e2e.generated_table import Table, Task


def make_json(random: Random, table: Table, address: str) -> Task:
    """Keys are in lower case: the editor finds no others."""
    as_text = random.random() < 0.2
    columns: dict[str, list[object]] = {}
    if table.time:
        table.time.reference = "time"
        texts = as_text or (bool(table.time_format) and random.random() < 0.7)
        columns["time"] = [cell if texts else _value(cell, text=cell) for cell in table.time.cells]
    for column in table.channels:
        column.reference = column.name
        columns[column.name.lower()] = [cell if as_text else _value(cell) for cell in column.cells]
    place = random.choice(["task", "whole task", "path", "list", "text", "file"])
    table.kinds += [f"JSON, {place}", *(["numbers as text"] if as_text else [])]
    match place:
        case "task":
            return Task({"series": columns}, b"", {"value": "$series", "valueType": "json"})
        case "whole task":
            return Task(dict(columns), b"", {"value": "", "valueType": "json"})
        case "path":
            data = {"files": [{"motion": None}, {"motion": columns}]}
            return Task(data, b"", {"value": "$files[1].motion", "valueType": "json"})
        case "list":  # its columns have numbers for names
            for number, column in enumerate([table.time, *table.channels] if table.time else table.channels):
                if column:
                    column.reference = str(number)
            return Task({"series": list(columns.values())}, b"", {"value": "$series", "valueType": "json"})
        case "text":
            return Task({"series": json.dumps(columns)}, b"", {"value": "$series", "valueType": "json"})
    mark = random.choice(["", "", "\ufeff", "\n"])
    if mark:
        table.kinds.append(f"begins with {mark!r}")
    content = (mark + json.dumps(columns, ensure_ascii=random.random() < 0.5)).encode()
    return Task({"json": address}, content, {"value": "$json"})


def _value(cell: str, text: str | None = None) -> object:
    """A number; `text` where there is none, which is null if it isn't given."""
    try:
        number = float(cell)
    except ValueError:
        return text
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number
