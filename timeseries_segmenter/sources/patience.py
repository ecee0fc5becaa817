"""How long one request, or one training run, waits for the hosts of its series."""

import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, wait
from time import monotonic
from typing import TypeVar
from urllib.parse import urlsplit

from timeseries_segmenter.errors import OutOfTimeError, PassingDownloadError

T = TypeVar("T")

SLICE = 0.25  # seconds between two looks at whether the wait is still worth it
SILENT = 2.0  # seconds without a byte after which a wait counts as one for a silent host
MOST_STALLS = 3  # of a host that answers others meanwhile
LOST_SECONDS = 60.0  # that a training run loses to hanging hosts before it asks no unknown ones any more
LONGEST_SHOWN = 300  # characters of a host in a message


class Crowd:
    """Keeps half of a process's request threads from waiting for silent hosts at the same time."""

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self._numbers = itertools.count()
        self._waiting: set[int] = set()
        self._lock = threading.Lock()

    def join(self) -> int:
        """A place in the queue, behind those who wait already."""
        with self._lock:
            number = next(self._numbers)
            self._waiting.add(number)
        return number

    def leave(self, number: int) -> None:
        """Give a place up."""
        with self._lock:
            self._waiting.discard(number)

    def before(self, number: int) -> int:
        """How many have waited for longer; at least `most` of them are enough."""
        with self._lock:
            return sum(other < number for other in self._waiting)

    def is_full_before(self, number: int) -> bool:
        """Whether as many as may wait have waited for longer."""
        return self.before(number) >= self._most


class Patience:
    """Shared by all downloads of one request or run, and by their threads.

    `seconds` bounds the time that is spent waiting in all, `lost_seconds` the part of it that goes to
    hosts that hang. A host that hung is not asked again. `still_wanted` says whether somebody waits
    for the outcome; `crowd` is shared by all requests of a process.
    """

    def __init__(
        self,
        seconds: float = math.inf,
        lost_seconds: float = LOST_SECONDS,
        still_wanted: Callable[[], bool] = lambda: True,
        crowd: Crowd | None = None,
    ) -> None:
        self.still_wanted = still_wanted
        self.late: list[int | str] = []  # tasks that there was no time left for
        self.seconds = self._left = seconds
        self._lost_seconds = lost_seconds
        self._crowd = crowd
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._hung: dict[str, float] = {}  # seconds that were waited, by host
        self._stalls: Counter[str] = Counter()
        self._answered: dict[str, float] = {}  # when last, by host

    @property
    def over(self) -> bool:
        """Whether no time is left to wait for anything."""
        return self._left <= 0

    @property
    def ended(self) -> bool:
        """Whether nobody takes the outcome of what is still being fetched."""
        return self._ended.is_set()

    def end(self) -> None:
        """Have the threads that still fetch something stop."""
        self._ended.set()

    def objection(self, host: str) -> str | None:
        """Why a host is not asked any more; None if it may be."""
        with self._lock:
            if host.lower() in self._hung:
                return f"{host} did not answer in time before, and is asked no more this time"
            lost = sum(self._hung.values())
            if lost >= self._lost_seconds and host.lower() not in self._answered:
                return (
                    f"{', '.join(itertools.islice(self._hung, 3))} did not answer within {lost:.0f} s, and "
                    "no further host is tried this time"
                )
        return None

    def answered(self, host: str) -> None:
        """A host has sent something."""
        with self._lock:
            self._answered[host.lower()] = monotonic()

    def stalled(self, host: str, began: float) -> None:
        """A host that was asked at `began` did not answer in time.

        It hangs if it answered nobody else meanwhile, or if this was not the first time.
        """
        now, host = monotonic(), host.lower()
        with self._lock:
            self._stalls[host] += 1
            if self._answered.get(host, -math.inf) < began or self._stalls[host] >= MOST_STALLS:
                self._hung.setdefault(host, now - began)

    def check(self, task: int | str) -> None:
        """Raise OutOfTimeError if nothing more is to be fetched."""
        if not self.still_wanted():
            raise self._out_of_time(task, "nobody waits for its prediction any more")
        if self.over:
            raise self._out_of_time(task, f"the {self.seconds:g} s for downloads of this request are over")

    def take(self, fetched: "Future[T]", moved: Callable[[], float], source: str, task: int | str) -> T:
        """What a thread fetches, as soon as it has it. `moved` says when its host last sent something.

        Raises what the thread raised, OutOfTimeError, and DownloadError if the wait is not worth it.
        """
        began = monotonic()
        host = host_of(source)
        place: int | None = None
        try:
            while not fetched.done():
                self.check(task)
                now = monotonic()
                if self._crowd and now - moved() > SILENT:
                    place = self._crowd.join() if place is None else place
                    if self._crowd.is_full_before(place):
                        self.stalled(host, began)
                        raise PassingDownloadError(
                            f"Task {task}: {host} sends nothing, and other requests wait in the same way; "
                            "try again later"
                        )
                elif self._crowd and place is not None:
                    self._crowd.leave(place)
                    place = None
                wait([fetched], min(SLICE, self._left))
                self._left -= monotonic() - now
        finally:
            if self._crowd and place is not None:
                self._crowd.leave(place)
        return fetched.result()

    def _out_of_time(self, task: int | str, reason: str) -> OutOfTimeError:
        self.late.append(task)
        self.end()
        return OutOfTimeError(f"Task {task}: its series was not fetched: {reason}")


def host_of(url: str) -> str:
    """Host and port of an address as messages may hold them; empty if it names none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2][:LONGEST_SHOWN]
    except ValueError:
        return ""
