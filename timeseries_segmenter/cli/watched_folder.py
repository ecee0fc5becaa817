"""A folder that others write files to."""

import logging
from collections.abc import Iterable
from pathlib import Path

from timeseries_segmenter.errors import ExportError
from timeseries_segmenter.once_logger import OnceLogger

logger = logging.getLogger(__name__)

SUFFIXES = (".csv", ".tsv", ".txt", ".json")

_State = tuple[int, int]  # size in bytes, and time of the last change in nanoseconds


class WatchedFolder:
    """Gives the files of a folder whose names end with one of SUFFIXES, once nobody writes to them any more.

    `done` are the names of those that are not given again. Another one is given once for each state that
    it has: until it changes, there is no use in another try.
    """

    def __init__(self, folder: Path, done: Iterable[str]) -> None:
        if not folder.is_dir():
            raise ExportError(f"{folder} is not a folder that can be watched")
        self.done = set(done)
        self._folder = folder
        self._before: dict[str, _State] = {}
        self._given: dict[str, _State] = {}
        self._once = OnceLogger(logger)

    def settled_files(self) -> list[Path]:
        """Those that are as they were at the look before this one, by name."""
        try:
            states = self._states()
        except OSError as error:
            self._once(self._folder, f"{self._folder} can't be looked at: {error.strerror}; trying again")
            return []
        self._once.forget(self._folder)
        settled = [
            name
            for name, state in sorted(states.items())
            if state == self._before.get(name) != self._given.get(name)
        ]
        self._given |= {name: states[name] for name in settled}
        self._before = states
        return [self._folder / name for name in settled]

    def _states(self) -> dict[str, _State]:
        """Of each file that holds something. Raises OSError."""
        states = {}
        for path in self._folder.iterdir():
            if path.name in self.done or path.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            try:
                status = path.stat()
            except FileNotFoundError:  # it was moved away meanwhile
                continue
            if status.st_size and path.is_file():
                states[path.name] = (status.st_size, status.st_mtime_ns)
        return states
