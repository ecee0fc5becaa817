"""Downloaded files on disk, each with what its server needs to say whether it has changed since."""

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from timeseries_segmenter.storage.files import give_to_folder_owner, make_folder

logger = logging.getLogger(__name__)

VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
UNFINISHED = 3600  # seconds after which nobody writes to a file any more


class DownloadCache:
    """Keeps bodies by URL, up to `capacity` bytes; the ones unused for longest go first.

    An entry is only ever served after its server said that it is unchanged (RFC 9110, section
    13). It is one file, replaced atomically, so processes may share the folder.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        self.folder = folder
        self.capacity = capacity

    def conditions(self, url: str) -> dict[str, str]:
        """Request headers that ask for the body only if it changed; empty if nothing is kept."""
        try:
            with self._path(url).open("rb") as file:
                kept = json.loads(file.readline())
        except (OSError, ValueError):
            return {}
        if not isinstance(kept, dict):
            return {}
        return {
            VALIDATORS[name]: value
            for name, value in kept.items()
            if name in VALIDATORS and isinstance(value, str)
        }

    def get(self, url: str) -> bytes | None:
        """The body that is kept for `url`, or None."""
        path = self._path(url)
        try:
            with path.open("rb") as file:
                file.readline()
                body = file.read()
            os.utime(path)
        except OSError:
            return None
        return body

    def size(self, url: str) -> int:
        """Bytes that the body kept for `url` takes, about; 0 if there is none."""
        try:
            return self._path(url).stat().st_size
        except OSError:
            return 0

    def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Keep a body if its server gave a validator and there is room for it.

        A disk that refuses it is a warning in the log: the next one fetches the body again.
        """
        validators = {name: headers[name] for name in VALIDATORS if name in headers}
        if not validators or len(body) > self.capacity:
            return
        try:
            self._write(self._path(url), json.dumps(validators).encode() + b"\n", body)
            self._make_room()
        except OSError as error:
            logger.warning("a series is not kept in %s: %s", self.folder, error.strerror or error)

    def _write(self, path: Path, *parts: bytes) -> None:
        make_folder(self.folder)
        with tempfile.NamedTemporaryFile(
            dir=self.folder, prefix=".", suffix=".unfinished", delete=False
        ) as file:
            try:
                for part in parts:
                    file.write(part)
                file.flush()  # a full disk shows here
                give_to_folder_owner(Path(file.name))
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def _make_room(self) -> None:
        for path in self.folder.glob("*.unfinished"):  # of processes that were killed
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - UNFINISHED:
                    path.unlink()
        entries = []
        for path in self.folder.glob("*.series"):
            with suppress(FileNotFoundError):  # another process made room too
                entries.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.capacity:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _path(self, url: str) -> Path:
        return self.folder / f"{hashlib.sha256(url.encode()).hexdigest()}.series"
