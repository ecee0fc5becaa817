"""The model of each project, and its version, in memory for as long as their file is the same."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from timeseries_segmenter.errors import ForeignModelError, ModelFileError, VersionError
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.model import UNTRAINED, Folds, Model
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.file_memory import signature
from timeseries_segmenter.storage.model_file import (
    copy_model,
    load_folds,
    load_model,
    read_card,
    save_model,
)
from timeseries_segmenter.storage.model_files import ModelFiles, version_number
from timeseries_segmenter.storage.model_reader import ModelReader, signature_of
from timeseries_segmenter.storage.unreadable_models import UnreadableModels

logger = logging.getLogger(__name__)

MOST_VERSIONS = 10_000  # of which names are in memory

T = TypeVar("T")


class ModelStore:
    """Looks at a project's file on every request: what another process saved is served at once.

    Where the file can't be used, the newest version serves that can, until the file is usable again.
    """

    def __init__(self, settings: Settings) -> None:
        self._files = ModelFiles(settings.model_dir, settings.model_history)
        self._unreadable = UnreadableModels()
        self._models = ModelReader(
            self._files,
            self._unreadable,
            _load,
            lambda model: model.version,
            settings.models_in_memory,
            loads=True,
        )
        self._versions = ModelReader(
            self._files, self._unreadable, _version_in, str, MOST_VERSIONS, loads=False
        )

    @property
    def in_memory(self) -> int:
        """How many models are in memory."""
        return len(self._models.memory)

    def version(self, project: int) -> str:
        """The version of the project that is served, or UNTRAINED.

        Loads no weights, but where the newest ones could not be loaded: it is always what `load` finds.
        """
        path = self.path(project)
        try:
            found = signature(path)
            if found and (model := self._models.memory.get(path, found)):
                return model.version
            if found and self._unreadable.needs_loading(path, found):
                loaded = self.load(project)
                return loaded.version if loaded else UNTRAINED
            return self._versions.served(project) or UNTRAINED
        except ModelFileError:  # it is in the log
            return UNTRAINED
        except OSError as error:
            self._note(path, error)
            return UNTRAINED

    def trouble(self, project: int) -> str | None:
        """Why the project's newest model is not the one that is served; None where it is."""
        self.version(project)  # what is known may be over
        path = self.path(project)
        reason = self._unreadable.reason(path, signature_of(path))
        return str(reason) if reason else None

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
        """The project's model that is served, from memory while it is current; None where there is none.

        A file that is damaged is set aside, and the newest version that is whole takes its place. One
        that can't be used for another reason stays, and the newest version that can be is returned;
        raises ModelFileError where there is none. The reason is in the log, once.
        """
        try:
            return self._models.served(project)
        except OSError as error:
            raise self._note(self.path(project), error) from error

    def load_folds(self, project: int) -> dict[str, Folds]:
        """The segmenters of the served model's cross-validation. Raises ModelFileError."""
        return load_folds(self.served_path(project))

    def save(self, project: int, model: Model) -> str:
        """Make `model` the project's current one; returns its new version. Raises OSError."""

        def write(path: Path, card: Card) -> None:
            save_model(path, replace(model, card=card))

        return self._files.save(project, write, model.card, self.version(project))

    def roll_back(self, project: int, version: str | None = None) -> str:
        """Make an earlier version current again, by default the one before; returns its new name.

        It is a new version, since Label Studio asks for predictions only of one that it never saw.
        Raises VersionError, ModelFileError, OSError.
        """
        kept = self.versions(project)
        if version is None:
            current = self.load(project)
            if current is None:
                raise VersionError(f"project {project} has no model")
            stands_for = current.card.made_by
            earlier = [name for name in kept if version_number(name) < version_number(stands_for)]
            if not earlier:
                raise VersionError(f"project {project} has no version before {stands_for}")
            version = earlier[0]
        elif not kept:
            raise VersionError(f"project {project} has no model")
        elif version not in kept:
            raise VersionError(f"project {project} has no version {version}, but {', '.join(kept)}")
        source = self._files.kept(version)
        card = read_card(source)
        restored = card.model_copy(update={"restored": card.restored or version})
        return self._files.save(project, partial(copy_model, source), restored, self.version(project))

    def card(self, project: int, version: str) -> Card:
        """That of a version that can be served or is kept. Raises like `read_version`."""
        return self.read_version(project, version, read_card)

    def read_version(self, project: int, version: str, read: Callable[[Path], T]) -> T:
        """What `read` makes of the file of a version that can be served or is kept.

        Raises ModelFileError, and says so in the log, once.
        """
        path = self.version_path(project, version)
        found = signature_of(path)
        try:
            if found and (error := self._unreadable.final(path, found)):
                raise error
            value = read(path)
        except ModelFileError as error:
            self._unreadable.add(path, found, error, by_loading=False)
            raise
        if found:
            self._unreadable.remove(path, found, by_loading=False)
        return value

    def version_path(self, project: int, version: str) -> Path:
        """The file of a version that can be served or is kept."""
        kept = self._files.kept(version)
        return kept if kept.exists() else self.path(project)

    def served_path(self, project: int) -> Path:
        """The file of the version that is served; that of the current model where none is."""
        path = self.path(project)
        return self.version_path(project, self.version(project)) if self.trouble(project) else path

    def remove_unfinished(self) -> None:
        """Remove what processes left that were killed while they wrote. Raises OSError."""
        self._files.remove_unfinished()

    def report_path(self, version: str) -> Path:
        """Where the page of a version's report is kept; it goes with the version."""
        return self._files.report(version)

    def keep_report(self, project: int, version: str, page: str) -> None:
        """Keep the page of a version's report for as long as the version. Raises OSError."""
        self._files.keep_report(project, version, page)

    def path(self, project: int) -> Path:
        """The file of the project's current model, whether it is there or not."""
        return self._files.current(project)

    def _note(self, path: Path, error: OSError) -> ModelFileError:
        """Say once that a file can't be looked at."""
        failure = ModelFileError(f"{path.name} can't be read now: {error.strerror or error}")
        self._unreadable.add(path, None, failure, by_loading=False)
        return failure


def _load(path: Path) -> Model:
    model = load_model(path)
    _check_version(model.card, path)
    logger.info("model %s is in memory", model.version, extra={"version": model.version})
    return model


def _version_in(path: Path) -> str:
    return _check_version(read_card(path), path)


def _with_current(current: list[str], kept: list[str]) -> list[str]:
    return [*(version for version in current if version not in [*kept, UNTRAINED]), *kept]


def _check_version(card: Card, path: Path) -> str:
    if not card.version:
        raise ForeignModelError(f"{path.name} does not say its version: metadata.version is missing")
    return card.version
