"""One training run of a project: fetch, learn, report, save."""

import logging
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from timeseries_segmenter.errors import (
    DownloadError,
    LabelStudioError,
    ModelFileError,
    SeriesError,
    TrainingError,
)
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.learning.held_out import LEAST_EXAMPLES
from timeseries_segmenter.learning.observer import NOBODY, Observer, Step
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
from timeseries_segmenter.project.prediction import pair_segmenters
from timeseries_segmenter.project.recipes import recipes, search_is_due, search_recipes
from timeseries_segmenter.project.selection import (
    AnnotatedTask,
    annotated_tasks,
    in_turns,
    selection_after,
)
from timeseries_segmenter.project.stretches import Room, Taken, take_tasks
from timeseries_segmenter.project.task import TaskId
from timeseries_segmenter.project.training import ModelTraining, train_model
from timeseries_segmenter.report.builder import reported
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.downloads import Downloader
from timeseries_segmenter.sources.known_tasks import KnownTasks
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.label_studio import Project as StudioProject
from timeseries_segmenter.sources.retries import LONG, ONE_TRY
from timeseries_segmenter.sources.series_cache import SeriesCache
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.annotate_next import SECONDS, LookedAt, look_at, lowest_scores
from timeseries_segmenter.trainings.log import log_model, log_news, log_step

logger = logging.getLogger(__name__)

FROM_SCRATCH = 2  # times as many rows as after an annotation: whoever starts it waits for a better model


@dataclass(frozen=True, slots=True)
class Outcome:
    """The version that a training run made, and the tasks it had to leave out, each with the reason.

    `is_new`: the run made it, else it is the one from before. `away`: why some tasks may be read later;
    empty if none is left out for such a reason. `further_away`: the version before didn't lack all
    of them. `searchable` are the annotated tasks of the largest pair for which a search is due; 0 for none.
    `looked_at` are tasks without annotations that the version predicted already.
    """

    version: str
    skipped: list[str]
    is_new: bool = True
    away: str = ""
    further_away: bool = False
    searchable: int = 0
    looked_at: LookedAt = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """What a search came to for each pair, and the version that it led to; None if nothing was better."""

    searched: dict[str, RecipeSearch]
    version: str | None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The annotated tasks that a run learns from, those that are left out, and `unread` ones, whose turn it
    was not.
    """

    labelled: Mapping[str, Sequence[LabelledTask]]
    left_out: Sequence[LeftOut]
    unread: Set[TaskId]
    selection: Selection


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What a run has to learn from, and the project's model `before` it; `began` and `ended` in seconds.

    `corrected` is what people did with predictions.
    """

    project: int
    title: str
    config_text: str
    config: LabelConfig
    chosen: _Chosen
    corrected: Sequence[VersionCorrections]
    before: Model | None
    began: float
    ended: float

    @property
    def labelled(self) -> Mapping[str, Sequence[LabelledTask]]:
        return self.chosen.labelled

    @property
    def left_out(self) -> Sequence[LeftOut]:
        return self.chosen.left_out

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def tasks(self) -> list[TaskId]:
        return task_ids(self.labelled)

    @property
    def skipped(self) -> list[str]:
        return shortened(reasons(self.left_out))

    @property
    def remarks(self) -> list[str]:
        return shortened([*self.config.unusable, *remarks_on(self.labelled)])

    @property
    def card_before(self) -> Card:
        return self.before.card if self.before else Card()

    def newest_searches(self, others: Mapping[str, RecipeSearch]) -> dict[str, RecipeSearch]:
        """The last search of each pair: that of the model before, or a newer one of `others`."""
        known = self.card_before.searches
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


