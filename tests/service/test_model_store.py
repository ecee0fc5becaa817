import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from timeseries_segmenter.errors import ModelFileError
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.service.model_store import VERSION, ModelStore
from timeseries_segmenter.settings import Settings


@pytest.fixture
def store(settings: Settings) -> ModelStore:
    return ModelStore(settings)


def test_a_project_without_a_model_is_untrained(store: ModelStore):
    assert store.version(3) == "untrained"
    assert store.load(3) is None
    assert store.versions(3) == store.versions() == []


def test_what_is_saved_is_loaded_with_its_metadata(
    store: ModelStore, settings: Settings, run_walk: Segmenter
):
    version = store.save(3, run_walk, {"tasks": [1, 2], "metrics": {"f1": {"Run": None}}})
    model = ModelStore(settings).load(3)
    assert model is not None
    assert model.version == version
    assert model.segmenter.labels == ("Run", "Walk")
    assert model.metadata["tasks"] == [1, 2]
    assert model.metadata["metrics"] == {"f1": {"Run": None}}
    assert (settings.model_dir / "model_project_3.pt").is_file()


def test_every_training_makes_another_version(store: ModelStore, run_walk: Segmenter):
    versions = [store.save(3, run_walk, {}) for _ in range(4)]
    assert len(set(versions)) == 4
    assert all(VERSION.fullmatch(version) for version in versions)
    assert store.version(3) == versions[-1]
    assert store.versions(3) == versions[::-1]


def test_versions_of_projects_are_kept_apart(store: ModelStore, run_walk: Segmenter):
    first, second, third = (store.save(project, run_walk, {}) for project in (1, 11, 0))
    assert [store.version(project) for project in (1, 11, 0)] == [first, second, third]
    assert store.versions(1) == [first]
    assert sorted(store.versions()) == sorted([first, second, third])


@pytest.mark.parametrize("kept", [1, 3])
def test_history_keeps_the_newest_versions_of_each_project(
    settings: Settings, run_walk: Segmenter, kept: int
):
    store = ModelStore(settings.model_copy(update={"model_history": kept}))
    other = store.save(4, run_walk, {})
    saved = [store.save(3, run_walk, {}) for _ in range(12)]
    assert store.versions(3) == saved[::-1][:kept]
    assert store.versions(4) == [other]
    assert store.version(3) == saved[-1]


def test_the_current_model_and_its_version_file_are_the_same(settings: Settings, run_walk: Segmenter):
    store = ModelStore(settings)
    version = store.save(3, run_walk, {})
    kept = settings.model_dir / "versions" / f"{version}.pt"
    assert kept.read_bytes() == store.path(3).read_bytes()


def test_nothing_but_models_is_left_behind(settings: Settings, run_walk: Segmenter):
    version = ModelStore(settings).save(3, run_walk, {})
    names = {str(path.relative_to(settings.model_dir)) for path in settings.model_dir.rglob("*.*")}
    assert names == {"model_project_3.pt", f"versions/{version}.pt"}


def test_a_current_model_stays_in_memory_until_its_file_changes(
    store: ModelStore, settings: Settings, run_walk: Segmenter
):
    store.save(3, run_walk, {})
    first = store.load(3)
    assert store.load(3) is first
    version = ModelStore(settings).save(3, run_walk, {})
    second = store.load(3)
    assert second is not None
    assert second is not first
    assert second.version == store.version(3) == version


def test_a_model_that_was_removed_is_served_no_longer(store: ModelStore, run_walk: Segmenter):
    store.save(3, run_walk, {})
    assert store.load(3)
    store.path(3).unlink()
    assert store.load(3) is None
    assert store.version(3) == "untrained"


def test_an_earlier_version_copied_over_the_current_one_is_served(
    store: ModelStore, settings: Settings, run_walk: Segmenter
):
    first, second = store.save(3, run_walk, {}), store.save(3, run_walk, {})
    assert store.version(3) == second
    store.path(3).write_bytes((settings.model_dir / "versions" / f"{first}.pt").read_bytes())
    assert store.version(3) == first
    model = store.load(3)
    assert model is not None
    assert model.version == first


def test_memory_holds_at_most_models_in_memory(settings: Settings, run_walk: Segmenter):
    store = ModelStore(settings.model_copy(update={"models_in_memory": 2}))
    for project in (1, 2, 3):
        store.save(project, run_walk, {})
    first, second = store.load(1), store.load(2)
    assert store.load(1) is first
    store.load(3)  # the second, unused for longest, makes room
    assert store.load(1) is first
    assert store.load(2) is not second


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "zip", "format", "pickle"])
def test_a_damaged_file_is_an_error_that_names_it(
    store: ModelStore, run_walk: Segmenter, caplog: pytest.LogCaptureFixture, damage: str
):
    import torch

    store.save(3, run_walk, {})
    path = store.path(3)
    content = path.read_bytes()
    if damage == "format":
        torch.save({"format": 99, "metadata": {"version": "p3-v1"}}, path)
    elif damage == "pickle":
        torch.save({"format": 1, "metadata": Path("x")}, path)  # an object, not plain data
    else:
        cut = {"empty": b"", "text": b"no model", "cut": content[:-200], "zip": content[:4] + b"\0" * 999}
        path.write_bytes(cut[damage])
    with pytest.raises(ModelFileError, match=r"model_project_3\.pt"):
        store.load(3)
    assert store.version(3) == "untrained"
    assert "project 3" in caplog.text
    assert store.save(3, run_walk, {}) == store.version(3)  # the next training repairs it


def test_a_flipped_byte_is_a_model_file_error_that_names_it_or_none(store: ModelStore, run_walk: Segmenter):
    store.save(3, run_walk, {})
    path = store.path(3)
    content = path.read_bytes()
    messages = []
    for place in range(0, len(content), len(content) // 150):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            assert store.load(3)
        except ModelFileError as error:
            messages.append(str(error))
    assert messages
    assert all(path.name in message for message in messages)


def test_readers_see_whole_models_of_one_version_while_others_are_saved(
    settings: Settings, run_walk: Segmenter
):
    writer = ModelStore(settings)
    other = replace(run_walk, labels=("Sit", "Lie"))
    writer.save(3, run_walk, {"first_label": "Run"})
    ended, failures, seen = threading.Event(), [], set()

    def read() -> None:
        while not ended.is_set():
            try:
                model = ModelStore(settings).load(3)
                assert model is not None
                assert model.metadata["first_label"] == model.segmenter.labels[0]
                seen.add(model.version)
            except Exception as error:  # noqa: BLE001
                failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        writer.save(3, other, {"first_label": "Sit"})
        writer.save(3, run_walk, {"first_label": "Run"})
    ended.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert len(seen) > 1


def test_a_save_that_breaks_leaves_the_former_model_and_no_rest(
    store: ModelStore, settings: Settings, run_walk: Segmenter, monkeypatch: pytest.MonkeyPatch
):
    version = store.save(3, run_walk, {})

    def fill_the_disk(_: Segmenter, path: Path, __: dict[str, Any]) -> None:
        path.write_bytes(b"half a model")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Segmenter, "save", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        store.save(3, run_walk, {})
    assert store.version(3) == version
    assert store.versions(3) == [version]
    assert not [path for path in settings.model_dir.rglob("*") if "unfinished" in path.name]
