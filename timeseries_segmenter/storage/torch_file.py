"""Files of `torch.save`, read without running what they hold, and distinguished if they can't be read."""

import errno
import pickle
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, LargeZipFile, ZipFile

import torch

from timeseries_segmenter.errors import DamagedModelError, ForeignModelError, ModelFileError

FOLDER = 0x10  # attribute of a record in a zip archive
PICKLE = b"\x80"  # the first byte of a bare pickle, which torch wrote before 1.6
NO_RECORD = "PytorchStreamReader failed locating file"
NO_ARCHIVE = "PytorchStreamReader failed"  # torch is stricter than zipfile on what no checksum covers
OF_THE_SYSTEM = ("allocation failed", "open failed", "read failed", "seek failed", "stat failed")

_NO_ARCHIVE = (
    BadZipFile,
    LargeZipFile,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,  # "encrypted"
    LookupError,
    OverflowError,
    zlib.error,
)
_NO_CONTENT = (
    RuntimeError,
    EOFError,
    pickle.UnpicklingError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
    OverflowError,
)


def read_torch_file(path: Path, whole: bool) -> Any:
    """The content of a file; tensors are mapped, and stay on disk until somebody asks for them.

    `whole` compares the checksums, which reads all of the file; where it can't be loaded they are
    compared in any case, since they tell damage from other reasons: raises DamagedModelError where they
    differ, ForeignModelError where they agree and the content is not plain data, ModelFileError where
    the file can't be read or mapped now.
    """
    check_archive(path, whole)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, MemoryError) as error:
        raise _unreadable(path, error) from error
    except _NO_CONTENT as error:
        check_archive(path, whole=True)
        text = str(error)
        if NO_RECORD in text:
            raise ForeignModelError(f"{path.name} is a zip archive, but not one of torch.save") from error
        if NO_ARCHIVE in text and not any(word in text for word in OF_THE_SYSTEM):
            raise DamagedModelError(f"{path.name} is damaged: {_in_a_line(text)}") from error
        if isinstance(error, RuntimeError):  # torch's word for no memory and no file descriptor as well
            raise _unreadable(path, error) from error
        raise ForeignModelError(
            f"{path.name} holds more than plain data, and is not loaded: {_in_a_line(text)}"
        ) from error


def check_archive(path: Path, whole: bool) -> None:
    """Raises DamagedModelError for a file whose bytes are not those that were written.

    `whole` compares all checksums. Raises ForeignModelError, ModelFileError like `read_torch_file`.
    """
    try:
        with ZipFile(path) as archive:
            damaged = _damaged_record(archive) if whole else None
    except (OSError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno == errno.EINVAL:  # places beyond the file's ends
            raise DamagedModelError(f"{path.name} is damaged: {error}") from error
        raise _unreadable(path, error) from error
    except _NO_ARCHIVE as error:
        if _is_pickle(path):
            raise ForeignModelError(
                f"{path.name} is a bare pickle, which this service does not load"
            ) from error
        raise DamagedModelError(f"{path.name} is not a model file, or a damaged one: {error}") from error
    if damaged:
        raise DamagedModelError(f"{path.name} is damaged: {damaged} has another checksum")


def _damaged_record(archive: ZipFile) -> str | None:
    for record in archive.infolist():
        if record.external_attr & FOLDER and record.file_size:  # torch would take it for an empty one
            return record.filename
    return archive.testzip()


def _is_pickle(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == PICKLE
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> ModelFileError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or "no memory is left"
    return ModelFileError(f"{path.name} can't be read now: {_in_a_line(reason)}")


def _in_a_line(text: str) -> str:
    return " ".join(text.split())[:300]
