import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support import recorded
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import LabelStudioServer, failure, ok
from tests.support.models import of_one_pair
from tests.support.need import need
from tests.support.processes import wait_for
from timeseries_segmenter.errors import LabelStudioError
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings import known_projects
from timeseries_segmenter.trainings.job import State
from timeseries_segmenter.trainings.known_projects import KnownProjects
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.worker_process import WorkerProcesses
from timeseries_segmenter.web.backend import Backend

CREATED = "ANNOTATION_CREATED"
LIST = "/api/projects/"
BODY = recorded.body("predict_json_inline")


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    for project in (3, 900):
        studio.configs[project] = BODY["label_config"]
    return settings.model_copy(update={"label_studio_host": studio.url})


@pytest.fixture
def known(settings: Settings, policy: TrainingPolicy) -> KnownProjects:
    return KnownProjects(settings, policy.queue)


def files_of(queue: JobQueue, project: int) -> list[str]:
    found = [*queue.folder.glob(f"project_{project}.*"), *queue.folder.glob(f"waiting/{project}")]
    return sorted(path.name for path in found)


def asked(studio: LabelStudioServer) -> Iterator[Request]:
    return (request for request in studio.requests if request.path.startswith("/api/projects"))


def test_one_request_tells_which_of_many_projects_exist(
    studio: LabelStudioServer, settings: Settings
) -> None:
    assert LabelStudioClient(settings).existing([*range(80), 900]) == {3, 900}
    assert len(list(asked(studio))) == 1


def test_a_version_that_lists_all_projects_is_asked_for_each(
    studio: LabelStudioServer, settings: Settings
) -> None:
    studio.routes[LIST] = lambda _: ok({"count": 1, "next": None, "results": [{"id": 55}]})
    assert LabelStudioClient(settings).existing([3, 4, 900]) == {3, 900}


def test_a_404_that_is_not_label_studios_says_nothing_of_a_project(
    studio: LabelStudioServer, settings: Settings
) -> None:
    for path in (LIST, "/api/projects/4/"):
        studio.routes[path] = lambda _: Reply(b"<h1>Not found</h1>", 404)
    with pytest.raises(LabelStudioError, match="answered 404"):
        LabelStudioClient(settings).existing([4])


def test_a_project_out_of_the_tokens_reach_is_not_taken_for_unknown(
    studio: LabelStudioServer, settings: Settings
) -> None:
    studio.routes[LIST] = lambda _: failure(403, "no")
    studio.routes["/api/projects/4/"] = lambda _: failure(403, "no")
    assert LabelStudioClient(settings).existing([4, 5]) == {4}


