"""A real Redis on 127.0.0.1 that a test starts, stops and starts again."""

import shutil
import subprocess
from pathlib import Path
from typing import Self

import redis

from tests.support.processes import wait_for
from tools.studio.processes import free_port


class RedisServer:
    """Keeps nothing on disk: one that is started again is empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "redis-server is missing: apt-get install redis-server"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        wait_for(self._answers)

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def empty(self) -> None:
        with redis.Redis(port=self.port) as connection:
            connection.flushall()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        with redis.Redis(port=self.port) as connection:
            try:
                return bool(connection.ping())
            except redis.ConnectionError:
                return False
