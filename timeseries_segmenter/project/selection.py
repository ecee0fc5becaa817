"""In which order a training run takes a project's annotated tasks, if it can't learn from all of them.

Tasks that are new or were annotated anew alternate with the others. Among both, some of each kind of region
come first, the rarest kind first, and the rest so that any beginning of it has about the share of each kind
that the whole has. Others take turns: those that no run has taken for the longest time come before their
likes.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import TypeVar

from timeseries_segmenter.learning.examples import is_slip
from timeseries_segmenter.project.annotated_task import AnnotatedTask, Kind
from timeseries_segmenter.project.card import Card, Selection
from timeseries_segmenter.project.task import TaskId

T = TypeVar("T")

LEAST_OF_KIND = 12  # tasks with each kind of region: some for each fold of the cross-validation
MOST_RETRIED = 100  # of the tasks that the version before had to leave out, as many as are named


def in_turns(tasks: Sequence[AnnotatedTask], before: Card, seed: int) -> list[AnnotatedTask]:
    """All `tasks` in the order in which the run after the version `before` takes them."""
    turns = _last_runs(before)
    run = before.selection.run + 1
    lacked = {task for task, _ in before.left_out or ()}
    retried = [each for each in tasks if each.id in lacked][:MOST_RETRIED]
    known = {each.id for each in retried}
    shuffled = [each for each in tasks if each.id not in known]
    random.Random(f"{seed} {run}").shuffle(shuffled)
    new = [each for each in shuffled if _is_new(each, turns, before.selection)]
    known |= {each.id for each in new}
    others = sorted(
        (each for each in shuffled if each.id not in known), key=lambda each: turns.get(each.id, 0)
    )  # stable
    slips = _slips(tasks)

    def kinds(each: AnnotatedTask) -> set[Kind]:
        return each.kinds - slips

    pairs = zip_longest(*(spread(each, kinds, seed, run) for each in (new, others)))
    return [*retried, *(each for pair in pairs for each in pair if each)]


def selection_after(
    tasks: Sequence[AnnotatedTask],
    before: Card,
    learned: Iterable[TaskId],
    read: Iterable[TaskId],
) -> Selection:
    """What a run's card says of its choice among `tasks`, those that it `learned` from and those that it
    could `read`, though maybe not learn from; the rest takes its turn later.
    """
    run = before.selection.run + 1
    turns = _last_runs(before)
    last: dict[TaskId, int] = {
        each.id: turns[each.id]
        for each in tasks
        if each.id in turns and not _is_new(each, turns, before.selection)
    }
    last |= dict.fromkeys(read, run)
    of_this = set(learned)
    by_run: dict[int, list[TaskId]] = {}
    for each in tasks:
        if each.id in last and each.id not in of_this:
            by_run.setdefault(last[each.id], []).append(each.id)
    newest = max((each.changed_at for each in tasks), default=-float("inf"))
    return Selection(
        run=run,
        annotated=len(tasks),
        untaken=len(tasks) - len(last),
        until=newest if newest > -float("inf") else None,
        turns=by_run,
    )


def spread(items: Sequence[T], kinds: Callable[[T], Iterable[Kind]], seed: int, run: int) -> list[T]:
    """The items so that each beginning has some of each kind, the rarest first, and then about the share of
    each that all have. Of items with the same kinds, those stay first that are.
    """
    kinds_of = [frozenset(kinds(each)) for each in items]
    counts = Counter(chain.from_iterable(kinds_of))
    rarest = sorted(counts, key=lambda kind: (counts[kind], kind))
    taken = dict.fromkeys(_some_of_each(kinds_of, counts, rarest))
    rank = {kind: place for place, kind in enumerate(rarest)}
    strata: dict[Kind | None, list[int]] = {}
    for place, of_item in enumerate(kinds_of):
        if place not in taken:
            strata.setdefault(min(of_item, key=lambda kind: rank[kind], default=None), []).append(place)
    shares = []
    for kind, places in strata.items():
        begin = random.Random(f"{seed} {run} {kind}").random()
        shares += [((number + begin) / len(places), place) for number, place in enumerate(places)]
    return [items[place] for place in (*taken, *(place for _, place in sorted(shares)))]


def _some_of_each(
    kinds_of: Sequence[frozenset[Kind]], counts: Mapping[Kind, int], rarest: Sequence[Kind]
) -> Iterator[int]:
    """Places of as few items as hold LEAST_OF_KIND of each kind; one of each kind first, then a second."""
    places: dict[Kind, list[int]] = {kind: [] for kind in rarest}
    for place, of_item in enumerate(kinds_of):
        for kind in of_item:
            places[kind].append(place)
    waiting = {kind: iter(each) for kind, each in places.items()}
    taken: set[int] = set()
    held: Counter[Kind] = Counter()
    for least in range(1, LEAST_OF_KIND + 1):
        for kind in rarest:
            if held[kind] >= min(least, counts[kind]):
                continue
            place = next(each for each in waiting[kind] if each not in taken)
            taken.add(place)
            held.update(kinds_of[place])
            yield place


def _is_new(task: AnnotatedTask, turns: Mapping[TaskId, int], selection: Selection) -> bool:
    """Whether a task was annotated, or annotated anew, since the tasks were listed for the version before.

    `turns` are the runs that read each task last.
    """
    if selection.until is None:
        return task.id not in turns
    return task.changed_at > selection.until


def _last_runs(card: Card) -> dict[TaskId, int]:
    """The run that took each task last, as far as the version knows."""
    before = {task: run for run, tasks in card.selection.turns.items() for task in tasks}
    return before | dict.fromkeys(card.tasks, card.selection.run)


def _slips(tasks: Iterable[AnnotatedTask]) -> set[Kind]:
    """The kinds that are not learned: a label's few instants beside many ranges, or the reverse."""
    counts: Counter[Kind] = Counter()
    for each in tasks:
        counts.update(dict(each.regions))
    return {kind for kind, count in counts.items() if is_slip(count, counts[(*kind[:3], not kind[3])])}
