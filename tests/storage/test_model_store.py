import threading
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self

import pytest
import torch

from tests.support.models import PAIR, of_one_pair
from tests.support.need import need
from timeseries_segmenter.errors import DeviceError, ModelFileError, VersionError
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import PairCard
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.versions import VERSION
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore


@pytest.fixture
def store(settings: Settings) -> ModelStore:
    return ModelStore(settings)


def test_a_project_without_a_model_is_untrained(store: ModelStore) -> None:
    assert store.version(3) == "untrained"
    assert store.load(3) is None
    assert store.versions(3) == store.versions() == []


def test_what_is_saved_is_loaded_with_its_metadata(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    version = store.save(3, of_one_pair(run_walk, tasks=[1, 2], pairs={PAIR: PairCard(unlearned=["Sit"])}))
    model = ModelStore(settings).load(3)
    assert model is not None
    assert model.version == version
    assert model.segmenters[PAIR].label_sets == (("Run",), ("Walk",))
    assert model.card.tasks == [1, 2]
    assert model.card.pairs[PAIR].unlearned == ["Sit"]
    assert (settings.model_dir / "model_project_3.pt").is_file()


def test_every_training_makes_another_version(store: ModelStore, run_walk: Segmenter) -> None:
    versions = [store.save(3, of_one_pair(run_walk)) for _ in range(4)]
    assert len(set(versions)) == 4
    assert all(VERSION.fullmatch(version) for version in versions)
    assert store.version(3) == versions[-1]
    assert store.versions(3) == versions[::-1]


def test_versions_of_projects_are_kept_apart(store: ModelStore, run_walk: Segmenter) -> None:
    first, second, third = (store.save(project, of_one_pair(run_walk)) for project in (1, 11, 0))
    assert [store.version(project) for project in (1, 11, 0)] == [first, second, third]
    assert store.versions(1) == [first]
    assert sorted(store.versions()) == sorted([first, second, third])


@pytest.mark.parametrize("kept", [1, 3])
def test_history_keeps_the_newest_versions_of_each_project(
    settings: Settings, run_walk: Segmenter, kept: int
) -> None:
    store = ModelStore(settings.model_copy(update={"model_history": kept}))
    other = store.save(4, of_one_pair(run_walk))
    saved = [store.save(3, of_one_pair(run_walk)) for _ in range(12)]
    assert store.versions(3) == saved[::-1][:kept]
    assert store.versions(4) == [other]
    assert store.version(3) == saved[-1]


def test_the_current_model_and_its_version_file_are_the_same(settings: Settings, run_walk: Segmenter) -> None:
    store = ModelStore(settings)
    version = store.save(3, of_one_pair(run_walk))
    kept = settings.model_dir / "versions" / f"{version}.pt"
    assert kept.read_bytes() == store.path(3).read_bytes()


def test_nothing_but_models_is_left_behind(settings: Settings, run_walk: Segmenter) -> None:
    version = ModelStore(settings).save(3, of_one_pair(run_walk))
    names = {str(path.relative_to(settings.model_dir)) for path in settings.model_dir.rglob("*.*")}
    assert {name for name in names if not name.endswith(".lock")} == {
        "model_project_3.pt",
        f"versions/{version}.pt",
        "versions/p3.given",
        "cache/models/project_3.json",
    }


def test_a_current_model_stays_in_memory_until_its_file_changes(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    store.save(3, of_one_pair(run_walk))
    first = store.load(3)
    assert store.load(3) is first
    version = ModelStore(settings).save(3, of_one_pair(run_walk))
    second = store.load(3)
    assert second is not None
    assert second is not first
    assert second.version == store.version(3) == version


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_models_are_loaded_on_the_device_that_is_set(settings: Settings, run_walk: Segmenter) -> None:
    ModelStore(settings).save(3, of_one_pair(run_walk))
    with pytest.raises(DeviceError, match="DEVICE is 'cuda'"):
        ModelStore(settings.model_copy(update={"device": "cuda"})).load(3)


def test_a_model_that_was_removed_is_served_no_longer(store: ModelStore, run_walk: Segmenter) -> None:
    store.save(3, of_one_pair(run_walk))
    assert store.load(3)
    store.path(3).unlink()
    assert store.load(3) is None
    assert store.version(3) == "untrained"


def test_an_earlier_version_copied_over_the_current_one_is_served(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    first, second = store.save(3, of_one_pair(run_walk)), store.save(3, of_one_pair(run_walk))
    assert store.version(3) == second
    store.path(3).write_bytes((settings.model_dir / "versions" / f"{first}.pt").read_bytes())
    assert store.version(3) == first
    model = store.load(3)
    assert model is not None
    assert model.version == first


def test_memory_holds_at_most_models_in_memory(settings: Settings, run_walk: Segmenter) -> None:
    store = ModelStore(settings.model_copy(update={"models_in_memory": 2}))
    for project in (1, 2, 3):
        store.save(project, of_one_pair(run_walk))
    first, second = store.load(1), store.load(2)
    assert store.load(1) is first
    store.load(3)  # the second, unused for longest, makes room
    assert store.load(1) is first
    assert store.load(2) is not second


def damage_in(content: bytes, kind: str, path: Path) -> None:
    cut = {
        "empty": b"",
        "text": b"no model",
        "cut": content[:-200],
        "zip": content[:4] + b"\0" * 999,
        "nothing": bytes(len(content)),  # what a power cut may leave
    }
    path.write_bytes(cut[kind])


DAMAGE = ["empty", "text", "cut", "zip", "nothing"]


def aside(settings: Settings) -> list[Path]:
    return sorted(settings.model_dir.rglob("*.damaged-*"))


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("first_look", ["version", "load"])
def test_a_damaged_file_is_set_aside_and_its_copy_among_the_versions_serves(
    settings: Settings, run_walk: Segmenter, caplog: pytest.LogCaptureFixture, kind: str, first_look: str
) -> None:
    store = ModelStore(settings)
    version = store.save(3, of_one_pair(run_walk))
    damage_in(store.path(3).read_bytes(), kind, store.path(3))
    damaged = store.path(3).read_bytes()
    getattr(store, first_look)(3)
    assert (store.version(3), need(store.load(3)).version) == (version, version)
    (kept,) = aside(settings)
    assert kept.read_bytes() == damaged
    assert kept.name in caplog.text
    assert f"project 3: model {version} serves in its place" in caplog.text


@pytest.mark.parametrize("kind", DAMAGE)
def test_where_a_version_is_damaged_altogether_the_one_before_serves(
    settings: Settings, run_walk: Segmenter, kind: str
) -> None:
    store = ModelStore(settings)
    first, second = store.save(3, of_one_pair(run_walk)), store.save(3, of_one_pair(run_walk))
    for path in (store.path(3), settings.model_dir / "versions" / f"{second}.pt"):
        damage_in(path.read_bytes(), kind, path)
    assert need(ModelStore(settings).load(3)).version == store.version(3) == first
    assert store.versions(3) == [first]
    assert len(aside(settings)) == 2
    third = store.save(3, of_one_pair(run_walk))
    assert third.startswith("p3-v3-")  # no name is given twice


@pytest.mark.parametrize("kind", DAMAGE)
def test_without_a_version_that_is_whole_a_project_is_untrained(
    settings: Settings, run_walk: Segmenter, kind: str
) -> None:
    store = ModelStore(settings)
    version = store.save(3, of_one_pair(run_walk))
    for path in (store.path(3), settings.model_dir / "versions" / f"{version}.pt"):
        damage_in(path.read_bytes(), kind, path)
    assert store.load(3) is None
    assert store.version(3) == "untrained"
    assert store.save(3, of_one_pair(run_walk)) == store.version(3)  # the next training repairs it


def test_a_flipped_byte_never_serves_a_wrong_model(settings: Settings, run_walk: Segmenter) -> None:
    store = ModelStore(settings)
    version = store.save(3, of_one_pair(run_walk))
    path, content = store.path(3), store.path(3).read_bytes()
    weights = run_walk.network.state_dict()
    flips = range(0, len(content), len(content) // 150)
    for place in flips:
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        model = store.load(3)
        assert model is not None
        assert model.version == version
        for name, tensor in model.segmenters[PAIR].network.state_dict().items():
            assert torch.equal(tensor, weights[name])
    assert len(aside(settings)) > len(flips) / 2  # most bytes count


def test_a_file_that_cannot_be_opened_is_no_damage(
    settings: Settings, run_walk: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(settings)
    store.save(3, of_one_pair(run_walk))

    def too_many(*_: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("timeseries_segmenter.storage.torch_file.ZipFile", too_many)
        with pytest.raises(ModelFileError, match="Too many open files"):
            store.load(3)
        assert store.version(3) == "untrained"
    assert store.load(3) is not None
    assert aside(settings) == []


def test_two_processes_that_see_the_damage_set_it_aside_once(settings: Settings, run_walk: Segmenter) -> None:
    stores = [ModelStore(settings) for _ in range(4)]
    version = stores[0].save(3, of_one_pair(run_walk))
    stores[0].path(3).write_bytes(b"no model")
    loaded: list[str] = []
    threads = [
        threading.Thread(target=lambda store=store: loaded.append(store.load(3).version)) for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == [version] * 4
    assert len(aside(settings)) == 1


def test_a_rollback_brings_an_earlier_model_back_under_a_new_name(
    settings: Settings, run_walk: Segmenter
) -> None:
    store = ModelStore(settings)
    other = replace(run_walk, label_sets=(("Sit",), ("Lie",)))
    first = store.save(3, of_one_pair(run_walk, tasks=[1]))
    second = store.save(3, of_one_pair(other, tasks=[1, 2]))
    assert need(store.load(3)).segmenters[PAIR].label_sets == (("Sit",), ("Lie",))
    third = store.roll_back(3)
    model = need(store.load(3))
    assert (model.version, model.segmenters[PAIR].label_sets) == (third, (("Run",), ("Walk",)))
    assert (model.card.tasks, model.card.restored) == ([1], first)
    assert store.versions(3) == [third, second, first]
    assert ModelStore(settings).version(3) == third


def test_rollbacks_go_further_back_each_time(settings: Settings, run_walk: Segmenter) -> None:
    store = ModelStore(settings)
    first, second, _ = (store.save(3, of_one_pair(run_walk)) for _ in range(3))
    restored = [need(store.load(3)).card.restored for _ in range(2) if store.roll_back(3)]
    assert restored == [second, first]
    with pytest.raises(VersionError, match=f"project 3 has no version before {first}"):
        store.roll_back(3)
    again = store.roll_back(3, second)
    assert need(store.load(3)).card.restored == second
    assert store.version(3) == again


def test_a_rollback_to_what_is_not_there_says_what_is(settings: Settings, run_walk: Segmenter) -> None:
    store = ModelStore(settings)
    with pytest.raises(VersionError, match="project 3 has no model"):
        store.roll_back(3)
    only = store.save(3, of_one_pair(run_walk))
    store.save(4, of_one_pair(run_walk))
    for unknown in ("p3-v9-20260101T000000Z", store.version(4), "../x", ""):
        with pytest.raises(VersionError, match=only):
            store.roll_back(3, unknown)
    assert store.version(3) == only


def test_a_clock_that_is_set_back_makes_no_old_version_the_newest(
    settings: Settings, run_walk: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(settings.model_copy(update={"model_history": 2}))
    first = store.save(3, of_one_pair(run_walk))

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls(2001, 1, 1, tzinfo=tz)

    monkeypatch.setattr("timeseries_segmenter.storage.model_files.datetime", Earlier)
    second, third = store.save(3, of_one_pair(run_walk)), store.save(3, of_one_pair(run_walk))
    assert (second, third) == ("p3-v2-20010101T000000Z", "p3-v3-20010101T000000Z")
    assert store.versions(3) == [third, second]
    assert need(store.load(3)).version == ModelStore(settings).version(3) == third
    assert first not in store.versions(3)


def test_readers_see_whole_models_of_one_version_while_others_are_saved(
    settings: Settings, run_walk: Segmenter
) -> None:
    writer = ModelStore(settings)
    other = replace(run_walk, label_sets=(("Sit",), ("Lie",)))
    writer.save(3, of_one_pair(run_walk, title="Run"))
    ended, failures, seen = threading.Event(), [], set()

    def read() -> None:
        while not ended.is_set():
            try:
                model = ModelStore(settings).load(3)
                assert model is not None
                assert model.card.title == model.segmenters[PAIR].label_sets[0][0]
                seen.add(model.version)
            except Exception as error:  # noqa: BLE001
                failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(20):
            writer.save(3, of_one_pair(other, title="Sit"))
            writer.save(3, of_one_pair(run_walk, title="Run"))
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert len(seen) > 1


def test_a_save_that_breaks_leaves_the_former_model_and_no_rest(
    store: ModelStore, settings: Settings, run_walk: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store.save(3, of_one_pair(run_walk))

    def fill_the_disk(path: Path, _: Model) -> None:
        path.write_bytes(b"half a model")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("timeseries_segmenter.storage.model_store.save_model", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        store.save(3, of_one_pair(run_walk))
    assert store.version(3) == version
    assert store.versions(3) == [version]
    assert not [path for path in settings.model_dir.rglob("*") if "unfinished" in path.name]
