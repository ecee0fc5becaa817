import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import levels
from tests.support.need import need
from timeseries_segmenter.cli import main
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.report.content import Report
from timeseries_segmenter.report.saved import load_report, saved_report
from timeseries_segmenter.storage.model_file import read_card

SAMPLE = Path("examples/activity")
INPUTS = ["--config", str(SAMPLE / "config.xml"), "--tasks", str(SAMPLE / "tasks.json")]


def task_ids() -> list[int]:
    return [task["id"] for task in json.loads((SAMPLE / "tasks.json").read_text())]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model of the first three tasks of the sample, and the split that says so."""
    folder = tmp_path_factory.mktemp("cli")
    ids = task_ids()
    split = folder / "split.json"
    split.write_text(json.dumps({"train": ids[:3], "test": ids[3:]}))
    model = folder / "m.pt"
    assert main(["train", *INPUTS, "--split", str(split), "--model", str(model)]) == 0
    return model, split


def test_train_goes_on_from_an_earlier_model(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = trained
    chosen = ",".join(map(str, task_ids()[:4]))
    later = tmp_path / "later.pt"
    train = ["train", *INPUTS, "--task-ids", chosen, "--model", str(later), "--start"]
    assert main([*train, str(model)]) == 0
    assert f"on top of {model}" in capsys.readouterr().out
    assert main([*train, str(tmp_path / "none.pt")]) == 1
    assert "none.pt can't be read" in capsys.readouterr().err


def test_train_searches_a_recipe_reports_what_was_tried_and_a_later_run_follows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    levels.try_more_epochs(monkeypatch)
    monkeypatch.setenv("TRAIN_EPOCHS", "1")
    monkeypatch.setenv("HIDDEN_SIZE", "16")
    config, tasks = tmp_path / "config.xml", tmp_path / "tasks.json"
    config.write_text(levels.CONFIG)
    exported = [
        {"id": seed, "data": levels.data(seed), "annotations": [{"id": seed, "result": levels.drawn(seed)}]}
        for seed in range(4)
    ]
    tasks.write_text(json.dumps(exported))
    model, later = tmp_path / "m.pt", tmp_path / "later.pt"
    train = ["train", "--config", str(config), "--tasks", str(tasks), "--model"]
    assert main([*train, str(model), "--search"]) == 0
    assert "label:ts: 2 recipes tried, better: more epochs (F1 " in capsys.readouterr().out
    pair = read_card(model).pairs["label:ts"]
    search = need(pair.search)
    assert search.changes == {"epochs": (1, 30)}
    assert [(trial.name, trial.better) for trial in search.trials] == [
        ("the recipe that is set", False),
        ("more epochs", True),
    ]
    assert pair.epochs > 1
    page = saved_report(model)
    assert "Recipes that were tried" in page
    assert "Better than what is set: <code>epochs</code> 30 instead of 1." in page
    trial = search.trials[1]
    assert f"{trial.difference:+.3f} ± {trial.noise:.3f}" in page
    assert main([*train, str(later), "--start", str(model)]) == 0
    followed = read_card(later).pairs["label:ts"]
    assert followed.search == search
    assert followed.epochs > 1


def test_train_says_why_it_did_not_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ["train", *INPUTS, "--task-ids", ",".join(map(str, task_ids()[:2])), "--search"]
    monkeypatch.setenv("TRAIN_EPOCHS", "1")
    assert main([*train, "--model", str(tmp_path / "m.pt")]) == 0
    assert "label:ts: not searched: that takes 4 annotated tasks" in capsys.readouterr().out
    monkeypatch.setenv("SEARCH_SECONDS", "0")
    assert main([*train, "--model", str(tmp_path / "n.pt")]) == 1
    assert "SEARCH_SECONDS is 0" in capsys.readouterr().err


def test_predict_writes_what_label_studio_imports(trained: tuple[Path, Path], tmp_path: Path) -> None:
    model, split = trained
    output = tmp_path / "predictions.json"
    assert (
        main(["predict", *INPUTS, "--split", str(split), "--model", str(model), "--output", str(output)]) == 0
    )
    tasks = json.loads(output.read_text(), parse_constant=lambda constant: pytest.fail(constant))
    assert [task["id"] for task in tasks] == task_ids()[3:]
    (pair,) = parse_label_config((SAMPLE / "config.xml").read_text()).pairs
    for task in tasks:
        assert task["data"]["csv_url"].endswith(".csv")
        (prediction,) = task["predictions"]
        assert prediction["model_version"].startswith("m-")
        assert prediction["result"]
        assert 0 < prediction["score"] <= 1
        for region in prediction["result"]:
            assert region["value"]["timeserieslabels"][0] in pair.labels
            assert region["value"]["instant"] == (region["value"]["start"] == region["value"]["end"])


def test_evaluate_tells_figures_of_the_test_tasks_as_json_and_as_a_table(
    trained: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    model, split = trained
    common = ["evaluate", *INPUTS, "--split", str(split), "--model", str(model)]
    assert main([*common, "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["label:ts"]
    assert metrics["tasks"] == len(task_ids()) - 3
    assert metrics["rows"] == 400 * metrics["tasks"]
    assert metrics["macro_f1"] > 0.7
    assert metrics["segment_f1"]["50"] > 0.7
    assert metrics["point_f1"] is None
    assert list(metrics["segment_f1"]) == ["10", "25", "50", "75", "90"]
    needed = metrics["corrections"]
    total = needed["labels"] + needed["added"] + needed["removed"] + needed["ends"]
    assert needed["per_region"] == total / metrics["segments"]["true"]
    assert 0 <= needed["per_region"] < 1
    assert set(metrics["f1"]) == {"background", "Badminton", "Running", "Walking"}
    assert main(common) == 0
    printed = capsys.readouterr().out
    assert f"macro F1                  {metrics['macro_f1']:.3f}" in printed
    assert f"corrections per region    {needed['per_region']:.3f}" in printed
    assert f"  to add, to remove       {needed['added']}, {needed['removed']}" in printed


def test_task_ids_choose_the_tasks(trained: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ",".join(map(str, task_ids()[:2]))
    assert main(["evaluate", *INPUTS, "--task-ids", chosen, "--model", str(trained[0]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["label:ts"]["tasks"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "no.xml", *INPUTS[2:], "--model", "m.pt"], "no.xml can't be read"),
        ([*INPUTS[:2], "--tasks", "no.json", "--model", "m.pt"], "no.json can't be read"),
        ([*INPUTS[:2], "--tasks", str(SAMPLE / "config.xml"), "--model", "m.pt"], "config.xml is not JSON"),
        ([*INPUTS, "--task-ids", "1,987", "--model", "m.pt"], "tasks.json has no task 987"),
        (
            [*INPUTS, "--split", str(SAMPLE / "tasks.json"), "--model", "m.pt"],
            'no list of task ids under "train"',
        ),
    ],
)
def test_an_unusable_file_is_one_plain_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_model_that_is_none_or_of_other_channels_is_refused(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_model = tmp_path / "none.pt"
    no_model.write_text("no model")
    assert main(["evaluate", *INPUTS, "--model", str(no_model)]) == 1
    assert "is not a model file" in capsys.readouterr().err
    config = tmp_path / "config.xml"
    config.write_text((SAMPLE / "config.xml").read_text().replace('column="gz"', 'column="other"'))
    assert main(["evaluate", "--config", str(config), *INPUTS[2:], "--model", str(trained[0])]) == 1
    assert "was trained on the channels label:ts: ax, ay, az, gx, gy, gz" in capsys.readouterr().err


def test_unusable_arguments_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train"])
    assert ended.value.code == 2
    assert "--config" in capsys.readouterr().err


# Inputs that people have


CONFIG = (
    '<View><TimeSeriesLabels name="label" toName="ts"><Label value="Run"/></TimeSeriesLabels>'
    '<TimeSeries name="ts" value="$csv" timeColumn="time"><Channel column="ax"/></TimeSeries></View>'
)
ROWS = 120


def drawn(*ranges: tuple[Any, Any], label: str = "Run", name: str = "label") -> list[dict[str, Any]]:
    return [
        {
            "id": f"r{place}",
            "from_name": name,
            "to_name": "ts",
            "type": "timeserieslabels",
            "value": {"start": start, "end": end, "instant": start == end, "timeserieslabels": [label]},
        }
        for place, (start, end) in enumerate(ranges)
    ]


def annotated(*ranges: tuple[Any, Any], csv: str = "s.csv", **more: Any) -> dict[str, Any]:
    return {"data": {"csv": csv}, "annotations": [{"id": 1, "result": drawn(*ranges)}]} | more


GOOD = annotated((1020, 1049), (1070, 1099))


class Folder:
    """A folder with a config, a series that is high where GOOD has regions, and a file of tasks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "config.xml").write_text(CONFIG)
        cells = (f"{1000 + row},{9 * (20 <= row < 50 or 70 <= row < 100) + row % 3}" for row in range(ROWS))
        (path / "s.csv").write_text("time,ax\n" + "\n".join(cells) + "\n")

    def run(self, command: str, tasks: object, *more: str, model: str = "m.pt") -> int:
        (self.path / "tasks.json").write_text(json.dumps(tasks))
        inputs = ["--config", str(self.path / "config.xml"), "--tasks", str(self.path / "tasks.json")]
        return main([command, *inputs, "--model", str(self.path / model), *more])

    def report(self) -> Report:
        return load_report(self.path / "m.pt")[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("TRAIN_EPOCHS", "2")
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def of_good(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """With a model of one good task."""
    known = Folder(tmp_path_factory.mktemp("good"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAIN_EPOCHS", "2")
        assert known.run("train", [GOOD | {"id": 1}]) == 0
    return known


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (annotated((1020, 1049), (1070, None)), 'Region "r1" (Run, 1070 to null) has no end'),
        (annotated((20, 49), (70, 99)), "lies outside the series, which runs from 1000 to 1119"),
        (GOOD | {"annotations": [{"result": drawn((1020, 1049), label="run")}]}, 'has the label "run"'),
        (GOOD | {"annotations": [{"result": drawn((1020, 1049), name="old")}]}, 'is of "old"'),
        (GOOD | {"annotations": [4, 5]}, "its annotations are [4, 5]"),
        (annotated((1020, 1049), csv="../s.csv"), "is not inside LOCAL_FILES_DIR"),
    ],
)
def test_a_task_that_can_not_be_learned_is_left_out_and_named(
    folder: Folder, bad: dict[str, Any], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder.run("train", [GOOD | {"id": 1}, bad | {"id": 2}]) == 0
    printed = capsys.readouterr()
    assert "1 annotated task left out" in printed.out
    assert printed.err.count(reason) == 1
    assert folder.report().tasks == [1]
    (skipped,) = folder.report().skipped
    assert skipped.startswith("Task 2: ")
    assert reason in skipped
    assert read_card(folder.path / "m.pt").skipped == [skipped]
    assert folder.run("evaluate", [GOOD | {"id": 1}, bad | {"id": 2}], "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["label:ts"]["tasks"] == 1
    assert "1 annotated task left out of these metrics" in printed.err


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ([annotated((20, 49)) | {"id": 3}], 'Task 3: Region "r0" (Run, 20 to 49) lies outside'),
        ([{"data": {"csv": "s.csv"}}], "annotate at least one, and export the project as JSON"),
        ([{"data": {"csv": "s.csv"}, "predictions": [{"result": []}]}], "there are predictions alone"),
        ([{"data": {"csv": "s.csv"}, "drafts": [{"result": []}]}], "there are drafts alone"),
        ([GOOD | {"annotations": [{"was_cancelled": True, "result": []}]}], "all annotations are skipped"),
        ([], "none of 0 tasks"),
    ],
)
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_where_nothing_can_be_learned_the_reason_is_the_error(
    of_good: Folder, command: str, tasks: object, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = {"train": "other.pt", "evaluate": "m.pt"}[command]
    assert of_good.run(command, tasks, model=model) == 1
    assert reason in capsys.readouterr().err.splitlines()[-1]
    assert not (of_good.path / "other.pt").exists()


def test_tasks_without_ids_or_with_text_or_the_same_ones_are_learned_and_keep_what_they_had(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [GOOD, GOOD | {"id": "rec-7"}, GOOD | {"id": None}, GOOD | {"id": 5}, GOOD | {"id": 5}]
    assert folder.run("train", tasks) == 0
    names = ["#1", "rec-7", "#3", "5 #4", "5 #5"]
    assert folder.report().tasks == names
    assert set(read_card(folder.path / "m.pt").pairs["label:ts"].folds) == set(names)
    assert folder.run("train", tasks, "--start", str(folder.path / "m.pt"), model="later.pt") == 0
    assert folder.run("predict", tasks, "--output", str(folder.path / "p.json")) == 0
    predicted = json.loads((folder.path / "p.json").read_text())
    assert [task.get("id", "none") for task in predicted] == ["none", "rec-7", None, 5, 5]
    capsys.readouterr()
    split = folder.path / "split.json"
    split.write_text('{"test": ["rec-7", "#1"]}')
    for chosen in (["--task-ids", "rec-7,#1"], ["--split", str(split)]):
        assert folder.run("evaluate", tasks, "--json", *chosen) == 0
        assert json.loads(capsys.readouterr().out)["label:ts"]["tasks"] == 2
    assert (
        main(["report", "--model", str(folder.path / "m.pt"), "--output", str(folder.path / "r.html")]) == 0
    )
    assert "Task rec-7" in (folder.path / "r.html").read_text()


def test_predict_that_could_read_nothing_exits_1_with_the_reason_and_writes_nothing(
    of_good: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    output = of_good.path / "nothing.json"
    missing = [{"id": 7, "data": {"csv": "none.csv"}}, {"id": 8, "data": {"csv": "none.csv"}}]
    assert of_good.run("predict", missing, "--output", str(output)) == 1
    assert "none of 2 tasks could be read: Task 7: 'none.csv' can't be read" in capsys.readouterr().err
    assert of_good.run("predict", [], "--output", str(output)) == 1
    assert "holds no task to predict" in capsys.readouterr().err
    assert not output.exists()


def test_predict_says_how_many_it_could_not_read(of_good: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = [{"id": 7, "data": {"csv": "none.csv"}}, {"id": 8, "data": {"csv": "s.csv"}}]
    assert of_good.run("predict", tasks, "--output", str(of_good.path / "some.json")) == 0
    printed = capsys.readouterr()
    assert "1 task could not be read" in printed.out
    assert "Task 7" in printed.err


def test_predict_with_a_model_of_other_channels_exits_1(
    of_good: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.xml"
    config.write_text(CONFIG.replace('column="ax"', 'column="ay"'))
    tasks = str(of_good.path / "tasks.json")
    arguments = ["--config", str(config), "--tasks", tasks, "--model", str(of_good.path / "m.pt")]
    assert main(["predict", *arguments, "--output", str(tmp_path / "p.json")]) == 1
    assert "was trained on the channels label:ts: ax" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none/p.json", ".", "tasks.json", "m.pt", "config.xml"])
def test_what_can_not_or_must_not_be_written_is_refused_before_the_work(
    of_good: Folder, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = of_good.path / name
    before = output.read_bytes() if output.is_file() else None
    missing = [{"id": 7, "data": {"csv": "none.csv"}}]
    of_good.run("predict", missing, "--output", str(of_good.path / "p.json"))  # writes tasks.json
    before = output.read_bytes() if output.is_file() else None
    capsys.readouterr()
    assert of_good.run("predict", missing, "--output", str(output)) == 1
    error = capsys.readouterr().err
    assert "can't be written" in error or "needed as an input" in error
    assert "none.csv" not in error
    assert (output.read_bytes() if output.is_file() else None) == before
    if name != "m.pt":
        assert of_good.run("train", [GOOD], model=name) == 1
        assert "epochs" not in capsys.readouterr().err


def test_instants_among_rows_of_one_time_are_drawn_and_counted_at_their_time(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four rows share each time stamp, in whole seconds."""
    monkeypatch.setenv("TRAIN_EPOCHS", "60")
    peaks = [12, 37, 61, 88, 109]
    rows = [f"{1000 + row // 4},{10 * (row in peaks)}" for row in range(ROWS)]
    (folder.path / "s.csv").write_text("time,ax\n" + "\n".join(rows) + "\n")
    times = [1000 + peak // 4 for peak in peaks]
    task = annotated(*((time, time) for time in times), id=1)
    assert folder.run("train", [task]) == 0
    assert folder.run("predict", [task], "--output", str(folder.path / "p.json")) == 0
    (predicted,) = json.loads((folder.path / "p.json").read_text())[0]["predictions"]
    assert sorted(region["value"]["start"] for region in predicted["result"]) == times
    assert all(region["value"]["instant"] for region in predicted["result"])
    capsys.readouterr()
    assert folder.run("evaluate", [task], "--json") == 0
    metrics = json.loads(capsys.readouterr().out)["label:ts"]
    assert metrics["f1"] == {"background": 1.0, "Run": 1.0}
    assert metrics["point_f1"] == 1.0
    assert metrics["instants"] == {"true": 5, "predicted": 5}


def test_a_setting_that_nobody_knows_is_named_by_every_command(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.path / "config.xml").write_text(CONFIG.replace('name="label"', 'name="label" model_epoch="3"'))
    assert folder.run("train", [GOOD | {"id": 1}]) == 0
    assert folder.run("predict", [GOOD], "--output", str(folder.path / "p.json")) == 0
    assert folder.run("evaluate", [GOOD]) == 0
    said = "the labeling config has model_epoch, which this service doesn't know; it knows model_"
    assert capsys.readouterr().err.count(said) == 3


def test_a_pair_that_can_not_be_learned_is_named_by_every_command(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = '<TimeSeriesLabels name="lost" toName="wave"><Label value="X"/></TimeSeriesLabels></View>'
    (folder.path / "config.xml").write_text(CONFIG.replace("</View>", lost))
    assert folder.run("train", [GOOD | {"id": 1}]) == 0
    assert folder.run("predict", [GOOD], "--output", str(folder.path / "p.json")) == 0
    assert folder.run("evaluate", [GOOD]) == 0
    assert capsys.readouterr().err.count('passed over: TimeSeriesLabels "lost" has toName="wave"') == 3
    (remark,) = folder.report().remarks
    assert "wave" in remark
