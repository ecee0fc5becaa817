import pytest

from timeseries_segmenter.learning.metrics import Scores
from timeseries_segmenter.learning.training.schedule import WARMUP, AdaptiveSchedule, PlannedSchedule


def scores(reached: float) -> Scores:
    return Scores(reached, reached, (reached,), reached, reached)


def fall(schedule: AdaptiveSchedule) -> tuple[int | None, int | None]:
    return schedule.falls_from, schedule.ends_at


def test_a_planned_schedule_warms_up_and_falls_to_zero() -> None:
    schedule = PlannedSchedule(0.1, 200)
    rates = [schedule.rate(step) for step in range(1, 201)]
    assert rates[0] == pytest.approx(0.1 / WARMUP)
    assert rates.index(max(rates)) in (WARMUP - 2, WARMUP - 1)
    assert rates[99] == 0.05
    assert rates[-1] == 0


def test_an_adaptive_schedule_falls_once_the_figures_stand_still() -> None:
    schedule = AdaptiveSchedule(0.1, 50_000, lambda _: True)
    for number in range(1, 4):
        schedule.learn(number * 50, scores(number / 4))
    assert schedule.ends_at is None
    schedule.learn(200, scores(0.75))
    assert schedule.ends_at is None  # patience
    schedule.learn(250, scores(0.75))
    assert fall(schedule) == (250, 500)


def test_an_adaptive_schedule_waits_longer_while_the_thresholds_are_not_met() -> None:
    schedule = AdaptiveSchedule(0.1, 50_000, lambda _: False)
    for number in range(1, 9):
        schedule.learn(number * 50, scores(0.5))
    assert schedule.ends_at is None
    schedule.learn(450, scores(0.5))
    assert schedule.ends_at == 900


def test_the_last_step_is_known_from_the_beginning_of_the_fall_on() -> None:
    schedule = AdaptiveSchedule(0.1, 450, lambda _: True)
    assert schedule.last_step == 450
    schedule.learn(100, scores(0.75))
    schedule.learn(180, scores(0.75))
    assert schedule.last_step == 360
    assert PlannedSchedule(0.1, 200).last_step == 200


def test_few_epochs_leave_room_for_the_fall() -> None:
    schedule = AdaptiveSchedule(0.1, 200, lambda _: False)
    schedule.learn(50, scores(0.1))
    assert schedule.ends_at is None
    schedule.learn(100, scores(0.5))
    assert fall(schedule) == (100, 200)
