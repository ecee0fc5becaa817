"""One process beside the web server that trains, kept alive while there is work."""

import itertools
import json
import logging
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from timeseries_segmenter.service.training_state import TrainingStates, worker_name
from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 60  # seconds before a worker is started again that keeps dying
PACKAGE_ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """The worker lives as long as this process; one that dies is replaced when there is work."""

    def __init__(self, settings: Settings, states: TrainingStates) -> None:
        self._settings = settings
        self._states = states
        self._lock = threading.Lock()
        self._supervisor: threading.Thread | None = None

    def wake(self, project: int) -> None:  # noqa: ARG002  it looks for all that wait
        """Have the project's queued job run."""
        with self._lock:
            if self._supervisor is None or not self._supervisor.is_alive():
                self._supervisor = threading.Thread(target=self._supervise, name="training", daemon=True)
                self._supervisor.start()

    def check(self) -> None:
        """Nothing that could be out of reach."""

    def _supervise(self) -> None:
        """Run workers until one dies without work left; the next job starts another."""
        for deaths in itertools.count(1):
            with subprocess.Popen(
                [sys.executable, "-m", "timeseries_segmenter.service.training_worker"],
                stdin=subprocess.PIPE,
                bufsize=0,  # closing it has nothing left to write
                cwd=PACKAGE_ROOT,
            ) as worker:
                assert worker.stdin is not None
                # the pipe stays open: the worker ends when it closes, however this process ends
                with suppress(BrokenPipeError):  # it died already; its exit code tells why
                    worker.stdin.write(_dump(self._settings).encode() + b"\n")
                code = worker.wait()
            try:
                self._look_after(worker.pid, code)
            except OSError as error:
                logger.error("MODEL_DIR can't be used: %s; trainings wait", error)
            with self._lock:
                if not self._states.waiting():
                    self._supervisor = None
                    return
            time.sleep(min(LONGEST_PAUSE, 2**deaths))

    def _look_after(self, worker: int, code: int) -> None:
        if code == 0:  # it was told to end, and put its job back
            return
        error = f"the training process died ({_reason(code)}); if it was short of memory, give it more"
        logger.error(error)
        self._states.fail_started(worker_name(worker), error)


def _dump(settings: Settings) -> str:
    values = settings.model_dump(mode="json")
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            values[name] = value.get_secret_value()
        elif isinstance(value, Path):  # the worker runs in another folder
            values[name] = str(value.resolve())
    return json.dumps(values)


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
