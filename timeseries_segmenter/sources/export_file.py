"""Label Studio's export files: tasks, labeling config, and which tasks are for what."""

import json
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from timeseries_segmenter.errors import ExportError, LabelConfigError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.project.task import TaskId, task_id

WRITTEN = "as written"  # a key of tasks
EXPORT = "export the project as JSON"


def read_config(path: Path) -> LabelConfig:
    """The labeling config in a file. Raises ExportError and LabelConfigError."""
    try:
        return parse_label_config(_read(path))
    except LabelConfigError as error:
        raise LabelConfigError(f"{path}: {error}") from error


def read_tasks(path: Path, ids: Collection[TaskId] | None = None) -> list[dict[str, Any]]:
    """The tasks of a JSON export, all or those with `ids`, in the file's order.

    Each has an `id` of its own, and under WRITTEN the id that the file has, if any: a task without one is
    called by its place in the file, `#3`, and so is one whose id another has, `7 #3`; `ids` may name
    either. `completions` of old exports are annotations.

    Raises ExportError if the file is not an export, or lacks one of the ids.
    """
    listed = _listed(_json(path), path)
    asked = [task_id(task.get("id")) for task in listed]
    often = Counter(asked)
    tasks = []
    for place, (task, identity) in enumerate(zip(listed, asked, strict=True), 1):
        name: TaskId = f"#{place}" if identity is None else identity
        if identity is not None and often[identity] > 1:
            name = f"{identity} #{place}"
        written = {"id": task["id"]} if "id" in task else {}
        tasks.append(_with_annotations(task) | {"id": name, WRITTEN: written})
    if ids is None:
        return tasks
    names = [{identity, task["id"]} for identity, task in zip(asked, tasks, strict=True)]
    missing = sorted({*ids} - {name for each in names for name in each}, key=str)
    if missing:
        raise ExportError(f"{path} has no task {', '.join(map(str, missing))}")
    return [task for task, known in zip(tasks, names, strict=True) if not known.isdisjoint(ids)]


def read_split(path: Path, part: str) -> list[TaskId]:
    """The task ids under `part` of a file such as `{"train": [1, 2], "test": [3]}`. Raises ExportError."""
    split = _json(path)
    listed = split.get(part) if isinstance(split, dict) else None
    ids = [task_id(each) for each in listed] if isinstance(listed, list) else [None]
    known = [each for each in ids if each is not None]
    if len(known) < len(ids):
        raise ExportError(f'{path} has no list of task ids under "{part}"')
    return known


def check_writable(path: Path, *inputs: Path) -> None:
    """Before long work: whether its outcome can be written to `path`, and would not replace an input.

    Raises ExportError.
    """
    try:
        for known in inputs:
            if path.exists() and path.samefile(known):
                raise ExportError(
                    f"{path} would be overwritten, and is needed as an input; write to another file"
                )
        if path.is_dir():
            raise ExportError(f"{path} can't be written: it is a folder; name a file")
        if path.exists() and not os.access(path, os.W_OK):
            raise ExportError(f"{path} can't be written: no right to; name another file")
        with TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        raise ExportError(f"{path} can't be written: {error.strerror}") from error


def _listed(content: object, path: Path) -> list[dict[str, Any]]:
    """The tasks of a file. Raises ExportError that says what it holds instead."""
    if isinstance(content, dict):
        for key, value in content.items():
            if (
                isinstance(value, list)
                and value
                and all(isinstance(each, dict) and "data" in each for each in value)
            ):
                raise ExportError(
                    f'{path} is not a list of tasks with data, but an object that has one under "{key}"; '
                    "write that list alone"
                )
        keys = ", ".join(f'"{key}"' for key in [*content][:5])
        what = "one task" if "data" in content else f"an object with the keys {keys or 'none'}"
        raise ExportError(
            f"{path} is not a list of tasks with data, but {what}; write [ ] around tasks, or {EXPORT}"
        )
    if not isinstance(content, list):
        raise ExportError(f"{path} is not a list of tasks with data, but {content!r:.60}; {EXPORT}")
    for place, task in enumerate(content, 1):
        if isinstance(task, dict) and "data" in task:
            continue
        what = (
            f"has the keys {', '.join([*task][:8]) or 'none'}"
            if isinstance(task, dict)
            else f"is {task!r:.60}"
        )
        raise ExportError(
            f"{path} is not a list of tasks with data: entry {place} {what}; {EXPORT}, not as JSON-MIN or CSV"
        )
    return content


def _with_annotations(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task whose `completions`, as Label Studio called annotations before 1.0, are its annotations."""
    completions = task.get("completions")
    if task.get("annotations") or not isinstance(completions, list):
        return dict(task)
    annotations = [
        each
        | {
            "was_cancelled": bool(each.get("was_cancelled") or each.get("skipped")),
            "ground_truth": bool(each.get("ground_truth") or each.get("honeypot")),
        }
        if isinstance(each, dict)
        else each
        for each in completions
    ]
    return dict(task) | {"annotations": annotations}


def _json(path: Path) -> Any:
    text = _read(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ExportError(f"{path} is not JSON: {error}{_hint(text)}") from error
    except RecursionError as error:
        raise ExportError(f"{path} is nested too deeply; {EXPORT}") from error


def _hint(text: str) -> str:
    """What a file that is not JSON may be."""
    first, *others = _first_lines(text)
    if first.startswith("{") and first.endswith("}") and others and others[0].startswith("{"):
        return "; it has one object a line: write them as one list, with [ ] around it and commas between"
    if not first:
        return f"; it is empty: {EXPORT}"
    if first[0] in "[{":
        return "; it is cut off or damaged there: correct it, or export the project as JSON again"
    if first.startswith("<"):
        return f"; it looks like a labeling config or a page: {EXPORT}"
    if "," in first or "\t" in first:
        return f"; it looks like CSV: {EXPORT}"
    return ""


def _first_lines(text: str) -> Sequence[str]:
    return [line.strip() for line in text[:100_000].split("\n") if line.strip()][:2] or [""]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ExportError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        kind = (
            "UTF-16 text"
            if error.object[:2] in (b"\xff\xfe", b"\xfe\xff")
            else f"not text in UTF-8 ({error})"
        )
        raise ExportError(f"{path} is {kind}; save it as UTF-8") from error
