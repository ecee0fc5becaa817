import json
from pathlib import Path

import pytest

from timeseries_segmenter.__main__ import main
from timeseries_segmenter.labeling.config import parse_label_config

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
    figures = json.loads(capsys.readouterr().out)["label:ts"]
    assert figures["tasks"] == len(task_ids()) - 3
    assert figures["rows"] == 400 * figures["tasks"]
    assert figures["macro_f1"] > 0.7
    assert figures["segment_f1"]["50"] > 0.7
    assert figures["point_f1"] is None
    assert set(figures["f1"]) == {"background", "Badminton", "Running", "Walking"}
    assert main(common) == 0
    assert f"macro F1                  {figures['macro_f1']:.3f}" in capsys.readouterr().out


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
    assert "none.pt is no model file" in capsys.readouterr().err
    config = tmp_path / "config.xml"
    config.write_text((SAMPLE / "config.xml").read_text().replace('column="gz"', 'column="other"'))
    assert main(["evaluate", "--config", str(config), *INPUTS[2:], "--model", str(trained[0])]) == 1
    assert "was trained on the channels label:ts: ax, ay, az, gx, gy, gz" in capsys.readouterr().err


def test_unusable_arguments_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train"])
    assert ended.value.code == 2
    assert "--config" in capsys.readouterr().err
