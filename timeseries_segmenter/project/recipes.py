"""The recipe of each pair of tags: what is set, changed by what a search found; and the search itself."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.labeling.targets import annotated_label_sets
from timeseries_segmenter.learning.observer import NOBODY, Observer
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.training.schedule import WARMUP
from timeseries_segmenter.learning.validation.candidates import CANDIDATES
from timeseries_segmenter.learning.validation.cross_validation import assign_folds
from timeseries_segmenter.learning.validation.held_out import LEAST_EXAMPLES
from timeseries_segmenter.learning.validation.search import SearchResult, search
from timeseries_segmenter.project.card import SEARCH_GROWTH, RecipeSearch, RecipeTrial
from timeseries_segmenter.project.labelled_task import LabelledTask, count_tasks, labels_of
from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)

# of the steps of the model's last training from scratch: with fewer, longer training always seems better
TRIAL_SHARE = 1 / 2

_FIELDS = tuple(field.name for field in fields(Recipe))


def recipe(settings: Settings, pair: PairSettings, found: RecipeSearch | None = None) -> Recipe:
    """What a training run follows: what is set, those of the pair first, and what a search `found` better.

    A change counts as long as what it was better than is set, and not by the pair. Fields of a newer
    release are ignored.
    """
    as_set = Recipe(
        epochs=pair.epochs or settings.train_epochs,
        sequence_size=pair.sequence_size or settings.sequence_size,
        hidden_size=pair.hidden_size or settings.hidden_size,
        balanced_accuracy_threshold=settings.balanced_accuracy_threshold,
        min_class_f1_threshold=settings.min_class_f1_threshold,
        use_class_weights=settings.use_class_weights,
        seed=settings.random_seed,
        device=settings.device,
    )
    if found is None:
        return as_set
    if unknown := found.changes.keys() - set(_FIELDS):
        logger.info("of the recipe that was found, %s is of another release, and ignored", sorted(unknown))
    changes: dict[str, Any] = {
        name: better
        for name, (was_set, better) in found.changes.items()
        if name in _FIELDS and name not in _fixed(pair) and getattr(as_set, name) == was_set
    }
    return replace(as_set, **changes)


def recipes(
    config: LabelConfig, settings: Settings, searches: Mapping[str, RecipeSearch]
) -> dict[str, Recipe]:
    """The recipe of each pair, by its last search."""
    return {pair.name: recipe(settings, pair.settings, searches.get(pair.name)) for pair in config.pairs}


def search_is_due(tasks: int, last: RecipeSearch | None) -> bool:
    """Whether it is worth to search with so many annotated tasks of a pair, after the `last` search."""
    return tasks >= (LEAST_EXAMPLES if last is None else SEARCH_GROWTH * last.tasks)


def search_recipes(
    annotated: Mapping[str, Sequence[LabelledTask]],
    config: LabelConfig,
    segmenters: Mapping[str, Segmenter],
    settings: Settings,
    observer: Observer = NOBODY,
) -> dict[str, RecipeSearch]:
    """Search a recipe for each pair that has a segmenter, within SEARCH_SECONDS of the CPU in all.

    A pair with too few annotated tasks is left out, which the log says.
    """
    searched: dict[str, RecipeSearch] = {}
    pairs = [pair for pair in config.pairs if pair.name in segmenters]
    for pair in pairs:
        tasks = annotated[pair.name]
        if count_tasks(tasks) < LEAST_EXAMPLES:
            logger.info("%s: no search with %d of %d tasks", pair.name, count_tasks(tasks), LEAST_EXAMPLES)
            continue
        observer.on_pair(pair.name)
        result = _search_pair(
            pair, tasks, segmenters[pair.name], settings, settings.search_seconds / len(pairs), observer
        )
        searched[pair.name] = _as_card(result, count_tasks(tasks))
    return searched


def _search_pair(
    pair: LabelPair,
    tasks: Sequence[LabelledTask],
    segmenter: Segmenter,
    settings: Settings,
    seconds: float,
    observer: Observer,
) -> SearchResult:
    label_sets = annotated_label_sets(
        [segment for task in tasks for segment in task.segments], labels_of(tasks, pair)
    )
    names = [str(task.task) for task in tasks]
    folds = assign_folds(list(dict.fromkeys(names)), {})
    return search(
        [task.example(label_sets) for task in tasks],
        label_sets,
        pair.channels,
        recipe(settings, pair.settings),
        [folds[name] for name in names],
        max(WARMUP, round(segmenter.full_training.steps * TRIAL_SHARE)),
        seconds,
        CANDIDATES,
        fixed=_fixed(pair.settings),
        observer=observer,
    )


def _fixed(pair: PairSettings) -> set[str]:
    """The fields of the recipe that the labeling config sets."""
    return {name for name in _FIELDS if getattr(pair, name, None) is not None}


def _as_card(result: SearchResult, tasks: int) -> RecipeSearch:
    as_set, best = result.trials[0].recipe, result.best.recipe
    return RecipeSearch(
        tasks=tasks,
        searched_at=datetime.now(UTC).replace(microsecond=0),
        trials=[RecipeTrial.model_validate(trial, from_attributes=True) for trial in result.trials],
        not_tried=list(result.not_tried),
        changes={
            name: (getattr(as_set, name), getattr(best, name))
            for name in _FIELDS
            if getattr(as_set, name) != getattr(best, name)
        },
    )
