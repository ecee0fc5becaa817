import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.label_studio import LabelStudio
from demo.service import Service

StartService = Callable[..., Service]


@pytest.fixture(scope="session", autouse=True)
def _end_in_order() -> Iterator[None]:
    """Lets SIGTERM end the run like Ctrl-C, so that no server outlives it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="session")
def studio(folder: Path) -> Iterator[LabelStudio]:
    studio = LabelStudio(folder / "data", folder / "label-studio.log")
    try:
        studio.start()
        yield studio
    finally:
        studio.stop()


@pytest.fixture(scope="session")
def service(studio: LabelStudio, folder: Path) -> Iterator[Service]:
    """One service for the tests that need nothing special of it."""
    service = Service(studio.url, studio.credentials.token, folder / "models", folder / "service.log")
    try:
        service.start()
        yield service
    finally:
        service.stop()


@pytest.fixture
def own_service(studio: LabelStudio, tmp_path: Path) -> Iterator[StartService]:
    """Starts services of a test's own, with another token, and ends them with the test."""
    started: list[Service] = []

    def start(token: str = studio.credentials.token) -> Service:
        service = Service(studio.url, token, tmp_path / "models", tmp_path / "service.log")
        started.append(service)
        service.start()
        return service

    yield start
    for each in started:
        each.stop()
