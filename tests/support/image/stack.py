"""The containers of `docker-compose.yml`, on a port that only this machine reaches."""

import os
import subprocess
from pathlib import Path
from typing import Any, Self

import requests
import yaml

from tests.support.image.engine import COMMAND_SECONDS, IMAGE, ROOT, Engine
from tests.support.label_studio_server import TOKEN
from tests.support.processes import wait_for
from tools.studio.processes import free_port

SERVICE = "timeseries-segmenter"
STUDIO = "stand-in-for-label-studio"


class Stack:
    """The compose file as it is, but for names and addresses that could be in somebody's way.

    `settings` are the environment that the file is read with.
    """

    def __init__(self, engine: Engine, folder: Path, name: str, *profiles: str, **settings: str) -> None:
        self.engine = engine
        self.name = name
        self.port = free_port()
        self._profiles = [part for profile in profiles for part in ("--profile", profile)]
        self._environment = {"LABEL_STUDIO_HOST": f"http://{STUDIO}:8080", "LABEL_STUDIO_API_KEY": TOKEN}
        self._environment |= settings
        self._file = folder / "docker-compose.yml"
        self._file.write_text(yaml.safe_dump(self._content()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *arguments: str) -> None:
        command = (*self.engine.compose, "-p", self.name, "-f", str(self._file), *self._profiles, *arguments)
        ended = subprocess.run(
            command,
            env=os.environ | self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        assert ended.returncode == 0, ended.stdout[-4000:]

    def start_label_studio(self) -> None:
        """On the compose file's network, under a name that the service's settings hold."""
        tests = ROOT / "tests"
        self.engine.ask(
            *("run", "--detach", "--name", self.container(STUDIO), "--network", f"{self.name}_default"),
            *("--network-alias", STUDIO, "--volume", f"{tests}:/more/tests:ro", "--user", "1000", "--init"),
            *("--env", "PYTHONPATH=/app:/more", IMAGE, "python", "-m", "tests.support.image.label_studio"),
        )

    def container(self, service: str) -> str:
        """The name of a service's container."""
        separator = "-" if self.engine.run[0] == "docker" else "_"
        return f"{self.name}{separator}{service}{separator}1"

    def answers(self) -> bool:
        """Whether the service answers."""
        try:
            return requests.get(f"{self.url}/health", timeout=5).ok
        except requests.RequestException:
            return False

    def wait(self) -> None:
        """Wait until the service answers."""
        wait_for(self.answers, 120)

    def logs(self, service: str = SERVICE) -> str:
        """What a service logged since its container was made."""
        return self.engine.ask("logs", self.container(service))

    def execute(self, *command: str) -> str:
        """What a command prints in the service's container."""
        return self.engine.ask("exec", self.container(SERVICE), *command)

    def __enter__(self) -> Self:
        try:
            self.compose("up", "--detach", "--no-build")
            self.start_label_studio()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.ask("rm", "--force", self.container(STUDIO), check=False)
        self.compose("down", "--volumes")

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        for service in content["services"].values():
            service.pop("build", None)
            if "extra_hosts" in service:
                service["extra_hosts"] = [
                    host.replace("host-gateway", self.engine.gateway) for host in service["extra_hosts"]
                ]
        content["services"][SERVICE]["ports"] = [f"127.0.0.1:{self.port}:9090"]
        return content
