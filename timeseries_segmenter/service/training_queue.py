"""When a project is trained: events counted, jobs queued, the worker process kept alive."""

import itertools
import json
import logging
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from timeseries_segmenter.service.training_state import START_TRAINING, Job, TrainingStates, worker_name
from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)

TRAINING_EVENTS = frozenset(
    {
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATION_DELETED",
        "ANNOTATIONS_CREATED",
        "ANNOTATIONS_DELETED",
        START_TRAINING,
    }
)
LONGEST_PAUSE = 60  # seconds before a worker is started again that keeps dying
PACKAGE_ROOT = Path(__file__).parents[2]


class TrainingQueue:
    """Counts a project's events and hands it to the one worker process when it is due.

    The queue is in `MODEL_DIR`, so nothing is lost when this process ends. The worker lives as
    long as this process; one that dies is replaced when there is work.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.states = TrainingStates(settings.model_dir.resolve())
        self._lock = threading.Lock()
        self._supervisor: threading.Thread | None = None

    def count(self, project: int, event: str) -> Job | None:
        """Count an event; returns the queued job once enough have come, at once for START_TRAINING.

        Events that come while a training of the project runs share one job behind it.
        """
        with self.states.change(project) as trainings:
            trainings.updates += 1
            due = event == START_TRAINING or trainings.updates >= self._settings.start_training_each_n_updates
            job = trainings.enqueue(event) if due else None
        if job:
            self._ensure_worker()
        return job

    def resume(self) -> None:
        """Take up what was queued or running when the service last ended."""
        if self.states.waiting() or self.states.interrupted():
            self._ensure_worker()

    def _ensure_worker(self) -> None:
        with self._lock:
            if self._supervisor is None or not self._supervisor.is_alive():
                self._supervisor = threading.Thread(target=self._supervise, name="training", daemon=True)
                self._supervisor.start()

    def _supervise(self) -> None:
        """Run workers until one dies without work left; the next job starts another."""
        for deaths in itertools.count(1):
            with subprocess.Popen(
                [sys.executable, "-m", "timeseries_segmenter.service.training_worker"],
                stdin=subprocess.PIPE,
                cwd=PACKAGE_ROOT,
            ) as worker:
                assert worker.stdin is not None
                # the pipe stays open: the worker ends when it closes, however this process ends
                with suppress(BrokenPipeError):  # it died already; its exit code tells why
                    worker.stdin.write(_dump(self._settings).encode() + b"\n")
                    worker.stdin.flush()
                code = worker.wait()
            error = f"the training process died ({_reason(code)}); if it was short of memory, give it more"
            logger.error(error)
            self.states.fail_started(worker_name(worker.pid), error)
            with self._lock:
                if not self.states.waiting():
                    self._supervisor = None
                    return
            time.sleep(min(LONGEST_PAUSE, 2**deaths))


def _dump(settings: Settings) -> str:
    values = settings.model_dump(mode="json")
    values["label_studio_api_key"] = settings.label_studio_api_key.get_secret_value()
    for name in ("model_dir", "local_files_dir", "cache_dir"):  # the worker runs in another folder
        if values[name] is not None:
            values[name] = str(Path(values[name]).resolve())
    return json.dumps(values)


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
