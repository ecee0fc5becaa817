"""Label Studio's export files: tasks, labeling config, and which tasks are for what."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from timeseries_segmenter.errors import ExportError, LabelConfigError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config


def read_config(path: Path) -> LabelConfig:
    """The labeling config in a file. Raises ExportError and LabelConfigError."""
    try:
        return parse_label_config(_read(path))
    except LabelConfigError as error:
        raise LabelConfigError(f"{path}: {error}") from error


def read_tasks(path: Path, ids: Collection[int] | None = None) -> list[dict[str, Any]]:
    """The tasks of a JSON export, all or those with `ids`, in the file's order.

    Raises ExportError where the file is no export, or lacks one of the ids.
    """
    tasks = _json(path)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and "data" in task for task in tasks):
        raise ExportError(f"{path} is no list of tasks with data; export the project as JSON")
    if ids is None:
        return tasks
    missing = sorted(set(ids) - {task.get("id") for task in tasks})
    if missing:
        raise ExportError(f"{path} has no task {', '.join(map(str, missing))}")
    return [task for task in tasks if task.get("id") in set(ids)]


def read_split(path: Path, part: str) -> list[int]:
    """The task ids under `part` of a file such as `{"train": [1, 2], "test": [3]}`. Raises ExportError."""
    split = _json(path)
    ids = split.get(part) if isinstance(split, dict) else None
    if not isinstance(ids, list) or not all(isinstance(number, int) for number in ids):
        raise ExportError(f'{path} has no list of task ids under "{part}"')
    return ids


def _json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except ValueError as error:
        raise ExportError(f"{path} is not JSON: {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ExportError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ExportError(f"{path} is not text in UTF-8: {error}") from error
