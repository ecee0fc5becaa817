"""Model files of projects: the current one, the versions kept beside it, and damaged ones set aside."""

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from timeseries_segmenter.errors import DamagedModelError, ModelFileError
from timeseries_segmenter.learning.model_file import load_model
from timeseries_segmenter.service.files import replace_file

logger = logging.getLogger(__name__)

VERSION = re.compile(r"p(?P<project>\d+)-v(?P<number>\d+)-(?P<moment>\d{8}T\d{6}Z)")

Signature = tuple[int, int, int]
Write = Callable[[Path, dict[str, Any]], None]  # a model with that metadata to a file


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
        return self._folder / f"model_project_{project}.pt"

    def kept(self, version: str) -> Path:
        """The file of a version, whether it is kept or not."""
        return self._kept_folder / f"{version}.pt"

    def report(self, version: str) -> Path:
        """The page of a version's report, whether it was asked for yet or not."""
        return self._kept_folder / f"{version}.html"

    def projects(self) -> list[int]:
        """Projects that have a model."""
        names = [path.stem.removeprefix("model_project_") for path in self._folder.glob("model_project_*.pt")]
        return sorted(int(name) for name in names if name.isdigit())

    def versions(self, project: int | None = None) -> list[str]:
        """The versions whose files are kept, newest first: of one project, or of all."""
        matches = [VERSION.fullmatch(path.stem) for path in self._kept_folder.glob("*.pt")]
        found = [match for match in matches if match and project in (None, int(match["project"]))]
        if project is None:
            found.sort(key=lambda match: (match["moment"], int(match["number"])), reverse=True)
        else:  # by number: right even where a clock was set back
            found.sort(key=lambda match: int(match["number"]), reverse=True)
        return [match[0] for match in found]

    def versions_by_project(self) -> dict[int, list[str]]:
        """What `versions` tells of each project, by one look at the folder."""
        found: dict[int, list[str]] = {}
        for version in self.versions():
            match = VERSION.fullmatch(version)
            if match:
                found.setdefault(int(match["project"]), []).append(version)
        for versions in found.values():
            versions.sort(key=version_number, reverse=True)
        return found

    def save(self, project: int, write: Write, metadata: dict[str, Any], current: str) -> str:
        """Make what `write` writes the project's model in place of the version `current`.

        Returns the new version. Raises OSError.
        """
        with self._writing(project):
            version = self._next_version(project, current)
            kept = self.kept(version)
            content = metadata | {"version": version, "project": project}
            replace_file(kept, lambda path: _write(write, path, content))
            replace_file(self.current(project), partial(shutil.copyfile, kept))
            for old in self.versions(project)[self._history :]:
                self.kept(old).unlink(missing_ok=True)
                self.report(old).unlink(missing_ok=True)
        return version

    def keep_report(self, project: int, version: str, page: str) -> None:
        """Keep the page of a version's report for as long as the version. Raises OSError."""
        with self._writing(project):
            if self.kept(version).exists():
                replace_file(self.report(version), lambda path: path.write_text(page, encoding="utf-8"))

    def replace_damaged(self, project: int, known: Signature, error: DamagedModelError) -> None:
        """Set the project's file aside, and put the newest version in its place that is whole.

        Nothing happens where the file has another signature than the `known` one: another process did
        it, or saved a new version. Raises ModelFileError where MODEL_DIR can't be written.
        """
        path = self.current(project)
        try:
            with self._writing(project):
                if signature(path) != known:
                    return
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
        for kept in map(self.kept, self.versions(project)):
            try:
                load_model(kept)
            except DamagedModelError as error:
                _set_aside(kept, error)
            else:
                return kept
        return None

    @contextmanager
    def _writing(self, project: int) -> Iterator[None]:
        self._kept_folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._kept_folder / f"project_{project}.lock"):
            yield

    def _next_version(self, project: int, current: str) -> str:
        # files set aside count as well: no two models may have one name
        names = [current, *(path.name for path in self._kept_folder.glob(f"p{project}-v*"))]
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return f"p{project}-v{max(map(version_number, names)) + 1}-{moment}"


def version_number(version: str) -> int:
    """Counts the models of a project from 1; 0 for a version that a person named."""
    match = VERSION.match(version)
    return int(match["number"]) if match else 0


def _set_aside(
    path: Path, error: DamagedModelError, move: Callable[[Path, Path], object] = Path.replace
) -> None:
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    move(path, aside)
    logger.error("%s; it is now %s", error, aside.name)


def _write(write: Write, path: Path, metadata: dict[str, Any]) -> None:
    """Raises OSError, also where torch reports a full disk as a RuntimeError."""
    try:
        write(path, metadata)
    except RuntimeError as error:
        raise OSError(f"{path.name} can't be written: {error}") from error


def signature(path: Path) -> Signature | None:
    """What a file changes when it is replaced; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
