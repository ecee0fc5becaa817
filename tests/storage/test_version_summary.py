"""What lists show of versions comes from small files, and is never that of another file."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.support.models import of_one_pair
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage import version_summary
from timeseries_segmenter.storage.model_store import ModelStore


@pytest.fixture
def saved(settings: Settings, run_walk: Segmenter) -> list[str]:
    """Versions of project 3, newest first."""
    store = ModelStore(settings)
    return [store.save(3, of_one_pair(run_walk, title=title)) for title in ("one", "two")][::-1]


@pytest.fixture
def summaries(settings: Settings) -> Path:
    return settings.model_dir / "cache/models/project_3.json"


def read_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timeseries_segmenter.storage.model_store.read_card", pytest.fail)


@pytest.mark.usefixtures("saved")
def test_another_process_reads_no_model_for_its_title(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_no_model(monkeypatch)
    assert ModelStore(settings).title(3) == "two"
    assert ModelStore(settings).title(4) == ""


def test_another_process_reads_only_the_served_model_for_a_list(
    settings: Settings, saved: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(settings)
    store.version(3)
    read_no_model(monkeypatch)
    assert [(each.version, each.title) for each in store.summaries(3)] == list(
        zip(saved, ("two", "one"), strict=True)
    )


def test_a_file_that_was_replaced_is_read(settings: Settings, saved: list[str]) -> None:
    store = ModelStore(settings)
    current, first = store.path(3), store.version_path(3, saved[1])
    assert store.title(3) == "two"
    current.unlink()
    os.link(first, current)
    assert (store.title(3), ModelStore(settings).title(3)) == ("one", "one")


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": 3}', None])
def test_summaries_that_can_not_be_used_are_made_anew(
    settings: Settings, summaries: Path, content: bytes | None
) -> None:
    whole = json.loads(summaries.read_bytes())
    (known,) = whole.values()
    summaries.write_bytes(json.dumps({"0.0.0": known}).encode() if content is None else content)
    assert ModelStore(settings).title(3) == "two"
    (release,) = whole
    assert json.loads(summaries.read_bytes())[release].keys() == {"model_project_3.pt"}


@pytest.mark.usefixtures("saved")
def test_a_folder_that_can_not_be_written_is_said_once_and_costs_nothing_else(
    settings: Settings, summaries: Path, caplog: pytest.LogCaptureFixture
) -> None:
    summaries.unlink()
    summaries.parent.rmdir()
    summaries.parent.write_bytes(b"")
    store = ModelStore(settings)
    assert [each.title for each in store.summaries(3)] == ["two", "one"]
    assert store.title(3) == "two"
    assert caplog.text.count("summaries of models are not kept in") == 1


def test_a_file_of_summaries_does_not_grow_for_ever(
    settings: Settings, run_walk: Segmenter, summaries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_summary, "MOST_FILES", 3)
    store = ModelStore(settings)
    versions = [store.save(3, of_one_pair(run_walk)) for _ in range(4)]
    ((_, known),) = json.loads(summaries.read_bytes()).items()
    assert known.keys() == {f"{versions[2]}.pt", f"{versions[3]}.pt", "model_project_3.pt"}
    assert list(summaries.parent.iterdir()) == [summaries]


@pytest.mark.usefixtures("saved")
def test_what_a_killed_process_left_is_removed_at_the_start(settings: Settings, summaries: Path) -> None:
    left, written = (summaries.with_name(f".{name}.unfinished") for name in ("left", "written"))
    for path, age in ((left, 3600), (written, 0)):
        path.write_bytes(b"{")
        os.utime(path, (time.time() - age,) * 2)
    ModelStore(settings).remove_unfinished()
    assert set(summaries.parent.iterdir()) == {summaries, written}
