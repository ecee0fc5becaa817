"""A project's annotated tasks as Label Studio last gave them, in an SQLite file.

It may be lost at any time: what is missing, damaged or of another release is listed anew. A file lock keeps
it to one process, so that nothing depends on SQLite's own locks, which some network disks don't have; for the
same reason it has a rollback journal and no write-ahead log.
"""

import json
import logging
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import Timeout

from timeseries_segmenter import __version__
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.project.annotated_task import AnnotatedTask
from timeseries_segmenter.storage.files import file_lock, give_to_folder_owner, make_folder

logger = logging.getLogger(__name__)

SCHEMA = 3  # raise it when the tables change, or what is kept of a task
TABLES = """
CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    updated_at TEXT NOT NULL,
    annotations INTEGER NOT NULL,
    checked INTEGER NOT NULL,
    size INTEGER NOT NULL,
    annotated TEXT
);
CREATE INDEX task_updated_at ON task (updated_at);
CREATE INDEX task_checked ON task (checked);
CREATE TABLE content (id INTEGER PRIMARY KEY, task BLOB NOT NULL);
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
RANGE = "id BETWEEN coalesce(?, id) AND coalesce(?, id)"  # None leaves an end open
LOCK_SECONDS = 60.0
DAMAGE = (sqlite3.Error, zlib.error, ValueError)  # what reading a damaged file raises


@dataclass(frozen=True, slots=True)
class Totals:
    """How many tasks there are, and how many annotations they have that were not skipped."""

    tasks: int
    annotations: int

    def __sub__(self, other: "Totals") -> "Totals":
        return Totals(self.tasks - other.tasks, self.annotations - other.annotations)


class TaskStore:
    """The tasks in one open file; nothing is kept before `save`. Methods raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._look = int(self.fact("look") or 0) + 1  # this one

    def fact(self, name: str) -> str:
        """What is known under a name; empty if nothing is."""
        row = self._connection.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def set_fact(self, name: str, value: str) -> None:
        """Keep a text under a name."""
        self._connection.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    @property
    def newest(self) -> str:
        """When the task that was changed last was; empty if there is none."""
        row = self._connection.execute("SELECT max(updated_at) FROM task").fetchone()
        return str(row[0] or "")

    def holds(self, task: Mapping[str, Any]) -> bool:
        """Whether a task is here as it was when it was changed last, or newer."""
        row = self._connection.execute("SELECT updated_at FROM task WHERE id = ?", (task["id"],)).fetchone()
        return row is not None and str(row[0]) >= task["updated_at"]

    def totals(self, first: int | None = None, last: int | None = None) -> Totals:
        """Those of the tasks from an id to an id."""
        counts = f"SELECT count(*), coalesce(sum(annotations), 0) FROM task WHERE {RANGE}"
        return Totals(*self._connection.execute(counts, (first, last)).fetchone())

    def ids(self, first: int | None = None, last: int | None = None) -> list[int]:
        """The tasks from an id to an id, in their order."""
        found = self._connection.execute(f"SELECT id FROM task WHERE {RANGE} ORDER BY id", (first, last))
        return [row[0] for row in found]

    def least_checked(self, most: int, most_bytes: int) -> list[int]:
        """The tasks that were not read for longest: one at least, and as many as take no more bytes."""
        found: list[int] = []
        size = 0
        for number, bytes_of_it in self._connection.execute(
            "SELECT id, size FROM task ORDER BY checked, id LIMIT ?", (most,)
        ):
            size += bytes_of_it
            if found and size > most_bytes:
                break
            found.append(number)
        return found

    def put(self, tasks: Iterable[Mapping[str, Any]], pairs: Sequence[LabelPair]) -> None:
        """Keep tasks of the `pairs` as they are now, in place of what is known of them.

        Predictions are not kept: what was corrected in them is.
        """
        for task in tasks:
            number, updated_at = task["id"], task["updated_at"]
            content = json.dumps({name: task[name] for name in task if name != "predictions"}).encode()
            submitted = sum(not each.get("was_cancelled") for each in task["annotations"])
            annotated = AnnotatedTask.from_task(task, pairs)
            self._connection.execute(
                "INSERT OR REPLACE INTO task VALUES (?, ?, ?, ?, ?, ?)",
                (
                    number,
                    updated_at,
                    submitted,
                    self._look,
                    len(content),
                    annotated and annotated.model_dump_json(),
                ),
            )
            packed = zlib.compress(content, level=1)
            self._connection.execute("INSERT OR REPLACE INTO content VALUES (?, ?)", (number, packed))

    def remove(self, ids: Iterable[int]) -> None:
        """Forget tasks."""
        gone = [(number,) for number in ids]
        self._connection.executemany("DELETE FROM task WHERE id = ?", gone)
        self._connection.executemany("DELETE FROM content WHERE id = ?", gone)

    def clear(self) -> None:
        """Forget all tasks."""
        self._connection.execute("DELETE FROM task")
        self._connection.execute("DELETE FROM content")

    def save(self) -> None:
        """Keep what was changed; a process that is killed before leaves what was there."""
        self.set_fact("look", str(self._look))
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN")

    def annotated(self) -> list[AnnotatedTask]:
        """What is known of the tasks with an annotation that counts, by their ids. Raises one of DAMAGE."""
        found = self._connection.execute("SELECT annotated FROM task WHERE annotated IS NOT NULL ORDER BY id")
        return [AnnotatedTask.model_validate_json(text) for (text,) in found]

    def read(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Whole tasks by their ids; those that are not here are missing. Raises one of DAMAGE."""
        marks = ", ".join("?" * len(ids))
        found = self._connection.execute(f"SELECT id, task FROM content WHERE id IN ({marks})", ids)
        return {number: json.loads(zlib.decompress(packed)) for number, packed in found}


@contextmanager
def open_task_store(path: Path) -> Iterator[TaskStore]:
    """The store at `path`, an empty one if there is none or it can't be used; the log says so.

    Raises filelock.Timeout if another process has it, OSError, and sqlite3.Error.
    """
    make_folder(path.parent)
    with file_lock(path.with_suffix(".lock"), LOCK_SECONDS):
        if reason := _why_unusable(path):
            logger.info("%s is made anew: %s", path, reason)
            _remove(path)
        with closing(_connect(path)) as connection:
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                _make_tables(connection)
                give_to_folder_owner(path)
            connection.execute("BEGIN IMMEDIATE")
            yield TaskStore(connection)


def remove_task_store(path: Path, timeout: float = LOCK_SECONDS) -> bool:
    """Remove a store, if no other process has it for `timeout` seconds. Raises OSError."""
    lock = path.with_suffix(".lock")
    try:
        with file_lock(lock, timeout):
            _remove(path)
            lock.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _remove(path: Path) -> None:
    # in this order: SQLite would play a journal that was left onto the next file
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _make_tables(connection: sqlite3.Connection) -> None:
    release = f"INSERT INTO fact VALUES ('release', '{__version__}');"
    connection.executescript(f"BEGIN; {TABLES} {release} PRAGMA user_version = {SCHEMA}; COMMIT;")


def _why_unusable(path: Path) -> str:
    """Why a file is not a store of this release; empty if it is one, or there is none."""
    if not path.exists():
        return ""
    try:
        with closing(_connect(path)) as connection:
            schema = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not schema and not tables:
                return ""  # its writer was killed before it had any
            store = TaskStore(connection)
            if schema != SCHEMA or store.fact("release") != __version__:
                return "another release made it"
            store.totals()
    except DAMAGE as error:
        return f"it is damaged ({error})"
    return ""
