"""The model of each project, and its version, in memory for as long as their file is the same."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cachetools import LRUCache

from timeseries_segmenter.errors import DamagedModelError, ModelFileError, VersionError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.learning.model_file import (
    TrainedModel,
    copy_model,
    load_folds,
    load_model,
    read_metadata,
    save_model,
)
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.service.model_files import ModelFiles, Signature, signature, version_number
from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)

UNTRAINED = "untrained"  # the version of a project without a model
NO_PROJECT = 0  # serves requests that name no project

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Model:
    """A version of a project's model, ready to predict: a segmenter for each pair of tags, by its name."""

    version: str
    segmenters: dict[str, Segmenter]
    metadata: dict[str, Any]

    def segmenter(self, pair: LabelPair, config: LabelConfig) -> Segmenter | None:
        """The segmenter of one of the labeling config's pairs; None where it has learned none.

        Tags that were renamed are known by being the only ones.
        """
        only = len(self.segmenters) == len(config.pairs) == 1
        return self.segmenters.get(pair.name) or (next(iter(self.segmenters.values())) if only else None)


class ModelStore:
    """Looks at a project's file on every request: what another process saved is served at once."""

    def __init__(self, settings: Settings) -> None:
        self._files = ModelFiles(settings.model_dir, settings.model_history)
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
        return _with_current(current, self._files.versions(project))

    def versions_by_project(self) -> dict[int, list[str]]:
        """What `versions` tells of each project that has a model."""
        kept = self._files.versions_by_project()
        return {
            project: _with_current([self.version(project)], kept.get(project, []))
            for project in self.projects()
        }

    def projects(self) -> list[int]:
        """Projects that have a model."""
        return self._files.projects()

    def load(self, project: int) -> Model | None:
        """The project's current model, from memory while it is current; None where there is none.

        A file that is damaged is set aside, and the newest version that is whole takes its place. Raises
        ModelFileError where a file can't be read.
        """
        return self._current(project, self._models, self._read)

    def load_folds(self, project: int) -> dict[str, dict[int, Segmenter]]:
        """The segmenters of the current model's cross-validation. Raises ModelFileError."""
        return load_folds(self.path(project))

    def save(self, project: int, model: TrainedModel, metadata: dict[str, Any]) -> str:
        """Make `model` the project's current one; returns its new version. Raises OSError."""

        def write(path: Path, content: dict[str, Any]) -> None:
            save_model(path, model, content)

        return self._files.save(project, write, metadata, self.version(project))

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
            earlier = [name for name in kept if version_number(name) < version_number(stands_for)]
            if not earlier:
                raise VersionError(f"project {project} has no version before {stands_for}")
            version = earlier[0]
        elif version not in kept:
            raise VersionError(f"project {project} has no version {version}, but {', '.join(kept)}")
        source = self._files.kept(version)
        metadata = read_metadata(source)
        return self._files.save(
            project,
            partial(copy_model, source),
            metadata | {"restored": metadata.get("restored", version)},
            self.version(project),
        )

    def metadata(self, project: int, version: str) -> dict[str, Any]:
        """What was saved with a version that can be served or is kept. Raises ModelFileError."""
        return read_metadata(self.version_path(project, version))

    def version_path(self, project: int, version: str) -> Path:
        """The file of a version that can be served or is kept."""
        kept = self._files.kept(version)
        return kept if kept.exists() else self.path(project)

    def report_path(self, version: str) -> Path:
        """Where the page of a version's report is kept; it goes with the version."""
        return self._files.report(version)

    def keep_report(self, project: int, version: str, page: str) -> None:
        """Keep the page of a version's report for as long as the version. Raises OSError."""
        self._files.keep_report(project, version, page)

    def path(self, project: int) -> Path:
        """The file of the project's current model, whether it is there or not."""
        return self._files.current(project)

    def _current(
        self, project: int, memory: LRUCache[int, tuple[Signature, T]], read: Callable[[Path], T]
    ) -> T | None:
        """What `read` makes of the project's file, from memory while the file is the same."""
        path = self.path(project)
        while found_signature := signature(path):
            with self._lock:
                known = memory.get(project)
            if known and known[0] == found_signature:
                return known[1]
            try:
                found = read(path)
            except DamagedModelError as error:
                self._files.replace_damaged(project, found_signature, error)
                continue
            with self._lock:
                memory[project] = (found_signature, found)
            return found
        return None

    def _read(self, path: Path) -> Model:
        segmenters, metadata = load_model(path)
        model = Model(_version(metadata, path), segmenters, metadata)
        logger.info("model %s is in memory", model.version, extra={"version": model.version})
        return model


def _with_current(current: list[str], kept: list[str]) -> list[str]:
    return [*(version for version in current if version not in [*kept, UNTRAINED]), *kept]


def _version(metadata: dict[str, Any], path: Path) -> str:
    version = metadata.get("version")
    if not isinstance(version, str):
        raise DamagedModelError(f"{path.name} does not tell its version")
    return version
