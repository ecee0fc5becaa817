"""Model files of projects: the current one, the versions kept beside it, and damaged ones set aside."""

import filecmp
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from errno import EAGAIN
from functools import partial
from pathlib import Path

from filelock import Timeout

from timeseries_segmenter.errors import DamagedModelError, ForeignModelError, ModelFileError
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.versions import VERSION, version_number
from timeseries_segmenter.storage.files import (
    file_lock,
    make_folder,
    model_path,
    remove_unfinished,
    replace_file,
)
from timeseries_segmenter.storage.known_files import Signature, signature
from timeseries_segmenter.storage.model_file import load_model, read_card, stated_version

logger = logging.getLogger(__name__)

KEPT = re.compile(rf"(?P<version>{VERSION.pattern})\.pt")
CURRENT = re.compile(r"model_project_(?P<project>\d+)\.pt")
UNFINISHED = re.compile(r"\.(p|model_project_)(?P<project>\d+)\b.*\.unfinished")

MOST_NAMES = 10_000  # of versions that a project was given; older ones are forgotten

SAVING = 60.0  # seconds that a new version waits for the lock of its project's files
REQUEST = 0.5  # seconds that an answer does

Write = Callable[[Path, Card], None]  # a model with that card to a file


class ModelFiles:
    """`MODEL_DIR/model_project_{id}.pt` is a project's model; `MODEL_DIR/versions` keeps the last `history`.

    Files are replaced atomically, and one process at a time writes those of a project.
    """

    def __init__(self, folder: Path, history: int) -> None:
        self._folder = folder
        self._kept_folder = folder / "versions"
        self._history = history

    def current(self, project: int) -> Path:
        """The file of the project's current model, whether it is there or not."""
        return model_path(self._folder, project)

    def kept(self, version: str) -> Path:
        """The file of a version, whether it is kept or not."""
        return self._kept_folder / f"{version}.pt"

    def report(self, version: str) -> Path:
        """The page of a version's report, whether it was asked for yet or not."""
        return self._kept_folder / f"{version}.html"

    def given(self, project: int) -> frozenset[str]:
        """All names that this folder gave versions of the project, also those that are kept no longer.

        No other service gives the same ones: they hold the moment, and are noted when they are given.
        Raises OSError.
        """
        return frozenset(self._names_given(project)).union(self.versions(project))

    def projects(self) -> list[int]:
        """Projects that have a model."""
        matches = map(CURRENT.fullmatch, _names(self._folder))
        return sorted(int(match["project"]) for match in matches if match)

    def versions(self, project: int | None = None) -> list[str]:
        """The versions whose files are kept, newest first: of one project, or of all."""
        if project is not None:
            return self.versions_by_project([project]).get(project, [])
        found = list(self._kept_versions())
        found.sort(key=lambda match: (match["moment"], int(match["number"])), reverse=True)
        return [match["version"] for match in found]

    def versions_by_project(self, projects: Collection[int]) -> dict[int, list[str]]:
        """What `versions` says of each of these projects that has any, by one look at the folder."""
        wanted = {str(project) for project in projects}
        found: dict[int, list[str]] = {}
        for match in self._kept_versions():
            if match["project"] in wanted:
                found.setdefault(int(match["project"]), []).append(match["version"])
        for versions in found.values():  # by number: right even if a clock was set back
            versions.sort(key=version_number, reverse=True)
        return found

    def _kept_versions(self) -> Iterator[re.Match[str]]:
        return filter(None, map(KEPT.fullmatch, _names(self._kept_folder)))

    def save(self, project: int, write: Write, card: Card, current: str) -> str:
        """Make what `write` writes the project's model in place of the version `current`.

        Returns the new version. A model that no version keeps is not lost, but gets another name. Raises
        OSError.
        """
        with self._writing(project):
            version = self._next_version(project, current)
            self._note_given(project, version)
            before = self._name_of_its_own(project, version)
            kept = self.kept(version)
            saved = card.model_copy(update={"version": version, "project": project})
            replace_file(kept, lambda path: _write(write, path, saved))
            replace_file(self.current(project), partial(shutil.copyfile, kept), before)
            if before:
                logger.warning(
                    "project %d: the model before %s is in no version; it is now %s, and yours to delete",
                    project,
                    version,
                    before.name,
                )
            self._forget_old(project)
        return version

    def keep_report(self, project: int, version: str, page: str) -> None:
        """Keep the page of a version's report for as long as the version. Raises OSError."""
        with self._writing(project, REQUEST):
            if self.kept(version).exists():
                replace_file(self.report(version), lambda path: path.write_text(page, encoding="utf-8"))

    def replace_damaged(self, project: int, known: Signature, error: DamagedModelError) -> None:
        """Set the project's file aside, and put the newest version in its place that is whole.

        Nothing happens where the file has another signature than the `known` one: another process did
        it, or saved a new version. Raises ModelFileError where MODEL_DIR can't be written, or where it
        can't be found out now which version is whole; the file is where it was then.
        """
        path = self.current(project)
        try:
            with self._writing(project, REQUEST):
                if signature(path) != known:
                    return
                whole = self._newest_whole(project)
                aside = _aside(path)
                if whole is None:
                    path.replace(aside)
                else:
                    replace_file(path, partial(shutil.copyfile, whole), aside)
                logger.error("%s; it is now %s", error, aside.name)
                if whole:
                    logger.warning("project %d: model %s serves in its place", project, whole.stem)
        except OSError as failure:
            raise ModelFileError(f"{error}; it can't be replaced: {failure.strerror or failure}") from failure
        except ModelFileError as failure:
            raise ModelFileError(f"{error}; it is not replaced yet: {failure}") from failure

    def remove_unfinished(self) -> None:
        """Remove what processes left that were killed while they wrote; projects that are written are let be.

        For the start of the service. Raises OSError.
        """
        names = [path.name for path in (*self._folder.glob(".*"), *self._kept_folder.glob(".*"))]
        for project in {int(match["project"]) for match in map(UNFINISHED.match, names) if match}:
            with suppress(BlockingIOError), self._writing(project, timeout=0):
                pass  # who holds the lock removes them

    def _newest_whole(self, project: int) -> Path | None:
        """The newest version whose bytes are those that were written; damaged ones before it are set aside.

        Raises ModelFileError if that can't be found out now.
        """
        for kept in map(self.kept, self.versions(project)):
            try:
                load_model(kept)
            except DamagedModelError as error:
                aside = _aside(kept)
                kept.replace(aside)
                logger.error("%s; it is now %s", error, aside.name)
            except ForeignModelError:
                return kept  # whole, and served by the release that it is for
            else:
                return kept
        return None

    def _names_given(self, project: int) -> list[str]:
        try:
            lines = self._given_path(project).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        named = map(VERSION.fullmatch, lines)
        return [match[0] for match in named if match and match["project"] == str(project)]

    def _note_given(self, project: int, version: str) -> None:
        """Raises OSError."""
        names = [*self._names_given(project), version][-MOST_NAMES:]
        text = "".join(f"{name}\n" for name in names)
        replace_file(self._given_path(project), lambda path: path.write_text(text))

    def _given_path(self, project: int) -> Path:
        return self._kept_folder / f"p{project}.given"

    def _name_of_its_own(self, project: int, version: str) -> Path | None:
        """The name that the current file gets when `version` replaces it; None where a version keeps it."""
        path = self.current(project)
        try:
            if not path.exists() or any(
                filecmp.cmp(path, kept, shallow=False) for kept in map(self.kept, self.versions(project))
            ):
                return None
        except OSError as error:
            logger.warning("%s can't be compared with the versions: %s", path.name, error.strerror)
        return path.with_name(f"{path.name}.before-{version}")

    def _forget_old(self, project: int) -> None:
        """Delete versions beyond `history`; those that this release can't read neither count nor go."""
        versions = self.versions(project)
        if len(versions) <= self._history:
            return
        foreign = []
        readable = []
        for version in versions:
            try:
                read_card(self.kept(version))
            except DamagedModelError:
                readable.append(version)  # there is nothing in it to keep
            except ModelFileError:
                foreign.append(version)
            else:
                readable.append(version)
        for old in readable[self._history :]:
            self.kept(old).unlink(missing_ok=True)
            self.report(old).unlink(missing_ok=True)
        if foreign:
            logger.warning(
                "project %d: kept beyond MODEL_HISTORY, since they can't be read: %s; delete them where no "
                "release will need them",
                project,
                ", ".join(foreign),
            )

    @contextmanager
    def _writing(self, project: int, timeout: float = SAVING) -> Iterator[None]:
        """Raises BlockingIOError where another process holds the lock for so long."""
        make_folder(self._kept_folder)
        path = self._kept_folder / f"project_{project}.lock"
        with ExitStack() as held:
            try:
                held.enter_context(file_lock(path, timeout))
            except Timeout as error:
                raise BlockingIOError(
                    EAGAIN, f"another process holds {path} for more than {timeout:g} s"
                ) from error
            remove_unfinished(self._kept_folder, f"p{project}-v*")
            remove_unfinished(self._kept_folder, f"p{project}.given")
            remove_unfinished(self._folder, f"model_project_{project}.pt")
            yield

    def _next_version(self, project: int, current: str) -> str:
        # files set aside count as well: no two models may have one name
        stated = stated_version(self.current(project)) or ""  # maybe a newer release's, that is not served
        files = [*self._kept_folder.glob(f"p{project}-v*"), *self._folder.glob(f"*.before-p{project}-v*")]
        names = [current, stated, *(path.name.rpartition(".before-")[2] for path in files)]
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return f"p{project}-v{max(map(version_number, names)) + 1}-{moment}"


def _names(folder: Path) -> list[str]:
    """What is in a folder: tens of thousands of names, maybe, for each of which `glob` makes a path."""
    try:
        return os.listdir(folder)  # noqa: PTH208  names alone
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged-{time.time_ns()}")


def _write(write: Write, path: Path, card: Card) -> None:
    """Raises OSError, also where torch reports a full disk as a RuntimeError."""
    try:
        write(path, card)
    except RuntimeError as error:
        raise OSError(f"{path.name} can't be written: {error}") from error
