"""How much a JSON body may hold, seen before it is parsed: that may take twenty times the memory."""

import ctypes
import gc
import logging
from contextlib import suppress
from typing import Any

from werkzeug.exceptions import RequestEntityTooLarge

logger = logging.getLogger(__name__)

CONTAINER = 5  # values: what an object or a list takes in memory, compared with a number
LARGE = 16_000_000  # bytes of a body, after which memory is given back
ADVICE = "send fewer tasks at a time, or raise it"


def check_values(body: bytes, most: int) -> None:
    """Raises RequestEntityTooLarge where a JSON text may hold more values than `most`.

    Commas and brackets in strings count, too: telling them apart would take as long as parsing.
    """
    values = body.count(b",") + CONTAINER * (body.count(b"{") + body.count(b"["))
    if values > most:
        raise RequestEntityTooLarge(
            f"the body holds some {values:,} values (an object or a list counts as {CONTAINER}), and "
            f"MAX_REQUEST_VALUES={most} are taken: {ADVICE}"
        )


def check_tasks(content: Any, most: int) -> None:
    """Raises RequestEntityTooLarge where a parsed body names more tasks than `most`."""
    tasks = content.get("tasks") if isinstance(content, dict) else None
    if isinstance(tasks, list) and len(tasks) > most:
        raise RequestEntityTooLarge(
            f"tasks: {len(tasks):,}, and MAX_REQUEST_TASKS={most} are taken: {ADVICE}"
        )


def give_back_memory() -> None:
    """Free what a refused request leaves behind, and have the C library give it back to the system."""
    gc.collect()  # an error holds the frames, with the body in them, in a circle
    with suppress(AttributeError):  # not glibc, or not Linux
        ctypes.CDLL(None).malloc_trim(0)
