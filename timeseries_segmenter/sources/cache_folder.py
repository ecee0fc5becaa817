"""A folder of files that may be lost at any time: those unused for longest make room for others."""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from timeseries_segmenter.storage.files import give_to_folder_owner, make_folder

logger = logging.getLogger(__name__)

UNFINISHED = 3600  # seconds after which nobody writes to a file any more
KINDS = ("*.series", "*.npy")
SLACK = 16  # a process counts all files again after it wrote this part of the capacity


def temporary_file(folder: Path) -> BinaryIO:
    """An empty file in a folder, which is gone as soon as nobody uses it, however a process ends.

    Raises OSError.
    """
    make_folder(folder)
    return cast(BinaryIO, tempfile.TemporaryFile(dir=folder))


class CacheFolder:
    """Up to `capacity` bytes of files. Processes and threads may share it: files are replaced as a whole."""

    def __init__(self, folder: Path, capacity: int) -> None:
        self.folder = folder
        self.capacity = capacity
        self._lock = threading.Lock()
        self._room = 0  # bytes that may be written before all files are counted again

    def write(self, name: str, size: int, write: Callable[[IO[bytes]], object]) -> bool:
        """Keep what `write` writes, some `size` bytes, if there may be room; returns whether it is kept.

        A disk that refuses it is a warning in the log.
        """
        if size > self.capacity:
            return False
        try:
            self._replace(self.folder / name, write)
            self._make_room(size)
        except OSError as error:
            logger.warning("a series is not kept in %s: %s", self.folder, error.strerror or error)
            return False
        return True

    def use(self, *names: str) -> None:
        """Note that files are used. Raises OSError if one is gone."""
        for name in names:
            os.utime(self.folder / name)

    def _replace(self, path: Path, write: Callable[[IO[bytes]], object]) -> None:
        make_folder(self.folder)
        with tempfile.NamedTemporaryFile(
            dir=self.folder, prefix=".", suffix=".unfinished", delete=False
        ) as file:
            try:
                write(file)
                file.flush()  # a full disk shows here
                give_to_folder_owner(Path(file.name))
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def _make_room(self, written: int) -> None:
        with self._lock:
            self._room -= written
            if self._room >= 0:
                return
        for path in self.folder.glob("*.unfinished"):  # of processes that were killed
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - UNFINISHED:
                    path.unlink()
        entries = sorted(self._entries())
        total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total <= self.capacity:
                break
            path.unlink(missing_ok=True)
            total -= size
        with self._lock:
            self._room = min(self.capacity - total, self.capacity // SLACK)

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        for kind in KINDS:
            for path in self.folder.glob(kind):
                with suppress(FileNotFoundError):  # another process made room too
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path
