"""An array whose rows come part by part, in memory or, if there are many, in a temporary file."""

from collections.abc import Callable
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import SeriesError

MOST_IN_MEMORY = 1 << 26  # bytes

Spill = Callable[[], BinaryIO]
"""Opens an empty file that is gone as soon as nobody uses it."""


class Rows:
    """Takes parts of an array along its first axis, within a `with` block. Without `spill`, all stay in
    memory.
    """

    def __init__(self, spill: Spill | None = None) -> None:
        self._spill = spill
        self._parts: list[NDArray[Any]] = []
        self._file: BinaryIO | None = None
        self._bytes = 0
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()  # the array holds on to it

    def __len__(self) -> int:
        return self._count

    def append(self, part: NDArray[Any]) -> None:
        """The next rows. Raises SeriesError if the disk has no room for them."""
        self._count += len(part)
        self._bytes += part.nbytes
        self._parts.append(part)
        if self._spill and self._bytes > MOST_IN_MEMORY:
            try:
                self._file = self._file or self._spill()
                for each in self._parts:
                    self._file.write(np.ascontiguousarray(each).data)
                self._file.flush()
            except OSError as error:
                raise SeriesError(
                    f"the series is long, and can't be kept in a temporary file ({error.strerror}); make room"
                ) from error
            self._parts = [part[:0]]

    def array(self) -> NDArray[Any]:
        """All rows; those in a file may be changed in place."""
        if self._file is None:
            return np.concatenate(self._parts) if len(self._parts) != 1 else self._parts[0]
        like = self._parts[0]
        return np.memmap(self._file, like.dtype, "r+", shape=(self._count, *like.shape[1:]))
