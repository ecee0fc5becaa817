"""Model files that can't be used for other reasons than damage stay, and an earlier version serves."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from flask.testing import FlaskClient

from tests.support import recorded
from tests.support.foreign_models import (
    add_dimension,
    lower_format,
    raise_format,
    save_reference,
    widen_weights,
)
from tests.support.models import PAIR, of_one_pair
from tests.support.need import need
from tests.support.processes import fill, small_disk
from timeseries_segmenter.errors import ModelFileError
from timeseries_segmenter.learning.opinions.network import Network
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.segmenter_state import segmenter_from_state, state_of
from timeseries_segmenter.project.versions import version_number
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.web.backend import Backend

INLINE = "predict_json_inline"
CHANGES = [raise_format, add_dimension, widen_weights]


@pytest.fixture
def store(settings: Settings) -> ModelStore:
    return ModelStore(settings)


def kept(settings: Settings, version: str) -> Path:
    return settings.model_dir / "versions" / f"{version}.pt"


def aside(settings: Settings) -> list[Path]:
    return sorted(settings.model_dir.rglob("*.damaged-*"))


def two_versions(store: ModelStore, segmenter: Segmenter) -> tuple[str, str]:
    return store.save(3, of_one_pair(segmenter)), store.save(3, of_one_pair(segmenter))


def make_foreign(settings: Settings, version: str, change: Callable[[Path], None]) -> None:
    """Change the current file and its copy among the versions."""
    for path in (settings.model_dir / "model_project_3.pt", kept(settings, version)):
        change(path)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("first_look", ["version", "load"])
def test_a_whole_file_that_is_not_for_this_release_stays_and_the_one_before_serves(
    store: ModelStore,
    settings: Settings,
    run_walk: Segmenter,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[Path], None],
    first_look: str,
) -> None:
    first, second = two_versions(store, run_walk)
    make_foreign(settings, second, change)
    before = {path.name: path.read_bytes() for path in settings.model_dir.rglob("*.pt")}
    store = ModelStore(settings)
    getattr(store, first_look)(3)
    for _ in range(3):
        assert (store.version(3), need(store.load(3)).version) == (first, first)
        assert f"{second}.pt" in before
    assert {path.name: path.read_bytes() for path in settings.model_dir.rglob("*.pt")} == before
    assert aside(settings) == []
    assert store.versions(3) == [second, first]
    assert caplog.text.count("model_project_3.pt ") == 1
    assert caplog.text.count(f"project 3: model {first} is served in place of the newest one") == 1
    assert need(store.trouble(3)).startswith("model_project_3.pt ")


def test_with_the_release_that_a_file_is_for_it_is_served_again(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    first, second = two_versions(store, run_walk)
    make_foreign(settings, second, raise_format)
    assert ModelStore(settings).version(3) == first
    make_foreign(settings, second, lower_format)
    again = ModelStore(settings)
    assert (again.version(3), need(again.load(3)).version, again.trouble(3)) == (second, second, None)


def test_setup_and_predictions_agree_on_the_version_that_stands_in(
    client: FlaskClient, backend: Backend, settings: Settings, run_walk: Segmenter
) -> None:
    body = recorded.body(INLINE)
    project = int(str(body["project"]).split(".")[0])
    first = backend.store.save(project, of_one_pair(run_walk))
    second = backend.store.save(project, of_one_pair(run_walk))
    for path in (backend.store.path(project), kept(settings, second)):
        widen_weights(path)
    setup = {"project": body["project"], "schema": body["label_config"]}
    assert client.post("/setup", json=setup).get_json()["model_version"] == first
    results = client.post("/predict", json=body).get_json()["results"]
    assert {result["model_version"] for result in results} == {first}
    assert all(result["result"] for result in results)
    assert client.post("/setup", json=setup).get_json()["model_version"] == first
    assert backend.knows(project)


def test_a_new_version_loses_no_file_of_a_newer_release(
    settings: Settings, run_walk: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings.model_copy(update={"model_history": 3})
    store = ModelStore(settings)
    saved = [store.save(3, of_one_pair(run_walk)) for _ in range(3)]
    for version in saved[1:]:
        raise_format(kept(settings, version))
    raise_format(store.path(3))
    newer = {path.name: path.read_bytes() for path in (kept(settings, version) for version in saved[1:])}
    store = ModelStore(settings)
    more = [store.save(3, of_one_pair(run_walk)) for _ in range(4)]
    assert [version_number(version) for version in more] == [4, 5, 6, 7]
    assert store.version(3) == more[-1]
    assert store.versions(3) == [*more[:0:-1], *saved[:0:-1]]  # 3 of this release, and the foreign ones
    assert {name: kept(settings, name.removesuffix(".pt")).read_bytes() for name in newer} == newer
    assert "kept beyond MODEL_HISTORY" in caplog.text
    for version in saved[1:]:
        lower_format(kept(settings, version))
    last = ModelStore(settings).save(3, of_one_pair(run_walk))
    assert store.versions(3) == [last, more[3], more[2]]  # what can be read again goes like any other


def test_numbers_go_on_after_a_file_of_a_newer_release_that_no_version_keeps(
    store: ModelStore, settings: Settings, run_walk: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    versions = [store.save(3, of_one_pair(run_walk)) for _ in range(4)]
    raise_format(store.path(3))
    content = store.path(3).read_bytes()
    for version in versions:
        kept(settings, version).unlink()
    new = ModelStore(settings).save(3, of_one_pair(run_walk))
    assert new.startswith("p3-v5-")
    (before,) = settings.model_dir.glob("model_project_3.pt.*")
    assert (before.name, before.read_bytes()) == (f"model_project_3.pt.before-{new}", content)
    assert before.name in caplog.text
    assert ModelStore(settings).save(3, of_one_pair(run_walk)).startswith("p3-v6-")
    assert ModelStore(settings).projects() == [3]


def test_a_model_that_a_person_put_there_is_not_lost_either(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    other = ModelStore(settings.model_copy(update={"model_dir": settings.model_dir / "other"}))
    other.save(3, of_one_pair(run_walk, note="by hand"))
    content = other.path(3).read_bytes()
    store.path(3).write_bytes(content)
    version = store.save(3, of_one_pair(run_walk))
    (before,) = settings.model_dir.glob("*.before-*")
    assert (before.name, before.read_bytes()) == (f"model_project_3.pt.before-{version}", content)
    store.save(3, of_one_pair(run_walk))
    assert list(settings.model_dir.glob("*.before-*")) == [before]  # what a version keeps needs no copy


def test_a_file_of_the_reference_example_is_kept_and_explained(
    client: FlaskClient, backend: Backend, run_walk: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    path = backend.store.path(3)
    save_reference(path)
    content = path.read_bytes()
    for _ in range(3):
        answer = client.post(
            "/setup", json={"project": "3.1", "schema": recorded.body(INLINE)["label_config"]}
        )
        assert answer.get_json()["model_version"] == "untrained"
    assert path.read_bytes() == content
    assert caplog.text.count("is a model of the time series example of label-studio-ml-backend") == 1
    assert "choose Start Training" in caplog.text
    (given,) = client.get("/projects").get_json()["projects"]
    assert "choose Start Training" in given["trouble"]
    page = client.get("/projects", headers={"Accept": "text/html"}).text
    assert "time series example of label-studio-ml-backend" in page
    assert "choose Start Training" in client.get("/projects/3/report").get_json()["detail"]
    version = backend.store.save(3, of_one_pair(run_walk))
    before = path.with_name(f"{path.name}.before-{version}")
    assert before.read_bytes() == content
    assert before.name in caplog.text
    assert client.get("/projects").get_json()["projects"][0]["trouble"] is None


def test_a_rollback_to_a_file_of_a_newer_release_is_a_sentence(
    client: FlaskClient, backend: Backend, settings: Settings, run_walk: Segmenter
) -> None:
    first, second = two_versions(backend.store, run_walk)
    third = backend.store.save(3, of_one_pair(run_walk))
    raise_format(kept(settings, second))
    with pytest.raises(ModelFileError, match=f"{second}.pt has format 6, of a newer release"):
        backend.store.roll_back(3)
    answer = client.post("/projects/3/rollback", json={"version": second})
    assert answer.status_code == 409
    assert answer.get_json()["detail"].startswith(f"{second}.pt has format 6, of a newer release")
    assert backend.store.version(3) == third
    again = backend.store.roll_back(3, first)
    assert (backend.store.version(3), need(backend.store.load(3)).version) == (again, again)


def test_a_rollback_ends_the_trouble_with_the_newest_version(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    first, second = two_versions(store, run_walk)
    make_foreign(settings, second, raise_format)
    store = ModelStore(settings)
    third = store.roll_back(3, first)
    assert third.startswith("p3-v3-")
    assert (store.version(3), store.trouble(3)) == (third, None)
    assert kept(settings, second).exists()


def test_the_dashboard_shows_which_versions_cannot_be_read(
    client: FlaskClient, backend: Backend, settings: Settings, run_walk: Segmenter
) -> None:
    first, second = two_versions(backend.store, run_walk)
    make_foreign(settings, second, raise_format)
    (given,) = client.get("/projects").get_json()["projects"]
    assert given["version"] == first
    assert given["trouble"].startswith("model_project_3.pt has format 6, of a newer release")
    assert [version["version"] for version in given["versions"]] == [second, first]
    assert given["versions"][0]["unreadable"].startswith(f"{second}.pt has format 6")
    assert "unreadable" not in given["versions"][1]
    page = client.get("/projects", headers={"Accept": "text/html"}).text
    assert "v1 is served in its place" in page
    assert f'value="{second}"' not in page  # not to roll back to


def test_damaged_versions_are_passed_over_and_named_once(
    store: ModelStore, settings: Settings, run_walk: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = two_versions(store, run_walk)
    third = store.save(3, of_one_pair(run_walk))
    make_foreign(settings, third, raise_format)
    kept(settings, second).write_bytes(b"no model")
    store = ModelStore(settings)
    for _ in range(3):
        assert (store.version(3), need(store.load(3)).version) == (first, first)
    assert caplog.text.count(f"{second}.pt is not a model file") == 1
    assert kept(settings, second).read_bytes() == b"no model"


def test_a_folder_in_place_of_the_model_is_no_damage(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    first = store.save(3, of_one_pair(run_walk))
    store.path(3).unlink()
    store.path(3).mkdir()
    (store.path(3) / "notes").write_text("mine")
    assert (store.version(3), need(store.load(3)).version) == (first, first)
    second = store.save(3, of_one_pair(run_walk))
    assert store.version(3) == second
    assert (settings.model_dir / f"model_project_3.pt.before-{second}" / "notes").read_text() == "mine"


# what passes: limits of the process, permissions

LOOK = """
import json, os, resource, sys
from pathlib import Path
import torch
from timeseries_segmenter.errors import ModelFileError
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.settings import Settings

