"""A task's id: as Label Studio or a file writes it, and as messages name it."""

from collections.abc import Mapping
from typing import Any

TaskId = int | str  # a task's number in Label Studio, or the name that a file of tasks gives it

MOST_DIGITS = 18  # of an id that is a number


def task_id(written: object) -> TaskId | None:
    """An id as it is written: a number also where it is one as text; None where there is none."""
    if isinstance(written, int) and not isinstance(written, bool):
        return written
    if isinstance(written, float) and written.is_integer():
        return int(written)
    if not isinstance(written, str) or not written.strip():
        return None
    text = written.strip()
    is_number = text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= MOST_DIGITS
    return int(text) if is_number and str(int(text)) == text else text


def task_name(task: Mapping[str, Any]) -> int | str:
    """A task's id as messages may hold it: a number, or a short text on one line."""
    name = task.get("id")
    if isinstance(name, int):
        return name
    return repr(name[:30]) if isinstance(name, str) else "without an id"
