"""Versions of each project's model, on disk and in memory."""

import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cachetools import LRUCache
from filelock import FileLock

from timeseries_segmenter.errors import DamagedModelError, ModelFileError, VersionError
from timeseries_segmenter.learning.segmenter import Segmenter, read_metadata
from timeseries_segmenter.service.files import replace_file
from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)

UNTRAINED = "untrained"  # the version of a project without a model
NO_PROJECT = 0  # serves requests that name no project
VERSION = re.compile(r"p(?P<project>\d+)-v(?P<number>\d+)-(?P<moment>\d{8}T\d{6}Z)")

Signature = tuple[int, int, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Model:
    """A version of a project's model, ready to predict."""

    version: str
    segmenter: Segmenter
    metadata: dict[str, Any]


class ModelStore:
    """`MODEL_DIR/model_project_{id}.pt` is a project's model; `MODEL_DIR/versions` keeps the earlier ones.

    Files are replaced atomically, and looked at again on every request: a version that another
    process saved is served at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.model_dir
        self._history = settings.model_history
        self._lock = threading.Lock()
        self._models: LRUCache[int, tuple[Signature, Model]] = LRUCache(settings.models_in_memory)
        self._versions: LRUCache[int, tuple[Signature, str]] = LRUCache(10_000)

    @property
    def in_memory(self) -> int:
        """How many models are in memory."""
        return len(self._models)

    def version(self, project: int) -> str:
        """The project's current version, or UNTRAINED. Loads no weights."""
        try:
            known = self._current(project, self._versions, lambda path: _version(read_metadata(path), path))
        except ModelFileError as error:
            logger.error("project %d: the model can't be used: %s", project, error)
            known = None
        return known or UNTRAINED

    def versions(self, project: int | None = None) -> list[str]:
        """Versions that can be served or are kept, newest first: of one project, or of all."""
        current = [self.version(number) for number in (self.projects() if project is None else [project])]
        kept = [match[0] for match in self._kept(project)]
        return [*(version for version in current if version not in [*kept, UNTRAINED]), *kept]

    def projects(self) -> list[int]:
        """Projects that have a model."""
        names = [path.stem.removeprefix("model_project_") for path in self._folder.glob("model_project_*.pt")]
        return sorted(int(name) for name in names if name.isdigit())

    def load(self, project: int) -> Model | None:
        """The project's current model, from memory while it is current; None where there is none.

        A file that is damaged is set aside, and the newest version that is whole takes its place. Raises
        ModelFileError where a file can't be read.
        """
        return self._current(project, self._models, self._read)

    def save(self, project: int, segmenter: Segmenter, metadata: dict[str, Any]) -> str:
        """Make `segmenter` the project's current model; returns its new version. Raises OSError."""
        folder = self._folder / "versions"
        current = self.version(project)
        with self._writing(project):
            version = self._next_version(project, current)
            kept = folder / f"{version}.pt"
            content = metadata | {"version": version, "project": project}
            replace_file(kept, lambda path: _save(segmenter, path, content))
            replace_file(self.path(project), lambda path: shutil.copyfile(kept, path))
            for old in self._kept(project)[self._history :]:
                (folder / f"{old[0]}.pt").unlink(missing_ok=True)
        return version

    def roll_back(self, project: int, version: str | None = None) -> str:
        """Make an earlier version current again, by default the one before; returns its new name.

        It is a new version, since Label Studio asks for predictions only of one that it never saw.
        Raises VersionError, ModelFileError, OSError.
        """
        current = self.load(project)
        kept = self.versions(project)
        if current is None:
            raise VersionError(f"project {project} has no model")
        if version is None:
            stands_for = current.metadata.get("restored", current.version)
            earlier = [name for name in kept if _number(name) < _number(stands_for)]
            if not earlier:
                raise VersionError(f"project {project} has no version before {stands_for}")
            version = earlier[0]
        elif version not in kept:
            raise VersionError(f"project {project} has no version {version}, but {', '.join(kept)}")
        segmenter, metadata = Segmenter.load(self._folder / "versions" / f"{version}.pt")
        return self.save(project, segmenter, metadata | {"restored": metadata.get("restored", version)})

    def metadata(self, project: int, version: str) -> dict[str, Any]:
        """What was saved with a version that can be served or is kept. Raises ModelFileError."""
        kept = self._folder / "versions" / f"{version}.pt"
        return read_metadata(kept if kept.exists() else self.path(project))

    def path(self, project: int) -> Path:
        """The file of the project's current model, whether it is there or not."""
        return self._folder / f"model_project_{project}.pt"

    def _current(
        self, project: int, memory: LRUCache[int, tuple[Signature, T]], read: Callable[[Path], T]
    ) -> T | None:
        """What `read` makes of the project's file, from memory while the file is the same."""
        path = self.path(project)
        while signature := _signature(path):
            with self._lock:
                known = memory.get(project)
            if known and known[0] == signature:
                return known[1]
            try:
                found = read(path)
            except DamagedModelError as error:
                self._replace_damaged(project, signature, error)
                continue
            with self._lock:
                memory[project] = (signature, found)
            return found
        return None

    def _read(self, path: Path) -> Model:
        segmenter, metadata = Segmenter.load(path)
        model = Model(_version(metadata, path), segmenter, metadata)
        logger.info("model %s is in memory", model.version, extra={"version": model.version})
        return model

    def _replace_damaged(self, project: int, signature: Signature, error: DamagedModelError) -> None:
        """Set the project's file aside, and put the newest version in its place that is whole.

        Raises ModelFileError where MODEL_DIR can't be written.
        """
        path = self.path(project)
        try:
            with self._writing(project):
                if _signature(path) != signature:
                    return  # another process did so, or saved a new version
                whole = self._newest_whole(project)
                if whole is None:
                    _set_aside(path, error)
                    return
                # a copy: at no time should the project be without a model
                _set_aside(path, error, shutil.copyfile)
                replace_file(path, partial(shutil.copyfile, whole))
                logger.warning("project %d: model %s serves in its place", project, whole.stem)
        except OSError as failure:
            raise ModelFileError(f"{error}; it can't be replaced: {failure}") from failure

    def _newest_whole(self, project: int) -> Path | None:
        for match in self._kept(project):
            kept = self._folder / "versions" / f"{match[0]}.pt"
            try:
                Segmenter.load(kept)
            except DamagedModelError as error:
                _set_aside(kept, error)
            else:
                return kept
        return None

    @contextmanager
    def _writing(self, project: int) -> Iterator[None]:
        folder = self._folder / "versions"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"project_{project}.lock"):
            yield

    def _next_version(self, project: int, current: str) -> str:
        # files set aside count as well: no two models may have one name
        names = [current, *(path.name for path in self._folder.glob(f"versions/p{project}-v*"))]
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return f"p{project}-v{max(map(_number, names)) + 1}-{moment}"

    def _kept(self, project: int | None) -> list[re.Match[str]]:
        """The versions whose files are kept, newest first."""
        matches = [VERSION.fullmatch(path.stem) for path in self._folder.glob("versions/*.pt")]
        found = [match for match in matches if match and project in (None, int(match["project"]))]
        if project is None:
            found.sort(key=lambda match: (match["moment"], int(match["number"])), reverse=True)
        else:  # by number: right even where a clock was set back
            found.sort(key=lambda match: int(match["number"]), reverse=True)
        return found


def _version(metadata: dict[str, Any], path: Path) -> str:
    version = metadata.get("version")
    if not isinstance(version, str):
        raise DamagedModelError(f"{path.name} does not tell its version")
    return version


def _number(version: str) -> int:
    match = VERSION.match(version)
    return int(match["number"]) if match else 0


def _set_aside(
    path: Path, error: DamagedModelError, move: Callable[[Path, Path], object] = Path.replace
) -> None:
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    move(path, aside)
    logger.error("%s; it is now %s", error, aside.name)


def _save(segmenter: Segmenter, path: Path, metadata: dict[str, Any]) -> None:
    """Raises OSError, also where torch reports a full disk as a RuntimeError."""
    try:
        segmenter.save(path, metadata)
    except RuntimeError as error:
        raise OSError(f"{path.name} can't be written: {error}") from error


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
