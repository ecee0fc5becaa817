"""Which of a project's model files serves, and what is made of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from timeseries_segmenter.errors import DamagedModelError, ModelFileError
from timeseries_segmenter.storage.file_memory import FileMemory, Signature, signature
from timeseries_segmenter.storage.model_files import ModelFiles
from timeseries_segmenter.storage.unreadable_models import UnreadableModels

T = TypeVar("T")


class ModelReader(Generic[T]):
    """Reads model files by `read`, and keeps what it makes of the `most` newest in memory.

    `version_of` is the version of what it makes; `loads` says whether it takes the weights as well.
    """

    def __init__(
        self,
        files: ModelFiles,
        unreadable: UnreadableModels,
        read: Callable[[Path], T],
        version_of: Callable[[T], str],
        most: int,
        *,
        loads: bool,
    ) -> None:
        self._files = files
        self._unreadable = unreadable
        self._read = read
        self._version_of = version_of
        self._loads = loads
        self.memory = FileMemory[T](most)

    def served(self, project: int) -> T | None:
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

    def of_file(self, path: Path, found: Signature) -> T:
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

    def _stand_in(self, project: int, error: ModelFileError) -> T:
        """What is made of the newest version that can be read. Raises `error` for none."""
        last = self.memory.last(self._files.current(project))  # of the file before this one
        try:
            versions = self._files.versions(project)
        except OSError:  # no file descriptor is left to list them
            versions = [] if last is None else [self._version_of(last)]
        for version in versions:
            value: T | None = None
            if last is not None and self._version_of(last) == version:
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


def signature_of(path: Path) -> Signature | None:
    """Like `signature`; None also where the folder can't be read."""
    try:
        return signature(path)
    except OSError:
        return None
