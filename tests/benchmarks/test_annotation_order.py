import json
import shutil
from pathlib import Path

import pytest

from benchmarks import annotation_order
from benchmarks.annotation_order import COLD, ORDERED, RANDOM


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with one data set: four tasks to learn from, two to measure on."""
    shutil.copytree("examples/activity", tmp_path / "activity")
    ids = [task["id"] for task in json.loads((tmp_path / "activity/tasks.json").read_text())]
    (tmp_path / "activity/split.json").write_text(json.dumps({"train": ids[:4], "test": ids[4:6]}))
    return tmp_path


def test_orders_are_compared_task_by_task_and_what_is_known_is_not_learned_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "known.json"
    monkeypatch.setattr("sys.argv", ["order", str(data), "--quick", "--starts", "2", "--known", str(known)])
    annotation_order.main()
    out, learned = capsys.readouterr()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if line]
    curves = {row[0]: [float(cell) for cell in row[1:]] for row in rows[3:6]}
    assert rows[1] == ["annotated", "1", "2", "3", "4"]
    assert curves.keys() == {COLD, ORDERED, RANDOM}
    assert len({curve[-1] for curve in curves.values()}) == 1  # all tasks are the same in any order
    assert curves[ORDERED][0] == curves[RANDOM][0]
    assert all(curve[-1] > 0.7 for curve in curves.values())
    assert rows[-1][0] == RANDOM
    assert rows[-1][1].endswith("100%")
    assert learned.count("activity") == len(json.loads(known.read_text()))
    annotation_order.main()
    assert capsys.readouterr() == (out, "")


def test_a_run_that_never_gets_there_needs_all_tasks() -> None:
    assert annotation_order._needs([[0.1, 0.5, 0.9], [0.1, 0.2, 0.3]], [1, 2, 8], 0.5) == [2, 8]
