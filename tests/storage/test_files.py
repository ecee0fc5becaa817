import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support.models import of_one_pair
from tests.support.processes import kill, wait_for
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.download_cache import DownloadCache
from timeseries_segmenter.storage.files import replace_file
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.job import START_TRAINING
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.web.backend import Backend

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")

WRITER = """
import sys, time
from pathlib import Path
from timeseries_segmenter.storage.model_files import ModelFiles
from timeseries_segmenter.storage.files import replace_file
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.trainings.queue import JobQueue

folder = Path(sys.argv[1])

def write(path, *_):
    path.write_bytes(b"half a model")
    time.sleep(600)

def save():
    ModelFiles(folder, 5).save(3, write, Card(), "untrained")

def keep_report():
    files = ModelFiles(folder, 5)
    files.versions(3)
    with files._writing(3):
        replace_file(files.report(files.versions(3)[0]), write)

def count():
    queue = JobQueue(folder)
    with queue.change(3):
        replace_file(queue.folder / "project_3.json", write)

globals()[sys.argv[2]]()
"""


def unfinished(folder: Path) -> list[Path]:
    return list(folder.rglob("*.unfinished"))


@pytest.fixture
def writers(settings: Settings) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Processes that write a version, a report, a state, and don't come to an end."""
    started = {
        what: subprocess.Popen([sys.executable, "-c", WRITER, settings.model_dir, what])
        for what in ("save", "count")
    }
    try:
        wait_for(lambda: len(unfinished(settings.model_dir)) == 2, 60)
        yield started
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def test_what_killed_writers_left_is_removed_when_the_service_starts(
    backend: Backend, settings: Settings, writers: dict[str, subprocess.Popen[bytes]]
) -> None:
    backend.remove_unfinished()
    assert len(unfinished(settings.model_dir)) == 2  # their writers live
    kill(writers["save"].pid)
    writers["save"].wait()
    backend.remove_unfinished()
    (left,) = unfinished(settings.model_dir)
    assert left.name == ".project_3.json.unfinished"
    kill(writers["count"].pid)
    writers["count"].wait()
    backend.remove_unfinished()
    assert unfinished(settings.model_dir) == []


def test_a_version_of_a_killed_writer_is_removed_by_the_next_one(
    settings: Settings, run_walk: Segmenter
) -> None:
    store = ModelStore(settings)
    first = store.save(3, of_one_pair(run_walk))
    for what in ("save", "keep_report"):
        process = subprocess.Popen([sys.executable, "-c", WRITER, settings.model_dir, what])
        try:
            wait_for(lambda: unfinished(settings.model_dir), 60)
        finally:
            process.kill()
            process.wait()
        assert store.version(3) == first
        second = store.save(3, of_one_pair(run_walk))
        assert unfinished(settings.model_dir) == []
        assert store.version(3) == second
        first = second


def test_the_file_before_is_kept_under_the_name_that_is_asked_for(tmp_path: Path) -> None:
    path, before = tmp_path / "file", tmp_path / "before"
    replace_file(path, lambda new: new.write_text("one"), before)
    assert (path.read_text(), before.exists()) == ("one", False)
    replace_file(path, lambda new: new.write_text("two"), before)
    assert (path.read_text(), before.read_text()) == ("two", "one")
    with pytest.raises(ZeroDivisionError):
        replace_file(path, lambda new: new.write_text(str(1 / 0)), tmp_path / "third")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["before", "file"]


# root


@pytest.fixture
def model_dir() -> Iterator[Path]:
    """A folder of nobody's that nobody can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "models").mkdir()
    os.chown(folder / "models", NOBODY, NOBODY)
    yield folder / "models"
    shutil.rmtree(folder)


def owners(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_uid for path in folder.rglob("*")}


@needs_root
def test_what_root_makes_belongs_to_the_owner_of_the_folder(
    model_dir: Path, settings: Settings, run_walk: Segmenter, endings: list[TrainingPolicy]
) -> None:
    settings = settings.model_copy(update={"model_dir": model_dir})
    store = ModelStore(settings)
    for _ in range(2):
        store.save(3, of_one_pair(run_walk))
    command = [sys.executable, "-m", "timeseries_segmenter", "rollback", "--project", "3"]
    subprocess.run(command, check=True, env=os.environ | {"MODEL_DIR": str(model_dir)})
    backend = Backend(settings)
    endings.append(backend.policy)
    backend.handle(3, START_TRAINING)
    with backend.policy.queue.only_one(3):
        pass
    DownloadCache(model_dir / "cache", 1000).put("http://host/a.csv", b"1", {"ETag": "1"})
    found = owners(model_dir)
    assert {
        "versions",
        "versions/project_3.lock",
        "model_project_3.pt",
        "training/project_3.json",
    } <= found.keys()
    assert {"training/waiting/3", "training/project_3.training.lock"} <= found.keys()
    assert set(found.values()) == {NOBODY}


AS_NOBODY = """
import os, sys
from pathlib import Path
from timeseries_segmenter.errors import SegmenterError
from timeseries_segmenter.web.backend import Backend
from timeseries_segmenter.settings import Settings

# nothing is predicted: a training process would write to what the test reads to its end
backend = Backend(Settings(model_dir=Path(sys.argv[1]), predict_after_training=0))
os.setgid(65534); os.setuid(65534)
try:
    print(backend.roll_back(3, None))
except SegmenterError as error:
    print(error)
"""


@needs_root
def test_a_lock_of_root_from_before_is_named_with_what_to_do(
    model_dir: Path, settings: Settings, run_walk: Segmenter
) -> None:
    store = ModelStore(settings.model_copy(update={"model_dir": model_dir}))
    for _ in range(3):
        store.save(3, of_one_pair(run_walk))
    lock = model_dir / "versions" / "project_3.lock"

    def roll_back() -> str:
        command = [sys.executable, "-c", AS_NOBODY, str(model_dir)]
        printed: str = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return printed

    assert roll_back().startswith("p3-v4-")
    os.chown(lock, 0, 0)
    lock.chmod(0o644)
    assert f"{lock} belongs to user 0, and the service runs as user {NOBODY}" in roll_back()
    os.chown(lock, NOBODY, NOBODY)
    assert roll_back().startswith("p3-v5-")


def test_the_service_starts_where_nothing_can_be_removed(
    client: FlaskClient, backend: Backend, settings: Settings
) -> None:
    settings.model_dir.mkdir(parents=True)
    (settings.model_dir / ".model_project_3.pt.unfinished").mkdir()  # no file
    backend.remove_unfinished()
    assert client.get("/health").status_code == 200
