"""`predict` on plain files, and on a folder that they appear in."""

import csv
import json
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.support.processes import wait_for
from timeseries_segmenter.cli import main, predict_files
from timeseries_segmenter.labeling import rows
from timeseries_segmenter.labeling.tables import csv_text

CONFIG = """<View>
  <TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/></TimeSeriesLabels>
  <TimeSeries name="ts" value="$csv" timeColumn="time" timeFormat="%Y-%m-%d %H:%M:%S">
    <Channel column="ax"/>
  </TimeSeries>
</View>"""
COLUMNS = ["file", "tag", "start", "end", "labels", "score", "instant"]
ROWS = 120


def clock(row: int) -> str:
    return f"2026-03-01 10:{row // 60:02}:{row % 60:02}"


def text(*high: tuple[int, int]) -> str:
    """A series that is high on these rows, both ends included."""
    cells = (
        f"{clock(row)},{9 * any(first <= row <= last for first, last in high) + row % 3}"
        for row in range(ROWS)
    )
    return "time,ax\n" + "\n".join(cells) + "\n"


def region(first: int, last: int) -> dict[str, object]:
    value = {"start": clock(first), "end": clock(last), "instant": False, "timeserieslabels": ["Run"]}
    return {"from_name": "label", "to_name": "ts", "type": "timeserieslabels", "value": value}


def train(folder: Path, config: str, data: Mapping[str, object], result: list[dict[str, object]]) -> Path:
    (folder / "config.xml").write_text(config)
    (folder / "tasks.json").write_text(
        json.dumps([{"id": 1, "data": data, "annotations": [{"id": 1, "result": result}]}])
    )
    inputs = ["--config", str(folder / "config.xml"), "--tasks", str(folder / "tasks.json")]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TRAIN_EPOCHS", "60")
        environment.setenv("HIDDEN_SIZE", "8")
        assert main(["train", *inputs, "--model", str(folder / "m.pt")]) == 0
    return folder / "m.pt"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one series, whose labeling config is nowhere but in the model afterwards."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "s.csv").write_text(text((20, 49), (70, 99)))
    path = train(folder, CONFIG, {"csv": "s.csv"}, [region(20, 49), region(70, 99)])
    (folder / "config.xml").unlink()
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def near(written: str, row: int) -> bool:
    return written in [clock(each) for each in range(row - 3, row + 4)]


