"""Docker, or where there is none Podman with Buildah: builds the image and runs the compose file."""

import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
IMAGE = "timeseries-segmenter:latest"
BUILD_SECONDS = 1800
COMMAND_SECONDS = 180


@dataclass(frozen=True)
class Engine:
    """The commands of a container engine."""

    run: tuple[str, ...]  # what starts and asks containers
    build: tuple[str, ...]
    compose: tuple[str, ...]
    gateway: str  # how containers reach this machine

    @classmethod
    def find(cls, build_options: str = "") -> "Engine | None":
        """The engine of this machine; `build_options` are those that its builds need."""
        options = tuple(shlex.split(build_options))
        if _works("docker", "info") and _works("docker", "compose", "version"):
            return cls(("docker",), ("docker", "build", *options), ("docker", "compose"), "host-gateway")
        if _works("podman", "info") and _works("buildah", "version"):
            # Docker's image format: the other one has no health check
            build = ("buildah", "bud", "--layers", "--format", "docker", *options)
            compose = (str(Path(sys.executable).with_name("podman-compose")),)
            return cls(("podman",), build, compose, "10.88.0.1")  # Podman knows "host-gateway" from 4.7 on
        return None

    def ask(self, *arguments: str, check: bool = True) -> str:
        """What a command of the engine prints."""
        return _output((*self.run, *arguments), COMMAND_SECONDS, check)

    def build_image(self, folder: Path = ROOT, name: str = IMAGE) -> str:
        """Build the image of a checkout; returns what was printed."""
        return _output((*self.build, "-t", name, str(folder)), BUILD_SECONDS)

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of a container or an image."""
        (found,) = json.loads(self.ask("inspect", name))
        assert isinstance(found, dict)
        return found


def _works(*command: str) -> bool:
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS).returncode == 0


def _output(command: tuple[str, ...], seconds: float, check: bool = True) -> str:
    """Standard output and error of a command, which must succeed where it is checked."""
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds
    )
    assert not check or ended.returncode == 0, f"{shlex.join(command)}:\n{ended.stdout[-4000:]}"
    return ended.stdout
