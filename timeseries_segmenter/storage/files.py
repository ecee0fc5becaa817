"""Files that are whole, or as they were before, whatever happens while they are written.

What root makes belongs to the owner of the folder it lies in: a command that an administrator runs as
root leaves nothing behind that the service, as another user, could not use.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

logger = logging.getLogger(__name__)

ROOT = 0  # user id
UNFINISHED = "unfinished"


def replace_file(path: Path, write: Callable[[Path], object], keep_as: Path | None = None) -> None:
    """Make `path` what `write` leaves at the path it is given; what was there before becomes `keep_as`.

    One process at a time may write a path; readers see the file before or the one after. Raises
    OSError, and what `write` raises; the file before is where it was then.
    """
    unfinished = path.with_name(f".{path.name}.{UNFINISHED}")
    try:
        write(unfinished)
        give_to_folder_owner(unfinished)
        _synchronise(unfinished)
        if keep_as is not None:
            _keep(path, keep_as)
        unfinished.replace(path)
        _synchronise(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: Path, name: str) -> None:
    """Remove what killed writers left of files whose names match the pattern `name`.

    For those who hold the lock under which such files are written. Raises OSError.
    """
    for path in folder.glob(f".{name}.{UNFINISHED}"):
        path.unlink(missing_ok=True)
        logger.info("%s was left by a process that was killed, and is removed", path.name)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing. Raises OSError."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in reversed(missing):
        give_to_folder_owner(each)


@contextmanager
def file_lock(path: Path, timeout: float = -1, poll_interval: float = 0.05) -> Iterator[None]:
    """Holds a lock that ends with the process, however that ends.

    Raises filelock.Timeout where another process holds it for `timeout` seconds, OSError where its file
    can't be opened.
    """
    lock = FileLock(path, timeout=timeout, poll_interval=poll_interval)
    try:
        lock.acquire()
    except PermissionError as error:
        raise PermissionError(error.errno, _whose(path, error)) from error
    try:
        give_to_folder_owner(path)
        yield
    finally:
        lock.release()


def give_to_folder_owner(path: Path) -> None:
    """Where root made a file or folder, give it to the owner of the folder it lies in."""
    if os.geteuid() != ROOT:
        return
    folder, status = path.parent.stat(), path.stat()
    if (folder.st_uid, folder.st_gid) == (status.st_uid, status.st_gid) or status.st_uid != ROOT:
        return
    try:
        os.chown(path, folder.st_uid, folder.st_gid)
    except OSError as error:  # a network disk may forbid it
        logger.warning(
            "%s belongs to root, and can't be given to user %d (%s): change its owner, or the service may "
            "not be able to write it",
            path,
            folder.st_uid,
            error.strerror,
        )


def _whose(path: Path, error: PermissionError) -> str:
    """Why a file can't be opened, and what to do."""
    with suppress(OSError):
        owner = path.stat().st_uid
        if owner != os.geteuid():
            return (
                f"{error.strerror}: {path} belongs to user {owner}, and the service runs as user "
                f"{os.geteuid()}; give it to that user: chown {os.geteuid()} {path}"
            )
    return f"{error.strerror}: {path}"


def _keep(path: Path, name: Path) -> None:
    """Give a file another name beside the one it has, so that there is one at any time; nothing for none."""
    try:
        os.link(path, name)
    except FileNotFoundError:
        return
    except OSError:  # no second name for a folder, for the file of somebody else, on some disks
        path.rename(name)


def _synchronise(path: Path) -> None:
    """Have it on the disk before anything that follows: a power cut may not leave half of it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def model_path(model_dir: Path, project: int) -> Path:
    """The file of a project's current model, whether it is there or not."""
    return model_dir / f"model_project_{project}.pt"
