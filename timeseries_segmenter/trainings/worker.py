"""A training process: takes queued jobs, one at a time, until the service that started it ends.

`WorkerProcesses` starts it with the settings on standard input. Of several workers over one
MODEL_DIR, TRAINING_PROCESSES train; the others wait to take their places.
"""

import logging
import os
import select
import signal
import sys
import threading
import time

from timeseries_segmenter.logs import configure_logging
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.known_projects import KnownProjects
from timeseries_segmenter.trainings.places import count_places
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.runner import JobRunner

logger = logging.getLogger("timeseries_segmenter.trainings.worker")  # it runs as __main__

POLL = 0.2  # seconds
LOOK = 3.0  # seconds between two looks for interrupted jobs, and for the order in which projects wait
PAUSE = 10.0  # seconds before a project whose files failed is tried again
PATIENCE = 5.0  # seconds to put a job back after the service ended; one that isn't is taken up anyway
NICENESS = 5  # predictions come first


def main() -> None:
    """Train until standard input closes or SIGTERM comes; then a running job is put back."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; the service decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    settings = Settings.model_validate_json(sys.stdin.readline())
    end_with_service()
    configure_logging(settings)
    os.nice(NICENESS)
    queue = JobQueue(settings.model_dir)
    log_once = OnceLogger(logger)
    while True:
        try:
            with queue.trainer(count_places(settings)):
                log_once.forget(queue)
                known = KnownProjects(settings, queue)
                _train_until_asked_to_end(JobRunner(settings, queue), queue, known)
                return
        except OSError as error:
            log_once(queue, f"MODEL_DIR can't be used: {error}; jobs wait")
            time.sleep(PAUSE)


def _train_until_asked_to_end(runner: JobRunner, queue: JobQueue, known: KnownProjects) -> None:
    log_once = OnceLogger(logger)
    rests: dict[int, float] = {}  # until when, by project
    taken_up = -LOOK
    while True:
        looked = time.monotonic()
        if looked - taken_up >= LOOK:
            queue.take_up()
            taken_up = looked
        for project in known.first(queue.waiting()):
            if time.monotonic() < rests.get(project, 0):
                continue
            try:
                if not runner.run(project):
                    return
            except OSError as error:  # others go on
                log_once(project, f"project {project} waits, since MODEL_DIR can't be used: {error}")
                rests[project] = time.monotonic() + PAUSE
            else:
                log_once.forget(project)
            if time.monotonic() - looked > LOOK:
                break  # one that is known may have come meanwhile
        time.sleep(POLL)


def end_with_service() -> None:
    """End this process by SIGTERM once standard input closes, and for good a few seconds later.

    Call it before any other thread is started. A process of its own does the killing: no thread
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
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a whole group may get it; the trainer is first
        ends = select.poll()
        for descriptor in (sys.stdin.fileno(), lives):
            ends.register(descriptor, 0)  # reports only that the other side is closed
        if lives not in dict(ends.poll()):
            ends.unregister(sys.stdin.fileno())
            if not ends.poll(PATIENCE * 1000) and os.getppid() == trainer:
                os.kill(trainer, signal.SIGKILL)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
