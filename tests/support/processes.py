"""The real processes of the service, looked at and ended from outside."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar

import pytest

T = TypeVar("T")

WORKER = "timeseries_segmenter.trainings.worker"


def wait_for(look: Callable[[], T | Literal[False] | None], seconds: float = 180) -> T:
    """The first answer of `look` that counts as true. Fails after `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing after {seconds} s")


def workers(parent: int) -> list[int]:
    """Training workers that `parent` started and that live."""
    return [process for process in children(parent) if WORKER.encode() in _arguments(process)]


def wait_ended(processes: Collection[int]) -> None:
    """Waits until none of them lives."""
    wait_for(lambda: not any(map(lives, processes)))


def lives(process: int) -> bool:
    """Whether a process runs; one that ended and was not yet waited for doesn't."""
    return _status(process)[:1] not in ([], ["Z"])


def _status(process: int) -> list[str]:
    """State and parent of a process, and more; nothing where it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _arguments(process: int) -> list[bytes]:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile
        return []


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def children(parent: int) -> list[int]:
    """Processes that `parent` started and that live."""
    found = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
    return [process for process in found if _status(process)[1:2] == [str(parent)] and lives(process)]


def _why_no_mount() -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"a file system of a test's own can't be mounted here: {error}"
        subprocess.run(["umount", folder], check=True)
    return None


@contextmanager
def small_disk(folder: Path, options: str = "size=1m") -> Iterator[None]:
    """A file system of its own at `folder`; tests that need one are skipped where it can't be mounted."""
    if reason := _why_no_mount():
        pytest.skip(reason)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> Path:
    """Leave no room in a folder's file system; returns the file that takes it all."""
    path = folder / "filling"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path
