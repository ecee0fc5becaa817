from dataclasses import replace
from pathlib import Path

import pytest
from lxml import html

from tests.support import reports
from tests.support.models import of_one_pair
from timeseries_segmenter.cli import main
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_file import save_model
from timeseries_segmenter.storage.model_store import ModelStore


def named(model: Model, version: str) -> Model:
    return replace(model, card=Card(version=version))


@pytest.fixture(scope="module")
def model() -> Model:
    report = reports.report(reports.part(checked=reports.checked()))
    return Model(Card(), {"label:ts": reports.fitted().segmenter}, report=report.model_dump_json())


def links(page: Path) -> list[str]:
    return [each.get("href") for each in html.parse(page).getroot().iter("a")]


def test_the_report_of_a_model_file_is_written(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(tmp_path / "m.pt", named(model, "m-20261125"))
    assert main(["report", "--model", str(tmp_path / "m.pt"), "--output", str(tmp_path / "r.html")]) == 0
    assert "the report of m.pt" in capsys.readouterr().out
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<h1>Basic motions</h1>" in text
    assert "m-20261125" in text
    assert links(tmp_path / "r.html") == []


def test_the_report_of_a_projects_current_model_leads_into_label_studio(
    model: Model, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(settings.model_dir))
    monkeypatch.setenv("LABEL_STUDIO_PUBLIC_URL", "https://studio.example")
    store = ModelStore(settings)
    first = store.save(47, model)
    store.save(47, model)
    restored = store.roll_back(47, first)
    assert main(["report", "--project", "47", "--output", str(tmp_path / "r.html")]) == 0
    assert "https://studio.example/projects/47/data?task=1" in links(tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert restored in text
    assert f"restored from {first}" in text


def test_a_model_without_a_report_or_with_one_of_another_form_says_what_to_do(
    run_walk: Segmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.pt"
    arguments = ["report", "--model", str(path), "--output", str(tmp_path / "r.html")]
    save_model(path, of_one_pair(run_walk, version="old"))
    assert main(arguments) == 1
    assert "old was made without a report; train once more" in capsys.readouterr().err
    save_model(path, Model(Card(), {"label:ts": run_walk}, report='{"title": "x"}'))
    assert main(arguments) == 1
    assert "of another release of this service" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--project", "4"], "project 4 has no model"), (["--model", "nowhere.pt"], "nowhere.pt can't be read")],
)
def test_a_model_that_is_not_there_is_told(
    arguments: list[str],
    message: str,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(settings.model_dir))
    assert main(["report", *arguments, "--output", str(tmp_path / "r.html")]) == 1
    assert message in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_told(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(tmp_path / "m.pt", named(model, "m"))
    assert (
        main(["report", "--model", str(tmp_path / "m.pt"), "--output", str(tmp_path / "no" / "r.html")]) == 1
    )
    assert "can't be written: No such file or directory" in capsys.readouterr().err
