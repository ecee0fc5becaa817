import os
from pathlib import Path

import pytest

from timeseries_segmenter.cli.watched_folder import WatchedFolder
from timeseries_segmenter.errors import ExportError


def names(folder: WatchedFolder) -> list[str]:
    return [path.name for path in folder.settled_files()]


def test_a_file_is_given_when_it_did_not_change_between_two_looks(tmp_path: Path) -> None:
    folder = WatchedFolder(tmp_path, [])
    with (tmp_path / "slow.csv").open("w") as file:
        assert names(folder) == []
        for _ in range(3):
            file.write("1,2\n")
            file.flush()
            assert names(folder) == []
    assert names(folder) == ["slow.csv"]
    assert names(folder) == []


def test_a_file_that_is_replaced_by_an_equally_large_one_has_changed(tmp_path: Path) -> None:
    folder = WatchedFolder(tmp_path, [])
    (tmp_path / "a.csv").write_text("1,2\n")
    assert names(folder) == []
    (tmp_path / "a.csv").write_text("3,4\n")
    os.utime(tmp_path / "a.csv", ns=(0, 1))
    assert names(folder) == []
    assert names(folder) == ["a.csv"]


def test_one_that_was_given_in_vain_is_given_again_when_it_changes_and_done_ones_never(
    tmp_path: Path,
) -> None:
    folder = WatchedFolder(tmp_path, ["known.csv"])
    for name in ("a.csv", "b.csv", "known.csv"):
        (tmp_path / name).write_text("1,2\n")
    assert [names(folder), names(folder), names(folder)] == [[], ["a.csv", "b.csv"], []]
    folder.done.add("b.csv")
    for name in ("a.csv", "b.csv", "known.csv"):
        (tmp_path / name).write_text("1,2,3\n")
    assert [names(folder), names(folder), names(folder)] == [[], ["a.csv"], []]


def test_hidden_and_empty_files_folders_and_other_kinds_are_left_alone(tmp_path: Path) -> None:
    folder = WatchedFolder(tmp_path, [])
    for name in (".hidden.csv", "a.csv.part", "notes.md", "B.CSV", "c.json"):
        (tmp_path / name).write_text("1,2\n")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "folder.csv").mkdir()
    assert [names(folder), names(folder)] == [[], ["B.CSV", "c.json"]]


def test_a_folder_that_is_away_is_named_once_and_looked_at_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "disk"
    with pytest.raises(ExportError, match="is not a folder that can be watched"):
        WatchedFolder(path, [])
    path.mkdir()
    folder = WatchedFolder(path, [])
    path.rmdir()
    assert [names(folder), names(folder)] == [[], []]
    assert [record.message for record in caplog.records] == [
        f"{path} can't be looked at: No such file or directory; trying again"
    ]
    path.mkdir()
    (path / "a.csv").write_text("1,2\n")
    assert [names(folder), names(folder)] == [[], ["a.csv"]]
