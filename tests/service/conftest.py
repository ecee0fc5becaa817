import os
from collections.abc import Iterator
from contextlib import suppress

import pytest
from processes import kill, workers

from timeseries_segmenter.service.training_queue import TrainingQueue
from timeseries_segmenter.service.worker_process import WorkerProcess


@pytest.fixture(autouse=True)
def _no_worker_left() -> Iterator[None]:
    """Another test would take a training process that was left for its own."""
    yield
    assert workers(os.getpid()) == []


@pytest.fixture
def endings(_no_worker_left: None) -> Iterator[list[TrainingQueue]]:
    """Ends the workers of queues, and waits until nothing of them is left."""
    queues: list[TrainingQueue] = []
    yield queues
    for queue in queues:
        queue.lookout.stop()
    for queue in queues:
        process = queue.workers
        assert isinstance(process, WorkerProcess)
        while (supervisor := process._supervisor) and supervisor.is_alive():
            for project in queue.states.projects():
                with queue.states.change(project) as trainings:
                    trainings.jobs = []
            for worker in workers(os.getpid()):
                with suppress(ProcessLookupError):
                    kill(worker)
            supervisor.join(0.2)
