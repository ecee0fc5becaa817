import json
from pathlib import Path
from typing import Any

import pytest

from timeseries_segmenter.errors import ExportError
from timeseries_segmenter.sources.export_file import WRITTEN, check_writable, read_split, read_tasks

DATA = {"csv": "s.csv"}


def tasks_of(folder: Path, content: object, ids: list[int | str] | None = None) -> list[dict[str, Any]]:
    path = folder / "tasks.json"
    path.write_text(json.dumps(content))
    return read_tasks(path, ids)


def test_each_task_has_an_id_of_its_own_whatever_the_file_has(tmp_path: Path) -> None:
    written: list[dict[str, Any]] = [
        {"id": 7},
        {},
        {"id": None},
        {"id": "rec-7"},
        {"id": ""},
        {"id": "8"},
        {"id": 9.0},
        {"id": [1]},
        {"id": 7},
        {"id": "rec-7"},
        {"id": True},
        {"id": "007"},
        {"id": " x "},
    ]
    tasks = tasks_of(tmp_path, [each | {"data": DATA} for each in written])
    assert [task["id"] for task in tasks] == [
        *("7 #1", "#2", "#3", "rec-7 #4", "#5", 8, 9, "#8", "7 #9", "rec-7 #10", "#11", "007", "x")
    ]
    assert [task[WRITTEN] for task in tasks] == written


@pytest.mark.parametrize(
    ("ids", "found"), [([7], ["7 #1", "7 #3"]), (["7 #3"], ["7 #3"]), (["#2", "rec-7"], ["#2", "rec-7"])]
)
def test_tasks_are_chosen_by_the_ids_they_have_or_are_called_by(
    tmp_path: Path, ids: list[int | str], found: list[str]
) -> None:
    written: list[dict[str, Any]] = [{"id": 7}, {}, {"id": 7}, {"id": "rec-7"}]
    tasks = tasks_of(tmp_path, [each | {"data": DATA} for each in written], ids)
    assert [task["id"] for task in tasks] == found


def test_a_missing_id_is_named_also_beside_text_ids(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"tasks.json has no task 3, rec-8$"):
        tasks_of(tmp_path, [{"id": "rec-7", "data": DATA}], ["rec-8", 3, "rec-7"])


def test_completions_of_old_exports_are_annotations(tmp_path: Path) -> None:
    old = [
        {"id": 1, "result": [], "created_at": 1602000000},
        {"id": 2, "result": [], "skipped": True},
        {"id": 3, "result": [], "honeypot": True},
    ]
    (task,) = tasks_of(tmp_path, [{"id": 5, "data": DATA, "completions": old}])
    annotations = task["annotations"]
    assert [each["was_cancelled"] for each in annotations] == [False, True, False]
    assert [each["ground_truth"] for each in annotations] == [False, False, True]
    (newer,) = tasks_of(tmp_path, [{"data": DATA, "completions": old, "annotations": [{"id": 4}]}])
    assert newer["annotations"] == [{"id": 4}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": 1, "data": {}}', r"but one task; write \[ \] around tasks"),
        ('{"tasks": [], "total": 0}', 'an object with the keys "tasks", "total"'),
        (
            '{"total": 1, "tasks": [{"data": {}}]}',
            'an object that has one under "tasks"; write that list alone',
        ),
        ('[{"data": {"a": 1}},]', "column 2[01] .*; it is cut off or damaged there: correct it, or export"),
        ('[{"data": {"a": 1}}, {"da', "it is cut off or damaged there"),
        ("{}", "an object with the keys none"),
        ("3", "but 3; export the project as JSON"),
        (
            '[{"id": 1, "csv": "s.csv", "label": []}]',
            r"entry 1 has the keys id, csv, label; .*not as JSON-MIN",
        ),
        ('[{"data": {}}, 4]', "entry 2 is 4"),
        ('{"id": 1, "data": {}}\n{"id": 2, "data": {}}\n', "has one object a line: write them as one list"),
        ("id,csv,label\n1,s.csv,[]\n", "looks like CSV"),
        ("<View></View>", "looks like a labeling config"),
        ("[" * 100_000, "is nested too deeply"),
        ("", "is not JSON: .*; it is empty: export the project as JSON"),
        (" \n", "it is empty"),
    ],
)
def test_what_is_no_export_is_called_by_what_it_is(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(content)
    with pytest.raises(ExportError, match=message):
        read_tasks(path)


@pytest.mark.parametrize(
    ("encoding", "named"), [("utf-16", "is UTF-16 text"), ("cp1252", "is not text in UTF-8")]
)
def test_a_file_in_another_encoding_is_to_be_saved_anew(tmp_path: Path, encoding: str, named: str) -> None:
    path = tmp_path / "tasks.json"
    path.write_text('[{"data": {"place": "Köln"}}]', encoding=encoding)
    with pytest.raises(ExportError, match=rf"tasks.json {named}.*; save it as UTF-8$"):
        read_tasks(path)


def test_a_split_may_name_tasks_by_text(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text('{"train": ["rec-7", 3, "4", "#2"], "test": [null]}')
    assert read_split(path, "train") == ["rec-7", 3, 4, "#2"]
    with pytest.raises(ExportError, match='no list of task ids under "test"'):
        read_split(path, "test")


def test_where_nothing_can_be_written_is_known_before_long_work(tmp_path: Path) -> None:
    known = tmp_path / "tasks.json"
    known.write_text("[]")
    check_writable(tmp_path / "new.json", known)
    assert [*tmp_path.iterdir()] == [known]
    with pytest.raises(ExportError, match="can't be written: No such file or directory"):
        check_writable(tmp_path / "none" / "new.json", known)
    with pytest.raises(ExportError, match="it is a folder"):
        check_writable(tmp_path, known)
    (tmp_path / "link.json").symlink_to(known)
    with pytest.raises(ExportError, match="would be overwritten, and is needed as an input"):
        check_writable(tmp_path / "link.json", known)
