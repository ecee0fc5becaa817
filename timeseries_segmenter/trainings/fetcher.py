"""What a training run learns from: the project, its annotated tasks with their series, the model before."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import chain
from typing import Any

from timeseries_segmenter.errors import (
    DownloadError,
    LabelStudioError,
    ModelFileError,
    SeriesError,
    TrainingError,
)
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.learning.observer import Observer, Step
from timeseries_segmenter.project.annotated_task import AnnotatedTask
from timeseries_segmenter.project.card import Card, RecipeSearch, Selection, VersionCorrections
from timeseries_segmenter.project.corrections import count_by_version
from timeseries_segmenter.project.labelled_task import (
    LabelledTask,
    count_tasks,
    remarks_on,
    shortened,
    task_ids,
)
from timeseries_segmenter.project.left_out import MOST_NAMED, LeftOut, lacking, reasons, why_away
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.selection import in_turns, selection_after
from timeseries_segmenter.project.start import lent
from timeseries_segmenter.project.stretches import Room, Taken, take_tasks
from timeseries_segmenter.project.task import TaskId
from timeseries_segmenter.project.training import Rest
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.downloads import Downloader
from timeseries_segmenter.sources.known_tasks import KnownTasks
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.label_studio import Project as StudioProject
from timeseries_segmenter.sources.retries import LONG
from timeseries_segmenter.sources.series_cache import SeriesCache
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.storage.serving import Serving
from timeseries_segmenter.trainings.log import log_news
from timeseries_segmenter.trainings.queue import JobQueue

logger = logging.getLogger(__name__)

FROM_SCRATCH = 2  # times as many rows as after an annotation: whoever starts it waits for a better model


@dataclass(frozen=True, slots=True)
class Chosen:
    """The annotated tasks that a run learns from, those that are left out, and `unread` ones, whose turn it
    was not.
    """

    labelled: Mapping[str, Sequence[LabelledTask]]
    left_out: Sequence[LeftOut]
    unread: Set[TaskId]
    selection: Selection


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a run has to learn from, and the project's model `before` it; `began` and `ended` in seconds.

    `corrected` is what people did with predictions. `start` is another project's model, which predicts until
    there is one of the project's own.
    """

    project: int
    title: str
    config_text: str
    config: LabelConfig
    chosen: Chosen
    corrected: Sequence[VersionCorrections]
    before: Model | None
    start: Model | None
    began: float
    ended: float

    @property
    def labelled(self) -> Mapping[str, Sequence[LabelledTask]]:
        """For each pair, the tasks to learn from."""
        return self.chosen.labelled

    @property
    def rest(self) -> Rest | None:
        """The other annotated tasks, if there is no room for all."""
        selection = self.chosen.selection
        if not self.chosen.unread and not selection.cut:
            return None
        return Rest(self.before, {task for tasks in selection.turns.values() for task in tasks})

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """The tasks that can't be learned from, with the reasons."""
        return self.chosen.left_out

    @property
    def seconds(self) -> float:
        """That the fetching took."""
        return self.ended - self.began

    @property
    def tasks(self) -> list[TaskId]:
        """The ids of the tasks to learn from."""
        return task_ids(self.labelled)

    @property
    def skipped(self) -> list[str]:
        """Why tasks are left out, as sentences."""
        return shortened(reasons(self.left_out))

    @property
    def remarks(self) -> list[str]:
        """What can only be learned in part, as sentences."""
        return shortened([*self.config.unusable, *remarks_on(self.labelled)])

    @property
    def card_before(self) -> Card:
        """Of the model before; an empty one if there is none."""
        return self.before.card if self.before else Card()

    @property
    def untaught(self) -> list[str]:
        """The labels that the other project's model knows, and that nobody has annotated here yet."""
        lacking: list[str] = []
        for pair in self.config.pairs:
            segmenter = self.start.segmenter(pair, self.config) if self.start else None
            known = {
                label
                for names in (segmenter.label_sets if segmenter else ())
                for label in pair.label_set(names)
            }
            segments = [segment for task in self.labelled[pair.name] for segment in task.segments]
            annotated = {label for segment in segments for label in segment.labels}
            lacking += [label for label in pair.labels if label in known - annotated]
        return list(dict.fromkeys(lacking))

    def newest_searches(self, others: Mapping[str, RecipeSearch]) -> dict[str, RecipeSearch]:
        """The last search of each pair: that of the model before, or of `start`, or of `others` if newer."""
        known = self.start.card.searches if self.start else self.card_before.searches
        newer = {
            name: each
            for name, each in others.items()
            if name not in known or each.searched_at > known[name].searched_at
        }
        return known | newer

    @property
    def lacks(self) -> set[tuple[TaskId, str]]:
        """Tasks that are left out, each with a pair that it is left out of."""
        return lacking(self.left_out)

    @property
    def lacks_no_less(self) -> bool:
        """Whether all is left out that the version before lacks, of what was tried."""
        lacked = self.card_before.left_out
        return lacked is not None and self.lacks >= {
            each for each in lacked if each[0] not in self.chosen.unread
        }

    @property
    def away(self) -> str:
        """Why some tasks may be read later; empty if none may."""
        return why_away(self.left_out)

    @property
    def further_away(self) -> bool:
        """Whether tasks are away that the version before did not lack."""
        passing = lacking(each for each in self.left_out if each.passing)
        return not passing <= set(self.card_before.left_out or ())


