import math
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.near import near
from timeseries_segmenter.project.card import (
    Card,
    ClassMetrics,
    Metrics,
    PairCard,
    Quality,
    VersionCorrections,
)


def metrics(macro_f1: float, segment_f1: float | None = None, point_f1: float | None = None) -> Metrics:
    return Metrics(macro_f1=macro_f1, segment_f1={"10": 1.0, "50": segment_f1}, point_f1=point_f1)


def quality(*of_pairs: tuple[Metrics | None, Metrics | None]) -> Quality | None:
    pairs = {
        f"label{place}:ts": PairCard(training=training, held_out=held_out)
        for place, (training, held_out) in enumerate(of_pairs)
    }
    return Card(pairs=pairs).quality


def test_held_out_metrics_count_if_there_are_some() -> None:
    found = quality((metrics(0.99, 0.98), metrics(0.8, 0.7)))
    assert found == Quality(True, 0.8, 0.7, None)
    assert found.measured_on == "held-out series"


def test_a_model_of_several_pairs_has_their_mean() -> None:
    found = quality((None, metrics(0.8, 0.7)), (None, metrics(0.6, None, 0.9)))
    assert found == Quality(True, near(0.7), 0.7, 0.9)


def test_held_out_and_training_metrics_are_never_averaged() -> None:
    found = quality((metrics(0.9), metrics(0.5)), (metrics(0.7), None))
    assert found == Quality(False, near(0.8), None, None)
    assert found.measured_on == "training series"


def test_no_metrics_are_no_quality() -> None:
    assert Card().quality is None
    assert quality((None, None)) is None


def test_the_quality_of_instants_alone_is_that_of_instants_not_of_rows() -> None:
    classes = [
        ClassMetrics(name="background", kind="background", f1=0.99, support=900),
        ClassMetrics(name="N", kind="instant", f1=0.5, support=9),
        ClassMetrics(name="V", kind="instant", f1=0.7, support=3),
        ClassMetrics(name="X", kind="instant", f1=None, support=0),
    ]
    found = quality((None, Metrics(macro_f1=0.2, point_f1=0.55, classes=classes)))
    assert found == Quality(True, near(0.6), None, 0.55)


@pytest.mark.parametrize("odd", [None, math.nan, math.inf, "high"])
def test_a_metric_is_a_number(odd: Any) -> None:
    with pytest.raises(ValidationError):
        Metrics(macro_f1=odd)


def test_a_card_is_plain_data_and_back_the_same() -> None:
    card = Card(version="v1", tasks=[1, "b"], left_out=[(2, "a:b")], pairs={"a:b": PairCard(folds={"1": 0})})
    assert Card.model_validate(card.dump()) == card
    assert card.dump()["left_out"] == [[2, "a:b"]]


def test_the_newest_corrections_are_told_in_a_sentence() -> None:
    first, second = "p6-v1-20261101T080000Z", "p6-v2-20261102T080000Z"
    without = VersionCorrections(version="", annotations=5, seconds=80.4)
    older = VersionCorrections(version=first, annotations=2, regions=4, added=4, seconds=50)
    newer = VersionCorrections(version=second, annotations=12, regions=20, labels=1, ends=4, seconds=31)
    assert Card(corrected=[without, older, newer]).newest_corrections == (
        "0.25 corrections per region in 12 annotations that began as predictions of v2, 31 s each instead "
        "of 80 s without"
    )
    assert Card(corrected=[older]).newest_corrections.endswith("predictions of v1")
    once = VersionCorrections(version=first, annotations=1, regions=4)
    assert Card(corrected=[once]).newest_corrections == (
        "0.00 corrections per region in 1 annotation that began as a prediction of v1"
    )
    assert Card(corrected=[without]).newest_corrections == ""
