import math
from typing import Any

import pytest

from timeseries_segmenter.project.quality import Quality, quality


def figures(macro_f1: Any, segment_f1: Any = None, point_f1: Any = None) -> dict[str, Any]:
    return {"macro_f1": macro_f1, "segment_f1": {"10": 1.0, "50": segment_f1}, "point_f1": point_f1}


def pairs(*of_pairs: tuple[Any, Any]) -> dict[str, Any]:
    return {
        "pairs": {
            f"label{place}:ts": {"training": training, "held_out": held_out}
            for place, (training, held_out) in enumerate(of_pairs)
        }
    }


def test_held_out_figures_count_where_there_are_some():
    found = quality(pairs((figures(0.99, 0.98), figures(0.8, 0.7))))
    assert found == Quality(True, 0.8, 0.7, None)
    assert found.measured_on == "held-out series"


def test_a_model_of_several_pairs_has_their_mean():
    found = quality(pairs((None, figures(0.8, 0.7)), (None, figures(0.6, None, 0.9))))
    assert found is not None
    assert (found.held_out, found.macro_f1, found.segment_f1, found.point_f1) == (
        True,
        pytest.approx(0.7),
        0.7,
        0.9,
    )


def test_held_out_and_training_figures_are_never_averaged():
    found = quality(pairs((figures(0.9), figures(0.5)), (figures(0.7), None)))
    assert found is not None
    assert (found.held_out, found.macro_f1) == (False, pytest.approx(0.8))
    assert found.measured_on == "training series"


def test_a_model_from_before_there_were_pairs_has_its_training_figures():
    assert quality({"metrics": {"measured_on": "training series", "macro_f1": 0.91}}) == Quality(
        False, 0.91, None, None
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"metrics": None},
        {"metrics": {}},
        {"pairs": {}},
        {"pairs": None},
        {"pairs": [1]},
        {"pairs": {"label:ts": None}},
        {"pairs": {"label:ts": {}}},
        {"pairs": {"label:ts": {"training": 5, "held_out": "good"}}},
    ],
)
def test_no_figures_are_no_quality(metadata: dict[str, Any]):
    assert quality(metadata) is None


@pytest.mark.parametrize("odd", [None, math.nan, math.inf, "0.9", [0.9]])
def test_a_figure_that_is_no_number_was_not_measured(odd: Any):
    assert quality(pairs((None, figures(odd, 0.7, odd)))) == Quality(True, None, 0.7, None)
    assert quality({"pairs": {"label:ts": {"held_out": {"macro_f1": 0.5, "segment_f1": odd}}}}) == Quality(
        True, 0.5, None, None
    )