class TrainingRun:
    """Trains projects with one set of settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._label_studio = LabelStudioClient(settings, LONG)
        self._known_tasks = KnownTasks(settings, self._label_studio)
        downloader = Downloader(settings, self._label_studio, studio_policy=LONG)
        self._series = TaskSeries(downloader, SeriesCache.from_settings(settings))
        self._store = ModelStore(settings)

    def run(
        self,
        project: int,
        observer: Observer = NOBODY,
        *,
        from_scratch: bool = False,
        only_for_tasks: bool = False,
        searches: Mapping[str, RecipeSearch] | None = None,
    ) -> Outcome:
        """Fetch, learn and save. Raises LabelStudioError, LabelConfigError, TrainingError.

        The run is a warm start from the project's model if that suits, unless `from_scratch`, which takes
        more tasks. A task that can't be read is left out, and named in the outcome. `only_for_tasks`: learn
        only if tasks can be read that the project's model lacks. `searches` are those that the project's
        model does not know, because nothing was better.
        """
        fetched = self._fetch(project, observer, from_scratch=from_scratch)
        if only_for_tasks and fetched.before and fetched.lacks_no_less:
            logger.info("project %d: no further task can be read; its model stays", project)
            return Outcome(fetched.before.version, fetched.skipped, is_new=False, away=fetched.away)
        start = fetched.before if self._settings.warm_start and not from_scratch else None
        training = self._train(fetched, start, fetched.newest_searches(searches or {}), observer)
        version, looked_at = self._save(fetched, training, observer)
        return Outcome(
            version,
            fetched.skipped,
            away=fetched.away,
            further_away=fetched.further_away,
            searchable=self._searchable(fetched, training),
            looked_at=looked_at,
        )

    def search(
        self,
        project: int,
        observer: Observer = NOBODY,
        searches: Mapping[str, RecipeSearch] | None = None,
    ) -> SearchOutcome:
        """Search for recipes that suit a project's tasks better, and train with them if there are any.

        `searches` are as for `run`. Raises LabelStudioError, LabelConfigError, TrainingError; the latter also
        if another version is served by the time that a new one could be.
        """
        fetched = self._fetch(project, observer)
        config, before, known = fetched.config, fetched.before, fetched.newest_searches(searches or {})
        if before is None:
            raise TrainingError(f"project {project} has no model whose recipe could be improved")
        segmenters = {
            pair.name: segmenter
            for pair in config.pairs
            if (segmenter := before.segmenter(pair, config))
            and self._is_due(count_tasks(fetched.labelled[pair.name]), known.get(pair.name))
        }
        began = time.monotonic()
        found = search_recipes(fetched.labelled, config, segmenters, self._settings, observer)
        for name, each in found.items():
            logger.info("project %d: %s: %s", project, name, each.outcome, extra={"project": project})
        log_step(project, "search", f"{len(found)} pairs", time.monotonic() - began)
        if recipes(config, self._settings, known | found) == recipes(config, self._settings, known):
            return SearchOutcome(found, None)
        training = self._train(fetched, None, known | found, observer)
        if self._store.version(project) != before.version:
            raise TrainingError(f"{before.version} is not served any longer: its better recipe is given up")
        version, _ = self._save(fetched, training, observer)
        return SearchOutcome(found, version)

    def _searchable(self, fetched: _Fetched, training: ModelTraining) -> int:
        """Annotated tasks of the largest pair for which a search is due; 0 for none."""
        if fetched.before is None and self._settings.search_seconds:
            for name, pair in training.pairs.items():
                if count_tasks(pair.tasks) < LEAST_EXAMPLES:
                    logger.info(
                        "project %d: %s: a better recipe is searched for once %d tasks are annotated",
                        fetched.project,
                        name,
                        LEAST_EXAMPLES,
                    )
        tasks = [(count_tasks(pair.tasks), pair.search) for pair in training.pairs.values()]
        return max((count for count, last in tasks if self._is_due(count, last)), default=0)

    def _is_due(self, tasks: int, last: RecipeSearch | None) -> bool:
        return self._settings.search_seconds > 0 and search_is_due(tasks, last)

    def _fetch(self, project: int, observer: Observer, *, from_scratch: bool = False) -> "_Fetched":
        """What a run has to learn from; one from scratch has more, and lists all tasks."""
        began = time.monotonic()
        observer.on_step(Step.FETCHING)
        studio_project = self._project(project)
        config = parse_label_config(studio_project.label_config)
        if remark := config.settings_remark:
            logger.warning("project %d: %s", project, remark)
        before = self._before(project)
        tasks = self._known_tasks.labelled_tasks(project, studio_project.label_config, anew=from_scratch)
        annotated = annotated_tasks(tasks)
        rows = (FROM_SCRATCH if from_scratch else 1) * self._settings.max_training_rows
        chosen = self._choose(project, config, annotated, before.card if before else Card(), rows)
        return _Fetched(
            project=project,
            title=studio_project.title,
            config_text=studio_project.label_config,
            config=config,
            chosen=chosen,
            corrected=count_by_version([each.task for each in annotated], config.pairs),
            before=before,
            began=began,
            ended=time.monotonic(),
        )

    def _choose(
        self, project: int, config: LabelConfig, annotated: Sequence[AnnotatedTask], before: Card, rows: int
    ) -> "_Chosen":
        """The tasks whose turn it is after the version `before`, read, as far as there is room for their
        rows.
        """
        seed = self._settings.random_seed
        ordered = in_turns(annotated, before, seed)
        room = Room(rows, seed, before.selection.run + 1)
        taken, left_out = self._take(project, config, [each.task for each in ordered], room)
        places = {each.id: place for place, each in enumerate(annotated)}
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
        return _Chosen(labelled, left_out, unread, selection.model_copy(update=of_series))

    def _project(self, project: int) -> StudioProject:
        try:
            return self._label_studio.project(project)
        except LabelStudioError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                self._known_tasks.forget(project)
            raise

    def _train(
        self,
        fetched: "_Fetched",
        start: Model | None,
        searches: Mapping[str, RecipeSearch],
        observer: Observer,
    ) -> ModelTraining:
        project, known = fetched.project, fetched.card_before
        log_news(project, "left out of the training", fetched.skipped, known.skipped)
        log_news(project, "learned as far as possible", fetched.remarks, known.remarks)
        what = f"{len(fetched.tasks)} tasks, {len(fetched.left_out)} left out"
        log_step(project, "fetch", what, fetched.seconds)
        began = time.monotonic()
        try:
            training = train_model(
                fetched.labelled, fetched.config, self._settings, start, observer, searches
            )
        except TrainingError as error:
            raise _with_those_away(error, fetched.away) from error
        log_news(project, "learned as far as possible", shortened(training.remarks), known.remarks)
        epochs = sum(each.fitted.epochs for each in training.pairs.values())
        folds = sum(map(len, training.folds.values()))
        log_step(project, "fit", f"{epochs} epochs", time.monotonic() - began - training.check_seconds)
        log_step(project, "check", f"{folds} folds", training.check_seconds)
        return training

    def _save(self, fetched: "_Fetched", training: ModelTraining, observer: Observer) -> tuple[str, LookedAt]:
        """Report what was learned, and make it the project's newest version."""
        trained, project = time.monotonic(), fetched.project
        card = Card(
            project=project,
            title=fetched.title,
            created_at=datetime.now(UTC).replace(microsecond=0),
            label_config=fetched.config_text,
            tasks=fetched.tasks,
            skipped=fetched.skipped,
            left_out=sorted(fetched.lacks, key=str),
            selection=fetched.chosen.selection,
            corrected=list(fetched.corrected),
            remarks=shortened([*fetched.remarks, *training.remarks]),
            seconds={
                "fetching": round(fetched.seconds, 2),
                "fitting": round(trained - fetched.ended - training.check_seconds, 2),
                "checking": round(training.check_seconds, 2),
            },
        )
        looked_at = self._look_at(project, fetched.config, training)
        unlabelled = lowest_scores(looked_at)
        model = reported(training, card, fetched.before.card if fetched.before else None, unlabelled)
        reported_at = time.monotonic()
        log_step(project, "report", f"{len(unlabelled)} tasks to annotate next", reported_at - trained)
        observer.on_step(Step.SAVING)
        version = self._store.save(project, model)
        log_step(project, "save", version, time.monotonic() - reported_at, version=version)
        log_model(project, version, training, model.card, time.monotonic() - fetched.began)
        return version, looked_at

    def _before(self, project: int) -> Model | None:
        """The project's model with its folds, for a warm start."""
        try:
            model = self._store.load(project)
            return replace(model, folds=self._store.load_folds(project)) if model else None
        except ModelFileError as error:
            logger.warning("project %d: training starts from scratch: %s", project, error)
            return None

    def _look_at(self, project: int, config: LabelConfig, training: ModelTraining) -> LookedAt:
        """What the new model predicts of the first tasks without annotations."""
        model = Model(Card(), training.segmenters)
        settings = self._settings.model_copy(
            update={"download_timeout": min(self._settings.download_timeout, SECONDS)}
        )
        label_studio = LabelStudioClient(settings, ONE_TRY, settings.download_timeout)
        downloader = Downloader(settings, label_studio, policy=ONE_TRY)
        series = TaskSeries(downloader, SeriesCache.from_settings(settings))
        return look_at(label_studio.unlabelled_tasks(project), pair_segmenters(model, config), series)

    def _take(
        self, project: int, config: LabelConfig, tasks: Sequence[Mapping[str, Any]], room: Room
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


def _with_those_away(error: TrainingError, away: str) -> TrainingError:
    """Why what could be read was not enough; worth another try if some could not be."""
    failure = TrainingError(f"{error}; {away}" if away else str(error))
    failure.passing = bool(away)
    return failure
