"""Logs a thing once, and again when it has changed."""

import logging
import threading

from cachetools import LRUCache

MOST = 10_000  # things; of more, the ones not heard of for longest are forgotten


class OnceLogger:
    """Logs what is wrong with each of several things, at the first look and at each change."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._said: LRUCache[object, str] = LRUCache(MOST)

    def __call__(self, thing: object, text: str) -> None:
        """Log an error about `thing`, unless that is what was logged of it last."""
        if self.is_news(thing, text):
            self._logger.error("%s", text)

    def is_news(self, thing: object, text: str) -> bool:
        """Whether this was not what was logged of the thing last; it is from now on."""
        with self._lock:
            if self._said.get(thing) == text:
                return False
            self._said[thing] = text
        return True

    def forget(self, thing: object) -> None:
        """The thing is well again: the next error about it is news."""
        with self._lock:
            self._said.pop(thing, None)
