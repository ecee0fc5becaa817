"""How good a version of a model is, in three figures, whatever it was measured on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

OVERLAP = "50"  # percent; the segment F1 that is shown


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over the pairs of a model, between 0 and 1; None where a figure was not measured.

    `held_out` tells that they come from series that the network had not seen; they are those of the
    training series otherwise.
    """

    held_out: bool
    macro_f1: float | None
    segment_f1: float | None
    point_f1: float | None

    @property
    def measured_on(self) -> str:
        """In words."""
        return "held-out series" if self.held_out else "training series"


def quality(metadata: Mapping[str, Any]) -> Quality | None:
    """The quality that a version's metadata tells, also that of versions before there were pairs.

    Held-out figures where every pair has them: the two kinds are never averaged.
    """
    pairs = [pair for pair in _mapping(metadata.get("pairs")).values() if isinstance(pair, Mapping)]
    held_out = [_mapping(pair.get("held_out")) for pair in pairs]
    if pairs and all(held_out):
        return _mean(held_out, True)
    figures = [_mapping(pair.get("training")) for pair in pairs] or [_mapping(metadata.get("metrics"))]
    return _mean(figures, False) if any(figures) else None


def _mean(figures: list[Mapping[str, Any]], held_out: bool) -> Quality:
    return Quality(
        held_out,
        _mean_number([each.get("macro_f1") for each in figures]),
        _mean_number([_mapping(each.get("segment_f1")).get(OVERLAP) for each in figures]),
        _mean_number([each.get("point_f1") for each in figures]),
    )


def _mean_number(values: list[Any]) -> float | None:
    numbers = [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]
    return fmean(numbers) if numbers else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
