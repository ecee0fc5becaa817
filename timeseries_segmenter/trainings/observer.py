"""Shows a training run in its job while it runs."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from filelock import Timeout

from timeseries_segmenter.learning.observer import Epoch, Observer, Step
from timeseries_segmenter.trainings.job import Candidate, Job, Predicted, Progress
from timeseries_segmenter.trainings.project_trainings import ProjectTrainings

logger = logging.getLogger(__name__)

PROGRESS_INTERVAL = 0.5  # seconds; nobody reads faster


class JobObserver(Observer):
    """Writes each step, the newest epoch, and what a search tries, into the running job that `change` gives.

    What `change` can't lock in time is not shown, which costs nothing.
    """

    def __init__(
        self, project: int, change: Callable[[], AbstractContextManager[tuple[ProjectTrainings, Job]]]
    ) -> None:
        self._project = project
        self._change = change
        self._shown = 0.0

    def on_step(self, step: Step) -> None:
        with suppress(Timeout), self._change() as (_, running):
            running.step = step

    def on_candidate(self, name: str, number: int, most: int) -> None:
        with suppress(Timeout), self._change() as (_, running):
            running.candidate = Candidate(name=name, number=number, most=most)

    def on_predicted(self, predicted: Predicted) -> None:
        """A prediction job got so far."""
        with suppress(Timeout), self._change() as (_, running):
            running.predicted = predicted

    def on_epoch(self, epoch: Epoch) -> None:
        scores = epoch.scores
        logger.debug(
            "project %d: epoch %d, loss %.4f, balanced accuracy %.3f, worst F1 %.3f",
            self._project,
            epoch.number,
            epoch.loss,
            scores.balanced_accuracy,
            scores.min_f1,
        )
        if time.monotonic() - self._shown < PROGRESS_INTERVAL:
            return
        self._shown = time.monotonic()
        with suppress(Timeout), self._change() as (_, running):
            running.progress = Progress(
                epoch=epoch.number,
                epochs=epoch.most,
                loss=epoch.loss,
                balanced_accuracy=scores.balanced_accuracy,
                min_f1=scores.min_f1,
            )
