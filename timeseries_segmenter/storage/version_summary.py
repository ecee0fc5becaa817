"""What lists show of a version, kept in a small file for each project: reading a model takes milliseconds."""

import logging
import re
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from timeseries_segmenter import __version__
from timeseries_segmenter.learning.opinions.network import ARCHITECTURE
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.project.card import Card, Quality
from timeseries_segmenter.project.outline import Outline, given_by, shortened_outline
from timeseries_segmenter.storage.files import give_to_folder_owner, make_folder
from timeseries_segmenter.storage.known_files import Signature
from timeseries_segmenter.storage.model_file import FILE_FORMAT

logger = logging.getLogger(__name__)

RELEASE = f"{__version__}, format {FILE_FORMAT}, {ARCHITECTURE}"  # another one may read other files
LONGEST_WRITE = 60.0  # seconds
MOST_FILES = 200  # of one project
MODEL_NAME = re.compile(r"(?:model_project_|p)(\d+)\b")


@dataclass(frozen=True, slots=True)
class VersionSummary:
    """`tasks` and `skipped` count; `annotated` are all of the project, if `tasks` are a part of them, else 0.
    `restored` is the version that this one is again, after a rollback. `corrections` say what people
    corrected in predictions, empty if nobody began with one. `start` is the version of another project that
    it began with, empty for none. `given` is what it predicts, for projects that may start from it; empty if
    that is not known.

    `unreadable` says why the version can't be served; None where it can.
    """

    version: str
    title: str
    created_at: datetime | None
    tasks: int
    skipped: int
    quality: Quality | None
    restored: str | None
    given: Outline
    unreadable: str | None = None
    annotated: int = 0
    corrections: str = ""
    start: str = ""

    @classmethod
    def from_card(cls, version: str, card: Card, unreadable: str | None = None) -> "VersionSummary":
        """What of a version's card people read in a list."""
        return cls(
            version,
            card.title,
            card.created_at,
            len(card.tasks),
            len(card.skipped),
            card.quality,
            card.restored,
            shortened_outline(given_by(card)),
            unreadable,
            card.selection.annotated if card.learned_from else 0,
            card.newest_corrections,
            card.start,
        )


Summaries = dict[str, tuple[Signature, VersionSummary]]
_SUMMARIES = TypeAdapter(dict[str, Summaries])


class SummaryFiles:
    """`project_{id}.json` in a folder: summaries of a project's model files, by name and signature.

    Nothing is lost with them: what is not there, of another release or damaged is made anew from the model
    files. Processes may share the folder: each file is replaced as a whole, and the last one wins.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log_once = OnceLogger(logger)

    def get(self, path: Path, found: Signature) -> VersionSummary | None:
        """The summary of a model file with that signature; None if it is not known."""
        known = self._read(path).get(path.name)
        return known[1] if known and known[0] == found else None

    def keep(self, path: Path, found: Signature, summary: VersionSummary) -> None:
        """Keep the summary of a model file with that signature. A disk that refuses it is a warning, once."""
        known = self._read(path)
        known.pop(path.name, None)
        known[path.name] = (found, summary)
        content = {RELEASE: dict(list(known.items())[-MOST_FILES:])}
        try:
            make_folder(self._folder)
            with tempfile.NamedTemporaryFile(
                dir=self._folder, prefix=".", suffix=".unfinished", delete=False
            ) as file:
                unfinished = Path(file.name)
                try:
                    file.write(_SUMMARIES.dump_json(content))
                    file.flush()  # a full disk shows here
                    give_to_folder_owner(unfinished)
                    unfinished.replace(self._path(path))
                finally:
                    unfinished.unlink(missing_ok=True)
        except OSError as error:
            self._log_once(
                self, f"summaries of models are not kept in {self._folder}: {error.strerror or error}"
            )

    def remove_unfinished(self) -> None:
        """Remove what processes left that were killed while they wrote. Raises OSError."""
        for path in self._folder.glob(".*.unfinished"):
            with suppress(FileNotFoundError):  # its writer lives, and has finished
                if path.stat().st_mtime < time.time() - LONGEST_WRITE:
                    path.unlink()

    def _read(self, model: Path) -> Summaries:
        try:
            return _SUMMARIES.validate_json(self._path(model).read_bytes()).get(RELEASE, {})
        except (OSError, ValidationError):
            return {}

    def _path(self, model: Path) -> Path:
        project = MODEL_NAME.match(model.name)
        return self._folder / f"project_{project[1] if project else 'other'}.json"
