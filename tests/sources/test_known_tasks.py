import json
import logging
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support import recorded
from tests.support.downloads import AT_ONCE
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import LabelStudioServer, failure
from timeseries_segmenter.errors import LabelStudioError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.project.annotated_task import AnnotatedTask
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources import task_store
from timeseries_segmenter.sources.known_tasks import READ_AGAIN, READ_AT_ONCE, KnownTasks
from timeseries_segmenter.sources.label_studio import PAGE_SIZE, LabelStudioClient

CONFIG = (
    '<View><TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/>'
    '</TimeSeriesLabels><TimeSeries name="ts" value="$ts"><Channel column="value"/></TimeSeries></View>'
)
PAIRS = parse_label_config(CONFIG).pairs
RUN = recorded.regions((0, 5, "Run"))
WALK = recorded.regions((7, 9, "Walk"))


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return settings.model_copy(update={"label_studio_host": studio.url})


def known(settings: Settings) -> KnownTasks:
    """What another process would make of the same folder."""
    return KnownTasks(settings, LabelStudioClient(settings, AT_ONCE))


Listed = list[tuple[AnnotatedTask, dict[str, Any]]]


def listed(settings: Settings, config: str = CONFIG, *, anew: bool = False, project: int = 3) -> Listed:
    """What is known of each task, and the whole task."""
    tasks = known(settings)
    annotated = tasks.annotated(project, config, anew=anew)
    read = map(whole, tasks.read(project, [each.id for each in annotated]))
    return list(zip(annotated, read, strict=True))


def whole(task: dict[str, Any]) -> dict[str, Any]:
    return {name: task[name] for name in ("id", "data", "annotations", "updated_at")}


def fresh(settings: Settings) -> Listed:
    tasks = LabelStudioClient(settings, AT_ONCE).labelled_tasks(3)
    return [
        (annotated, whole(task))
        for task in sorted(tasks, key=lambda task: int(task["id"]))
        if (annotated := AnnotatedTask.from_task(task, PAIRS))
    ]


def stores(settings: Settings) -> list[Path]:
    return list((settings.series_cache_dir / "tasks").glob("*.sqlite"))


def add_tasks(studio: LabelStudioServer, count: int) -> list[int]:
    return [studio.add_task(3, {"ts": f"/data/upload/3/{place}.csv"}, RUN) for place in range(count)]


def pass_time(studio: LabelStudioServer) -> None:
    """More than what is looked back at."""
    for _ in range(300):
        studio.now()


def test_one_more_annotation_is_few_requests(settings: Settings, studio: LabelStudioServer) -> None:
    for _ in range(5 * PAGE_SIZE):
        studio.add_task(3, {})
    tasks = add_tasks(studio, 5 * PAGE_SIZE)
    assert len(listed(settings)) == 5 * PAGE_SIZE
    pass_time(studio)

    studio.annotate(tasks[17], WALK)
    studio.requests.clear()
    assert listed(settings) == fresh(settings)
    asked = [json.loads(request.query["query"]) for request in studio.requests]
    assert len(asked[:3]) == 3
    assert "ordering" not in asked[3]  # that of fresh
    listing = [request.query for request in studio.requests[:3]]
    assert sum(int(query["page_size"]) for query in listing) == 2 * PAGE_SIZE + 1