class Fetcher:
    """Fetches what runs with one set of settings learn from."""

    def __init__(self, settings: Settings, store: ModelStore) -> None:
        self._settings = settings
        self._store = store
        self._serving = Serving(store, JobQueue(settings.model_dir).chosen_start)
        self._label_studio = LabelStudioClient(settings, LONG)
        self._known_tasks = KnownTasks(settings, self._label_studio)
        downloader = Downloader(settings, self._label_studio, studio_policy=LONG)
        self._series = TaskSeries(downloader, SeriesCache.from_settings(settings))

    def fetch(self, project: int, observer: Observer, *, from_scratch: bool = False) -> Fetched:
        """What a run has to learn from; one from scratch has more, and lists all tasks.

        Raises LabelStudioError, LabelConfigError, and TrainingError if no task can be learned from.
        """
        began = time.monotonic()
        observer.on_step(Step.FETCHING)
        studio_project = self._project(project)
        config = parse_label_config(studio_project.label_config)
        if remark := config.settings_remark:
            logger.warning("project %d: %s", project, remark)
        before = self._before(project)
        annotated = self._known_tasks.annotated(project, studio_project.label_config, anew=from_scratch)
        rows = (FROM_SCRATCH if from_scratch else 1) * self._settings.max_training_rows
        chosen = self._choose(project, config, annotated, before.card if before else Card(), rows)
        return Fetched(
            project=project,
            title=studio_project.title,
            config_text=studio_project.label_config,
            config=config,
            chosen=chosen,
            corrected=count_by_version(chain.from_iterable(each.corrected for each in annotated)),
            before=before,
            start=None if before else self._start(project, config),
            began=began,
            ended=time.monotonic(),
        )

    def _choose(
        self, project: int, config: LabelConfig, annotated: Sequence[AnnotatedTask], before: Card, rows: int
    ) -> Chosen:
        """The tasks whose turn it is after the version `before`, read, as far as there is room for their
        rows.
        """
        seed = self._settings.random_seed
        ordered = in_turns(annotated, before, seed)
        room = Room(rows, seed, before.selection.run + 1)
        tasks = self._known_tasks.read(project, [each.id for each in ordered])
        taken, left_out = self._take(project, config, tasks, room)
        places: dict[TaskId, int] = {each.id: place for place, each in enumerate(annotated)}
        labelled = {
            name: sorted(tasks, key=lambda each: places[each.task]) for name, tasks in taken.labelled.items()
        }
        away = {each.task for each in left_out if each.passing}
        read = [task for task in taken.read if task not in away]
        selection = selection_after(annotated, before, task_ids(labelled), read)
        learned = [task for tasks in labelled.values() for task in tasks]
        of_series = {
            "rows": sum(len(each.series) for each in learned),
            "cut": count_tasks(each for each in learned if each.whole is not None),
        }
        unread = places.keys() - set(taken.read)
        return Chosen(labelled, left_out, unread, selection.model_copy(update=of_series))

    def _project(self, project: int) -> StudioProject:
        try:
            return self._label_studio.project(project)
        except LabelStudioError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                self._known_tasks.forget(project)
            raise

    def _before(self, project: int) -> Model | None:
        """The project's model with its folds and what it remembers, for a warm start."""
        try:
            model = self._store.load(project)
            if model is None:
                return None
            remembered = self._store.load_remembered(project)
            return replace(model, folds=self._store.load_folds(project), remembered=remembered)
        except ModelFileError as error:
            logger.warning("project %d: training starts from scratch: %s", project, error)
            return None

    def _start(self, project: int, config: LabelConfig) -> Model | None:
        """Another project's model for the first run to start from, if the config or a person names one."""
        try:
            model = self._serving.load_lent(project, config)
            return lent(model, config) if model else None
        except ModelFileError as error:
            logger.warning("project %d: training starts from scratch: %s", project, error)
            return None

    def _take(
        self, project: int, config: LabelConfig, tasks: Iterable[Mapping[str, Any]], room: Room
    ) -> tuple[Taken, list[LeftOut]]:
        """The tasks for which there is room, and why others are left out. Raises TrainingError for none."""
        left_out: list[LeftOut] = []
        # without Label Studio nothing can be read: the run fails, and is tried again
        errors = (SeriesError, DownloadError)
        taken = take_tasks(tasks, config, self._series, errors, left_out.append, room)
        if not any(taken.labelled.values()):
            skipped = reasons(left_out)
            log_news(project, "left out of the training", shortened(skipped))
            failure = TrainingError(
                f"no annotated task of project {project} can be learned from"
                + (
                    f"; the first of {len(skipped)}: {' '.join(skipped[:MOST_NAMED])}"
                    if skipped
                    else ": annotate and submit at least one"
                )
            )
            failure.passing = any(each.passing for each in left_out)
            raise failure
        return taken, left_out
