"""Downloaded files on disk, each with what its server needs to tell whether it changed since."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


class DownloadCache:
    """Keeps bodies by URL, up to `capacity` bytes; the ones unused for longest go first.

    An entry is only ever served after its server said that it is unchanged (RFC 9110, section
    13). It is one file, replaced atomically, so processes may share the folder.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        self.folder = folder
        self.capacity = capacity

    def conditions(self, url: str) -> dict[str, str]:
        """Request headers that ask for the body only if it changed; empty where nothing is kept."""
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

    def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Keep a body, where its server gave a validator and there is room for it."""
        validators = {name: headers[name] for name in VALIDATORS if name in headers}
        if not validators or len(body) > self.capacity:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as file:
            file.write(json.dumps(validators).encode() + b"\n")
            file.write(body)
        Path(file.name).replace(self._path(url))
        self._make_room()

    def _make_room(self) -> None:
        entries = []
        for path in self.folder.glob("*.series"):
            with suppress(FileNotFoundError):  # another process made room as well
                entries.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.capacity:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _path(self, url: str) -> Path:
        return self.folder / f"{hashlib.sha256(url.encode()).hexdigest()}.series"
