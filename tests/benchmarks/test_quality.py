import json
import shutil
from pathlib import Path

import pytest

from benchmarks import quality
from benchmarks.data_set import MAIN, means, print_row


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with one data set: three tasks to learn from, two to measure on."""
    shutil.copytree("examples/activity", tmp_path / "activity")
    ids = [task["id"] for task in json.loads((tmp_path / "activity/tasks.json").read_text())]
    (tmp_path / "activity/split.json").write_text(json.dumps({"train": ids[:3], "test": ids[3:5]}))
    return tmp_path


def table(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line]


def test_the_summary_has_a_row_a_data_set_beside_a_forest(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["quality", str(data), "--seeds", "0", "--summary"])
    quality.main()
    columns, _, activity, mean = table(capsys.readouterr().out)
    assert columns == list(quality.SUMMARY)
    row = dict(zip(columns, activity, strict=True))
    assert row["data set"] == "activity"
    assert float(row[MAIN]) > 0.7
    assert float(row["difference"]) == pytest.approx(float(row[MAIN]) - float(row["forest"]), abs=0.0011)
    assert 0 <= float(row["corrections per region"]) < 1
    assert int(row["steps"]) > 0
    assert mean == ["mean", *activity[1:]]


def test_metrics_that_do_not_apply_are_in_no_mean(capsys: pytest.CaptureFixture[str]) -> None:
    runs: list[dict[str, float | None]] = [{"a": None, "CPU s": 1}, {"a": 0.25, "b": None, "CPU s": 2}]
    assert means(runs) == {"a": 0.25, "CPU s": 1.5}
    print_row("all", means(runs), ("name", "a", "b", "CPU s"))
    assert capsys.readouterr().out == "| all | 0.250 | - | 1.5 |\n"