torch.set_num_threads(1)  # as in the service
settings = Settings(model_dir=Path(sys.argv[1]))

def load(store):
    try:
        return store.load(3).version
    except ModelFileError as error:
        return str(error)

def look(store):
    return [store.version(3), load(store), store.version(3), store.trouble(3)]

warm = ModelStore(settings)
warm.load(4), warm.version(4)  # torch has opened and imported what it needs
"""

NO_DESCRIPTORS = """
store = ModelStore(settings)
free = os.open("/", os.O_RDONLY)
os.close(free)
limit = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, limit[1]))
without = look(store)
resource.setrlimit(resource.RLIMIT_NOFILE, limit)
print(json.dumps([without, look(store)]))
"""

NO_MEMORY = """
store = ModelStore(settings)
used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
limit = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]), limit[1]))
without = look(store)
resource.setrlimit(resource.RLIMIT_AS, limit)
print(json.dumps([without, look(store)]))
"""

NO_PERMISSION = """
store = ModelStore(settings)
current = store.path(3)
current.chmod(0)
without = look(store)
current.chmod(0o644)
print(json.dumps([without, look(store)]))
"""


def run(script: str, *arguments: object, privileged: bool = True) -> tuple[Any, Any, str]:
    """Both looks of a script, and its log; it runs alone, maybe without root's right to read everything."""
    command = [sys.executable, "-c", LOOK + script, *map(str, arguments)]
    if not privileged and os.geteuid() == 0:
        rights = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return *json.loads(ended.stdout.splitlines()[-1]), ended.stderr


