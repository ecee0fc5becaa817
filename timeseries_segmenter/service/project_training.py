"""One project's training: labelled tasks, examples, a fitted segmenter, a saved version."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from timeseries_segmenter.errors import (
    DownloadError,
    LabelStudioError,
    ModelFileError,
    SeriesError,
    TrainingError,
)
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training import Fitted, Recipe, fit
from timeseries_segmenter.service.downloads import Downloader
from timeseries_segmenter.service.label_studio import LabelStudioClient
from timeseries_segmenter.service.labelled_task import LabelledTask
from timeseries_segmenter.service.logs import log_other_pairs
from timeseries_segmenter.service.model_store import ModelStore
from timeseries_segmenter.service.retries import LONG
from timeseries_segmenter.service.task_series import TaskSeries
from timeseries_segmenter.service.training_job import Progress
from timeseries_segmenter.service.training_log import ShownProgress, log_step, log_training
from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The version a training made, and the tasks it had to leave out, each with the reason."""

    version: str
    skipped: list[str]


class ProjectTraining:
    """Trains projects with one set of settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._label_studio = LabelStudioClient(settings, LONG)
        self._series = TaskSeries(Downloader(settings, self._label_studio, studio_policy=LONG))
        self._store = ModelStore(settings)

    def run(self, project: int, show: Callable[[Progress], None], from_scratch: bool = False) -> Outcome:
        """Fetch, learn and save. Raises LabelStudioError, LabelConfigError, TrainingError.

        Training goes on from the project's model where it can, unless `from_scratch`. A task that
        can't be read is left out, and named in the outcome.
        """
        began = time.monotonic()
        label_config = self._label_studio.label_config(project)
        config = parse_label_config(label_config)
        log_other_pairs(project, config)
        examples, tasks, skipped = self._examples(project, config)
        fetched = time.monotonic()
        log_step(project, "fetch", f"{len(tasks)} tasks, {len(skipped)} left out", fetched - began)
        fitted = fit(
            examples,
            config.labels,
            config.channels,
            recipe(self._settings),
            ShownProgress(project, self._settings.train_epochs, show),
            None if from_scratch else self._start(project),
        )
        fitted_at = time.monotonic()
        log_step(project, "fit", f"{fitted.epochs} epochs", fitted_at - fetched)
        metadata = {
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "label_config": label_config,
            "tasks": tasks,
            "skipped": skipped,
            "metrics": metrics(fitted),
            "seconds": {
                "fetching": round(fetched - began, 2),
                "fitting": round(fitted_at - fetched, 2),
            },
        }
        version = self._store.save(project, fitted.segmenter, metadata)
        log_step(project, "save", version, time.monotonic() - fitted_at, version=version)
        log_training(project, version, fitted, len(tasks), time.monotonic() - began)
        return Outcome(version, skipped)

    def _start(self, project: int) -> Segmenter | None:
        if not self._settings.warm_start:
            return None
        try:
            model = self._store.load(project)
        except ModelFileError as error:
            logger.warning("project %d: training starts from scratch: %s", project, error)
            return None
        return model.segmenter if model else None

    def _examples(self, project: int, config: LabelConfig) -> tuple[list[Example], list[int], list[str]]:
        examples: list[Example] = []
        tasks: list[int] = []
        skipped: list[str] = []
        for task in self._label_studio.labelled_tasks(project):
            try:
                labelled = LabelledTask.read(task, config, self._series)
                if labelled:
                    examples.append(labelled.example(config))
                    tasks.append(labelled.task)
            except (SeriesError, DownloadError) as error:
                skipped.append(str(error))
                logger.warning(
                    "project %d: left out of the training: %s",
                    project,
                    error,
                    extra={"project": project, "task": task["id"]},
                )
            except LabelStudioError:
                raise
            except Exception as error:  # one bad task must not cost the training
                skipped.append(f"Task {task['id']}: {type(error).__name__}; see the log")
                logger.exception(
                    "project %d: left out of the training: task %s",
                    project,
                    task["id"],
                    extra={"project": project, "task": task["id"]},
                )
        if not examples:
            raise TrainingError(
                f"no annotated task of project {project} can be learned from"
                + (
                    f"; the first of {len(skipped)}: {skipped[0]}"
                    if skipped
                    else ": annotate and submit at least one"
                )
            )
        return examples, tasks, skipped


def recipe(settings: Settings) -> Recipe:
    """The part of the settings that a training follows."""
    return Recipe(
        epochs=settings.train_epochs,
        sequence_size=settings.sequence_size,
        hidden_size=settings.hidden_size,
        balanced_accuracy_threshold=settings.balanced_accuracy_threshold,
        min_class_f1_threshold=settings.min_class_f1_threshold,
        use_class_weights=settings.use_class_weights,
        seed=settings.random_seed,
    )


def metrics(fitted: Fitted) -> dict[str, Any]:
    """Figures on the training series themselves, as they are saved with the model."""
    names = fitted.segmenter.class_names
    return {
        "measured_on": "training series",
        "epochs": fitted.epochs,
        "continued": fitted.continued,
        "thresholds_met": fitted.thresholds_met,
        "accuracy": fitted.scores.accuracy,
        "balanced_accuracy": fitted.scores.balanced_accuracy,
        "macro_f1": fitted.scores.macro_f1,
        "min_f1": fitted.scores.min_f1,
        "f1": {
            name: None if math.isnan(f1) else f1 for name, f1 in zip(names, fitted.scores.f1, strict=True)
        },
        "unlearned": list(fitted.unlearned),
    }
