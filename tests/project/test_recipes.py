import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.learning.recipe import Recipe
from timeseries_segmenter.project.card import RecipeSearch, RecipeTrial
from timeseries_segmenter.project.recipes import recipe, search_is_due
from timeseries_segmenter.settings import Settings

AS_SET = RecipeTrial(name="the recipe that is set", f1=0.7, macro_f1=0.8, seconds=3)


def found(tasks: int = 4, **changes: Any) -> RecipeSearch:
    now = datetime.now(UTC)
    return RecipeSearch(tasks=tasks, searched_at=now, trials=[AS_SET], changes=changes)


def test_a_training_run_follows_the_recipe_that_was_found() -> None:
    settings = Settings(sequence_size=50)
    followed = recipe(
        settings, PairSettings(), found(sequence_size=(50, 100), use_class_weights=(True, False))
    )
    assert followed == Recipe(sequence_size=100, use_class_weights=False)


def test_what_people_set_wins() -> None:
    in_config = PairSettings(sequence_size=50)
    assert recipe(Settings(), in_config, found(sequence_size=(50, 100))).sequence_size == 50
    changed_since = Settings(sequence_size=70)
    assert recipe(changed_since, PairSettings(), found(sequence_size=(50, 100))).sequence_size == 70


def test_what_a_newer_release_found_is_ignored_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    followed = recipe(Settings(), PairSettings(), found(layers=(2, 4), sequence_size=(50, 100)))
    assert followed == Recipe(sequence_size=100)
    assert "['layers'] is of another release" in caplog.text


@pytest.mark.parametrize(
    ("tasks", "last", "due"),
    [(3, None, False), (4, None, True), (4, 4, False), (5, 4, False), (6, 4, True), (15, 10, True)],
)
def test_a_search_is_due_once_there_are_four_tasks_and_again_when_they_have_grown_by_half(
    tasks: int, last: int | None, due: bool
) -> None:
    assert search_is_due(tasks, None if last is None else found(last)) is due


def test_what_came_of_a_search_is_a_sentence() -> None:
    assert found().outcome == "1 recipe tried, nothing better than what is set (F1 0.700 on held-out tasks)"
    better = RecipeTrial(name="longer", f1=0.8, macro_f1=0.8, difference=0.1, noise=0, seconds=3, better=True)
    search = found().model_copy(update={"trials": [AS_SET, better], "not_tried": ["shorter"]})
    assert search.outcome == (
        "2 recipes tried, better: longer (F1 0.800 instead of 0.700 on held-out tasks); no time for: shorter"
    )
