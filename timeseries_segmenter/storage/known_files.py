"""What a process knows of files while they are the same: what it made of them, or why it could not."""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from cachetools import LRUCache

from timeseries_segmenter.errors import ForeignModelError, ModelFileError

logger = logging.getLogger(__name__)

MOST = 10_000  # unreadable files, and projects

T = TypeVar("T")

Signature = tuple[int, int, int]


def signature(path: Path) -> Signature | None:
    """What a file changes when it is replaced; None where there is none. Raises OSError."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def signature_of(path: Path) -> Signature | None:
    """Like `signature`; None also where the folder can't be read."""
    try:
        return signature(path)
    except OSError:
        return None


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


@dataclass(frozen=True, slots=True)
class _Reason:
    """`by_loading`: the weights were tried as well, so that the metadata alone prove nothing."""

    signature: Signature | None
    error: ModelFileError
    by_loading: bool


class UnreadableModels:
    """What one web process or one training run knows; nothing of it is on disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: LRUCache[Path, _Reason] = LRUCache(MOST)
        self._stand_ins: LRUCache[int, str] = LRUCache(MOST)

    def add(self, path: Path, found: Signature | None, error: ModelFileError, by_loading: bool) -> None:
        """A file could not be read, or not loaded."""
        with self._lock:
            known = self._reasons.get(path)
            by_loading |= known is not None and known.signature == found and known.by_loading
            self._reasons[path] = _Reason(found, error, by_loading)
        if known is None or (known.signature, str(known.error)) != (found, str(error)):
            logger.error("%s; the file stays where it is", error)

    def remove(self, path: Path, found: Signature, by_loading: bool) -> None:
        """A file could be read, or loaded."""
        with self._lock:
            known = self._reasons.get(path)
            if known is None or (known.signature == found and known.by_loading and not by_loading):
                return
            del self._reasons[path]
        if known.signature == found:
            logger.info("%s can be read again", path.name)

    def reason(self, path: Path, found: Signature | None) -> ModelFileError | None:
        """Why a file could not be used when it was last tried."""
        with self._lock:
            known = self._reasons.get(path)
        return known.error if known and known.signature == found else None

    def final(self, path: Path, found: Signature) -> ForeignModelError | None:
        """Why a file can't be used as long as it is the same, so that it need not be tried again."""
        error = self.reason(path, found)
        return ForeignModelError(str(error)) if isinstance(error, ForeignModelError) else None

    def needs_loading(self, path: Path, found: Signature) -> bool:
        """Whether only loading a file shows whether it can be used again: its metadata could be read."""
        with self._lock:
            known = self._reasons.get(path)
        return (
            known is not None
            and known.signature == found
            and known.by_loading
            and not isinstance(known.error, ForeignModelError)
        )

    def stands_in(self, project: int, version: str | None) -> None:
        """The version that is served in place of the project's current file; None for that itself.

        An empty one where there is none.
        """
        with self._lock:
            known = self._stand_ins.get(project)
            if version is None:
                self._stand_ins.pop(project, None)
            else:
                self._stand_ins[project] = version
        if version == known:
            return
        if version:
            logger.warning("project %d: model %s is served in place of the newest one", project, version)
        elif version == "":
            logger.warning("project %d: no version of its model can be read; nothing is predicted", project)
        else:
            logger.warning("project %d: its newest model is served again", project)
