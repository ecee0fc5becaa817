import os
import queue
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest

from tests.support.processes import fill, small_disk
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.files import folder_remarks
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.web.monitoring import OK, check_readiness

T = TypeVar("T")

USER = 12345


@pytest.mark.parametrize("part", ["", "training", "versions"])
def test_a_folder_of_another_user_is_named_with_what_to_do(part: str) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    with TemporaryDirectory(dir="/tmp") as folder:
        model_dir = Path(folder)
        model_dir.chmod(0o755)
        (model_dir / part).mkdir(exist_ok=True)
        if part:
            os.chown(model_dir, USER, USER)
        (remark,) = asked_by(USER, lambda: folder_remarks(model_dir))
        ready = asked_by(USER, lambda: readiness(model_dir))
        assert f"MODEL_DIR={model_dir} can't be written" in remark
        assert f"{model_dir / part} belongs to user 0, and this service runs as user {USER}" in remark
        assert f"chown -R {USER} <folder>" in remark
        assert ready == remark
        os.chown(model_dir, USER, USER)
        os.chown(model_dir / part, USER, USER)
        assert asked_by(USER, lambda: folder_remarks(model_dir)) == []
        assert asked_by(USER, lambda: readiness(model_dir)) == OK


def test_a_folder_that_is_not_there_yet_can_be_made(tmp_path: Path) -> None:
    assert folder_remarks(tmp_path / "new" / "models") == []
    assert not (tmp_path / "new").exists()


def test_a_full_disk_is_told_at_the_start(tmp_path: Path) -> None:
    with small_disk(tmp_path / "models"):
        filling = fill(tmp_path / "models")
        (remark,) = folder_remarks(tmp_path / "models")
        assert "the disk is full" in remark
        filling.unlink()
        assert folder_remarks(tmp_path / "models") == []


def readiness(model_dir: Path) -> str:
    settings = Settings(model_dir=model_dir)
    return check_readiness(settings, TrainingPolicy(settings))["model_dir"]


def asked_by(user: int, ask: Callable[[], T]) -> T:
    """What is said to a process of another user."""
    context = get_context("fork")
    answers = context.Queue()

    def answer() -> None:
        os.setuid(user)
        answers.put(ask())

    process = context.Process(target=answer)
    process.start()
    process.join(60)
    try:
        found: T = answers.get(timeout=10)
    except queue.Empty:
        pytest.fail(f"the process ended with {process.exitcode}")
    return found
