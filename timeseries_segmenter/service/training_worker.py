"""The process that trains: takes queued jobs, one at a time, until the service that started it ends.

Started by `WorkerProcess` with the settings on standard input. Of several workers over one
MODEL_DIR one trains; the others wait to take its place.
"""

import logging
import os
import signal
import sys
import threading
import time

from timeseries_segmenter.service.files import file_lock, make_folder
from timeseries_segmenter.service.job_runner import JobRunner
from timeseries_segmenter.service.known_projects import KnownProjects
from timeseries_segmenter.service.logs import configure_logging
from timeseries_segmenter.service.training_state import TrainingStates
from timeseries_segmenter.settings import Settings

logger = logging.getLogger("timeseries_segmenter.service.training_worker")  # it runs as __main__

POLL = 0.2  # seconds
LOOK = 3.0  # seconds after which the order in which projects wait is made anew
PAUSE = 10.0  # seconds before a disk that failed is tried again
PATIENCE = 20.0  # seconds for a training to end by itself once the service has ended
NICENESS = 5  # predictions come first


def main() -> None:
    """Train until standard input closes or SIGTERM comes; a running training is put back then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; the service decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    settings = Settings.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_service, daemon=True).start()
    configure_logging(settings)
    os.nice(NICENESS)
    states = TrainingStates(settings.model_dir)
    make_folder(states.folder)
    with file_lock(states.folder / "worker.lock", poll_interval=POLL):
        while True:
            try:
                states.resume_interrupted()
                known = KnownProjects(settings, states)
                if not _train_until_told_to_end(JobRunner(settings, states), states, known):
                    return
            except OSError as error:
                logger.error("MODEL_DIR can't be used: %s; trainings wait", error)
                time.sleep(PAUSE)


def _train_until_told_to_end(runner: JobRunner, states: TrainingStates, known: KnownProjects) -> bool:
    while True:
        looked = time.monotonic()
        for project in known.first(states.waiting()):
            if not runner.run(project):
                return False
            if time.monotonic() - looked > LOOK:
                break  # one that is known may have come meanwhile
        time.sleep(POLL)


def _end_with_service() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)  # its job is taken up at the next start all the same


if __name__ == "__main__":
    main()