def test_without_file_descriptors_nothing_is_set_aside_and_later_all_is_served(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    store.save(4, of_one_pair(run_walk))
    _, second = two_versions(store, run_walk)
    without, later, log = run(NO_DESCRIPTORS, settings.model_dir)
    assert without[0] == without[2] == "untrained"
    assert "Too many open files" in without[1]
    assert "Too many open files" in without[3]
    assert log.count("Too many open files") == 1
    assert later == [second, second, second, None]
    assert aside(settings) == []


@pytest.mark.parametrize("room", [1_000_000, 8_000_000, 20_000_000, 60_000_000])
def test_without_memory_nothing_is_set_aside_and_later_the_newest_is_served(
    store: ModelStore, settings: Settings, run_walk: Segmenter, room: int
) -> None:
    store.save(4, of_one_pair(run_walk))
    first = store.save(3, of_one_pair(run_walk))
    dimensions = replace(run_walk.network.dimensions, hidden_size=900)
    state = state_of(run_walk)
    network = Network(dimensions)  # 28 MB
    state |= {
        "dimensions": asdict(dimensions),
        "weights": network.state_dict(),
    }
    second = store.save(3, of_one_pair(segmenter_from_state(state)))
    without, later, _ = run(NO_MEMORY, settings.model_dir, room)
    assert without[0] in (first, second, "untrained")
    assert without[1] == without[2] or without[2] == "untrained"  # what is loaded and what is answered agree
    if room == 20_000_000:
        assert without[1] == without[2] == first
        assert "emory" in without[3]
    assert later == [second, second, second, None]
    assert aside(settings) == []


def test_without_permission_the_copy_among_the_versions_serves(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    store.save(4, of_one_pair(run_walk))
    _, second = two_versions(store, run_walk)
    without, later, _ = run(NO_PERMISSION, settings.model_dir, privileged=False)
    assert without[:3] == [second, second, second]
    assert without[3] == "model_project_3.pt can't be read now: Permission denied"
    assert later == [second, second, second, None]
    assert aside(settings) == []


# damage, where nothing can be written


def test_a_damaged_file_on_a_full_disk_stays_and_a_whole_version_serves(
    settings: Settings, run_walk: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(settings.model_dir, "size=2m"):
        store = ModelStore(settings)
        first, second = two_versions(store, run_walk)
        store.path(3).write_bytes(b"")
        kept(settings, second).write_bytes(b"no model")
        filling = fill(settings.model_dir)
        for _ in range(3):
            assert (store.version(3), need(store.load(3)).version) == (first, first)
        assert caplog.text.count("No space left on device") == 1
        assert store.path(3).exists()
        assert "No space left on device" in need(store.trouble(3))
        assert not list(settings.model_dir.rglob("*.unfinished"))
        filling.unlink()
        assert (store.version(3), need(store.load(3)).version, store.trouble(3)) == (first, first, None)
        assert ModelStore(settings).version(3) == first
        assert len(aside(settings)) == 2


def test_a_damaged_file_on_a_disk_that_is_read_only_stays_and_a_whole_version_serves(
    settings: Settings, run_walk: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(settings.model_dir, "size=2m"):
        store = ModelStore(settings)
        first, second = two_versions(store, run_walk)
        content = store.path(3).read_bytes()[:-100]
        for path in (store.path(3), kept(settings, second)):
            path.write_bytes(content)
        subprocess.run(["mount", "-o", "remount,ro", settings.model_dir], check=True)
        for _ in range(3):
            assert (store.version(3), need(store.load(3)).version) == (first, first)
        assert caplog.text.count("Read-only file system") == 1
        assert store.path(3).read_bytes() == content
        subprocess.run(["mount", "-o", "remount,rw", settings.model_dir], check=True)
        assert (need(store.load(3)).version, store.version(3), store.trouble(3)) == (first, first, None)
        assert len(aside(settings)) == 2


def test_a_lock_that_somebody_else_holds_keeps_no_request_waiting(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    first, second = two_versions(store, run_walk)
    for path in (store.path(3), kept(settings, second)):
        path.write_bytes(b"no model")
    lock = settings.model_dir / "versions" / "project_3.lock"
    with FileLock(lock):
        assert (store.version(3), need(store.load(3)).version) == (first, first)
        assert f"another process holds {lock}" in need(store.trouble(3))
        assert aside(settings) == []
    assert (store.version(3), need(store.load(3)).version, store.trouble(3)) == (first, first, None)
    assert len(aside(settings)) == 2


def test_a_damaged_file_waits_for_the_newest_version_where_that_cannot_be_judged_yet(
    store: ModelStore, settings: Settings, run_walk: Segmenter
) -> None:
    first, second = two_versions(store, run_walk)
    store.path(3).write_bytes(b"no model")
    hidden = kept(settings, second).rename(settings.model_dir / "hidden")
    kept(settings, second).mkdir()  # can't be read: not known to be damaged
    assert (store.version(3), need(store.load(3)).version) == (first, first)
    assert store.path(3).read_bytes() == b"no model"
    kept(settings, second).rmdir()
    hidden.rename(kept(settings, second))
    assert (store.version(3), need(store.load(3)).version) == (second, second)
    assert need(store.load(3)).segmenters[PAIR].label_sets == run_walk.label_sets
    assert len(aside(settings)) == 1
