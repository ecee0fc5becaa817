import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.e2e.loop import TASKS, Connect, Loop, started
from tests.support.e2e.variants import Variant
from tools.studio.label_studio import LabelStudio
from tools.studio.project import Project
from tools.studio.sample import read_example
from tools.studio.service import Service

StartService = Callable[..., Service]
# a version or a prediction that comes by itself would be another than a test waits for
NOTHING_BY_ITSELF = {"SEARCH_SECONDS": "0", "PREDICT_AFTER_TRAINING": "0"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="FOLDER", help="keep pictures of what the browser shows there")
    parser.addoption("--editor-seed", type=int, help="makes the examples of test_editor.py")
    parser.addoption("--editor-examples", type=int, help="so many of them")


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
    with started(LabelStudio(folder / "data", folder / "label-studio.log")) as studio:
        yield studio


@pytest.fixture(scope="session")
def service(studio: LabelStudio, folder: Path) -> Iterator[Service]:
    """One service for the tests that need nothing special of it."""
    token, models, log = studio.credentials.token, folder / "models", folder / "service.log"
    with started(Service(studio.url, token, models, log, settings=NOTHING_BY_ITSELF)) as service:
        yield service


@pytest.fixture
def own_service(studio: LabelStudio, tmp_path: Path) -> Iterator[StartService]:
    """Starts services of a test's own, with another token, address or settings, and ends them with it."""
    started: list[Service] = []

    def start(token: str = studio.credentials.token, host: str = studio.url, **settings: str) -> Service:
        log = tmp_path / "service.log"
        service = Service(host, token, tmp_path / "models", log, settings=NOTHING_BY_ITSELF | settings)
        started.append(service)
        service.start()
        return service

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def connect(studio: LabelStudio, tmp_path: Path) -> Iterator[Connect]:
    """Makes a project of the bundled series in one variant and connects it to a service."""
    projects: list[Project] = []

    def connected(
        variant: Variant, service: Service, token: str | None = None, login: tuple[str, str] | None = None
    ) -> Loop:
        project = Project(studio, f"e2e {variant.name}", variant.config, token)
        projects.append(project)
        series = read_example().samples[:TASKS]
        ids = project.import_tasks([variant.task(project, sample, tmp_path) for sample in series])
        backend = project.connect(service.url, login)
        return Loop(project, service, variant, dict(zip(ids, series, strict=True)), backend)

    yield connected
    for project in projects:
        project.close()
