"""Series in the one folder on this machine whose files tasks may name."""

import errno
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import unquote

from timeseries_segmenter.errors import DownloadError, PassingDownloadError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.download_cache import File

MOST_IN_MEMORY = 1 << 24  # bytes
LASTING = frozenset(  # the others, such as those of a network disk that is away, may pass by themselves
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG}
)


class LocalFiles:
    """Files below LOCAL_FILES_DIR, whatever links lead to them."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.local_files_dir
        self._most_megabytes = settings.max_series_mb

    def find(self, source: str, task: int | str) -> File:
        """A file by its path, whole or below LOCAL_FILES_DIR; a long one is open. Raises DownloadError."""
        if self._folder is None:
            raise DownloadError(
                f"Task {task}: {source!r:.300} is neither a URL nor a file of Label Studio; paths are read "
                "only inside LOCAL_FILES_DIR, which is not set"
            )
        try:
            path = (self._folder / source).resolve()
            if not path.is_relative_to(self._folder.resolve()):
                raise DownloadError(
                    f"Task {task}: {source!r:.300} is not inside LOCAL_FILES_DIR, {self._folder}: files are "
                    "read from there only. Move it there, or allow a folder above both (on the command line "
                    "it is the folder of the tasks file)"
                )
            if path.exists() and not path.is_file():  # a pipe or a device may have no end
                raise DownloadError(f"Task {task}: {source!r:.300} is not a file")
            if path.stat().st_size > self._most_megabytes * 1_000_000:
                raise DownloadError(
                    f"Task {task}: {source!r:.300} is larger than MAX_SERIES_MB={self._most_megabytes}"
                )
            with ExitStack() as stack:
                opened = stack.enter_context(path.open("rb"))
                if path.stat().st_size <= MOST_IN_MEMORY:
                    return File.from_bytes(opened.read())
                file = File.from_open(opened)
                stack.pop_all()  # who reads the file closes it
                return file
        except FileNotFoundError as error:
            raise DownloadError(
                f"Task {task}: {source!r:.300} can't be read: there is no such file in {self._folder}"
                f"{_correction(source, self._folder)}"
            ) from error
        except OSError as error:
            kind = DownloadError if error.errno in LASTING else PassingDownloadError
            raise kind(f"Task {task}: {source!r:.300} can't be read: {error.strerror}") from error
        except ValueError as error:
            raise DownloadError(f"Task {task}: {source!r:.300} is not a path: {error}") from error


def _correction(source: str, folder: Path) -> str:
    """How the path of a file that is not there is to be written, if another way of writing it is there."""
    for path in (source, unquote(source), source.replace("\\", "/")):
        with suppress(OSError, ValueError):  # what is not a path has no file
            found = (folder / path).resolve()
            if not found.is_relative_to(folder.resolve()):
                continue
            same = (each for each in found.parent.iterdir() if each.name.casefold() == found.name.casefold())
            if each := next(same, None):
                return f"; it has {str(each.relative_to(folder.resolve()))!r:.300}: write it like that"
    return "; correct the path, or write the whole address, as in https://host/file.csv"
