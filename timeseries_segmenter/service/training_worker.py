"""The process that trains: takes queued jobs, one at a time, until the service that started it ends.

Started by `TrainingQueue` with the settings on standard input. Of several workers over one
MODEL_DIR one trains; the others wait to take its place.
"""

import logging
import os
import signal
import sys
import threading
import time

from filelock import FileLock

from timeseries_segmenter.errors import SegmenterError
from timeseries_segmenter.service.logs import configure_logging
from timeseries_segmenter.service.training_state import Progress, State, TrainingStates, worker_name
from timeseries_segmenter.settings import Settings

logger = logging.getLogger("timeseries_segmenter.service.training_worker")  # it runs as __main__

POLL = 0.2  # seconds
NICENESS = 5  # predictions come first


def main() -> None:
    """Train until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; the service decides
    settings = Settings.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_service, daemon=True).start()
    configure_logging(settings.log_level)
    os.nice(NICENESS)
    states = TrainingStates(settings.model_dir)
    states.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(states.folder / "worker.lock", poll_interval=POLL):
        states.resume_interrupted()
        while True:
            for project in states.waiting():
                run_job(project, settings, states)
            time.sleep(POLL)


def run_job(project: int, settings: Settings, states: TrainingStates) -> None:
    """Train a project that has a queued job, and keep the outcome."""
    # torch is slow to import: a worker that only waits to take another's place does without
    import torch

    from timeseries_segmenter.service.project_training import ProjectTraining

    torch.set_num_threads(1)  # more gain nothing with networks of this size, and slow predictions down
    with states.change(project) as trainings:
        job = trainings.job_in(State.QUEUED)
        if job is None:
            return
        job.start(worker_name(os.getpid()))
    logger.info("project %d: training %s started (%s)", project, job.id, job.event)

    def show(progress: Progress) -> None:
        with states.change(project) as trainings:
            running = trainings.job_in(State.STARTED)
            if running:
                running.progress = progress

    try:
        outcome = ProjectTraining(settings).run(project, show, job.from_scratch)
    except SegmenterError as error:
        reason, outcome = str(error), None
    except Exception as error:  # whatever it is, the queue goes on and says so
        logger.exception("project %d: training %s broke", project, job.id)
        reason, outcome = f"{type(error).__name__}: {error}; see the log", None
    with states.change(project) as trainings:
        ended = trainings.job_in(State.STARTED)
        if ended is None:
            return
        if outcome:
            ended.finish(outcome.version, outcome.skipped)
        else:
            ended.fail(reason)
            logger.error("project %d: training %s failed: %s", project, job.id, reason)


def _end_with_service() -> None:
    sys.stdin.read()
    os._exit(0)  # in the middle of a training: its job is taken up at the next start


if __name__ == "__main__":
    main()
