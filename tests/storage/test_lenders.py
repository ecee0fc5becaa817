from typing import Any

import pytest

from tests.support import recorded
from tests.support.models import PAIR, of_one_pair
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import PairCard
from timeseries_segmenter.project.outline import Outline, taken_by
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage import lenders
from timeseries_segmenter.storage.lenders import Lenders
from timeseries_segmenter.storage.model_store import ModelStore

CONFIG = recorded.body("predict_json_inline")["label_config"]


def taken(config: str = CONFIG) -> Outline:
    return taken_by(parse_label_config(config))


@pytest.fixture
def store(settings: Settings, run_walk: Segmenter) -> ModelStore:
    """Projects 1 and 3 have models of the labels that are asked for, project 2 of others."""
    store = ModelStore(settings)

    def save(project: int, **card: Any) -> None:
        known = {"label_config": CONFIG, "pairs": {PAIR: PairCard()}, "title": f"Number {project}"} | card
        store.save(project, of_one_pair(run_walk, **known))

    save(1)
    save(2, label_config=CONFIG.replace("Walk", "Sit"))
    save(3)
    return store


def test_projects_whose_models_suit_are_found_for_each_that_has_none(store: ModelStore) -> None:
    asked = {7: taken(), 8: taken(CONFIG.replace("Walk", "Sit")), 9: ()}
    found = Lenders(store).fitting(asked)
    assert {project: [each.project for each in those] for project, those in found.items()} == {
        7: [3, 1],
        8: [2],
    }
    assert [each.summary.title for each in found[7]] == ["Number 3", "Number 1"]
    assert found[7][0].summary.version == store.version(3)


def test_a_model_that_is_retrained_for_other_labels_no_longer_suits(
    store: ModelStore, run_walk: Segmenter
) -> None:
    those = Lenders(store)
    assert len(those.fitting({7: taken()})[7]) == 2
    other = CONFIG.replace("Run", "Jog")
    store.save(3, of_one_pair(run_walk, label_config=other, pairs={PAIR: PairCard()}))
    assert [each.project for each in those.fitting({7: taken()})[7]] == [1]


def test_a_look_that_has_no_time_left_shows_what_is_in_memory(
    settings: Settings, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lenders, "SECONDS", -1.0)
    later = Lenders(ModelStore(settings))  # of another process
    assert later.fitting({7: taken()}) == {7: []}
    assert len(Lenders(store).fitting({7: taken()})[7]) == 2
