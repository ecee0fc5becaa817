"""Recipes that a search tries beside the one that is set, in their order.

Each changes the best recipe so far. What it makes of a recipe must depend on that recipe alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from timeseries_segmenter.learning.training.recipe import Recipe

MOST_STEPS = 2000
LEAST_SEQUENCE, MOST_SEQUENCE = 4, 1000  # timesteps; longer windows make a trial too slow


@dataclass(frozen=True, slots=True)
class Candidate:
    """A change of a recipe, named for people."""

    name: str
    change: Callable[[Recipe], Recipe]


CANDIDATES = (
    Candidate(
        "three times as many steps",
        lambda best: replace(best, steps=min(MOST_STEPS, 3 * best.steps)),
    ),
    Candidate(
        "twice as many timesteps in a window",
        lambda best: replace(best, sequence_size=min(MOST_SEQUENCE, 2 * best.sequence_size)),
    ),
    Candidate(
        "half as many timesteps in a window",
        lambda best: replace(best, sequence_size=max(LEAST_SEQUENCE, best.sequence_size // 2)),
    ),
)