def test_made_up_projects_leave_nothing_behind_and_hold_up_no_real_one(
    policy: TrainingPolicy, known: KnownProjects, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    made_up = range(1000, 1300)
    for project in made_up:
        policy.count(project, CREATED)
    policy.count(900, CREATED)
    queue = policy.queue
    assert known.first(queue.waiting()) == [900]  # by one request, whatever waits before it
    assert len(list(asked(studio))) == 1
    while len(queue.waiting()) > 1:
        assert known.first(queue.waiting()) == [900]
    assert queue.projects() == [900]
    assert [files_of(queue, project) for project in made_up] == [[]] * 300
    assert len(list(asked(studio))) <= 6
    assert queue.read(900).job_in(State.QUEUED)
    assert "Label Studio knows no project 1000" in caplog.text
    assert len(caplog.records) <= 6


def test_made_up_projects_that_wait_for_further_events_are_found_out_as_well(
    policy: TrainingPolicy, known: KnownProjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    with policy.queue.change(77) as trainings:
        trainings.updates = 1
    monkeypatch.setattr(known_projects, "SWEEP", 0)
    assert known.first([]) == []
    assert policy.queue.projects() == []


def test_projects_with_a_model_go_first_and_nothing_is_forgotten_while_label_studio_is_away(
    policy: TrainingPolicy, settings: Settings, studio: LabelStudioServer, run_walk: Segmenter
) -> None:
    ModelStore(settings).save(8, of_one_pair(run_walk))
    for project in (1000, 1001, 8):
        policy.count(project, CREATED)
        time.sleep(0.02)
    for path in (LIST, "/api/projects/1000/"):
        studio.routes[path] = lambda _: failure(503, "starting")
    known = KnownProjects(settings, policy.queue)
    order = known.first(policy.queue.waiting())
    assert order[0] == 8
    assert sorted(order[1:]) == [1000, 1001]
    assert policy.queue.projects() == [8, 1000, 1001]


def test_a_project_with_a_model_is_never_forgotten(
    policy: TrainingPolicy, known: KnownProjects, settings: Settings, run_walk: Segmenter
) -> None:
    ModelStore(settings).save(1000, of_one_pair(run_walk))
    policy.count(1000, CREATED)
    assert known.first(policy.queue.waiting()) == [1000]
    assert policy.queue.projects() == [1000]


def test_an_event_that_comes_while_label_studio_answers_is_not_forgotten(
    policy: TrainingPolicy, known: KnownProjects, studio: LabelStudioServer
) -> None:
    policy.count(1000, CREATED)

    def create_meanwhile(_: Request) -> Reply:
        policy.count(1000, CREATED)
        studio.configs[1000] = BODY["label_config"]
        del studio.routes[LIST]
        return ok({"count": 0, "next": None, "results": []})

    studio.routes[LIST] = create_meanwhile
    assert known.first(policy.queue.waiting()) == []
    assert known.first(policy.queue.waiting()) == [1000]
    assert need(policy.queue.read(1000).job_in(State.QUEUED)).updates == 2


HOLDER = """
import os, sys
from pathlib import Path
from timeseries_segmenter.trainings.queue import JobQueue

queue, held = JobQueue(Path(sys.argv[1])), Path(sys.argv[2])
for _ in range(400):
    with queue.only_one(1000, 60), queue.locked(1000, 60):
        os.close(os.open(held, os.O_CREAT | os.O_EXCL))  # fails while another holds the locks
        held.unlink()
"""


def test_no_two_hold_a_lock_whose_project_is_forgotten_meanwhile(
    known: KnownProjects, settings: Settings, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", HOLDER, str(settings.model_dir), str(tmp_path / "held")]
    holders = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    forgotten = 0
    while any(holder.poll() is None for holder in holders):
        forgotten += known._forget(1000, time.time() + 60)
        time.sleep(0.001)
    assert [(holder.returncode, holder.communicate()[1]) for holder in holders] == [(0, b"")] * 3
    assert forgotten


def test_an_unknown_project_whose_files_cannot_be_removed_costs_itself_alone(
    policy: TrainingPolicy, known: KnownProjects, caplog: pytest.LogCaptureFixture
) -> None:
    for project in (1000, 1001, 3):
        policy.count(project, CREATED)
    marker = policy.queue.folder / "waiting" / "1000"
    marker.unlink()
    (marker / "stray").mkdir(parents=True)
    assert 3 in known.first([1000, 1001, 3])
    assert files_of(policy.queue, 1001) == []
    assert "project 1000 is unknown, and its files can't be removed" in caplog.text


def test_events_of_too_many_unknown_projects_are_refused_and_those_of_known_ones_kept(
    client: FlaskClient, backend: Backend, monkeypatch: pytest.MonkeyPatch, run_walk: Segmenter
) -> None:
    monkeypatch.setattr(known_projects, "MOST_UNKNOWN", 3)
    monkeypatch.setattr(known_projects, "RECOUNT", -1)
    backend.store.save(8, of_one_pair(run_walk))
    answers = {
        project: client.post("/webhook", json={"action": CREATED, "project": {"id": project}})
        for project in (1, 2, 3, 4, 8, 2)
    }
    assert {project: answer.status_code for project, answer in answers.items()} == {
        1: 201,
        2: 201,
        3: 201,
        4: 503,
        8: 201,
    }
    assert "WEBHOOK_SECRET" in answers[4].get_json()["detail"]
    assert files_of(backend.policy.queue, 4) == []


def test_the_process_that_trains_forgets_made_up_projects_and_trains_the_real_one(
    settings: Settings,
    studio: LabelStudioServer,
    monkeypatch: pytest.MonkeyPatch,
    endings: list[TrainingPolicy],
) -> None:
    studio.add_task(3, BODY["tasks"][0]["data"], recorded.regions((40, 89, "Run")))
    wake = WorkerProcesses.wake
    monkeypatch.setattr(WorkerProcesses, "wake", lambda *_: None)
    policy = TrainingPolicy(settings)
    endings.append(policy)
    for project in range(1000, 1200):
        policy.count(project, CREATED)
    policy.count(3, CREATED)
    monkeypatch.setattr(WorkerProcesses, "wake", wake)
    policy.workers.wake(3)
    queue = policy.queue
    wait_for(lambda: need(queue.read(3).newest).ended_at)
    assert need(queue.read(3).newest).state is State.FINISHED, need(queue.read(3).newest).error
    wait_for(lambda: queue.projects() == [3])


def test_the_recorded_list_of_projects_is_understood(studio: LabelStudioServer, settings: Settings) -> None:
    """As Label Studio 1.23.2 answers it, much of it left out."""
    project = {"id": 3, "title": "a", "created_by": {"id": 1}, "label_config": "<View/>", "task_number": 2}
    content = {"count": 1, "next": None, "previous": None, "results": [project]}
    studio.routes[LIST] = lambda _: Reply(json.dumps(content).encode(), headers={"Content-Type": "text/json"})
    assert LabelStudioClient(settings).existing([2, 3]) == {3}


def test_the_models_folder_is_where_models_are(tmp_path: Path, run_walk: Segmenter) -> None:
    settings = Settings(model_dir=tmp_path)
    ModelStore(settings).save(5, of_one_pair(run_walk))
    known = KnownProjects(settings, JobQueue(tmp_path))
    assert [known.is_known(project) for project in (4, 5)] == [False, True]
