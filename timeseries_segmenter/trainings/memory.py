"""Memory that a training process needs no longer."""

import ctypes
from contextlib import suppress


def give_back_memory() -> None:
    """Return to the system what the C library keeps of freed memory: after a training run, glibc keeps some
    200 MB, for a process that may wait for hours. Others keep little, and have no such function.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
