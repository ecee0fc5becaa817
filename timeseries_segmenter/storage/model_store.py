"""The models of all projects in MODEL_DIR: which version is served, loaded, saved, rolled back to.

A file is looked at on every request, and what was made of it is in memory for as long as it is the same.
"""

import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from timeseries_segmenter.errors import DamagedModelError, ForeignModelError, ModelFileError, VersionError
from timeseries_segmenter.learning.device import choose_device
from timeseries_segmenter.learning.training.remembered import Remembered
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.model import UNTRAINED, Folds, Model
from timeseries_segmenter.project.versions import version_number
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.known_files import (
    FileMemory,
    Signature,
    UnreadableModels,
    signature,
    signature_of,
)
from timeseries_segmenter.storage.model_file import (
    copy_model,
    load_folds,
    load_model,
    load_remembered,
    read_card,
    save_model,
)
from timeseries_segmenter.storage.model_files import ModelFiles
from timeseries_segmenter.storage.version_summary import SummaryFiles, VersionSummary

logger = logging.getLogger(__name__)

MOST_VERSIONS = 100_000  # of which summaries are in memory


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
            partial(_load, device=settings.device),
            settings.models_in_memory,
            loads=True,
        )
        self._current = ModelReader(self._files, self._unreadable, _summarise, MOST_VERSIONS, loads=False)
        self._summaries = FileMemory[VersionSummary](MOST_VERSIONS)
        self._summary_files = SummaryFiles(settings.series_cache_dir / "models")

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
            current = self._current.served(project)
            return current.version if current else UNTRAINED
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

    def given(self, project: int) -> frozenset[str]:
        """All names that this store gave versions of the project; no other model has one of them.

        Raises OSError.
        """
        return self._files.given(project)

    def summaries(self, project: int) -> list[VersionSummary]:
        """Those of a project's `versions`."""
        return self.summaries_by_project([project])[project]

    def summaries_by_project(self, projects: Collection[int]) -> dict[int, list[VersionSummary]]:
        """Those of each of these projects, by one look at the folder."""
        current = {project: self.version(project) for project in projects}  # first: it may set files aside
        kept = self._files.versions_by_project(projects)
        return {
            project: [
                self._summary(project, version)
                for version in _with_current([current[project]], kept.get(project, []))
            ]
            for project in projects
        }

    def title(self, project: int) -> str:
        """The project's title at the training run of its served version; empty if it has none."""
        served = self.served_summary(project)
        return served.title if served else ""

    def served_summary(self, project: int, *, at_hand: bool = False) -> VersionSummary | None:
        """That of a project's current model; None if there is none, or if it is not in memory and has to be
        `at_hand`.
        """
        path = self.path(project)
        with suppress(ModelFileError, OSError):  # it is in the log
            found = signature(path)
            if found is None or at_hand:
                return self._summaries.get(path, found) if found else None
            if known := self._known_summary(path, found):
                return known
            if served := self._current.served(project):
                if served is self._current.memory.get(path, found):
                    self._keep_summary(path, found, served)
                return served
        return None

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

    def load_remembered(self, project: int) -> dict[str, Remembered]:
        """What the served model remembers of tasks, by pair. Raises ModelFileError."""
        return load_remembered(self.served_path(project))

    def save(self, project: int, model: Model) -> str:
        """Make `model` the project's current one; returns its new version. Raises OSError."""

        def write(path: Path, card: Card) -> None:
            save_model(path, replace(model, card=card))

        return self._summarised(project, self._files.save(project, write, model.card, self.version(project)))

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
        saved = self._files.save(project, partial(copy_model, source), restored, self.version(project))
        return self._summarised(project, saved)

    def card(self, project: int, version: str) -> Card:
        """That of a version that can be served or is kept.

        Raises ModelFileError, and says so in the log, once.
        """
        path = self.version_path(project, version)
        found = signature_of(path)
        try:
            if found and (error := self._unreadable.final(path, found)):
                raise error
            card = read_card(path)
        except ModelFileError as error:
            self._unreadable.add(path, found, error, by_loading=False)
            raise
        if found:
            self._unreadable.remove(path, found, by_loading=False)
        return card

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
        self._summary_files.remove_unfinished()

    def report_path(self, version: str) -> Path:
        """Where the page of a version's report is kept; it goes with the version."""
        return self._files.report(version)

    def keep_report(self, project: int, version: str, page: str) -> None:
        """Keep the page of a version's report for as long as the version. Raises OSError."""
        self._files.keep_report(project, version, page)

    def path(self, project: int) -> Path:
        """The file of the project's current model, whether it is there or not."""
        return self._files.current(project)

    def _summary(self, project: int, version: str) -> VersionSummary:
        path = self.version_path(project, version)
        found = signature_of(path)
        if found and (known := self._known_summary(path, found)):
            return replace(known, version=version)
        try:
            summary = VersionSummary.from_card(version, self.card(project, version))
        except ModelFileError as error:  # it has its name, and no metrics
            return VersionSummary.from_card(version, Card(), str(error))
        if found:
            self._keep_summary(path, found, summary)
        return summary

    def _known_summary(self, path: Path, found: Signature) -> VersionSummary | None:
        """From memory, or from a file: kept versions never change, and reading one takes milliseconds."""
        known = self._summaries.get(path, found)
        if known is None and (known := self._summary_files.get(path, found)):
            self._summaries.keep(path, found, known)
        return known

    def _keep_summary(self, path: Path, found: Signature, summary: VersionSummary) -> None:
        self._summaries.keep(path, found, summary)
        self._summary_files.keep(path, found, summary)

    def _summarised(self, project: int, version: str) -> str:
        """A version that was just saved, after its summary: lists of many projects need not read it."""
        for path in (self._files.kept(version), self.path(project)):
            with suppress(ModelFileError, OSError):  # whoever asks for it reads it, and says so
                if found := signature(path):
                    card = read_card(path)
                    self._keep_summary(path, found, VersionSummary.from_card(card.version, card))
        return version

    def _note(self, path: Path, error: OSError) -> ModelFileError:
        """Say once that a file can't be looked at."""
        failure = ModelFileError(f"{path.name} can't be read now: {error.strerror or error}")
        self._unreadable.add(path, None, failure, by_loading=False)
        return failure


