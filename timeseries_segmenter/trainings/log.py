"""What a training tells while it runs and when it has ended."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from timeseries_segmenter.learning.optimisation import Epoch
from timeseries_segmenter.learning.training import Fitted, Recipe
from timeseries_segmenter.segment import label_set_name
from timeseries_segmenter.trainings.job import Progress, Step

logger = logging.getLogger(__name__)

PROGRESS_INTERVAL = 0.5  # seconds


class ShownProgress:
    """Passes epochs on, but no more often than somebody can read them."""

    def __init__(self, project: int, show: Callable[[Progress], None]) -> None:
        self._project = project
        self._show = show
        self._shown = 0.0

    def __call__(self, recipe: Recipe, epoch: Epoch) -> None:
        """Log an epoch, and show it if the last one that was shown is old enough."""
        scores = epoch.scores
        logger.debug(
            "project %d: epoch %d, loss %.4f, balanced accuracy %.3f, worst F1 %.3f",
            self._project,
            epoch.number,
            epoch.loss,
            scores.balanced_accuracy,
            scores.min_f1,
        )
        if time.monotonic() - self._shown >= PROGRESS_INTERVAL:
            self._shown = time.monotonic()
            self._show(
                Progress(
                    epoch=epoch.number,
                    epochs=recipe.epochs,
                    loss=epoch.loss,
                    balanced_accuracy=scores.balanced_accuracy,
                    min_f1=scores.min_f1,
                )
            )


class ShownStep:
    """Passes a step on when it begins."""

    def __init__(self, show: Callable[[Step], None]) -> None:
        self._show = show
        self._step: Step | None = None

    def __call__(self, step: Step) -> None:
        """Told as often as anybody likes."""
        if step is not self._step:
            self._step = step
            self._show(step)


def log_step(project: int, step: str, outcome: str, seconds: float, **about: str) -> None:
    """A step of a training ended."""
    logger.info(
        "project %d: %s: %s in %.2f s",
        project,
        step,
        outcome,
        seconds,
        extra={"project": project, "step": step, "seconds": round(seconds, 4)} | about,
    )


def log_news(project: int, what: str, sentences: Sequence[str], known: Sequence[str] | None = None) -> None:
    """Sentences about tasks, each once: those that were `known` to the version before are only counted."""
    new = [sentence for sentence in sentences if sentence not in set(known or ())]
    for sentence in new:
        logger.warning("project %d: %s: %s", project, what, sentence, extra={"project": project})
    if len(new) < len(sentences):
        logger.info("project %d: %s as before: %d", project, what, len(sentences) - len(new))


def log_training(project: int, version: str, tasks: int, seconds: float) -> None:
    """A training made a model."""
    logger.info(
        "project %d: model %s from %d tasks in %.1f s",
        project,
        version,
        tasks,
        seconds,
        extra={"project": project, "version": version, "seconds": round(seconds, 4)},
    )


def log_fitted(
    project: int, version: str, pair: str, fitted: Fitted, held_out: Mapping[str, Any] | None
) -> None:
    """A pair's network was fitted; figures on the tasks that it was trained on, and on held-out ones."""
    names = fitted.segmenter.class_names
    f1 = ", ".join(f"{name} {score:.3f}" for name, score in zip(names, fitted.scores.f1, strict=True))
    logger.info(
        "project %d: model %s, %s: %d epochs%s; on the training series: balanced accuracy %.3f, F1 %s",
        project,
        version,
        pair,
        fitted.epochs,
        " on top of the model before" if fitted.continued else "",
        fitted.scores.balanced_accuracy,
        f1,
        extra={"project": project, "version": version},
    )
    if held_out:
        logger.info(
            "project %d: model %s, %s: on held-out series: balanced accuracy %.3f, macro F1 %.3f",
            project,
            version,
            pair,
            held_out["balanced_accuracy"],
            held_out["macro_f1"],
            extra={"project": project, "version": version},
        )
    if not fitted.thresholds_met:
        logger.warning(
            "project %d: the thresholds were not met on the training tasks; look for contradicting regions, "
            "or raise TRAIN_EPOCHS",
            project,
        )
    for labels in fitted.unlearned:
        logger.warning(
            "project %d: no region with the label %s yet; it can't be predicted",
            project,
            label_set_name(labels),
        )
