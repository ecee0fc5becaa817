"""What the documentation has people write and run works as it says."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import timeseries_segmenter
from tests.support.markdown_page import DOCS, PAGES, Page
from tests.support.near import near
from timeseries_segmenter import SegmentClassifier
from timeseries_segmenter.cli import main
from timeseries_segmenter.labeling.config import parse_label_config

LABEL = '<Label value="Run"/>'
RECIPES = Page(DOCS / "how-to/labeling-configs.md")


@pytest.mark.parametrize(
    "block", [block for page in PAGES for block in page.blocks("xml")], ids=lambda block: block.split("\n")[0]
)
def test_labeling_configs_on_the_pages_are_understood(block: str) -> None:
    labels = block if block.startswith("<Label ") else ""
    if "<TimeSeriesLabels" not in block:
        name = 'name="label" toName="ts"'
        block = f"{'' if labels else block}<TimeSeriesLabels {name}>{labels or LABEL}</TimeSeriesLabels>"
    if "<TimeSeries " not in block:
        block += '<TimeSeries name="ts" value="$csv_url"><Channel column="x"/></TimeSeries>'
    config = parse_label_config(block if block.startswith("<View>") else f"<View>{block}</View>")
    assert len(config.pairs) == block.count("<TimeSeriesLabels")
    assert config.unknown_settings == ()


def test_recipes_of_labeling_configs_do_what_they_say() -> None:
    series = '<TimeSeries name="ts" value="$csv_url"><Channel column="x"/></TimeSeries>'
    snippets = RECIPES.blocks("xml")
    several, of_tasks, settings = (
        parse_label_config(f"<View>{block}{series}</View>").pairs[0]
        for mark in ("choice=", 'value="$labels"', "model_epochs=")
        for block in snippets
        if mark in block
    )
    assert several.multiple
    (data,) = [block for block in RECIPES.blocks("json") if '"labels"' in block]
    assert of_tasks.of_task(json.loads(data)).labels == ("Walk", "Run")
    assert (settings.settings.epochs, settings.settings.score_threshold) == (300, 0.6)
    (renamed,) = [block for block in snippets if "predicted_values" in block]
    control = f'<TimeSeriesLabels name="label" toName="ts">{renamed}</TimeSeriesLabels>'
    pair = parse_label_config(f"<View>{control}{series}</View>").pairs[0]
    assert pair.label_set(["Run"]) == pair.label_set(["Jog"]) == ("Running",)


def test_the_commands_without_label_studio_run_as_they_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRAIN_EPOCHS", "2")
    lines = Page(DOCS / "how-to/without-label-studio.md").lines
    data = next(line for line in lines if line.startswith("data="))[len('data="') : -1]
    ran = []
    for line in lines:
        if "-m timeseries_segmenter" in line:
            words = line.partition("-m timeseries_segmenter ")[2].replace("$data", data).split()
            written = [
                str(tmp_path / word) if word.endswith(("m.pt", ".html", "ions.json")) else word
                for word in words
            ]
            assert main(written) == 0, capsys.readouterr().err
            ran.append(words[0])
    assert ran == ["train", "predict", "evaluate", "report"]
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_the_example_of_use_as_a_library_finds_the_region() -> None:
    program = runpy.run_path(str(DOCS / "how-to/use_as_a_library.py"))
    (region,) = program["main"]()
    assert region["value"]["start"] == pytest.approx(12.0, abs=1)
    assert region["value"]["end"] == pytest.approx(21.9, abs=1)


def test_the_estimator_on_the_pages_finds_the_segment() -> None:
    (program,) = Page(DOCS / "how-to/use-as-a-library.md").blocks("python")[:1]
    names: dict[str, Any] = {}
    exec(program, names)
    assert (names["segment"].labels, names["segment"].first) == (("Shake",), pytest.approx(180, abs=8))
    assert names["labels"][220] == "Shake"


def test_the_lines_of_the_readme_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    series = [random.normal(size=(300, 1)) for _ in range(3)]
    labels = [np.zeros(300, int) for _ in series]
    for values, of_rows, first in zip(series, labels, (50, 120, 180), strict=True):
        values[first : first + 80] *= 10
        of_rows[first : first + 80] = 1
    default = SegmentClassifier
    monkeypatch.setattr(
        timeseries_segmenter, "SegmentClassifier", lambda: default(max_epochs=60, hidden_size=8)
    )
    (program,) = Page(Path("README.md")).blocks("python")
    exec(program, {"X": series[:2], "y": labels[:2], "X_new": series[2:]})
    first, last, *_ = map(int, re.findall(r"\d+", capsys.readouterr().out))
    assert (first, last) == (near(180, abs=8), near(259, abs=8))
