"""The real processes of the service, looked at and ended from outside."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

WORKER = "timeseries_segmenter.service.training_worker"


def wait_for(look: Callable[[], T | None], seconds: float = 30) -> T:
    """The first answer of `look` that counts as true. Fails after `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing after {seconds} s")


def workers(parent: int) -> list[int]:
    """Training workers that `parent` started and that live."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if WORKER.encode() in arguments and _status(int(folder.name))[1:2] == [str(parent)]:
            found.append(int(folder.name))
    return [process for process in found if lives(process)]


def lives(process: int) -> bool:
    """Whether a process runs; one that ended and was not yet waited for doesn't."""
    return _status(process)[:1] not in ([], ["Z"])


def _status(process: int) -> list[str]:
    """State and parent of a process, and more; nothing where it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
