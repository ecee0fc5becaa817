"""The bundled examples are what their READMEs say, and can be learned from."""

import io
import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from demo.__main__ import ANNOTATED
from demo.report import results
from timeseries_segmenter.cli import command_line, main
from tools.studio.sample import EXAMPLES, BundledExample, example_names, read_example

KILOBYTES = 700
BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)

each_example = pytest.mark.parametrize("name", example_names())


@pytest.fixture(params=example_names())
def example(request: pytest.FixtureRequest) -> BundledExample:
    return read_example(request.param)


def commands(name: str) -> list[list[str]]:
    """The commands that an example's README shows, with its shell variable filled in."""
    variables: dict[str, str] = {}
    found = []
    for line in "".join(BLOCK.findall((EXAMPLES / name / "README.md").read_text())).splitlines():
        if assigned := re.fullmatch(r'(\w+)="(.*)"', line):
            variables[f"${assigned[1]}"] = assigned[2]
            continue
        for variable, text in variables.items():
            line = line.replace(variable, text)
        found.append(shlex.split(line))
    return found


def segmenter_commands(name: str) -> list[list[str]]:
    start = [".venv/bin/python", "-m", "timeseries_segmenter"]
    return [command[3:] for command in commands(name) if command[:3] == start]


def test_there_is_an_example_of_ranges_of_instants_and_of_date_strings() -> None:
    assert example_names() == ["activity", "exercises", "heart_beats"]


def test_every_region_starts_and_ends_on_rows_with_a_label_of_the_config(example: BundledExample) -> None:
    labels = set()
    for sample in example.samples:
        segments = example.segments(sample, sample.regions)
        assert len(segments) == len(sample.regions)
        for segment, region in zip(segments, in_order(sample.regions), strict=True):
            start_end = sample.series.start_end(segment.first, segment.last)
            assert start_end == (region["value"]["start"], region["value"]["end"])
            assert region["value"]["instant"] is segment.instant
        for one, other in pairwise(segments):
            assert one.last < other.first
        labels |= {segment.labels for segment in segments}
    assert labels == set(example.label_sets)


def in_order(regions: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    return sorted(regions, key=lambda region: region["value"]["start"])


def test_what_is_annotated_first_holds_every_label_and_leaves_half_to_predict(
    example: BundledExample,
) -> None:
    assert len(example.samples) >= 2 * ANNOTATED
    learned = example.samples[:ANNOTATED]
    found = {segment.labels for each in learned for segment in example.segments(each, each.regions)}
    assert found == set(example.label_sets)


@each_example
def test_an_example_is_small_and_says_where_it_comes_from(name: str) -> None:
    folder = EXAMPLES / name
    tasks = json.loads((folder / "tasks.json").read_text())
    assert {task["data"]["csv_url"] for task in tasks} == {path.name for path in folder.glob("*.csv")}
    assert sum(path.stat().st_size for path in folder.iterdir()) < KILOBYTES * 1000
    readme = (folder / "README.md").read_text()
    for part in ("**Source**", "**Licence**", "## What to see"):
        assert part in readme


@each_example
def test_the_readme_tells_the_command_that_opens_the_example_in_label_studio(name: str) -> None:
    (demo,) = [command for command in commands(name) if command[0] == "make"]
    assert demo in (["make", "demo", f"EXAMPLE={name}"], ["make", "demo"][: 2 if name == "activity" else 0])
    overview = (EXAMPLES / "README.md").read_text()
    assert f"`{' '.join(demo)}`" in overview
    assert f"({name}/README.md)" in overview


@each_example
def test_the_readme_s_commands_are_understood_and_name_tasks_that_exist(name: str) -> None:
    ids = {task["id"] for task in json.loads((EXAMPLES / name / "tasks.json").read_text())}
    shown = segmenter_commands(name)
    assert [command[0] for command in shown][:3] == ["train", "predict", "evaluate"]
    for command in shown:
        options = command_line().parse_args(command)
        if "tasks" in options:
            assert (options.config, options.tasks) == (
                Path("examples", name, "config.xml"),
                Path("examples", name, "tasks.json"),
            )
            assert set(options.task_ids) <= ids


def test_the_heart_beats_are_learned_by_the_readme_s_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRAIN_EPOCHS", "40")
    train, predict, evaluate = segmenter_commands("heart_beats")[:3]
    for command in (train, predict, evaluate):
        for option in ("--model", "--output"):
            if option in command:
                command[command.index(option) + 1] = str(
                    tmp_path / Path(command[command.index(option) + 1]).name
                )
    assert main(train) == 0
    assert main(predict) == 0
    capsys.readouterr()
    assert main([*evaluate, "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["label:ts"]
    assert metrics["point_f1"] > 0.9

    (first, *_) = json.loads((tmp_path / "predictions.json").read_text())
    text = shown(read_example("heart_beats"), 3, first["predictions"][0]["result"])
    assert "N 36 instants" in text
    assert "Point F1" in text
    assert "F1@50" not in text


def shown(example: BundledExample, place: int, predicted: list[dict[str, Any]]) -> str:
    """The demo's table of one sample."""
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(results(example, {1: example.samples[place]}, {1: predicted}))
    return console.export_text()


def test_the_demo_s_table_shows_ranges_in_seconds_from_the_beginning() -> None:
    example = read_example("exercises")
    text = shown(example, 0, list(example.samples[0].regions))
    assert text.count("External rotation   0.0- 16.9") == 2
    assert "1.00" in text
    assert "F1@50" in text
    assert "Point F1" not in text
