import os
import queue
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from timeseries_segmenter.service.model_dir import folder_remarks

USER = 12345


@pytest.mark.parametrize("part", ["", "training", "versions"])
def test_a_folder_of_another_user_is_named_with_what_to_do(part: str):
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    with TemporaryDirectory(dir="/tmp") as folder:
        model_dir = Path(folder)
        model_dir.chmod(0o755)
        (model_dir / part).mkdir(exist_ok=True)
        if part:
            os.chown(model_dir, USER, USER)
        (remark,) = remarks_of(USER, model_dir)
        assert f"MODEL_DIR={model_dir} can't be written" in remark
        assert f"{model_dir / part} belongs to user 0, and this service runs as user {USER}" in remark
        assert f"chown -R {USER} <folder>" in remark
        os.chown(model_dir, USER, USER)
        os.chown(model_dir / part, USER, USER)
        assert remarks_of(USER, model_dir) == []


def test_a_folder_that_is_not_there_yet_can_be_made(tmp_path: Path):
    assert folder_remarks(tmp_path / "new" / "models") == []
    assert not (tmp_path / "new").exists()


def remarks_of(user: int, model_dir: Path) -> list[str]:
    """What is said to a process of another user."""
    context = get_context("fork")
    answers = context.Queue()

    def ask() -> None:
        os.setuid(user)
        answers.put(folder_remarks(model_dir))

    process = context.Process(target=ask)
    process.start()
    process.join(60)
    try:
        found: list[str] = answers.get(timeout=10)
    except queue.Empty:
        pytest.fail(f"the process ended with {process.exitcode}")
    return found
