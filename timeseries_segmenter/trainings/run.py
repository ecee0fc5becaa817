"""One training run of a project: fetch, learn, report, save."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from timeseries_segmenter.errors import (
    TrainingError,
)
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.learning.observer import NOBODY, Observer, Step
from timeseries_segmenter.learning.validation.held_out import LEAST_EXAMPLES
from timeseries_segmenter.project.card import Card, RecipeSearch
from timeseries_segmenter.project.labelled_task import (
    count_tasks,
    shortened,
)
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.prediction import pair_segmenters
from timeseries_segmenter.project.recipes import recipes, search_is_due, search_recipes
from timeseries_segmenter.project.start import falls_behind
from timeseries_segmenter.project.training import ModelTraining, train_model
from timeseries_segmenter.report.builder import reported
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.downloads import Downloader
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.retries import ONE_TRY
from timeseries_segmenter.sources.series_cache import SeriesCache
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.annotate_next import (
    SECONDS,
    LookedAt,
    covering_most,
    look_at,
    stretches_of_most,
)
from timeseries_segmenter.trainings.fetcher import Fetched, Fetcher
from timeseries_segmenter.trainings.log import log_model, log_news, log_step
from timeseries_segmenter.words import counted

logger = logging.getLogger(__name__)


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


class TrainingRun:
    """Trains projects with one set of settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = ModelStore(settings)
        self._fetcher = Fetcher(settings, self._store)

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
        fetched = self._fetcher.fetch(project, observer, from_scratch=from_scratch)
        if only_for_tasks and fetched.before and fetched.lacks_no_less:
            logger.info("project %d: no further task can be read; its model stays", project)
            return Outcome(fetched.before.version, fetched.skipped, is_new=False, away=fetched.away)
        lender = None if from_scratch else fetched.start
        if lender and (untaught := fetched.untaught):
            reason = f"it knows {', '.join(untaught)}, which nobody has annotated here yet"
            return _predicts_on(fetched, lender, reason)
        start = (fetched.before or lender) if self._settings.warm_start and not from_scratch else None
        training = self._train(fetched, start, fetched.newest_searches(searches or {}), observer)
        if lender and (reason := falls_behind(training, lender, fetched.config)):
            return _predicts_on(fetched, lender, reason)
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
        fetched = self._fetcher.fetch(project, observer)
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

    def _searchable(self, fetched: Fetched, training: ModelTraining) -> int:
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

    def _train(
        self,
        fetched: Fetched,
        start: Model | None,
        searches: Mapping[str, RecipeSearch],
        observer: Observer,
    ) -> ModelTraining:
        project, known = fetched.project, fetched.card_before
        log_news(project, "left out of the training", fetched.skipped, known.skipped)
        log_news(project, "learned as far as possible", fetched.remarks, known.remarks)
        what = f"{counted(len(fetched.tasks), 'task')}, {len(fetched.left_out)} left out"
        log_step(project, "fetch", what, fetched.seconds)
        began = time.monotonic()
        try:
            training = train_model(
                fetched.labelled, fetched.config, self._settings, start, observer, searches, fetched.rest
            )
        except TrainingError as error:
            raise _with_those_away(error, fetched.away) from error
        log_news(project, "learned as far as possible", shortened(training.remarks), known.remarks)
        epochs = sum(each.fitted.epochs for each in training.pairs.values())
        folds = sum(map(len, training.folds.values()))
        log_step(project, "fit", counted(epochs, "epoch"), time.monotonic() - began - training.check_seconds)
        log_step(project, "check", f"{folds} folds", training.check_seconds)
        return training

    def _save(self, fetched: Fetched, training: ModelTraining, observer: Observer) -> tuple[str, LookedAt]:
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
            start=_started_from(fetched, training),
            seconds={
                "fetching": round(fetched.seconds, 2),
                "fitting": round(trained - fetched.ended - training.check_seconds, 2),
                "checking": round(training.check_seconds, 2),
            },
        )
        looked_at = self._look_at(project, fetched.config, training)
        annotated, rest = training.annotated_windows()
        unlabelled = covering_most(looked_at, annotated)
        stretches = stretches_of_most(looked_at, annotated, rest)
        before = fetched.before.card if fetched.before else None
        model = reported(training, card, before, unlabelled, stretches)
        reported_at = time.monotonic()
        log_step(
            project, "report", f"{counted(len(unlabelled), 'task')} to annotate next", reported_at - trained
        )
        observer.on_step(Step.SAVING)
        version = self._store.save(project, model)
        log_step(project, "save", version, time.monotonic() - reported_at, version=version)
        log_model(project, version, training, model.card, time.monotonic() - fetched.began)
        return version, looked_at

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


def _predicts_on(fetched: Fetched, lender: Model, reason: str) -> Outcome:
    """What comes of a run after which another project's model still predicts."""
    waits = f"{lender.version} predicts on: {reason}; annotate more, or choose Start Training"
    logger.info("project %d: %s", fetched.project, waits)
    return Outcome(lender.version, [waits, *fetched.skipped], is_new=False, away=fetched.away)


def _started_from(fetched: Fetched, training: ModelTraining) -> str:
    """The version of another project's model that was gone on from; empty for none. Says so in the log."""
    if fetched.start is None:
        return ""
    version = fetched.start.version
    began = [name for name, pair in training.pairs.items() if pair.fitted.warm_started]
    if began:
        logger.info("project %d: %s began with %s", fetched.project, ", ".join(began), version)
        return version
    logger.info(
        "project %d: training began from scratch, not with %s, which no longer predicts",
        fetched.project,
        version,
    )
    return ""


def _with_those_away(error: TrainingError, away: str) -> TrainingError:
    """Why what could be read was not enough; worth another try if some could not be."""
    failure = TrainingError(f"{error}; {away}" if away else str(error))
    failure.passing = bool(away)
    return failure
