"""What was made of files, in memory for as long as they are the same."""

import threading
from pathlib import Path
from typing import Generic, TypeVar

from cachetools import LRUCache

T = TypeVar("T")

Signature = tuple[int, int, int]


def signature(path: Path) -> Signature | None:
    """What a file changes when it is replaced; None where there is none. Raises OSError."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class FileMemory(Generic[T]):
    """Values by path and signature; of more than `most` files, the ones unused for longest go."""

    def __init__(self, most: int) -> None:
        self._lock = threading.Lock()
        self._values: LRUCache[Path, tuple[Signature, T]] = LRUCache(most)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, path: Path, found: Signature) -> T | None:
        """What was made of the file with that signature; None where it is not known."""
        with self._lock:
            known = self._values.get(path)
        return known[1] if known and known[0] == found else None

    def last(self, path: Path) -> T | None:
        """What was last made of a file of that path, maybe of one that was replaced since."""
        with self._lock:
            known = self._values.get(path)
        return known[1] if known else None

    def keep(self, path: Path, found: Signature, value: T) -> None:
        """Keep what was made of the file with that signature, in place of what is known of the path."""
        with self._lock:
            self._values[path] = (found, value)
