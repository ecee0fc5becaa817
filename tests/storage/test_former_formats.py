"""Files that releases before wrote, in `tests/data/models`: format 2 of one pair, format 3 with a report,
format 4 with a fold.
"""

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models import DATA, PAIR, unpack_former
from tests.support.near import near
from timeseries_segmenter.cli import main
from timeseries_segmenter.errors import ReportError
from timeseries_segmenter.project.card import Metrics, Quality
from timeseries_segmenter.report.saved import load_report, saved_report
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.former_formats import card_from_metadata
from timeseries_segmenter.storage.model_file import copy_model, load_folds, load_model, read_card
from timeseries_segmenter.storage.model_store import ModelStore

KNOWN: dict[str, Any] = json.loads((DATA / "predicted.json").read_text())


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("copied", [False, True])
def test_a_former_model_predicts_what_it_did(number: int, copied: bool, tmp_path: Path) -> None:
    model, tasks, output = (
        unpack_former(number, tmp_path / "m.pt"),
        tmp_path / "t.json",
        tmp_path / "out.json",
    )
    if copied:
        copy_model(model, tmp_path / "copy.pt", read_card(model))
        model = tmp_path / "copy.pt"
    tasks.write_text(json.dumps([KNOWN["task"]]))
    inputs = ["--config", str(DATA / "config.xml"), "--tasks", str(tasks), "--model", str(model)]
    assert main(["predict", *inputs, "--output", str(output)]) == 0
    (prediction,) = json.loads(output.read_text())[0]["predictions"]
    for region in prediction["result"]:
        del region["id"]
    expected = deepcopy(KNOWN["predictions"][str(number)])
    assert prediction["score"] == pytest.approx(expected.pop("score"), abs=1e-6)
    scores = [[region.pop("score") for region in each["result"]] for each in (prediction, expected)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert expected.items() <= prediction.items()


def test_metadata_of_format_3_are_a_card(tmp_path: Path) -> None:
    card = read_card(unpack_former(3, tmp_path / "m.pt"))
    assert (card.version, card.made_by) == ("p47-v3-20261125T101500Z", "p47-v1-20261124T101500Z")
    assert (card.project, card.title, card.tasks) == (47, "Basic motions", [1, 2])
    assert card.created_at == datetime(2026, 11, 28, 19, 10, 1, tzinfo=UTC)
    assert (card.skipped, card.left_out) == (["Task 4: no file"], [(4, PAIR)])
    assert card.label_config.startswith("<View>")
    pair = card.pairs[PAIR]
    assert (pair.epochs, pair.thresholds_met, pair.folds) == (25, True, {"1": 0, "2": 1})
    assert pair.held_out
    assert (pair.held_out.tasks, pair.held_out.calibration_error) == (2, 0.2935)
    assert {each.name: each.f1 for each in pair.held_out.classes} == {
        "background": 0.9903,
        "Run": 1.0,
        "Walk": 0.9796,
        "Beat": 1.0,
    }
    assert card.quality == Quality(True, 0.9924, 1.0, 1.0)
    assert {name: set(folds) for name, folds in load_folds(tmp_path / "m.pt").items()} == {PAIR: {0, 1}}


def test_a_network_of_format_4_predicts_alone(tmp_path: Path) -> None:
    path = unpack_former(4, tmp_path / "m.pt")
    card = read_card(path)
    assert (card.version, card.tasks) == ("p47-v4-20261126T101500Z", [1, 2, 3, 4])
    assert set(load_folds(path)[PAIR]) == {0}
    segmenter = load_model(path).segmenters[PAIR]
    values = np.array(KNOWN["task"]["data"]["ts"]["x"], np.float32)[:, None]
    of_network, *others = segmenter.opinions(values)
    assert others == [None, None]
    assert (segmenter.probabilities(values) == of_network).all()
    assert (segmenter.rolling, segmenter.decoding.landmark, segmenter.decoding.offset) == (None, None, 0)


def test_metadata_of_format_2_are_a_card(tmp_path: Path) -> None:
    card = read_card(unpack_former(2, tmp_path / "m.pt"))
    assert (card.version, card.left_out) == ("p47-v2-20261125T101500Z", None)
    assert card.quality == Quality(False, near(0.9954, abs=1e-4), None, None)
    assert load_folds(tmp_path / "m.pt") == {"": {}}
    with pytest.raises(ReportError, match="without a report"):
        saved_report(tmp_path / "m.pt")


def test_a_report_of_format_3_is_shown_with_all_that_is_in_it(tmp_path: Path) -> None:
    path = unpack_former(3, tmp_path / "m.pt")
    _, report = load_report(path)
    (pair,) = report.pairs
    assert pair.held_out
    assert [each.support for each in pair.held_out.classes] == [260, 100, 120, 6]
    assert len(pair.held_out.reliability) > 2
    page = saved_report(path)
    assert "p47-v3-20261125T101500Z, restored from p47-v1-20261124T101500Z" in page
    assert "macro F1 0.99 and segment F1@50 1.00" in page


def test_a_former_version_is_served_and_rolled_back_to(settings: Settings) -> None:
    store = ModelStore(settings)
    kept = settings.model_dir / "versions" / "p47-v3-20261125T101500Z.pt"
    kept.parent.mkdir(parents=True)
    store.path(47).write_bytes(unpack_former(3, kept).read_bytes())
    unpack_former(2, kept.with_name("p47-v2-20261125T101500Z.pt"))
    assert store.version(47) == "p47-v3-20261125T101500Z"
    version = store.roll_back(47, "p47-v2-20261125T101500Z")
    assert (store.version(47), version[:7]) == (version, "p47-v4-")
    assert store.card(47, version).restored == "p47-v2-20261125T101500Z"


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"metrics": None},
        {"metrics": {}},
        {"pairs": None},
        {"pairs": [1]},
        {"pairs": {"label:ts": None}},
        {"pairs": {"label:ts": {"training": 5, "held_out": "good"}}},
        {"created_at": "yesterday", "tasks": None, "skipped": None, "title": None, "version": 4},
    ],
)
def test_odd_metadata_are_a_card_of_what_is_known(metadata: dict[str, Any]) -> None:
    card = card_from_metadata({"project": 47, **metadata})
    assert (card.project, card.version, card.created_at, card.tasks, card.quality) == (47, "", None, [], None)


def test_metrics_of_which_little_is_known_are_those() -> None:
    card = card_from_metadata({"pairs": {PAIR: {"held_out": {"macro_f1": 0.5}}}})
    assert card.pairs[PAIR].held_out == Metrics(macro_f1=0.5)