def test_what_a_run_needs_to_know_of_each_task_is_known_without_reading_it(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = add_tasks(studio, 3 * READ_AGAIN)
    listed(settings)
    pass_time(studio)
    studio.annotate(tasks[-1], WALK)
    (path,) = stores(settings)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE content SET task = x'00'")
    annotated = known(settings).annotated(3, CONFIG)
    assert annotated == [each for each, _ in fresh(settings)]
    assert not caplog.records


def test_tasks_are_read_in_the_order_that_is_asked_for_and_those_that_are_gone_are_left_out(
    settings: Settings, studio: LabelStudioServer
) -> None:
    tasks = add_tasks(studio, 5 * READ_AT_ONCE // 2)
    known(settings).annotated(3, CONFIG)
    order = random.Random(0).sample(tasks, len(tasks))
    studio.requests.clear()
    assert [task["id"] for task in known(settings).read(3, order)] == order
    assert not studio.requests
    known(settings).forget(3)  # another process needed the room
    studio.delete_task(order[3])
    assert [task["id"] for task in known(settings).read(3, order)] == order[:3] + order[4:]


@pytest.mark.parametrize(
    "change",
    [
        lambda studio, task: studio.annotate(task, WALK),
        lambda studio, task: studio.annotate(task, [], was_cancelled=True),
        lambda studio, task: studio.change_annotation(task, 0, result=WALK),
        lambda studio, task: studio.change_annotation(task, 0, ground_truth=True),
        lambda studio, task: studio.change_annotation(task, 0, was_cancelled=True),
        lambda studio, task: studio.delete_annotation(task, 0),
        lambda studio, task: studio.delete_task(task),
        lambda studio, _: studio.add_task(3, {"ts": "imported.csv"}, RUN),
        lambda studio, task: studio.task(task).update(data={"ts": "b.csv"}, updated_at=studio.now()),
        lambda studio, task: studio.task(task).update(annotations=[]),  # by a bulk action
    ],
    ids=[
        "created",
        "skipped-at-once",
        "changed",
        "ground-truth",
        "skipped",
        "deleted",
        "task-deleted",
        "task-imported",
        "task-changed",
        "bulk",
    ],
)
@pytest.mark.parametrize("place", [0, 150, 349])
def test_each_change_is_seen_at_once(
    settings: Settings, studio: LabelStudioServer, change: Callable[..., object], place: int
) -> None:
    tasks = add_tasks(studio, 350)
    before = listed(settings)
    pass_time(studio)
    change(studio, tasks[place])
    studio.requests.clear()
    after = listed(settings)
    assert len(studio.requests) <= 8
    assert after == fresh(settings) != before


def test_what_is_stamped_earlier_and_comes_later_is_seen(
    settings: Settings, studio: LabelStudioServer
) -> None:
    """Two people submit at once: who began first is done last."""
    first, second = add_tasks(studio, 2)
    listed(settings)
    pass_time(studio)
    begun = studio.now()
    studio.annotate(second, WALK)
    assert listed(settings) == fresh(settings)
    studio.annotate(first, WALK)
    studio.task(first)["updated_at"] = begun
    assert listed(settings) == fresh(settings)


def test_many_tasks_that_were_changed_at_the_same_moment_are_all_seen(
    settings: Settings, studio: LabelStudioServer
) -> None:
    tasks = add_tasks(studio, 3 * PAGE_SIZE)
    listed(settings)
    pass_time(studio)
    moment = studio.now()
    for task in tasks:
        studio.annotate(task, WALK)
        studio.task(task)["updated_at"] = moment
    assert listed(settings) == fresh(settings)


def test_what_changes_neither_time_nor_totals_is_seen_after_a_while(
    settings: Settings, studio: LabelStudioServer
) -> None:
    tasks = add_tasks(studio, 2 * PAGE_SIZE)
    listed(settings)
    studio.task(tasks[120])["annotations"][0]["result"] = WALK  # a label was renamed everywhere
    listed(settings)
    listed(settings)
    assert listed(settings) == fresh(settings)


@pytest.mark.parametrize("anew", [True, False])
def test_start_training_and_another_labeling_config_list_all(
    settings: Settings, studio: LabelStudioServer, anew: bool
) -> None:
    tasks = add_tasks(studio, 2 * PAGE_SIZE)
    listed(settings)
    pass_time(studio)
    listed(settings)
    studio.task(tasks[120])["annotations"][0]["result"] = WALK
    assert listed(settings, CONFIG if anew else CONFIG.replace("Walk", "Fall"), anew=anew) == fresh(settings)


@pytest.mark.parametrize("status", [400, 404])
def test_a_label_studio_that_can_not_be_asked_for_changes_is_listed_and_that_is_said_once(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    def answer(request: Request) -> Reply:
        if "updated_at" in request.query["query"]:
            return failure(status, "unknown filter")
        return studio._page(request.query)

    studio.routes["/api/tasks/"] = answer
    (task,) = add_tasks(studio, 1)
    for _ in range(3):
        studio.annotate(task, WALK)
        assert listed(settings) == fresh(settings)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "project 3: all annotated tasks are listed each time" in caplog.text


def test_a_label_studio_with_another_time_zone_is_listed(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(request: Request) -> Reply:
        query = request.query["query"].replace('"2026-', '"2027-')
        return studio._page(request.query | {"query": query})

    studio.routes["/api/tasks/"] = answer
    (task,) = add_tasks(studio, 1)
    for _ in range(3):
        studio.annotate(task, WALK)
        assert listed(settings) == fresh(settings)
    assert caplog.text.count("it leaves out what has changed last") == 1


def test_tasks_without_a_time_stamp_are_listed(settings: Settings, studio: LabelStudioServer) -> None:
    (task,) = add_tasks(studio, 1)
    for _ in range(3):
        studio.annotate(task, WALK)
        studio.task(task)["updated_at"] = None
        assert listed(settings) == fresh(settings)


def test_label_studio_away_is_an_error_and_leaves_what_is_known(
    settings: Settings, studio: LabelStudioServer
) -> None:
    add_tasks(studio, 3)
    listed(settings)
    studio.routes["/api/tasks/"] = lambda _: failure(502, "away")
    with pytest.raises(LabelStudioError, match="502"):
        listed(settings)
    del studio.routes["/api/tasks/"]
    pass_time(studio)
    studio.requests.clear()
    assert len(listed(settings)) == 3
    assert "updated_at" in studio.requests[0].query["query"]


def test_counters_of_label_studio_that_are_wrong_for_good_cost_requests_once(
    settings: Settings, studio: LabelStudioServer
) -> None:
    add_tasks(studio, 3 * PAGE_SIZE)

    def answer(request: Request) -> Reply:
        answered = studio._page(request.query)
        assert isinstance(answered.body, bytes)
        page = json.loads(answered.body)
        page["total_annotations"] = page.get("total_annotations", 0) + 1
        return replace(answered, body=json.dumps(page).encode())

    studio.routes["/api/tasks/"] = answer
    requests = []
    for _ in range(3):
        pass_time(studio)
        studio.requests.clear()
        listed(settings)
        requests.append(len(studio.requests))
    assert requests[2] == 3


def test_nothing_is_kept_without_a_cache(settings: Settings, studio: LabelStudioServer) -> None:
    settings = settings.model_copy(update={"cache_mb": 0})
    add_tasks(studio, 3)
    assert listed(settings) == fresh(settings)
    assert not settings.series_cache_dir.exists()


@pytest.mark.parametrize("damage", ["text", "half", "zeros", "content"])
def test_a_damaged_store_is_made_anew(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    caplog.set_level(logging.INFO)
    add_tasks(studio, 3 * PAGE_SIZE)
    listed(settings)
    (path,) = stores(settings)
    if damage == "content":
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE content SET task = x'00' WHERE id = 3150")
    else:
        whole = path.read_bytes()
        half = len(whole) // 2
        path.write_bytes(
            {"text": b"no store" * 999, "half": whole[:half], "zeros": whole[:5000] + bytes(half)}[damage]
        )
    assert listed(settings) == fresh(settings)
    assert listed(settings) == fresh(settings)
    assert "damaged" in caplog.text or "read from Label Studio" in caplog.text


def test_a_store_of_another_release_is_made_anew(
    settings: Settings,
    studio: LabelStudioServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    add_tasks(studio, 3)
    listed(settings)
    for name, value in (("__version__", "9.9.9"), ("SCHEMA", 99)):
        monkeypatch.setattr(task_store, name, value)
        assert listed(settings) == fresh(settings)
    assert caplog.text.count("made anew: another release made it") == 2


KILLED = """
import os, signal, sys
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources import task_store
from timeseries_segmenter.sources.known_tasks import KnownTasks
from timeseries_segmenter.sources.label_studio import LabelStudioClient

connect, left = task_store._connect, [int(sys.argv[2])]

def count(statement):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

def watched(path):
    connection = connect(path)
    connection.set_trace_callback(count)
    return connection

task_store._connect = watched
settings = Settings.model_validate_json(sys.argv[1])
print(len(KnownTasks(settings, LabelStudioClient(settings)).annotated(3, sys.argv[3])))
"""


@pytest.mark.parametrize("statements", [4, 40, 300])
@pytest.mark.parametrize("first", [True, False])
def test_a_process_that_is_killed_while_it_writes_leaves_a_store_that_is_whole(
    settings: Settings, studio: LabelStudioServer, statements: int, first: bool
) -> None:
    tasks = add_tasks(studio, 150)
    if not first:
        listed(settings)
        for task in tasks:
            studio.annotate(task, WALK)
    content = json.dumps(
        settings.model_dump(mode="json", include={"label_studio_host", "model_dir"})
        | {"label_studio_api_key": settings.label_studio_api_key.get_secret_value()}
    )
    command = [sys.executable, "-c", KILLED, content, str(statements), CONFIG]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert listed(settings) == fresh(settings)
    assert listed(settings) == fresh(settings)


def test_a_journal_without_its_store_does_no_harm(settings: Settings, studio: LabelStudioServer) -> None:
    add_tasks(studio, 3)
    listed(settings)
    (path,) = stores(settings)
    path.with_name(f"{path.name}-journal").write_bytes(bytes(range(256)) * 64)
    path.unlink()
    assert listed(settings) == fresh(settings)
    assert listed(settings) == fresh(settings)


def test_the_stores_of_all_projects_have_a_share_of_the_cache(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings.model_copy(update={"cache_mb": 1})
    noise = random.Random(0)
    for project in (3, 4, 5):
        studio.add_task(project, {"ts": [noise.random() for _ in range(6000)]}, RUN)
        listed(settings, project=project)
    assert sorted(path.name[:9] for path in stores(settings)) == ["project_4", "project_5"]
    assert not caplog.records
    studio.add_task(5, {"ts": [noise.random() for _ in range(30000)]}, RUN)
    assert len(listed(settings, project=5)) == 2
    assert stores(settings) == []
    assert "project 5: its tasks take" in caplog.text


def test_a_project_is_forgotten(settings: Settings, studio: LabelStudioServer) -> None:
    add_tasks(studio, 3)
    listed(settings)
    known(settings).forget(3)
    known(settings).forget(4)
    assert not any((settings.series_cache_dir / "tasks").iterdir())


EVENTS: Sequence[Callable[[LabelStudioServer, int, bool], object]] = (
    lambda studio, task, mark: studio.annotate(task, RUN if mark else WALK),
    lambda studio, task, mark: studio.annotate(task, RUN, was_cancelled=mark, ground_truth=not mark),
    lambda studio, task, mark: studio.annotate(
        task, RUN, parent_prediction=studio.add_prediction(task, "p3-v1", result=RUN if mark else WALK)
    ),
    lambda studio, _, mark: studio.add_task(3, {"ts": 1}, *[RUN] * mark),
    lambda studio, task, _: studio.delete_task(task),
    lambda studio, task, mark: _if_annotated(studio, task, result=WALK if mark else RUN),
    lambda studio, task, mark: _if_annotated(studio, task, was_cancelled=mark),
    lambda studio, task, mark: _if_annotated(studio, task, ground_truth=mark),
    lambda studio, task, _: _delete_annotation(studio, task),
    lambda studio, task, _: studio.task(task).update(annotations=[]),
    lambda studio, *_: pass_time(studio),
)


IMPORT = 3  # needs no task


def _if_annotated(studio: LabelStudioServer, task: int, **changes: Any) -> None:
    if studio.task(task)["annotations"]:
        studio.change_annotation(task, 0, **changes)


def _delete_annotation(studio: LabelStudioServer, task: int) -> None:
    if studio.task(task)["annotations"]:
        studio.delete_annotation(task, 0)


@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, len(EVENTS) - 1), st.integers(0, 99), st.booleans(), st.booleans()),
        min_size=1,
        max_size=25,
    )
)
def test_what_is_known_equals_a_fresh_listing_whatever_happened(
    settings: Settings,
    studio: LabelStudioServer,
    monkeypatch: pytest.MonkeyPatch,
    events: list[tuple[int, int, bool, bool]],
) -> None:
    monkeypatch.setattr("timeseries_segmenter.sources.known_tasks.PAGE_SIZE", 3)
    studio.tasks[3] = []
    add_tasks(studio, 10)
    known(settings).forget(3)
    listed(settings)
    for event, place, mark, look in events:
        tasks = studio.tasks[3]
        if tasks or event == IMPORT:
            EVENTS[event](studio, tasks[place % len(tasks)]["id"] if tasks else 0, mark)
        if look:
            assert listed(settings) == fresh(settings)
    assert listed(settings) == fresh(settings)
