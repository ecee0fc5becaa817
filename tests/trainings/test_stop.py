import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from tests.support.processes import wait_for
from timeseries_segmenter.trainings import stop as training_stop
from timeseries_segmenter.trainings.stop import STOP, TrainingStopped, stopped_by


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_stop, "POLL", 0.02)
    monkeypatch.setattr(training_stop, "AGAIN", 0.05)


def work(seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1000))


def test_work_goes_on_while_there_is_no_reason_to_stop() -> None:
    looks = []
    with stopped_by(lambda: looks.append(1)):
        wait_for(lambda: len(looks) > 2)


@pytest.mark.parametrize("waiting", [work, time.sleep, threading.Event().wait])
def test_a_reason_stops_work_and_waiting_alike(waiting: Callable[[float], object]) -> None:
    began = time.monotonic()
    with pytest.raises(TrainingStopped) as stopped, stopped_by(lambda: "cancelled"):
        waiting(60)
    assert stopped.value.reason == "cancelled"
    assert time.monotonic() - began < 50  # long before it would have ended by itself


def work_until_sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    work()


def test_sigterm_stops_without_a_reason() -> None:
    with pytest.raises(TrainingStopped) as stopped, stopped_by(lambda: None):
        work_until_sigterm()
    assert stopped.value.reason is None


@pytest.mark.parametrize("asked", [True, False])
def test_a_stop_that_is_lost_is_tried_again(asked: bool) -> None:
    lost = []

    def lose_one() -> None:
        try:
            work_until_sigterm() if asked else work()
        except TrainingStopped as stopped:  # as Python does in a callback of C code
            lost.append(stopped)
        work()

    with pytest.raises(TrainingStopped), stopped_by(lambda: None if asked else "cancelled"):
        lose_one()
    assert len(lost) == 1


def test_what_leaves_out_a_bad_task_does_not_take_a_stop_for_one() -> None:
    def leave_out() -> None:
        try:
            work()
        except Exception:  # noqa: BLE001
            pytest.fail("taken for a failure")

    with pytest.raises(TrainingStopped), stopped_by(lambda: "cancelled"):
        leave_out()


def test_signals_mean_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (STOP, signal.SIGTERM)]
    with stopped_by(lambda: None):
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (STOP, signal.SIGTERM)] == before
    assert not [thread for thread in threading.enumerate() if thread.name == "training-stop"]
