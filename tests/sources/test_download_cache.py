import errno
import os
import resource
import time
from pathlib import Path

import pytest

from timeseries_segmenter.sources.download_cache import DownloadCache

URL = "http://host/series.csv?part=1"
TAGGED = {"ETag": '"v1"', "Content-Type": "text/csv"}


@pytest.fixture
def cache(tmp_path: Path) -> DownloadCache:
    return DownloadCache(tmp_path / "cache", 1000)


def test_an_empty_cache_has_no_conditions_and_no_body(cache: DownloadCache) -> None:
    assert cache.conditions(URL) == {}
    assert cache.get(URL) is None


@pytest.mark.parametrize(
    ("validators", "conditions"),
    [
        ({"ETag": '"v1"'}, {"If-None-Match": '"v1"'}),
        (
            {"Last-Modified": "Sun, 22 Nov 2026 10:00:00 GMT"},
            {"If-Modified-Since": "Sun, 22 Nov 2026 10:00:00 GMT"},
        ),
        (
            {"ETag": 'W/"1"', "Last-Modified": "now", "Date": "today"},
            {"If-None-Match": 'W/"1"', "If-Modified-Since": "now"},
        ),
    ],
)
def test_conditions_repeat_what_the_server_gave(
    cache: DownloadCache, validators: dict[str, str], conditions: dict[str, str]
) -> None:
    cache.put(URL, b"1\n2\n", validators)
    assert cache.conditions(URL) == conditions
    assert cache.get(URL) == b"1\n2\n"


def test_a_body_without_a_validator_is_not_kept(cache: DownloadCache) -> None:
    cache.put(URL, b"1", {"Date": "today"})
    assert cache.get(URL) is None


def test_the_whole_address_is_the_key(cache: DownloadCache) -> None:
    cache.put(URL, b"1", TAGGED)
    assert cache.get(URL.replace("part=1", "part=2")) is None


@pytest.mark.parametrize("body", [b"", b"\n\n", b'{"ETag": "x"}\n', bytes(range(256))])
def test_any_body_comes_back_as_it_was(cache: DownloadCache, body: bytes) -> None:
    cache.put(URL, body, TAGGED)
    assert cache.get(URL) == body


def test_the_newest_body_wins(cache: DownloadCache) -> None:
    cache.put(URL, b"old", TAGGED)
    cache.put(URL, b"new", {"ETag": '"v2"'})
    assert cache.get(URL) == b"new"
    assert cache.conditions(URL) == {"If-None-Match": '"v2"'}


def test_the_ones_unused_for_longest_make_room(cache: DownloadCache) -> None:
    for number in range(3):
        cache.put(f"{URL}{number}", bytes(280), TAGGED)
        for path in cache.folder.iterdir():  # older than anything that follows
            os.utime(path, (path.stat().st_mtime - 100, path.stat().st_mtime - 100))
    assert cache.get(f"{URL}0")
    cache.put(f"{URL}3", bytes(280), TAGGED)
    kept = [number for number in range(4) if cache.get(f"{URL}{number}")]
    assert kept == [0, 2, 3]
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= 1000


def test_a_body_larger_than_the_cache_is_not_kept(cache: DownloadCache) -> None:
    cache.put(URL, b"small", TAGGED)
    cache.put(f"{URL}2", bytes(1001), TAGGED)
    assert cache.get(f"{URL}2") is None
    assert cache.get(URL) == b"small"


def test_a_cache_of_no_bytes_keeps_nothing(tmp_path: Path) -> None:
    cache = DownloadCache(tmp_path / "cache", 0)
    cache.put(URL, b"1", TAGGED)
    assert cache.get(URL) is None


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]\n1", b"null\n1", b"5\n1", b"\xff\xfe\n1", b'{"ETag": 5}\n1']
)
def test_a_damaged_entry_is_no_error_and_is_replaced(cache: DownloadCache, damage: bytes) -> None:
    cache.put(URL, b"whole", TAGGED)
    (entry,) = cache.folder.iterdir()
    entry.write_bytes(damage)
    assert all(isinstance(value, str) for value in cache.conditions(URL).values())
    cache.put(URL, b"whole", TAGGED)
    assert cache.get(URL) == b"whole"


def test_processes_share_the_folder(cache: DownloadCache) -> None:
    cache.put(URL, b"1", TAGGED)
    other = DownloadCache(cache.folder, cache.capacity)
    assert (other.conditions(URL), other.get(URL)) == ({"If-None-Match": '"v1"'}, b"1")


def test_no_unfinished_file_is_left(cache: DownloadCache) -> None:
    began = time.time()
    for number in range(5):
        cache.put(URL, bytes(number), TAGGED)
    (entry,) = cache.folder.iterdir()
    assert entry.suffix == ".series"
    assert entry.stat().st_mtime >= began - 1


def test_files_that_a_killed_process_left_are_removed(cache: DownloadCache) -> None:
    cache.folder.mkdir()
    for name, age in (("old", 7200), ("new", 10)):
        path = cache.folder / f".{name}.unfinished"
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age, time.time() - age))
    cache.put(URL, b"1", TAGGED)
    assert {path.name for path in cache.folder.glob("*.unfinished")} == {".new.unfinished"}
    assert cache.get(URL) == b"1"


def test_a_full_disk_is_a_warning_and_leaves_nothing(
    cache: DownloadCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put(URL, b"old", TAGGED)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # as full as a disk gets in a test
    try:
        cache.put(URL, bytes(900), TAGGED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(cache.folder) in caplog.text
    assert "part=1" not in caplog.text
    assert [path.suffix for path in cache.folder.iterdir()] == [".series"]
    assert cache.get(URL) == b"old"


@pytest.mark.parametrize("step", ["mkdir", "replace", "glob"])
def test_a_folder_that_can_not_be_written_is_a_warning(
    cache: DownloadCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, refuse)
        cache.put(URL, b"1", TAGGED)
    assert len(caplog.records) == 1
    assert "Read-only file system" in caplog.text
    assert list(cache.folder.parent.rglob("*.unfinished")) == []


def test_a_file_in_the_place_of_the_folder_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_bytes(b"")
    cache = DownloadCache(tmp_path / "cache", 1000)
    cache.put(URL, b"1", TAGGED)
    assert (cache.conditions(URL), cache.get(URL)) == ({}, None)
    assert len(caplog.records) == 1
