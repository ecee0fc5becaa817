"""Events whose project could not be locked in time: one file each, until they are counted."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.storage.files import UNFINISHED, make_folder, replace_file
from timeseries_segmenter.trainings.queue import NUMBER

logger = logging.getLogger(__name__)

LONGEST_WRITE = 3600.0  # seconds after which a file's writer is dead, whatever clock its disk has


class LateEvents:
    """Keeps events in `MODEL_DIR/training/events`, without a lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "events"
        self._log_once = OnceLogger(logger)

    def keep(self, project: int, event: str) -> None:
        """Keep an event to be counted later. Raises OSError if MODEL_DIR can't be written."""
        make_folder(self.folder)
        replace_file(self.folder / f"{project}.{uuid4().hex}", lambda path: path.write_text(event))

    def projects(self) -> set[int]:
        """Projects whose events wait to be counted."""
        return {int(path.name.partition(".")[0]) for path in self._paths()}

    def remove_unfinished(self) -> None:
        """Remove unfinished files of killed processes, whose events nobody acknowledged. Raises OSError."""
        for path in self.folder.glob(f".*.{UNFINISHED}"):
            with suppress(FileNotFoundError):  # its writer lives, and has finished
                if path.stat().st_mtime < time.time() - LONGEST_WRITE:
                    path.unlink()
                    logger.info("%s was left by a process that was killed, and is removed", path.name)

    @contextmanager
    def taken(self, project: int) -> Iterator[list[str]]:
        """A project's late events; they are removed at the end, unless the block raises.

        The caller holds the lock on the project's state, so that each counts once.
        """
        events = {}
        for path in self._paths(f"{project}."):
            try:
                events[path] = path.read_text()
            except (OSError, ValueError) as error:
                self._log_once(path, f"{path} can't be read ({error}); its event is not counted: remove it")
        yield list(events.values())
        for path in events:
            path.unlink(missing_ok=True)

    def _paths(self, beginning: str = "") -> list[Path]:
        try:
            paths = list(self.folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            self._log_once(self.folder, f"{self.folder} can't be read ({error.strerror}); move it away")
            return []
        found = []
        for path in paths:
            number, dot, _ = path.name.partition(".")
            if dot and NUMBER.fullmatch(number) and path.is_file():
                found.append(path)
            elif not path.name.startswith("."):  # one that is being written
                self._log_once(path, f"{path} is not an event; it is ignored: remove it")
        return [path for path in found if path.name.startswith(beginning)]
