"""Has a training process end with the service that started it, whatever it computes."""

import os
import select
import signal
import sys
import threading

PATIENCE = 5.0  # seconds for a training run to be put back; a job that isn't is taken up all the same


def end_with_service() -> None:
    """End this process by SIGTERM once standard input closes, and for good a few seconds later.

    Called before any other thread is started. The killing is left to a process of its own: no thread
    gets to run while a library computes without releasing Python's lock.
    """
    ours, guards = os.pipe()  # closes when this process ends
    trainer = os.getpid()
    if os.fork() == 0:
        os.close(guards)
        _kill_with_service(trainer, ours)
    os.close(ours)
    threading.Thread(target=_ask_to_end, args=(trainer,), name="end-with-service", daemon=True).start()


def _ask_to_end(trainer: int) -> None:
    while os.read(sys.stdin.fileno(), 4096):  # not through the buffer, whose lock the end of Python wants
        pass
    os.kill(trainer, signal.SIGTERM)


def _kill_with_service(trainer: int, lives: int) -> None:
    try:
        signal.signal(
            signal.SIGTERM, signal.SIG_IGN
        )  # a whole group may be told to end; the trainer is first
        ends = select.poll()
        for descriptor in (sys.stdin.fileno(), lives):
            ends.register(descriptor, 0)  # only told when the other side is closed
        if lives not in dict(ends.poll()):
            ends.unregister(sys.stdin.fileno())
            if not ends.poll(PATIENCE * 1000) and os.getppid() == trainer:
                os.kill(trainer, signal.SIGKILL)
    finally:
        os._exit(0)
