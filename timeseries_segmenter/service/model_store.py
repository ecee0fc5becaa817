"""Versions of each project's model, on disk and in memory."""

import logging
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cachetools import LRUCache

from timeseries_segmenter.errors import ModelFileError
from timeseries_segmenter.learning.segmenter import Segmenter, read_metadata
from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)

UNTRAINED = "untrained"  # the version of a project without a model
NO_PROJECT = 0  # serves requests that name no project
VERSION = re.compile(r"p(?P<project>\d+)-v(?P<number>\d+)-(?P<moment>\d{8}T\d{6}Z)")

Signature = tuple[int, int, int]


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

    def version(self, project: int) -> str:
        """The project's current version, or UNTRAINED. Loads no weights."""
        path = self.path(project)
        signature = _signature(path)
        if signature is None:
            return UNTRAINED
        with self._lock:
            known = self._versions.get(project)
        if known and known[0] == signature:
            return known[1]
        try:
            version = _version(read_metadata(path), path)
        except ModelFileError as error:
            logger.error("project %d: the model can't be used: %s", project, error)
            return UNTRAINED
        with self._lock:
            self._versions[project] = (signature, version)
        return version

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

        Raises ModelFileError.
        """
        path = self.path(project)
        signature = _signature(path)
        if signature is None:
            return None
        with self._lock:
            known = self._models.get(project)
        if known and known[0] == signature:
            return known[1]
        segmenter, metadata = Segmenter.load(path)
        model = Model(_version(metadata, path), segmenter, metadata)
        with self._lock:
            self._models[project] = (signature, model)
        logger.info("project %d: model %s is in memory", project, model.version)
        return model

    def save(self, project: int, segmenter: Segmenter, metadata: dict[str, Any]) -> str:
        """Make `segmenter` the project's current model; returns its new version."""
        folder = self._folder / "versions"
        folder.mkdir(parents=True, exist_ok=True)
        version = self._next_version(project)
        kept = folder / f"{version}.pt"
        _write(kept, lambda path: segmenter.save(path, metadata | {"version": version, "project": project}))
        _write(self.path(project), lambda path: shutil.copyfile(kept, path))
        for old in self._kept(project)[self._history :]:
            (folder / f"{old[0]}.pt").unlink(missing_ok=True)
        return version

    def path(self, project: int) -> Path:
        """The file of the project's current model, whether it is there or not."""
        return self._folder / f"model_project_{project}.pt"

    def _next_version(self, project: int) -> str:
        newest = next(iter(self._kept(project)), None) or VERSION.fullmatch(self.version(project))
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return f"p{project}-v{int(newest['number']) + 1 if newest else 1}-{moment}"

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
        raise ModelFileError(f"{path.name} does not tell its version")
    return version


def _write(path: Path, write: Callable[[Path], object]) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
