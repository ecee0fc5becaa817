"""Whether events can be kept and projects can be trained, found out within milliseconds."""

import os
import shutil
import tempfile
from pathlib import Path

from timeseries_segmenter.errors import QueueError
from timeseries_segmenter.service.training_queue import TrainingQueue
from timeseries_segmenter.settings import Settings

OK = "ok"
ROOM = 1 << 16  # bytes that the state of a project may need
STUCK = 60  # seconds; a training process needs some of them to start


def check_readiness(settings: Settings, queue: TrainingQueue) -> dict[str, str]:
    """For each part `ok`, or what is wrong with it and what to do."""
    return {
        "model_dir": _check_folder(settings.model_dir.absolute()),
        "workers": _check_workers(queue),
        "queue": _check_queue(queue),
    }


def _check_folder(folder: Path) -> str:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest, os.W_OK):
        return f"MODEL_DIR={folder} can't be written"
    try:
        if shutil.disk_usage(nearest).free < ROOM:
            return f"MODEL_DIR={folder} can't be written: the disk is full; give it room"
        if nearest == folder:  # where there is none yet, looking should not make it
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(ROOM))
    except OSError as error:
        return f"MODEL_DIR={folder} can't be written ({error.strerror}): give it room and access rights"
    return OK


def _check_workers(queue: TrainingQueue) -> str:
    try:
        queue.workers.check()
    except QueueError as error:
        return str(error)
    return OK


def _check_queue(queue: TrainingQueue) -> str:
    try:
        overdue = queue.states.overdue(STUCK)
        if not overdue or queue.states.any_trained():
            return OK
    except OSError as error:
        return f"the queue can't be looked through: {error}"
    return (
        f"project {overdue[0]} waits for its training for more than {STUCK} s, and no process trains: "
        "the log says why"
    )
