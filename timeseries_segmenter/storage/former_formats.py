"""Model files of the formats before, as files of today's.

Format 4 had a network alone: no rolling features, forest and landmark. Format 3 had no architecture, and
metadata that were no card: metrics of a pair without classes, and all of the report once more. Format 2 had
one pair, whose name it does not say, with one label a class.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from timeseries_segmenter.learning.opinions.network import ARCHITECTURE
from timeseries_segmenter.project.card import Card, ClassMetrics, Metrics, PairCard

FORMER_FORMATS = (2, 3, 4)
NO_NAME = ""
_OF_SEGMENTER = (
    "dimensions",
    "window",
    "channels",
    "decoding",
    "standardisation",
    "full_training",
    "weights",
)


def upgraded(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a file of a former format in today's form. Raises KeyError, TypeError."""
    if content["format"] == 4:
        return dict(content)
    pairs = content["pairs"] if content["format"] > 2 else {NO_NAME: _unnamed_pair(content)}
    report = {"report": content["report"]} if "report" in content else {}
    card = card_from_metadata(content["metadata"]).dump()
    return {"architecture": ARCHITECTURE, "metadata": card, "pairs": pairs} | report


def card_from_metadata(metadata: Mapping[str, Any]) -> Card:
    """The card of a version by the metadata of former formats; what is odd in them is left out."""
    metrics = metadata.get("metrics")
    pairs = _mapping(metadata.get("pairs") or (metrics and {NO_NAME: {"training": metrics}}))
    known: dict[str, Any] = {
        "pairs": {name: card for name, each in pairs.items() if (card := _pair_card(each))}
    }
    with suppress(KeyError, TypeError, ValueError):
        known["created_at"] = datetime.fromisoformat(metadata["created_at"])
    for field in Card.model_fields.keys() - {"pairs", "created_at"}:
        with suppress(KeyError, ValidationError):
            known[field] = getattr(Card.model_validate({field: metadata[field]}), field)
    return Card(**known)


def _unnamed_pair(content: Mapping[str, Any]) -> dict[str, Any]:
    segmenter = {key: content[key] for key in _OF_SEGMENTER}
    segmenter["label_sets"] = [[label] for label in content["labels"]]
    return {"segmenter": segmenter, "folds": {}}


def _pair_card(pair: Any) -> PairCard | None:
    training, held_out = (_mapping(_mapping(pair).get(key)) for key in ("training", "held_out"))
    learned = {key: training[key] for key in PairCard.model_fields if key in training}
    with suppress(ValidationError):
        return PairCard(
            **learned,
            folds=_mapping(pair).get("folds", {}),
            training=_metrics(training),
            held_out=_metrics(held_out),
        )
    return None


def _metrics(kept: Mapping[str, Any]) -> Metrics | None:
    classes = [
        ClassMetrics(name=name, kind="range" if place else "background", f1=f1)
        for place, (name, f1) in enumerate(_mapping(kept.get("f1")).items())
    ]
    with suppress(ValidationError):
        return Metrics.model_validate({**kept, "classes": classes})
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
