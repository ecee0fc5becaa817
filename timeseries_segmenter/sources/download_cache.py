"""Downloaded files on disk, each with what its server needs to say whether it has changed since."""

import hashlib
import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Self

from timeseries_segmenter.sources.cache_folder import CacheFolder

VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
LENGTH = "Length"


@dataclass(frozen=True, slots=True)
class File:
    """What was downloaded, or lies on this machine, in memory, mapped or open; a `with` block closes it.

    Files with the same `identity` have the same content.
    """

    content: bytes | memoryview | BufferedReader
    identity: str

    @classmethod
    def from_bytes(cls, content: bytes | memoryview) -> "File":
        """A file that nobody vouches for but its content."""
        return cls(content, hashlib.sha256(content).hexdigest())

    @classmethod
    def from_open(cls, content: BufferedReader) -> "File":
        """The same of an open one, which is read once for that. Raises OSError."""
        identity = hashlib.file_digest(content, "sha256").hexdigest()
        content.seek(0)
        return cls(content, identity)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self.content, BufferedReader):
            self.content.close()

    def read(self) -> bytes:
        """The content, from the disk where it is kept. Raises OSError."""
        with self:
            return self.content.read() if isinstance(self.content, BufferedReader) else bytes(self.content)


class DownloadCache:
    """Keeps bodies by URL, up to `capacity` bytes; the ones unused for longest go first.

    An entry is served after its server said that it is unchanged (RFC 9110, section 13), or if its URL never
    gets another content. It is one file, replaced atomically, so processes may share the folder.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        self.folder = folder
        self.capacity = capacity
        self._files = CacheFolder(folder, capacity)

    def conditions(self, url: str) -> dict[str, str]:
        """Request headers that ask for the body only if it changed; empty if nothing is kept."""
        try:
            with self._path(url).open("rb") as file:
                kept = _about(file.readline())
        except OSError:
            return {}
        return {
            VALIDATORS[name]: value
            for name, value in kept.items()
            if name in VALIDATORS and isinstance(value, str)
        }

    def find(self, url: str) -> File | None:
        """The file that is kept for `url`, or None.

        Its content is read from the disk when somebody reads it, also if it was replaced meanwhile.
        """
        try:
            with self._path(url).open("rb") as file:
                line = file.readline()
                begin = file.tell()
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._files.use(self._path(url).name)
        except (OSError, ValueError):  # ValueError: an empty file
            return None
        content = memoryview(mapped)[begin:]
        if _about(line).get(LENGTH, len(content)) != len(content):
            return None
        return File(content, _identity(url, line))

    def holds(self, url: str) -> bool:
        """Whether a file is kept for `url`."""
        return self._path(url).exists()

    def get(self, url: str) -> bytes | None:
        """The body that is kept for `url`, or None."""
        found = self.find(url)
        return found.read() if found else None

    def size(self, url: str) -> int:
        """Bytes that the body kept for `url` takes, about; 0 if there is none."""
        try:
            return self._path(url).stat().st_size
        except OSError:
            return 0

    def put(
        self, url: str, body: bytes | memoryview, headers: Mapping[str, str], *, lasting: bool = False
    ) -> File:
        """The file of a body, which is kept if its server gave a validator, or if it is `lasting`.

        A disk that refuses it is a warning in the log: the next one fetches the body again.
        """
        about: dict[str, object] = {name: headers[name] for name in VALIDATORS if name in headers}
        if not about and not lasting:
            return File.from_bytes(body)
        line = json.dumps(about | {LENGTH: len(body)}).encode() + b"\n"
        if len(body) <= self.capacity:
            self._files.write(self._path(url).name, len(body), lambda file: file.writelines((line, body)))
        return File(body, _identity(url, line))

    def _path(self, url: str) -> Path:
        return self.folder / f"{hashlib.sha256(url.encode()).hexdigest()}.series"


def _about(line: bytes) -> dict[str, object]:
    try:
        about = json.loads(line)
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


def _identity(url: str, line: bytes) -> str:
    return hashlib.sha256(url.encode() + b"\n" + line).hexdigest()