def test_regions_of_plain_files_are_rows_with_the_time_of_the_files(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(text((30, 59)))
    Path("b.csv").write_text(text((10, 39), (80, 109)))
    assert main(["predict", "a.csv", "b.csv", "--model", str(model), "--output", "r.csv"]) == 0
    assert "r.csv: 2 files, 3 regions" in capsys.readouterr().out
    rows = table(Path("r.csv"))
    assert Path("r.csv").read_text().splitlines()[0].split(",") == COLUMNS
    assert [row["file"] for row in rows] == ["a.csv", "b.csv", "b.csv"]
    for row, (first, last) in zip(rows, [(30, 59), (10, 39), (80, 109)], strict=True):
        assert near(row["start"], first)
        assert near(row["end"], last)
        assert (row["tag"], row["labels"], row["instant"]) == ("label", "Run", "false")
        assert 0 < float(row["score"]) <= 1


def test_a_long_file_is_read_in_blocks_and_has_the_regions_of_the_whole(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(text((30, 59), (80, 99)))
    inputs = ["predict", "a.csv", "--model", str(model), "--output"]
    assert main([*inputs, "whole.csv"]) == 0
    spilled = []

    def spill() -> BinaryIO:
        spilled.append(tempfile.TemporaryFile())  # noqa: SIM115  closed by who asks for it
        return spilled[-1]

    monkeypatch.setattr(csv_text, "BLOCK", 200)
    monkeypatch.setattr(rows, "MOST_IN_MEMORY", 100)
    monkeypatch.setattr(predict_files, "TemporaryFile", spill)
    assert main([*inputs, "blocks.csv"]) == 0
    assert len(spilled) == 2  # values and times
    assert all(each.closed for each in spilled)
    assert Path("blocks.csv").read_text() == Path("whole.csv").read_text()


def test_the_same_as_json_has_a_line_for_each_file(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(text((30, 59)))
    Path("none.csv").write_text(text())
    for output in ("r.csv", "r.jsonl"):
        assert main(["predict", "a.csv", "none.csv", "--model", str(model), "--output", output]) == 0
    first, second = map(json.loads, Path("r.jsonl").read_text().splitlines())
    (found,) = first["regions"]
    row, nothing = table(Path("r.csv"))
    assert [found["start"], found["end"], found["labels"]] == [row["start"], row["end"], ["Run"]]
    assert found["score"] == float(row["score"])
    assert first["model_version"].startswith("m-")
    assert 0 < first["score"] <= 1
    assert (second["file"], second["regions"]) == ("none.csv", [])
    assert nothing == dict.fromkeys(COLUMNS, "") | {"file": "none.csv"}


def test_a_file_that_can_not_be_read_is_named_and_the_others_are_predicted(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.csv").write_text(text((30, 59)))
    Path("other.csv").write_text("time,speed\n1,2\n2,3\n")
    files = ["other.csv", "good.csv", "none.csv", "."]
    assert main(["predict", *files, "--model", str(model), "--output", "r.csv"]) == 1
    error = capsys.readouterr().err
    assert 'other.csv: there is no column "ax"; the columns are: time, speed' in error
    assert "none.csv can't be read: No such file or directory" in error
    assert ". is not a file" in error
    assert error.splitlines()[-1] == "3 of 4 files could not be read, see above"
    assert {row["file"] for row in table(Path("r.csv"))} == {"good.csv"}
    monkeypatch.setenv("MAX_SERIES_MB", "1")
    Path("large.csv").write_text(text() + "\n" * 1_000_000)
    before = Path("r.csv").read_bytes()
    assert main(["predict", "large.csv", "--model", str(model), "--output", "r.csv"]) == 1
    assert "large.csv is larger than MAX_SERIES_MB=1" in capsys.readouterr().err
    assert Path("r.csv").read_bytes() == before


def test_a_model_of_inline_series_and_labels_of_tasks_predicts_files(tmp_path: Path) -> None:
    """Of JSON columns, with the labels in the task: files have neither."""
    config = (
        CONFIG.replace('value="$csv"', 'valueType="json" value="$csv"')
        .replace('toName="ts">', 'toName="ts" value="$labels">')
        .replace('<Label value="Run"/><Label value="Walk"/>', "")
    )
    _, *lines = text((20, 49), (70, 99)).splitlines()
    time_cells, values = zip(*(line.split(",") for line in lines), strict=True)
    data = {"csv": {"time": time_cells, "ax": list(map(float, values))}, "labels": [{"value": "Run"}]}
    path = train(tmp_path, config, data, [region(20, 49), region(70, 99)])
    (tmp_path / "a.csv").write_text(text((30, 59)).replace(",", ";"))
    output = tmp_path / "r.csv"
    assert main(["predict", str(tmp_path / "a.csv"), "--model", str(path), "--output", str(output)]) == 0
    (row,) = table(output)
    assert row["labels"] == "Run"
    assert near(row["start"], 30)


def test_of_several_series_one_has_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    other = CONFIG[CONFIG.index("  <TimeSeries name") :].replace('name="ts"', 'name="other"')
    config = CONFIG.replace('toName="ts"', 'toName="ts,other"').replace("</View>", other)
    Path("s.csv").write_text(text((20, 49), (70, 99)))
    drawn = [region(20, 49), region(70, 99), region(20, 49) | {"to_name": "other"}]
    path = train(tmp_path, config, {"csv": "s.csv"}, drawn)
    Path("a.csv").write_text(text((30, 59)))
    predict = ["predict", "a.csv", "--model", str(path), "--output", "r.csv"]
    capsys.readouterr()
    assert main(predict) == 1
    assert "m.pt knows the series ts, other; name one with --series" in capsys.readouterr().err
    assert main([*predict, "--series", "ts"]) == 0
    assert main([*predict, "--series", "no"]) == 1
    assert "knows no series no, but ts, other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--output", "r.txt"], "r.txt should end with .csv or .jsonl"),
        (["--output", "a.csv"], "a.csv would be overwritten"),
        (["--output", "r.csv", "--task-ids", "1"], "name it with --tasks"),
    ],
)
def test_what_can_not_be_done_with_files_is_one_sentence(
    model: Path,
    more: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(text((30, 59)))
    assert main(["predict", "a.csv", "--model", str(model), *more]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert Path("a.csv").read_text() == text((30, 59))


@pytest.mark.parametrize("what", [[], ["a.csv", "--watch", "."], ["--tasks", "t.json", "--watch", "."]])
def test_one_of_files_tasks_and_a_folder_is_predicted(
    what: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["predict", *what, "--model", "m.pt", "--output", "r.csv"])
    assert ended.value.code == 2
    assert "--watch" in capsys.readouterr().err


def test_tasks_need_no_labeling_config_beside_the_models_own(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text((30, 59)))
    (tmp_path / "tasks.json").write_text(json.dumps([{"data": {"csv": "a.csv"}}]))
    output = tmp_path / "p.json"
    tasks = ["--tasks", str(tmp_path / "tasks.json")]
    assert main(["predict", *tasks, "--model", str(model), "--output", str(output)]) == 0
    (predicted,) = json.loads(output.read_text())[0]["predictions"]
    (found,) = predicted["result"]
    assert near(found["value"]["start"], 30)


# A folder that files appear in


def watch(folder: Path, model: Path, output: Path, act: Callable[[], object]) -> None:
    """Run the command, and end it as a service manager does after `act`, which waits for what it writes."""
    failures: list[BaseException] = []
    ended = threading.Event()

    def act_and_end() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001  raised below
            failures.append(error)
        if not ended.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    actor = threading.Thread(target=act_and_end)
    actor.start()
    status = main(["predict", "--watch", str(folder), "--model", str(model), "--output", str(output)])
    ended.set()
    actor.join()
    assert (failures, status) == ([], 0)


def files_in(output: Path) -> list[str]:
    return [row["file"] for row in table(output)] if output.exists() else []


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_files, "SECONDS_BETWEEN_LOOKS", 0.05)


@pytest.mark.usefixtures("_impatient")
def test_files_that_appear_in_a_folder_are_predicted_once_also_after_a_restart(
    model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "r.csv"
    (tmp_path / "before.csv").write_text(text((30, 59)))
    (tmp_path / "notes.md").write_text("no series")

    def add(name: str, content: str) -> None:
        number = len(files_in(output))
        (tmp_path / name).write_text(content)
        wait_for(lambda: len(files_in(output)) > number)

    def appear() -> None:
        wait_for(lambda: files_in(output) == ["before.csv"])
        add("nothing.csv", text())

    watch(tmp_path, model, output, appear)
    watch(tmp_path, model, output, lambda: add("later.csv", text((80, 109))))
    assert files_in(output) == ["before.csv", "nothing.csv", "later.csv"]


@pytest.mark.usefixtures("_impatient")
def test_a_file_that_can_not_be_read_is_named_once_and_read_when_it_is_mended(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "r.jsonl"
    (tmp_path / "a.csv").write_text("time,ax\nnoon,1\n")
    (tmp_path / "b.csv").write_text(text())
    said = []

    def mend() -> None:
        wait_for(lambda: output.exists() and output.read_text())
        said.append(capsys.readouterr().err)
        (tmp_path / "a.csv").write_text(text((30, 59)))
        wait_for(lambda: output.read_text().count("\n") == 2)

    watch(tmp_path, model, output, mend)
    assert said[0].count("a.csv: ") == 1
    assert capsys.readouterr().err == ""
    assert [json.loads(line)["file"] for line in output.read_text().splitlines()] == ["b.csv", "a.csv"]


def test_a_folder_that_is_none_is_one_sentence(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = ["predict", "--watch", str(tmp_path / "no"), "--model", str(model)]
    assert main([*watch, "--output", str(tmp_path / "r.csv")]) == 1
    assert "is not a folder that can be watched" in capsys.readouterr().err