V = TypeVar("V", bound=Model | VersionSummary)


class ModelReader(Generic[V]):
    """Reads model files by `read`, and keeps what it makes of the `most` newest in memory.

    `loads` says whether it takes the weights as well.
    """

    def __init__(
        self,
        files: ModelFiles,
        unreadable: UnreadableModels,
        read: Callable[[Path], V],
        most: int,
        *,
        loads: bool,
    ) -> None:
        self._files = files
        self._unreadable = unreadable
        self._read = read
        self._loads = loads
        self.memory = FileMemory[V](most)

    def served(self, project: int) -> V | None:
        """What is made of the project's current file, or else of the newest version that can be read.

        None where there is no current file. A damaged one is replaced. Raises ModelFileError where no
        version can be read, OSError where the folder can't be.
        """
        path = self._files.current(project)
        while found := signature(path):
            try:
                value = self.of_file(path, found)
            except DamagedModelError as error:
                try:
                    self._files.replace_damaged(project, found, error)
                except ModelFileError as failure:
                    self._unreadable.add(path, found, failure, self._loads)
                    return self._stand_in(project, failure)
            except ModelFileError as error:
                if signature(path) == found:  # it was not replaced while it was read
                    return self._stand_in(project, error)
            else:
                self._unreadable.stands_in(project, None)
                return value
        return None

    def of_file(self, path: Path, found: Signature) -> V:
        """What is made of the file with that signature.

        Raises ModelFileError, and has it remembered and logged, but for damage.
        """
        value = self.memory.get(path, found)
        if value is not None:
            return value
        if error := self._unreadable.final(path, found):
            raise error
        try:
            value = self._read(path)
        except DamagedModelError:
            raise
        except ModelFileError as failure:
            if signature_of(path) == found:
                self._unreadable.add(path, found, failure, self._loads)
            raise
        self._unreadable.remove(path, found, self._loads)
        self.memory.keep(path, found, value)
        return value

    def _stand_in(self, project: int, error: ModelFileError) -> V:
        """What is made of the newest version that can be read. Raises `error` for none."""
        last = self.memory.last(self._files.current(project))  # of the file before this one
        try:
            versions = self._files.versions(project)
        except OSError:  # no file descriptor is left to list them
            versions = [] if last is None else [last.version]
        for version in versions:
            value: V | None = None
            if last is not None and last.version == version:
                value = last
            elif found := signature_of(kept := self._files.kept(version)):
                try:
                    value = self.of_file(kept, found)
                except DamagedModelError as damage:
                    self._unreadable.add(kept, found, damage, self._loads)
                except ModelFileError:  # it is in the log
                    continue
            if value is not None:
                self._unreadable.stands_in(project, version)
                return value
        self._unreadable.stands_in(project, "")
        raise error


def _load(path: Path, device: str) -> Model:
    model = load_model(path, choose_device(device))
    _check_version(model.card, path)
    logger.info("model %s is in memory", model.version, extra={"version": model.version})
    return model


def _summarise(path: Path) -> VersionSummary:
    card = read_card(path)
    _check_version(card, path)
    return VersionSummary.from_card(card.version, card)


def _with_current(current: list[str], kept: list[str]) -> list[str]:
    return [*(version for version in current if version not in [*kept, UNTRAINED]), *kept]


def _check_version(card: Card, path: Path) -> None:
    if not card.version:
        raise ForeignModelError(f"{path.name} does not say its version: metadata.version is missing")
