from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from timeseries_segmenter.project.annotated_task import AnnotatedTask
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.selection import (
    LEAST_OF_KIND,
    MOST_RETRIED,
    in_turns,
    selection_after,
)

BEGIN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def region(label: str, *, instant: bool = False) -> dict[str, Any]:
    value = {"start": 5, "end": 5 if instant else 9, "instant": instant, "timeserieslabels": [label]}
    return {"from_name": "label", "to_name": "ts", "type": "timeserieslabels", "value": value}


def task(number: int, *regions: dict[str, Any], minute: int = 0) -> dict[str, Any]:
    changed = (BEGIN + timedelta(minutes=minute)).isoformat()
    annotation = {"id": number * 10, "result": list(regions), "updated_at": changed}
    return {"id": number, "data": {}, "annotations": [annotation]}


def annotated_tasks(listed: Iterable[dict[str, Any]]) -> list[AnnotatedTask]:
    return [each for task in listed if (each := AnnotatedTask.from_task(task))]


def tasks(numbers: Iterable[int], *regions: dict[str, Any]) -> list[AnnotatedTask]:
    return annotated_tasks(task(number, *regions) for number in numbers)


def take(listed: list[AnnotatedTask], before: Card, count: int, seed: int = 0) -> tuple[list[int], Card]:
    """The tasks of a run with room for `count` tasks, and the card of its version."""
    taken = [int(each.id) for each in in_turns(listed, before, seed)[:count]]
    return taken, Card(tasks=sorted(taken), selection=selection_after(listed, before, taken, taken))


def test_each_task_has_its_turn_before_one_has_a_second() -> None:
    listed, card = tasks(range(100), region("Run")), Card()
    seen: list[int] = []
    for _ in range(5):
        taken, card = take(listed, card, 20)
        seen += taken
    assert sorted(seen) == list(range(100))
    assert card.selection.untaken == 0
    assert set(take(listed, card, 20)[0]) == set(seen[:20])  # the next round begins


def test_the_same_run_takes_the_same_tasks_again_and_another_seed_takes_others() -> None:
    listed = tasks(range(100), region("Run"))
    assert take(listed, Card(), 20) == take(listed, Card(), 20)
    assert take(listed, Card(), 20)[0] != take(listed, Card(), 20, seed=1)[0]


def test_new_annotations_and_changed_ones_come_in_the_next_run() -> None:
    listed, card = tasks(range(100), region("Run")), Card()
    for _ in range(5):
        _, card = take(listed, card, 20)
    changed = next(number for number in range(100) if number not in in_next(listed, card))
    listed[changed] = annotated_tasks([task(changed, region("Run"), minute=5)])[0]
    listed += annotated_tasks([task(100, region("Run"), minute=6)])
    taken, card = take(listed, card, 20)
    assert {changed, 100} <= set(taken)
    assert not {changed, 100} & in_next(listed, card)


def in_next(listed: list[AnnotatedTask], card: Card) -> set[int]:
    return set(take(listed, card, 20)[0])


def test_many_new_annotations_leave_half_of_the_room_to_the_others() -> None:
    known = tasks(range(50), region("Run"))
    _, card = take(known, Card(), 50)
    new = annotated_tasks(task(number, region("Run"), minute=5) for number in range(50, 250))
    taken, card = take([*known, *new], card, 40)
    assert sum(number < 50 for number in taken) == 20
    assert card.selection.untaken == 180


def test_every_kind_of_region_is_there_in_each_run_the_rarest_first() -> None:
    listed = [
        *tasks(range(500), region("Run")),
        *tasks(range(500, 530), region("Walk")),
        *tasks([530], region("Run"), region("Fall")),
        *tasks(range(531, 535), region("Beat", instant=True)),
    ]
    card = Card()
    for _ in range(4):
        taken, card = take(listed, card, 60)
        assert 530 in taken[:3]
        assert {531, 532, 533, 534} <= set(taken)
        assert sum(500 <= number < 530 for number in taken) >= LEAST_OF_KIND
        assert sum(number < 500 for number in taken) >= 20


def test_a_slip_of_the_hand_is_no_kind_of_its_own() -> None:
    slip = task(0, *[region("Run")] * 20, region("Run", instant=True))
    listed = [*annotated_tasks([slip]), *tasks(range(1, 200), *[region("Run")] * 20)]
    firsts = {take(listed, Card(), 1, seed)[0][0] for seed in range(20)}
    assert firsts != {0}


def test_the_rest_has_the_share_of_each_kind_that_all_have() -> None:
    listed = [*tasks(range(800), region("Run")), *tasks(range(800, 1000), region("Walk"))]
    taken, _ = take(listed, Card(), 400)
    assert abs(sum(number >= 800 for number in taken) - 80) <= LEAST_OF_KIND


def test_tasks_that_were_left_out_are_tried_again_but_not_all_at_once() -> None:
    listed = tasks(range(1000), region("Run"))
    _, card = take(listed, Card(), 1000)
    card = card.model_copy(update={"left_out": [(number, "label:ts") for number in range(500, 900)]})
    taken, _ = take(listed, card, 300)
    assert taken[:MOST_RETRIED] == list(range(500, 500 + MOST_RETRIED))


def test_a_card_knows_no_tasks_that_are_gone() -> None:
    listed = tasks(range(100), region("Run"))
    _, card = take(listed, Card(), 20)
    _, card = take(listed[:50], card, 20)
    known = {number for numbers in card.selection.turns.values() for number in numbers} | {*card.tasks}
    assert max(map(int, known)) < 50


def test_the_card_says_in_words_what_was_learned_from() -> None:
    listed = tasks(range(1000), region("Run"))
    _, card = take(listed, Card(), 1000)
    assert card.learned_from == ""
    _, card = take(listed, Card(), 40)
    card = card.model_copy(update={"selection": card.selection.model_copy(update={"rows": 40_000})})
    assert card.learned_from == (
        "learned from 40 of 1,000 annotated tasks (40,000 rows); the others take turns in later training "
        "runs, and 960 have not had theirs yet"
    )


def test_a_card_of_a_former_release_counts_its_tasks_as_known() -> None:
    listed = tasks(range(100), region("Run"))
    taken, _ = take(listed, Card(tasks=list(range(90))), 20)
    assert set(range(90, 100)) <= set(taken)
