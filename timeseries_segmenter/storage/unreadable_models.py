"""Model files that can't be used, and why: remembered, and said once per change."""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from cachetools import LRUCache

from timeseries_segmenter.errors import ForeignModelError, ModelFileError
from timeseries_segmenter.storage.file_memory import Signature

logger = logging.getLogger(__name__)

MOST = 10_000  # files, and projects


@dataclass(frozen=True, slots=True)
class _Reason:
    """`by_loading`: the weights were tried as well, so that the metadata alone prove nothing."""

    signature: Signature | None
    error: ModelFileError
    by_loading: bool


class UnreadableModels:
    """One web process' or one training's knowledge; nothing of it is on disk."""

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
        """Whether only loading a file tells whether it can be used again: its metadata could be read."""
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
            logger.warning("project %d: no version of its model can be read; nothing is drawn", project)
        else:
            logger.warning("project %d: its newest model is served again", project)
