"""A bound on the seconds for which a connection may be read, however slowly bytes arrive on it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def time_limit(seconds: float, shut: Callable[[], object]) -> Iterator[None]:
    """Call `shut` from another thread after `seconds`; what is inside should end of it.

    A time-out on a socket only bounds the wait for the next byte. Raises TimeoutError, also where
    what is inside took the shut connection for the end of an answer.
    """
    passed = threading.Event()

    def stop() -> None:
        passed.set()
        with suppress(OSError, ValueError, RuntimeError):  # it ended just now
            shut()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if passed.is_set():
            raise TimeoutError(f"not done after {seconds} s") from error
        raise
    finally:
        timer.cancel()
    if passed.is_set():
        raise TimeoutError(f"not done after {seconds} s")
