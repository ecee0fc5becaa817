"""The folder MODEL_DIR: files that are whole, or as they were before, whatever happens meanwhile.

What root makes belongs to the owner of the folder it lies in: a command that an administrator runs as
root leaves nothing behind that the service, as another user, could not use.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from timeseries_segmenter.errors import QueueError

logger = logging.getLogger(__name__)

ROOT = 0  # user id
UNFINISHED = "unfinished"
ROOM = 1 << 16  # bytes that the state of a project may need


def model_path(model_dir: Path, project: int) -> Path:
    """The file of a project's current model, whether it is there or not."""
    return model_dir / f"model_project_{project}.pt"


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


@contextmanager
def writing_to(model_dir: Path) -> Iterator[None]:
    """Have what can't be written, or is locked for too long, end in a QueueError that says what to do."""
    try:
        yield
    except Timeout as error:
        raise QueueError(f"another process holds {error.lock_file}: try again in a moment") from error
    except OSError as error:
        raise QueueError(
            f"MODEL_DIR={model_dir} can't be written ({error.strerror}): give it room and access rights"
        ) from error


def folder_remarks(model_dir: Path) -> list[str]:
    """Sentences for the log; none where models can be kept, and will be found again."""
    remarks = []
    if model_dir.resolve() == Path.cwd():
        remarks.append(
            f"MODEL_DIR={model_dir} is the working directory: models lie among the code, and in a container "
            "they are lost with it; name a folder on a volume"
        )
    if problem := folder_problem(model_dir):
        remarks.append(problem)
    return remarks


def folder_problem(model_dir: Path) -> str | None:
    """Why nothing can be written to a models' folder, and what to do; None where it can."""
    folder = model_dir.absolute()
    beginning = f"MODEL_DIR={model_dir} can't be written, and nothing can be trained:"
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        for path in (nearest, folder / "training", folder / "versions"):
            if path.exists() and not os.access(path, os.W_OK):
                return f"{beginning} {path} {_why_unwritable(path)}"
        if shutil.disk_usage(nearest).free < ROOM:
            return f"{beginning} the disk is full; give it room"
        if nearest == folder:  # where there is none yet, looking should not make it
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(ROOM))
    except OSError as error:
        return f"{beginning} {error.strerror}; give it room and access rights"
    return None


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


def _why_unwritable(path: Path) -> str:
    owner, user = path.stat().st_uid, os.getuid()
    if owner == user:
        return "is read-only; mount it for writing, or change its mode"
    return (
        f"belongs to user {owner}, and this service runs as user {user}; give it the whole folder, for a "
        f"mounted one on its host: chown -R {user} <folder>"
    )
