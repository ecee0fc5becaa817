"""Tasks that a training run has to leave out, and whether another try may read them."""

from collections.abc import Iterable
from dataclasses import dataclass

from timeseries_segmenter.project.task import TaskId
from timeseries_segmenter.words import counted

MOST_NAMED = 3  # tasks in one message


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A task that can't be learned from: why, for which pairs, and whether that may pass by itself."""

    task: TaskId
    reason: str
    pairs: tuple[str, ...]
    passing: bool


def reasons(left_out: Iterable[LeftOut]) -> list[str]:
    """Why tasks are left out, a sentence each."""
    return [each.reason for each in left_out]


def lacking(left_out: Iterable[LeftOut]) -> set[tuple[TaskId, str]]:
    """Tasks that are left out, each with a pair that it is left out of."""
    return {(each.task, pair) for each in left_out for pair in each.pairs}


def why_away(left_out: Iterable[LeftOut]) -> str:
    """Why tasks may be read later; empty where none may."""
    passing = [each.reason for each in left_out if each.passing]
    if not passing:
        return ""
    return (
        f"{counted(len(passing), 'annotated task')} can't be read for now: {' '.join(passing[:MOST_NAMED])}"
    )
