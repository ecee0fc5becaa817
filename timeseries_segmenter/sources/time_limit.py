"""Bounds on the seconds for which a connection may be read, or a name be resolved."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")


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


def on_a_thread(name: str, call: Callable[[], T]) -> Future[T]:
    """What `call` returns or raises, once it does; its thread ends with the process."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  whoever takes the result gets it
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def run_within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns, on a thread of its own, which is left behind if it takes longer.

    For what can't be interrupted: the system's resolver has time-outs of its own. Raises TimeoutError,
    and what `call` raises.
    """
    future = on_a_thread("time-limit", call)
    wait([future], seconds)
    if not future.done():
        raise TimeoutError(f"not done after {seconds} s")
    return future.result()
