"""Annotated tasks whose host is away: a model is made without them, and another once they can be read."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support import recorded
from tests.support.http_server import HttpServer, Reply
from tests.support.label_studio_server import LabelStudioServer
from timeseries_segmenter.errors import DownloadError, LabelStudioError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources import retries
from timeseries_segmenter.sources.downloads import Downloader
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.local_files import LocalFiles
from timeseries_segmenter.sources.task_series import TaskSeries
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.job import LEFT_OUT, Job, State
from timeseries_segmenter.trainings.project_trainings import ProjectTrainings
from timeseries_segmenter.trainings.queue import JobQueue
from timeseries_segmenter.trainings.runner import JobRunner
from timeseries_segmenter.web.project_overview import ProjectOverview, Status

CREATED = "ANNOTATION_CREATED"
CONFIG = recorded.body("predict_batch_3_tasks_index_time")["label_config"]
SERIES = recorded.csv("predict_batch_3_tasks_index_time")
RUN = recorded.regions((40, 89, "Run"))
PATH = "/series.csv"


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("timeseries_segmenter.sources.retries.sleep", lambda _: None)
    studio.configs[3] = CONFIG
    studio.files["/data/upload/3/here.csv"] = SERIES
    return settings.model_copy(
        update={"label_studio_host": studio.url, "download_timeout": 1.0, "train_epochs": 2}
    )


@pytest.fixture
def queue(settings: Settings) -> JobQueue:
    return JobQueue(settings.model_dir)


def annotate(studio: LabelStudioServer, address: str, regions: list[dict[str, object]] = RUN) -> int:
    return studio.add_task(3, {"csv_url": address}, regions)


def happen(queue: JobQueue, event: str = CREATED) -> None:
    with queue.change(3) as trainings:
        trainings.updates += 1
        trainings.enqueue(event)


def train(settings: Settings, queue: JobQueue) -> ProjectTrainings:
    """Run what is queued, as if its pause were over."""
    with queue.change(3) as trainings:
        job = trainings.job_in(State.QUEUED)
        assert job
        job.not_before = None
    assert JobRunner(settings, queue).run(3)
    return queue.read(3)


def learned(settings: Settings) -> list[int | str]:
    store = ModelStore(settings)
    return store.card(3, store.version(3)).tasks


def pause(job: Job) -> float:
    assert job.not_before
    assert job.failed_at
    return (job.not_before - job.failed_at).total_seconds()


def hang(host: HttpServer, _: LabelStudioServer) -> str:
    return host.hang(PATH)


def overload(host: HttpServer, _: LabelStudioServer) -> str:
    host.routes[PATH] = lambda _: Reply(status=503)
    return host.url + PATH


def break_off(host: HttpServer, _: LabelStudioServer) -> str:
    host.routes[PATH] = lambda _: Reply(iter([b"value\n1\n"]), headers={"Content-Length": "100"})
    return host.url + PATH


def overload_studio(_: HttpServer, studio: LabelStudioServer) -> str:
    studio.routes[PATH] = lambda _: Reply(status=502)
    return studio.url + PATH


@pytest.mark.parametrize("away", [hang, overload, break_off, overload_studio])
def test_a_task_whose_host_is_away_is_learned_once_it_answers_without_another_event(
    settings: Settings,
    queue: JobQueue,
    studio: LabelStudioServer,
    other_host: HttpServer,
    away: Callable[[HttpServer, LabelStudioServer], str],
) -> None:
    here = annotate(studio, "/data/upload/3/here.csv")
    address = away(other_host, studio)
    there = annotate(studio, address)
    happen(queue)
    finished, later = train(settings, queue).jobs
    assert (finished.state, later.state, later.event) == (State.FINISHED, State.QUEUED, LEFT_OUT)
    assert later.error
    assert later.error.startswith(f"1 annotated task can't be read for now: Task {there}: ")
    assert learned(settings) == [here]
    assert queue.waiting() == []  # not before its time
    (studio if address.startswith(studio.url) else other_host).serve(PATH, SERIES)
    trainings = train(settings, queue)
    assert learned(settings) == [here, there]
    assert [job.state for job in trainings.jobs] == [State.FINISHED, State.FINISHED]
    assert trainings.jobs[1].id == later.id
    assert queue.queued() == []


def test_while_the_same_tasks_are_away_pauses_grow_and_no_version_is_made(
    settings: Settings, queue: JobQueue, studio: LabelStudioServer, other_host: HttpServer
) -> None:
    annotate(studio, "/data/upload/3/here.csv")
    there = annotate(studio, overload(other_host, studio))
    happen(queue)
    later = train(settings, queue).jobs[-1]
    pauses = [pause(later)]
    versions = ModelStore(settings).versions(3)
    for tries in range(2, 12):
        trainings = train(settings, queue)
        job = trainings.jobs[-1]
        assert (job.id, job.state, job.left_out_tries) == (later.id, State.QUEUED, tries)
        pauses.append(pause(job))
    assert pauses == [15, 60, 120, 300, 900, 3600, 7200, 14400, 28800, 28800, 28800]
    assert ModelStore(settings).versions(3) == versions
    assert trainings.outcomes == {"finished": 1}
    overview = ProjectOverview(3, [], versions[0], None, trainings, 1)
    assert overview.status is Status.WAITING
    assert overview.waits_to_try_again
    del other_host.routes[PATH]  # gone for good: a 404
    trainings = train(settings, queue)
    assert (trainings.jobs[-1].state, trainings.jobs[-1].version) == (State.FINISHED, versions[0])
    assert f"Task {there}" in trainings.jobs[-1].skipped[0]
    assert (ModelStore(settings).versions(3), queue.queued()) == (versions, [])


def test_a_new_event_is_trained_at_once_and_only_further_tasks_make_the_pauses_short_again(
    settings: Settings, queue: JobQueue, studio: LabelStudioServer, other_host: HttpServer
) -> None:
    here = annotate(studio, "/data/upload/3/here.csv")
    annotate(studio, overload(other_host, studio))
    happen(queue)
    train(settings, queue)
    assert pause(train(settings, queue).jobs[-1]) == 60
    also_here = annotate(studio, "/data/upload/3/here.csv")
    happen(queue)
    assert queue.waiting() == [3]
    assert JobRunner(settings, queue).run(3)
    *_, finished, later = queue.read(3).jobs
    assert (finished.state, finished.event, finished.updates) == (State.FINISHED, CREATED, 1)
    assert learned(settings) == [here, also_here]
    assert (later.event, later.left_out_tries, pause(later)) == (LEFT_OUT, 3, 120)
    annotate(studio, other_host.url + PATH)
    happen(queue)
    later = train(settings, queue).jobs[-1]
    assert (later.event, later.left_out_tries) == (LEFT_OUT, 1)


def test_where_nothing_that_can_be_read_is_left_the_job_is_tried_again(
    settings: Settings, queue: JobQueue, studio: LabelStudioServer, other_host: HttpServer
) -> None:
    there = annotate(studio, overload(other_host, studio))
    happen(queue)
    (job,) = train(settings, queue).jobs
    assert (job.state, job.event, job.attempts, job.updates) == (State.QUEUED, CREATED, 1, 1)
    assert job.error
    assert "no annotated task of project 3 can be learned from" in job.error
    other_host.serve(PATH, SERIES)
    assert train(settings, queue).jobs[0].state is State.FINISHED
    assert learned(settings) == [there]


def test_where_the_only_regions_are_on_tasks_that_are_away_the_job_is_tried_again(
    settings: Settings, queue: JobQueue, studio: LabelStudioServer, other_host: HttpServer
) -> None:
    here = annotate(studio, "/data/upload/3/here.csv", [])
    there = annotate(studio, overload(other_host, studio))
    happen(queue)
    (job,) = train(settings, queue).jobs
    assert job.state is State.QUEUED
    assert job.error
    assert "1 annotated task can't be read for now" in job.error
    other_host.serve(PATH, SERIES)
    assert train(settings, queue).jobs[0].state is State.FINISHED
    assert learned(settings) == [here, there]


@pytest.mark.parametrize("address", ["/data/upload/3/gone.csv", "http://10.0.0.1/x.csv", "gone.csv"])
def test_a_task_that_only_a_person_can_mend_is_not_tried_again(
    settings: Settings, queue: JobQueue, studio: LabelStudioServer, address: str
) -> None:
    annotate(studio, "/data/upload/3/here.csv")
    annotate(studio, address)
    happen(queue)
    (job,) = train(settings, queue).jobs
    assert (job.state, len(job.skipped), queue.queued()) == (State.FINISHED, 1, [])


def test_the_dashboard_shows_which_tasks_the_model_lacks_and_why(
    settings: Settings,
    queue: JobQueue,
    studio: LabelStudioServer,
    other_host: HttpServer,
    client: FlaskClient,
) -> None:
    annotate(studio, "/data/upload/3/here.csv")
    there = annotate(studio, overload(other_host, studio))
    happen(queue)
    later = train(settings, queue).jobs[-1]
    page = client.get("/projects", headers={"Accept": "text/html"}).text
    assert "The model lacks tasks" in page
    assert f"Task {there}: {other_host.url}{PATH} answered 503" in page
    answer = client.get("/projects/3/training").get_json()
    assert (answer["state"], answer["last_error"]) == ("queued", later.error)


def test_a_job_that_waits_for_tasks_can_be_cancelled(
    settings: Settings, queue: JobQueue, studio: LabelStudioServer, other_host: HttpServer
) -> None:
    annotate(studio, "/data/upload/3/here.csv")
    annotate(studio, overload(other_host, studio))
    happen(queue)
    train(settings, queue)
    with queue.change(3) as trainings:
        assert [job.event for job in trainings.cancel()] == [LEFT_OUT]
    assert queue.queued() == []


def test_a_name_that_is_not_resolved_may_be_later(settings: Settings) -> None:
    downloader = Downloader(settings, LabelStudioClient(settings), policy=retries.ONE_TRY)
    with pytest.raises(DownloadError) as failure:
        downloader.fetch("http://nowhere.invalid/x.csv", 1)
    assert failure.value.passing


@pytest.mark.parametrize(
    ("number", "passing"), [(errno.EIO, True), (errno.ESTALE, True), (errno.EACCES, False)]
)
def test_a_network_disk_may_come_back_and_a_missing_right_does_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int, passing: bool
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, "odd")

    name = str(next(path for path in recorded.DATA.rglob("*") if path.is_file()))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", fail)
        with pytest.raises(DownloadError) as failure:
            LocalFiles(settings).find(name, 1)
    assert failure.value.passing is passing


def test_a_label_studio_that_gives_no_access_token_for_a_file_may_do_so_later(
    settings: Settings, studio: LabelStudioServer
) -> None:
    token = studio.issue_personal_access_token()
    studio.routes["/api/token/refresh/"] = lambda _: Reply(status=503)
    settings = Settings.model_validate(settings.model_dump() | {"label_studio_api_key": token})
    task = {"id": 1, "data": {"csv_url": "/data/upload/3/here.csv"}}
    with pytest.raises(LabelStudioError) as failure:
        TaskSeries.from_settings(settings).read(task, parse_label_config(CONFIG).pairs[0])
    assert failure.value.passing
