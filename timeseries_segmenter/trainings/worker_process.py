"""Keeps training processes alive next to the web server while there is work."""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from timeseries_segmenter.errors import QueueError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.places import count_places
from timeseries_segmenter.trainings.queue import JobQueue, worker_name

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 60  # seconds before a worker that keeps dying is started again
STARTED = 20  # seconds; a worker that lives longer has started
PACKAGE_ROOT = Path(__file__).parents[2]


class WorkerProcesses:
    """Starts workers that live as long as this process, and replaces those that die if there is work."""

    def __init__(self, settings: Settings, queue: JobQueue) -> None:
        self._settings = settings
        self._queue = queue
        self._places = count_places(settings)
        self._lock = threading.Lock()
        self._supervisors: list[threading.Thread] = []
        self._problem: str | None = None

    def wake(self, project: int) -> None:
        """Have the project's queued job run."""
        with self._lock:
            self._supervisors = [each for each in self._supervisors if each.is_alive()]
            while len(self._supervisors) < self._places:
                supervisor = threading.Thread(target=self._supervise, name="training", daemon=True)
                try:
                    supervisor.start()
                except RuntimeError as error:  # no thread left; the next look tries again
                    self._problem = f"project {project} waits: no thread can be started ({error})"
                    logger.error("%s", self._problem)
                    return
                self._supervisors.append(supervisor)

    def look_after(self, due: Sequence[int]) -> None:
        """Start workers if jobs are due and fewer processes train than may."""
        if due and self._queue.lacks_trainers(self._places):
            self.wake(due[0])

    def check(self) -> None:
        """Raises QueueError if a worker can't be started."""
        if self._problem:
            raise QueueError(self._problem)

    def _supervise(self) -> None:
        """Run a worker after the other until one dies without work left; the next job starts another."""
        failures = 0
        while True:
            try:
                problem = self._run()
            except OSError as error:
                problem = f"the training process can't be started: {error}; jobs wait"
                logger.error("%s", problem)
            failures = failures + 1 if problem else 0
            self._problem = problem if failures > 1 else None  # once: somebody may have killed it
            with self._lock:
                if not self._queue.queued():
                    self._supervisors.remove(threading.current_thread())
                    self._problem = None
                    return
            time.sleep(min(LONGEST_PAUSE, 2**failures))

    def _run(self) -> str | None:
        """Run a worker to its end; returns why it died if it died before it could train."""
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "timeseries_segmenter.trainings.worker"],
            stdin=subprocess.PIPE,
            bufsize=0,  # closing it has nothing left to write
            cwd=PACKAGE_ROOT,
        ) as worker:
            assert worker.stdin is not None
            # the pipe stays open: the worker ends when it closes, however this process ends
            with suppress(BrokenPipeError):  # it died already; its exit code says why
                worker.stdin.write(_dump(self._settings).encode() + b"\n")
            try:
                code = worker.wait(STARTED)
            except subprocess.TimeoutExpired:
                self._problem = None
                code = worker.wait()
        if code == 0:  # it was asked to end, and put its job back
            return None
        reason = f"the training process died ({_reason(code)}); if it was short of memory, give it more"
        logger.error("%s", reason)
        trained = self._queue.take_up(worker_name(worker.pid), reason)
        return None if trained or time.monotonic() - began > STARTED else reason


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
