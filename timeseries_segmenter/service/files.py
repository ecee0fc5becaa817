"""Files that are whole, or as they were before, whatever happens while they are written."""

import os
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Make `path` what `write` leaves at the path it is given. Raises OSError, and what `write` raises.

    One process at a time may write a path; readers see the file before or the one after.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        write(unfinished)
        _synchronise(unfinished)
        unfinished.replace(path)
        _synchronise(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _synchronise(path: Path) -> None:
    """Have it on the disk before anything that follows: a power cut may not leave half of it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
