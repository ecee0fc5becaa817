from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support import recorded
from timeseries_segmenter.errors import RegionError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.series import Series, read_series
from timeseries_segmenter.project.drawn import Drawn
from timeseries_segmenter.project.evaluation import TOLERANCE
from timeseries_segmenter.segment import Segment

(PAIR,) = parse_label_config(recorded.body("predict_json_inline")["label_config"]).pairs
SERIES = read_series({"time": list(range(100)), "value": np.zeros(100).tolist()}, PAIR, 1)
RUNS = [Segment(10, 19, ("Run",)), Segment(40, 49, ("Run",)), Segment(70, 79, ("Run",))]
WALK = Segment(25, 35, ("Walk",))


def drawn(*regions: tuple[int, int, str], origin: str = "manual") -> Drawn:
    results = [result | {"origin": origin} for result in recorded.regions(*regions)]
    return Drawn(results)


def suggested(what: Drawn, segments: Sequence[Segment], series: Series = SERIES) -> list[Segment]:
    return what.suggested(segments, PAIR, series)


def test_the_rest_of_a_drawn_label_is_suggested_and_no_other_label() -> None:
    assert suggested(drawn((11, 18, "Run")), [RUNS[0], WALK, *RUNS[1:]]) == RUNS[1:]


@pytest.mark.parametrize("rows", [(49, 60), (35, 40), (42, 44), (30, 60)])
def test_what_overlaps_a_drawn_region_is_not_suggested(rows: tuple[int, int]) -> None:
    assert suggested(drawn((*rows, "Run")), RUNS) == [RUNS[0], RUNS[2]]


def test_what_touches_a_drawn_region_is() -> None:
    assert suggested(drawn((50, 60, "Run")), RUNS) == RUNS


def test_an_instant_that_is_drawn_nearby_is_not_suggested_again() -> None:
    beats = [Segment(row, row, ("Run",), instant=True) for row in (10, 50 - TOLERANCE, 51 + TOLERANCE)]
    assert suggested(drawn((50, 50, "Run")), beats) == [beats[0], beats[2]]


def test_a_pair_of_which_nothing_is_drawn_invites_nothing() -> None:
    what = drawn((11, 18, "Run"))
    assert what.invites(PAIR)
    assert not what.invites(replace(PAIR, from_name="other"))
    assert not what.invites(replace(PAIR, to_name="other"))
    assert not drawn().invites(PAIR)


@pytest.mark.parametrize("origin", ["prediction", "prediction-changed"])
def test_after_suggestions_nothing_is_suggested_so_that_what_was_removed_stays_away(origin: str) -> None:
    by_hand = drawn((11, 18, "Run")).results
    others = drawn((40, 49, "Run"), origin=origin).results
    assert not Drawn([*by_hand, *others]).invites(PAIR)


def test_results_that_are_no_regions_of_the_pair_are_passed_over() -> None:
    of_region: Mapping[str, Any] = {"id": "r0", "from_name": "sure", "to_name": "ts", "type": "choices"}
    relation = {"type": "relation", "from_id": "r0", "to_id": "r1"}
    what = Drawn([None, "text", of_region, relation, *drawn((11, 18, "Run")).results])
    assert what.invites(PAIR)
    assert suggested(what, RUNS) == RUNS[1:]


def test_a_region_outside_the_series_is_an_error_that_names_it() -> None:
    with pytest.raises(RegionError, match='Region "r0"'):
        suggested(drawn((200, 210, "Run")), RUNS)


def test_labels_by_another_name_and_thresholds_count_as_in_any_prediction() -> None:
    by_model = [Segment(40, 49, ("Jog",)), Segment(70, 79, ("Run",), score=0.2)]
    pair = replace(
        PAIR,
        other_names=(("Jog", "Run"),),
        settings=PAIR.settings.model_copy(update={"score_threshold": 0.5}),
    )
    assert drawn((11, 18, "Run")).suggested(by_model, pair, SERIES) == [Segment(40, 49, ("Run",))]


def test_a_label_that_means_background_asks_for_nothing() -> None:
    pair = replace(PAIR, background=("Run",))
    assert drawn((11, 18, "Run")).suggested(RUNS, pair, SERIES) == []
