"""The web process that gunicorn starts: gunicorn keeps it alive, `Server` speaks with clients."""

import logging
import os
import resource
import sys
import time
from types import FrameType
from typing import Any

from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker
from waitress import wasyncore

from timeseries_segmenter.web.precedence import LONGEST, is_interactive
from timeseries_segmenter.web.server import Server

logger = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks at whether to go on
MOST_FILES = 65_536  # open at once; each connection may need two, for a long body or answer
OTHER_FILES = 256  # models, series, reports, and what the libraries open
SLOW_PATHS = frozenset({"/predict"})


class WebWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """Serves until gunicorn says TERM; then answers what was asked, and ends."""

    _servers: tuple[Server, ...] = ()

    @classmethod
    def check_config(cls, cfg: Config, log: Logger) -> None:  # noqa: ARG003
        """End the start if gunicorn is asked for what only its own workers do."""
        if cfg.is_ssl:
            sys.exit("certfile and keyfile do nothing here: put a proxy that speaks HTTPS before the service")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in good order."""
        super().handle_exit(sig, frame)
        for server in self._servers:
            server.pull_trigger()

    def run(self) -> None:
        """Serve."""
        from timeseries_segmenter.web.backend import EXTENSION  # gunicorn's first process needs none of it

        backend = self.wsgi.extensions[EXTENSION]
        files = _raise_file_limit()
        connections = max(1, min(self.cfg.worker_connections, (files - OTHER_FILES) // 2))
        sockets: dict[int, Any] = {}
        self._servers = tuple(
            Server(
                self.wsgi,
                listener.sock,
                sockets,
                threads=self.cfg.threads,
                connections=connections,
                longest_body=backend.settings.max_request_mb * 1_000_000,
                wants_body=backend.security.wants_body,
                slow_paths=SLOW_PATHS,
                is_urgent=is_interactive,
                longest_urgent=LONGEST,
            )
            for listener in self.sockets
        )
        while self.alive and self.ppid == os.getppid():
            self.notify()
            wasyncore.poll2(LOOK, sockets)
            if sum(server.answered for server in self._servers) >= self.max_requests:
                break
        self._finish(sockets)

    def _finish(self, sockets: dict[int, Any]) -> None:
        """Answer what was asked already."""
        wasyncore.poll2(0, sockets)  # what came together with the signal
        for server in self._servers:
            server.stop_listening()
        until = time.monotonic() + self.cfg.graceful_timeout
        while time.monotonic() < until:
            self.notify()
            channels = [channel for server in self._servers for channel in server.channels.values()]
            for channel in channels:
                if channel.is_done(time.time()):
                    channel.handle_close()
            if not any(server.channels for server in self._servers):
                return
            wasyncore.poll2(LOOK / 4, sockets)
        logger.warning("the service ends before all requests are answered")


def _raise_file_limit() -> int:
    """Allow as many open files as may be; returns how many those are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft
