"""Predictions that follow the model: tasks without annotations, predicted and stored in Label Studio."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile

from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.project.model import UNTRAINED
from timeseries_segmenter.project.prediction import (
    Complaints,
    PairSegmenter,
    PairWindows,
    TaskPrediction,
    pair_segmenters,
    predict_task,
)
from timeseries_segmenter.project.versions import VERSION
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.label_studio import Project as StudioProject
from timeseries_segmenter.sources.patience import Patience
from timeseries_segmenter.sources.stored_predictions import (
    PredictionsClient,
    StoredPrediction,
    UnlabelledTask,
)
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.storage.serving import Serving
from timeseries_segmenter.trainings.annotate_next import LookedAt
from timeseries_segmenter.trainings.job import Predicted
from timeseries_segmenter.trainings.labeling_order import LAST, LabelingOrder
from timeseries_segmenter.trainings.queue import JobQueue

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 20  # tasks whose predictions are stored by one request
SECONDS_AT_ONCE = 3.0  # then what was predicted is stored: somebody may be about to open the first task


class PredictionRun:
    """Predicts projects' tasks with one set of settings.

    What was done is noted nowhere: Label Studio is asked before anything is stored. So a run that was
    interrupted, however hard, goes on where it was, and a task gets one prediction by a version.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._label_studio = PredictionsClient(settings)
        self._series = TaskSeries.from_settings(settings)
        self._store = ModelStore(settings)
        self._serving = Serving(self._store, JobQueue(settings.model_dir).chosen_start)
        self._order = LabelingOrder(settings, self._label_studio, self._series)

    def run(
        self,
        project: int,
        before: Predicted | None = None,
        on_progress: Callable[[Predicted], None] = lambda _: None,
        looked_at: tuple[str, LookedAt] = ("", {}),
    ) -> Predicted:
        """Have the next PREDICT_AFTER_TRAINING tasks without annotations predicted by the served version.

        They are the first by their ids, as the labeling stream gives them. The scores of their predictions
        say in which order they are best annotated, lowest first. `before` is how far an earlier try
        of the job came, `looked_at` what a version has predicted already. The run ends early if
        PREDICT_SECONDS are over, or another version is served. Without a model, predictions hold scores and
        no regions. Raises LabelStudioError, LabelConfigError, ModelFileError, TrainingError, OSError.
        """
        began = time.monotonic()
        studio_project = self._label_studio.project(project)
        label_config = studio_project.label_config
        config = parse_label_config(label_config)
        model = self._serving.load(project, config)
        if model is None:
            return self._order_untrained(project, studio_project, config, on_progress)
        segmenters = pair_segmenters(model, config)
        if not segmenters:
            raise TrainingError(f"{model.version} has learned nothing that the labeling config asks for")
        stored = self._stored(project, model.version)
        spent = before.seconds if before and before.version == model.version else 0.0
        until = began + self._settings.predict_seconds - spent
        reached = Predicted(version=model.version, title=studio_project.title)
        known = looked_at[1] if looked_at[0] == model.version else {}
        scores = self._order.scores(project, label_config, segmenters, model.version, until)
        budget, seen, last = self._settings.predict_after_training, 0, 0
        while seen < budget and time.monotonic() < until:
            tasks, left = self._label_studio.unlabelled_after(project, last, min(MOST_AT_ONCE, budget - seen))
            if not tasks or self._serving.version(project, config) != model.version:
                break
            done, found = self._predict(tasks, segmenters, model.version, until, known)
            if not done:
                break
            readable = {task: each for task, each in found.items() if each.rows}
            stored.store(done, {task: each.scored(scores.get(task, LAST)) for task, each in readable.items()})
            reached = _further(reached, done, found)
            reached.most = min(budget, seen + left)
            reached.seconds = spent + time.monotonic() - began
            seen, last = seen + len(done), done[-1].id
            on_progress(reached)
        _log(project, reached, self._settings.predict_seconds if time.monotonic() >= until else None)
        return reached

    def _order_untrained(
        self,
        project: int,
        studio_project: StudioProject,
        config: LabelConfig,
        on_progress: Callable[[Predicted], None],
    ) -> Predicted:
        """Have the first annotations put in an order: predictions without a region carry the scores."""
        began = time.monotonic()
        pairs = [PairWindows(pair) for pair in config.pairs]
        until = began + self._settings.predict_seconds
        scores = self._order.scores(project, studio_project.label_config, pairs, UNTRAINED, until)
        stored, last = self._stored(project, UNTRAINED), 0
        reached = Predicted(version=UNTRAINED, title=studio_project.title, most=len(scores))
        while reached.tasks < reached.most:
            tasks, _ = self._label_studio.unlabelled_after(project, last, MOST_AT_ONCE)
            if not tasks or self._serving.version(project, config) != UNTRAINED:
                break
            placed = [task for task in tasks if task.id in scores]
            new = [task for task in placed if task.lacks(UNTRAINED)]
            stored.store(placed, {task.id: TaskPrediction([], scores[task.id], 0) for task in new})
            reached.tasks += len(placed)
            reached.seconds = time.monotonic() - began
            last = tasks[-1].id
            on_progress(reached)
        return reached

    def _stored(self, project: int, version: str) -> "_Stored":
        return _Stored(self._label_studio, project, version, _ours(self._store))

    def _predict(
        self,
        tasks: Sequence[UnlabelledTask],
        segmenters: Sequence[PairSegmenter],
        version: str,
        until: float,
        known: LookedAt,
    ) -> tuple[list[UnlabelledTask], dict[int, TaskPrediction]]:
        """The first of the tasks, as many as can be predicted in a moment, and what is predicted of those
        that have no prediction by the version.
        """
        now = time.monotonic()
        lacking = [task for task in tasks if task.lacks(version)]
        found = {task.id: known[task.id].prediction for task in lacking if task.id in known}
        complaints = Complaints(level=logging.DEBUG)  # the last line of each run counts them
        pairs = [each.pair for each in segmenters]
        readable = [{"id": task.id, "data": task.data} for task in lacking if task.id not in found]
        for task, series in self._series.of_tasks(readable, pairs, Patience(until - now)):
            predicted = predict_task(task, segmenters, series, complaints)
            if not predicted.rows and time.monotonic() >= until:
                break  # it was not waited for
            found[task["id"]] = predicted
            if time.monotonic() > min(until, now + SECONDS_AT_ONCE):
                break
        late = {task.id for task in lacking if task.id not in found}
        return list(takewhile(lambda task: task.id not in late, tasks)), found


