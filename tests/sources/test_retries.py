import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from timeseries_segmenter.errors import DownloadError, LabelStudioError
from timeseries_segmenter.sources import retries
from timeseries_segmenter.sources.retries import LONG, SHORT, Retries, RetryPolicy, TemporaryError

POLICY = RetryPolicy(tries=5, seconds=60, first_wait=1, longest_wait=10)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited for, without waiting for them."""
    waited: list[float] = []
    monkeypatch.setattr(retries, "sleep", waited.append)
    return waited


def failing(times: int, retry_after: str | None = None) -> Callable[[], int]:
    """Fails so often, and then returns how often it was called."""
    calls: list[int] = []

    def attempt() -> int:
        calls.append(1)
        if len(calls) <= times:
            raise TemporaryError(DownloadError("Task 1: no answer"), retry_after) from OSError("reset")
        return len(calls)

    return attempt


def test_what_succeeds_is_not_repeated(waits: list[float]) -> None:
    assert Retries(POLICY).run("host", failing(0)) == 1
    assert waits == []


def test_waits_grow_and_differ(waits: list[float]) -> None:
    assert Retries(POLICY).run("host", failing(4)) == 5
    for wait, least in zip(waits, [1, 2, 4, 8], strict=True):
        assert least <= wait <= least + 1
    assert any(wait != int(wait) for wait in waits)


def test_the_error_of_the_last_try_names_their_number_and_keeps_its_cause(waits: list[float]) -> None:
    with pytest.raises(DownloadError, match=r"^Task 1: no answer \(5 tries\)$") as raised:
        Retries(POLICY).run("host", failing(100))
    assert isinstance(raised.value.__cause__, OSError)
    assert len(waits) == 4


@pytest.mark.parametrize("error", [DownloadError("gone"), LabelStudioError("no token"), KeyError("a bug")])
def test_any_other_error_is_raised_at_once(waits: list[float], error: Exception) -> None:
    def attempt() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        Retries(POLICY).run("host", attempt)
    assert raised.value is error
    assert waits == []


def test_retry_after_is_waited_for_up_to_the_longest_wait(waits: list[float]) -> None:
    Retries(POLICY).run("host", failing(1, "7"))
    Retries(POLICY).run("host", failing(1, "3600"))
    Retries(POLICY).run("host", failing(1, format_datetime(datetime.now(UTC) + timedelta(seconds=8), True)))
    assert waits[:2] == [7, 10]
    assert 6 <= waits[2] <= 8


@pytest.mark.parametrize(
    "header", ["", "soon", "-5", "0", "1e9", "9" * 5000, "Mon, 99 Nov 2026 10:00:00 GMT"]
)
def test_a_retry_after_that_means_nothing_is_passed_over(waits: list[float], header: str) -> None:
    Retries(POLICY).run("host", failing(1, header))
    assert waits[0] <= 10


def test_no_try_begins_after_the_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(retries, "sleep", waited.append)
    with pytest.raises(DownloadError, match=r"\(1 try\)"):
        Retries(RetryPolicy(tries=5, seconds=5, first_wait=6, longest_wait=10)).run("host", failing(100))
    assert waited == []


@pytest.mark.parametrize("policy", [SHORT, LONG])
def test_the_bounds_hold_however_long_a_server_asks_to_wait(waits: list[float], policy: RetryPolicy) -> None:
    with pytest.raises(DownloadError):
        Retries(policy).run("host", failing(100, "100000"))
    assert len(waits) < policy.tries
    assert max(waits) <= policy.longest_wait


def test_a_prediction_tries_twice_more_within_seconds_and_a_training_for_a_minute(waits: list[float]) -> None:
    with pytest.raises(DownloadError, match=r"\(3 tries\)"):
        Retries(SHORT).run("host", failing(100))
    assert sum(waits) < 5
    waits.clear()
    with pytest.raises(DownloadError, match=r"\(8 tries\)"):
        Retries(LONG).run("host", failing(100))
    assert 40 < sum(waits) < 60


@pytest.mark.usefixtures("waits")
def test_a_host_that_was_given_up_gets_one_try_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Retries(POLICY)
    with pytest.raises(DownloadError, match=r"\(5 tries\)"):
        shared.run("host", failing(100))
    with pytest.raises(DownloadError, match=r"\(1 try\)"):
        shared.run("host", failing(1))
    assert shared.run("another", failing(1)) == 2
    assert shared.run("host", failing(0)) == 1
    assert shared.run("host", failing(1)) == 2
    with pytest.raises(DownloadError, match=r"\(5 tries\)"):
        shared.run("host", failing(100))
    later = time.monotonic() + retries.GIVEN_UP
    monkeypatch.setattr(retries, "monotonic", lambda: later)
    assert shared.run("host", failing(1)) == 2


def test_a_try_that_is_made_again_is_one_line_in_the_log(
    waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    Retries(POLICY).run("host", failing(2, "7"))
    assert caplog.messages == ["Task 1: no answer; trying again in 7.0 s"] * 2
    assert waits == [7, 7]
