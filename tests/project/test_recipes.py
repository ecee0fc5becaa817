import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import levels
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.validation.candidates import Candidate
from timeseries_segmenter.project.card import RecipeSearch, RecipeTrial
from timeseries_segmenter.project.labelled_task import LabelledTask
from timeseries_segmenter.project.recipes import recipe, search_is_due, search_recipes
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.task_series import TaskSeries

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


def test_a_recipe_names_the_device_that_is_set() -> None:
    assert recipe(Settings(device="cpu"), PairSettings()).device == "cpu"


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


def test_a_search_does_not_try_what_the_labeling_config_sets(
    settings: Settings, run_walk: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"search_seconds": 90})
    longer = Candidate("longer", lambda best: replace(best, sequence_size=2 * best.sequence_size))
    monkeypatch.setattr("timeseries_segmenter.project.recipes.CANDIDATES", (longer, levels.MORE_EPOCHS))

    def tried(config_text: str) -> list[str]:
        config = parse_label_config(config_text)
        (pair,) = config.pairs
        tasks = [
            {"id": seed, "data": levels.data(seed), "annotations": [{"id": 1, "result": levels.drawn(seed)}]}
            for seed in range(4)
        ]
        series = TaskSeries.from_settings(settings)
        read = [LabelledTask.read(task, pair, series.of_task(task)) for task in tasks]
        annotated = {pair.name: [each for each in read if each]}
        searched = search_recipes(annotated, config, {pair.name: run_walk}, settings)
        return [trial.name for trial in searched[pair.name].trials[1:]]

    assert tried(levels.CONFIG) == ["longer", "more epochs"]
    fixed = levels.CONFIG.replace("<TimeSeriesLabels ", '<TimeSeriesLabels model_sequence_size="20" ')
    assert tried(fixed) == ["more epochs"]


def test_what_came_of_a_search_is_a_sentence() -> None:
    assert found().outcome == "1 recipe tried, nothing better than what is set (F1 0.700 on held-out tasks)"
    better = RecipeTrial(name="longer", f1=0.8, macro_f1=0.8, difference=0.1, noise=0, seconds=3, better=True)
    search = found().model_copy(update={"trials": [AS_SET, better], "not_tried": ["shorter"]})
    assert search.outcome == (
        "2 recipes tried, better: longer (F1 0.800 instead of 0.700 on held-out tasks); no time for: shorter"
    )