@dataclass(frozen=True, slots=True)
class _Stored:
    """A project's predictions in Label Studio, of which those by versions that are `ours` may be changed."""

    label_studio: PredictionsClient
    project: int
    version: str
    ours: Callable[[str], bool]

    def store(self, tasks: Sequence[UnlabelledTask], found: Mapping[int, TaskPrediction]) -> None:
        """Store what was found of tasks, each in the place of the newest prediction that we made before.

        Of each task that has a prediction by the version then, our other predictions are removed. What is not
        ours stays, and so does all of tasks that could not be predicted.
        """
        new = {task: each.as_json(self.version) | {"task": task} for task, each in found.items()}
        if added := [new[task.id] for task in tasks if task.id in new and not self._ours(task)]:
            self.label_studio.add(self.project, added)
        for task in tasks:
            ours = self._ours(task)
            if task.id in new and ours:
                self.label_studio.replace(self.project, ours[-1], new[task.id])
                self._remove(ours[:-1])
            elif not task.lacks(self.version):
                first = next(each for each in task.predictions if each.version == self.version)
                self._remove([each for each in ours if each != first])

    def _ours(self, task: UnlabelledTask) -> list[StoredPrediction]:
        return [each for each in task.predictions if self.ours(each.version)]

    def _remove(self, predictions: Sequence[StoredPrediction]) -> None:
        for each in predictions:
            self.label_studio.remove(self.project, each)


def _ours(store: ModelStore) -> Callable[[str], bool]:
    """Whether this service gave a version its name: for the project, or for one that it started from."""
    given = cache(store.given)

    def is_ours(version: str) -> bool:
        named = VERSION.fullmatch(version)
        return version == UNTRAINED or (named is not None and version in given(int(named["project"])))

    return is_ours


def _further(
    reached: Predicted, tasks: Sequence[UnlabelledTask], found: Mapping[int, TaskPrediction]
) -> Predicted:
    """How far a run is after further tasks."""
    unreadable = [each for each in found.values() if not each.rows]
    problems = [problem for each in unreadable for problem in each.problems]
    return reached.model_copy(
        update={
            "tasks": reached.tasks + len(tasks) - len(unreadable),
            "unreadable": reached.unreadable + len(unreadable),
            "reason": reached.reason or next(iter(problems), ""),
        }
    )


def _log(project: int, reached: Predicted, over: float | None) -> None:
    """The one line that a run leaves; `over` are the seconds that it may take, if they are over."""
    ends = [f"PREDICT_SECONDS={over:g} are over"] if over else []
    if reached.unreadable:
        ends.append(f"{reached.unreadable} can't be: {reached.reason}")
    logger.info(
        "project %d: %d of the next %d tasks are predicted by %s, in %.1f s%s",
        project,
        reached.tasks,
        reached.most,
        reached.version,
        reached.seconds,
        "".join(f"; {each}" for each in ends),
        extra={"project": project, "version": reached.version, "seconds": round(reached.seconds, 4)},
    )
