"""Ends a training run in its midst, wherever it is: fetching, fitting or saving."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

POLL = 0.5  # seconds
AGAIN = 2.0  # seconds; what stops at all has stopped by then
STOP = signal.SIGUSR1  # what the watching thread interrupts the training run with


class TrainingStopped(BaseException):
    """The training run has to end now; `reason` is None if it is to be taken up later.

    Not an Exception, so that nothing that leaves out one bad task takes it for one.
    """

    def __init__(self, reason: str | None) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def stopped_by(find_reason: Callable[[], str | None]) -> Iterator[None]:
    """Raise TrainingStopped in the block once `find_reason` gives one, or SIGTERM comes.

    The block runs in the main thread, where Python handles signals.
    """
    main = threading.main_thread().ident
    assert main is not None
    ended = threading.Event()
    asked_to_end = threading.Event()
    found: list[str] = []

    def stop(signum: int, _: FrameType | None) -> None:
        if signum == signal.SIGTERM:
            asked_to_end.set()
        if not ended.is_set():
            raise TrainingStopped(found[0] if found else None)

    def watch() -> None:
        pause = POLL
        while not ended.wait(pause):
            reason = find_reason()
            if reason:
                found.append(reason)
            if reason or asked_to_end.is_set():
                # more than once: an exception that is raised in a callback of C code is lost
                pause = AGAIN
                signal.pthread_kill(main, STOP)

    earlier = {number: signal.signal(number, stop) for number in (STOP, signal.SIGTERM)}
    watcher = threading.Thread(target=watch, name="training-stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        for number, handler in earlier.items():
            signal.signal(number, handler)
