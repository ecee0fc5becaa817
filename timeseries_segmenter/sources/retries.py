"""Which failed requests are tried again, how often, and for how long."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TypeVar

import tenacity
import urllib3

from timeseries_segmenter.errors import SegmenterError

logger = logging.getLogger(__name__)

T = TypeVar("T")

STATUSES = frozenset({408, 429, 500, 502, 503, 504})  # the ones that may pass by themselves
GIVEN_UP = 30.0  # seconds for which a host that was given up gets one try


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds: tries in all, seconds after which none begins, and the waits between them."""

    tries: int
    seconds: float
    first_wait: float
    longest_wait: float  # whatever a Retry-After says


SHORT = RetryPolicy(tries=3, seconds=5, first_wait=0.3, longest_wait=2)  # Label Studio waits for predictions
ONE_TRY = RetryPolicy(tries=1, seconds=0, first_wait=0, longest_wait=0)  # for what can be done without
LONG = RetryPolicy(tries=8, seconds=60, first_wait=0.5, longest_wait=20)  # nobody waits for a training run


class TemporaryError(Exception):
    """A request that failed in a way that may pass.

    `error` is what to raise if it does not; `retry_after` the header of that name.
    """

    def __init__(self, error: SegmenterError, retry_after: str | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


class Retries:
    """Tries requests with one policy; several threads may share it.

    A host that was given up gets a single try for a while, so that a batch of tasks does not wait
    for each of its files anew.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._given_up: dict[str, float] = {}  # until when, by host

    def run(self, host: str, attempt: Callable[[], T]) -> T:
        """What `attempt` returns, called again if it raises TemporaryError.

        After the last try its error is raised, with their number, marked as passing. Anything else it
        raises is raised at once.
        """
        policy = self._policy
        tries = 1 if monotonic() < self._given_up.get(host, 0) else policy.tries
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TemporaryError),
            stop=tenacity.stop_after_attempt(tries) | tenacity.stop_before_delay(policy.seconds),
            wait=_Wait(policy),
            sleep=sleep,
            before_sleep=_log,
            reraise=True,
        )
        try:
            result = retrying(attempt)
        except TemporaryError as failure:
            self._give_up(host)
            made = retrying.statistics["attempt_number"]
            error = type(failure.error)(f"{failure.error} ({made} {'try' if made == 1 else 'tries'})")
            error.passing = True
            raise error from failure.__cause__
        except Exception:
            self._given_up.pop(host, None)  # it answered
            raise
        self._given_up.pop(host, None)
        return result

    def _give_up(self, host: str) -> None:
        now = monotonic()
        known = {name: until for name, until in list(self._given_up.items()) if until > now}
        self._given_up = known | {host: now + GIVEN_UP}


class _Wait:
    """Exponential with jitter, or what the server asks for if that is longer; never above the longest."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._longest = policy.longest_wait
        self._growing = tenacity.wait_exponential_jitter(
            multiplier=policy.first_wait, max=policy.longest_wait, jitter=policy.first_wait
        )

    def __call__(self, state: tenacity.RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = _seconds(failure.retry_after) if isinstance(failure, TemporaryError) else 0.0
        return min(max(self._growing(state), asked), self._longest)


def _seconds(retry_after: str | None) -> float:
    if not retry_after:
        return 0.0
    try:
        return float(urllib3.Retry().parse_retry_after(retry_after) or 0)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0.0


def _log(state: tenacity.RetryCallState) -> None:
    failure = state.outcome.exception() if state.outcome else None
    logger.info("%s; trying again in %.1f s", failure, state.upcoming_sleep)
