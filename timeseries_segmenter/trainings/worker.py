"""The process that trains: takes queued jobs, one at a time, until the service that started it ends.

Started by `WorkerProcess` with the settings on standard input. Of several workers over one
MODEL_DIR one trains; the others wait to take its place.
"""

import logging
import os
import signal
import sys
import time

from timeseries_segmenter.logs import configure_logging
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.end_with_service import end_with_service
from timeseries_segmenter.trainings.known_projects import KnownProjects
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.runner import JobRunner

logger = logging.getLogger("timeseries_segmenter.trainings.worker")  # it runs as __main__

POLL = 0.2  # seconds
LOOK = 3.0  # seconds between two looks for interrupted jobs, and for the order in which projects wait
PAUSE = 10.0  # seconds before a project is tried again whose files failed
NICENESS = 5  # predictions come first


def main() -> None:
    """Train until standard input closes or SIGTERM comes; a running training is put back then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; the service decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    settings = Settings.model_validate_json(sys.stdin.readline())
    end_with_service()
    configure_logging(settings)
    os.nice(NICENESS)
    states = JobQueue(settings.model_dir)
    tell = OnceLogger(logger)
    while True:
        try:
            with states.only_trainer():
                tell.forget(states)
                known = KnownProjects(settings, states)
                _train_until_told_to_end(JobRunner(settings, states), states, known)
                return
        except OSError as error:
            tell(states, f"MODEL_DIR can't be used: {error}; trainings wait")
            time.sleep(PAUSE)


def _train_until_told_to_end(runner: JobRunner, states: JobQueue, known: KnownProjects) -> None:
    tell = OnceLogger(logger)
    rests: dict[int, float] = {}  # until when, by project
    taken_up = -LOOK
    while True:
        looked = time.monotonic()
        if looked - taken_up >= LOOK:
            states.take_up()
            taken_up = looked
        for project in known.first(states.waiting()):
            if time.monotonic() < rests.get(project, 0):
                continue
            try:
                if not runner.run(project):
                    return
            except OSError as error:  # others go on
                tell(project, f"project {project} waits, since MODEL_DIR can't be used: {error}")
                rests[project] = time.monotonic() + PAUSE
            else:
                tell.forget(project)
            if time.monotonic() - looked > LOOK:
                break  # one that is known may have come meanwhile
        time.sleep(POLL)


if __name__ == "__main__":
    main()
