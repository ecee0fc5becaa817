import pytest

from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.trainings.runner import JobRunner
from timeseries_segmenter.trainings.worker_process import WorkerProcesses


@pytest.fixture
def policy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> TrainingPolicy:
    """One whose events no process answers: what it queues waits for the runner of the test."""
    monkeypatch.setattr(WorkerProcesses, "wake", lambda *_: None)
    return TrainingPolicy(settings)


@pytest.fixture
def runner(settings: Settings, policy: TrainingPolicy) -> JobRunner:
    return JobRunner(settings, policy.queue)
