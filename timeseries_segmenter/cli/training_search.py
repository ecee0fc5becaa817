"""`train --search`: a better recipe after a training run, and another run by it."""

import time
from collections.abc import Mapping, Sequence

from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.learning.observer import Observer
from timeseries_segmenter.project.card import RecipeSearch
from timeseries_segmenter.project.labelled_task import LabelledTask
from timeseries_segmenter.project.recipes import recipes, search_recipes
from timeseries_segmenter.project.training import ModelTraining, train_model
from timeseries_segmenter.settings import Settings


def search_and_train(
    training: ModelTraining,
    labelled: Mapping[str, Sequence[LabelledTask]],
    config: LabelConfig,
    settings: Settings,
    observer: Observer,
    searches: Mapping[str, RecipeSearch],
) -> tuple[ModelTraining, dict[str, RecipeSearch], float]:
    """The training, done again if a better recipe is found; what was found by pair, and the search's seconds.

    `searches` are the ones before, by whose recipes the training was done.
    """
    began = time.monotonic()
    found = search_recipes(labelled, config, training.segmenters, settings, observer)
    seconds = time.monotonic() - began
    all_searches = {**searches, **found}
    if recipes(config, settings, all_searches) == recipes(config, settings, searches):
        return training.with_searches(all_searches), found, seconds
    return train_model(labelled, config, settings, None, observer, all_searches), found, seconds
