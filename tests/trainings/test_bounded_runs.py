import logging

import numpy as np
import pytest

from tests.support import recorded
from tests.support.inline import INLINE, TRUTH, settings_for
from tests.support.label_studio_server import LabelStudioServer
from tests.support.models import PAIR
from tests.support.need import need
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.stretches import LEAST_WEIGHT
from timeseries_segmenter.report.saved import load_report
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources import known_tasks
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.storage.version_summary import VersionSummary
from timeseries_segmenter.trainings.fetcher import FROM_SCRATCH
from timeseries_segmenter.trainings.predictions import PredictionRun
from timeseries_segmenter.trainings.run import TrainingRun

ROOM = 4  # tasks
LATER = {"updated_at": "2026-11-22T11:00:00.000000Z"}


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    room = int(ROOM * recorded.ROWS * LEAST_WEIGHT)
    return settings_for(settings, studio, train_epochs=2, max_training_rows=room)


def train(settings: Settings, *, from_scratch: bool = False) -> Model:
    TrainingRun(settings).run(3, from_scratch=from_scratch)
    return need(ModelStore(settings).load(3))


def test_runs_of_a_large_project_take_turns_and_keep_each_task_in_its_fold(
    settings: Settings, studio: LabelStudioServer
) -> None:
    tasks = {studio.add_task(3, INLINE, TRUTH) for _ in range(3 * ROOM)}
    cards = [train(settings).card for _ in range(3)]
    assert [len(card.tasks) for card in cards] == [ROOM] * 3
    assert {task for card in cards for task in card.tasks} == tasks
    assert [card.selection.untaken for card in cards] == [2 * ROOM, ROOM, 0]
    folds = [card.pairs[PAIR].folds for card in cards]
    assert folds[0].items() < folds[1].items() < folds[2].items()
    assert len(folds[2]) == len(tasks)


def test_a_new_annotation_and_a_changed_one_are_learned_from_at_once(
    settings: Settings, studio: LabelStudioServer
) -> None:
    for _ in range(3 * ROOM):
        studio.add_task(3, INLINE, TRUTH)
    first = train(settings).card
    changed = studio.tasks[3][first.tasks.index(first.tasks[0])]
    changed["annotations"][0] |= LATER
    new = studio.add_task(3, INLINE, TRUTH, **LATER)
    assert {changed["id"], new} <= set(train(settings).card.tasks)


def test_a_model_remembers_the_tasks_of_former_runs_until_they_are_gone_or_changed(
    settings: Settings, studio: LabelStudioServer
) -> None:
    tasks = [studio.add_task(3, INLINE, TRUTH) for _ in range(3 * ROOM)]
    first = train(settings).card
    assert remembered(settings) == set(first.tasks)
    card = train(settings, from_scratch=True).card
    assert remembered(settings) == set(tasks)
    deleted, changed = [task for task in tasks if task not in card.tasks][:2]
    studio.delete_task(deleted)
    studio.delete_annotation(changed, 0)
    train(settings)
    assert remembered(settings) == set(tasks) - {deleted, changed}


def test_a_model_of_other_windows_says_that_it_remembers_nothing_of_former_runs(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3 * ROOM):
        studio.add_task(3, INLINE, TRUTH)
    first = train(settings).card
    assert not first.remarks
    caplog.set_level(logging.INFO)
    second = train(settings.model_copy(update={"sequence_size": 2 * settings.sequence_size})).card
    anew = f"what earlier runs remembered of {ROOM} other tasks does not suit this model"
    assert [anew in remark for remark in second.remarks] == [True]
    assert sum(anew in each.getMessage() for each in caplog.records) == 1
    assert remembered(settings) == set(second.tasks)


def remembered(settings: Settings) -> set[int]:
    """The tasks of which the model of the project remembers something."""
    return set(map(int, ModelStore(settings).load_remembered(3)[PAIR].names))


def test_a_run_from_scratch_takes_more_tasks(settings: Settings, studio: LabelStudioServer) -> None:
    for _ in range(3 * ROOM):
        studio.add_task(3, INLINE, TRUTH)
    assert len(train(settings, from_scratch=True).card.tasks) == FROM_SCRATCH * ROOM


def test_log_report_and_dashboard_say_how_many_of_the_annotated_tasks_were_learned_from(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3 * ROOM):
        studio.add_task(3, INLINE, TRUTH)
    with caplog.at_level(logging.INFO):
        model = train(settings)
    said = "learned from 4 of 12 annotated tasks (1,200 rows); the others take turns in later training runs"
    assert said in model.card.learned_from
    assert said in caplog.text
    assert said in load_report(ModelStore(settings).path(3))[1].learned_from
    assert VersionSummary.from_card(model.version, model.card).annotated == 3 * ROOM


def test_a_project_that_fits_says_nothing_of_it(settings: Settings, studio: LabelStudioServer) -> None:
    tasks = [studio.add_task(3, INLINE, TRUTH) for _ in range(ROOM)]
    card = train(settings).card
    assert card.tasks == tasks
    assert card.learned_from == ""
    assert ModelStore(settings).load_remembered(3) == {}
    assert VersionSummary.from_card(card.version, card).annotated == 0


def test_a_run_knows_what_was_corrected_of_tasks_that_were_listed_for_predictions_in_between(
    settings: Settings, studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_tasks, "READ_AGAIN", 2)
    for _ in range(ROOM):
        studio.add_task(3, INLINE, TRUTH)
    studio.clock += 2 * known_tasks.LOOK_BACK
    studio.add_task(3, INLINE, TRUTH)
    studio.add_task(3, INLINE)
    train(settings)
    PredictionRun(settings).run(3)
    (corrected,) = train(settings).card.corrected
    assert corrected.annotations == ROOM + 1


def test_stretches_of_a_long_series_are_one_task_in_folds_and_metrics(
    settings: Settings, studio: LabelStudioServer
) -> None:
    rows = 50 * recorded.ROWS
    values = np.random.default_rng(0).normal(size=rows)
    drawn = [(row, row + 99, "Run") for row in range(0, rows, 300)]
    values[np.arange(rows) % 300 < 100] += 4
    data = {"ts": {"time": list(range(rows)), "value": values.round(3).tolist()}}
    tasks = [studio.add_task(3, data, recorded.regions(*drawn)) for _ in range(3)]
    settings = settings.model_copy(update={"max_training_rows": int(rows * LEAST_WEIGHT)})
    model = train(settings)
    card, pair = model.card, model.card.pairs[PAIR]
    assert card.tasks == tasks
    assert card.selection.cut == 3
    assert 0.8 * rows <= card.selection.rows <= rows
    assert sorted(pair.folds) == sorted(map(str, tasks))
    assert need(pair.held_out).tasks == need(pair.training).tasks == 3
    assert need(pair.held_out).rows == card.selection.rows
    assert "from stretches of 3 long ones" in card.learned_from
    again = train(settings)
    assert again.card.pairs[PAIR].folds == pair.folds
