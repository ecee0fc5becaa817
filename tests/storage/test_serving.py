from collections.abc import Callable
from typing import Any

import pytest

from tests.support import recorded
from tests.support.foreign_models import raise_format
from tests.support.models import PAIR, of_one_pair
from tests.support.need import need
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import PairCard
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.storage.serving import Serving

CONFIG = recorded.body("predict_json_inline")["label_config"]
LENDER, HERE, CHOSEN = 47, 48, 51  # for the last, a person chose the first

Save = Callable[..., str]


def starting(project: int = LENDER, config: str = CONFIG) -> LabelConfig:
    return parse_label_config(config.replace('toName="ts">', f'toName="ts" model_start="project:{project}">'))


@pytest.fixture
def store(settings: Settings) -> ModelStore:
    return ModelStore(settings)


@pytest.fixture
def serving(store: ModelStore) -> Serving:
    return Serving(store, {CHOSEN: LENDER}.get)


@pytest.fixture
def save(store: ModelStore, run_walk: Segmenter) -> Save:
    def saved(project: int, **card: Any) -> str:
        known = {"label_config": CONFIG, "pairs": {PAIR: PairCard()}} | card
        return store.save(project, of_one_pair(run_walk, **known))

    return saved


def test_the_other_projects_model_serves_and_its_newest_version_always(serving: Serving, save: Save) -> None:
    for _ in range(2):
        version = save(LENDER)
        assert serving.version(HERE, starting()) == version
        assert need(serving.load(HERE, starting())).version == version
        assert need(serving.start(HERE, starting())).version == version


def test_the_own_model_takes_its_place_and_without_a_start_there_is_none(
    serving: Serving, save: Save
) -> None:
    save(LENDER)
    assert serving.version(HERE, parse_label_config(CONFIG)) == "untrained"
    assert serving.load(HERE, parse_label_config(CONFIG)) is None
    own = save(HERE)
    assert serving.start(HERE, starting()) is None
    assert serving.version(HERE, starting()) == own
    assert need(serving.load(HERE, starting())).version == own


def test_an_own_model_that_cannot_be_read_now_is_not_replaced(
    serving: Serving, store: ModelStore, save: Save
) -> None:
    save(LENDER)
    own = save(HERE)
    for path in (store.path(HERE), store.version_path(HERE, own)):
        raise_format(path)  # a newer release's
    assert serving.start(HERE, starting()) is None
    assert serving.version(HERE, starting()) == "untrained"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (starting(HERE), "names the project itself"),
        (starting(99), "has no model of its own"),
        (starting(config=CONFIG.replace("Walk", "Sit")), "knows the label Walk, which label:ts lacks"),
    ],
)
def test_what_can_not_serve_is_said_once(
    serving: Serving, save: Save, caplog: pytest.LogCaptureFixture, config: LabelConfig, reason: str
) -> None:
    save(LENDER)
    for _ in range(3):
        assert serving.version(HERE, config) == "untrained"
        assert serving.load(HERE, config) is None
    assert reason in need(serving.start(HERE, config)).problem
    assert caplog.text.count(reason) == 1
    assert f"project {HERE}" in caplog.text


def test_two_that_start_from_each_other_or_a_borrower_lend_nothing(serving: Serving, save: Save) -> None:
    assert "no model" in need(serving.start(HERE, starting())).problem
    assert "no model" in need(serving.start(LENDER, starting(HERE))).problem
    save(LENDER)
    assert need(serving.start(HERE, starting())).problem == ""
    assert "no model" in need(serving.start(49, starting(HERE))).problem


def test_a_model_that_is_gone_no_longer_serves(serving: Serving, store: ModelStore, save: Save) -> None:
    version = save(LENDER)
    assert serving.version(HERE, starting()) == version
    store.path(LENDER).unlink()
    assert serving.version(HERE, starting()) == "untrained"
    assert serving.load(HERE, starting()) is None


def test_a_start_that_a_person_chose_serves_too(serving: Serving, save: Save) -> None:
    config = parse_label_config(CONFIG)
    assert serving.start(HERE, config) is None
    version = save(LENDER)
    start = need(serving.start(CHOSEN, config))
    assert (start.project, start.version, start.problem, start.chosen) == (LENDER, version, "", True)
    assert serving.version(CHOSEN, config) == version
    assert need(serving.load(CHOSEN, config)).version == version


def test_the_labeling_config_goes_before_what_a_person_chose(serving: Serving, save: Save) -> None:
    save(LENDER)
    other = save(49)
    start = need(serving.start(CHOSEN, starting(49)))
    assert (start.version, start.chosen) == (other, False)


def test_what_was_chosen_and_can_not_serve_says_where_it_was_chosen(serving: Serving, save: Save) -> None:
    config = parse_label_config(CONFIG.replace("Walk", "Sit"))
    assert "no model of its own" in need(serving.start(CHOSEN, config)).problem
    save(LENDER)
    problem = need(serving.start(CHOSEN, config)).problem
    assert problem.startswith(
        f"the start from project {LENDER}, chosen on the dashboard, has no effect: model p"
    )
    assert problem.endswith("or choose another one")
