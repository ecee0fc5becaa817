"""A thread that looks for what was forgotten, every few seconds for as long as its process lives."""

import logging
import threading
from collections.abc import Callable

from timeseries_segmenter.once_logger import OnceLogger

logger = logging.getLogger(__name__)

INTERVAL = 5.0  # seconds


class Lookout:
    """Calls `look` every few seconds, whatever it raises."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._ended = threading.Event()
        self._tell = OnceLogger(logger)

    def start(self) -> None:
        """Look from now on, in a thread of its own."""
        threading.Thread(target=self._run, name="lookout", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL):
            try:
                self._look()
                self._tell.forget(self)
            except Exception as error:  # the next look may do better, and there has to be one
                if self._tell.is_news(self, repr(error)):
                    logger.exception("the look for forgotten trainings failed; it goes on")
