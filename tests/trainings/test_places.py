import threading

import pytest
from filelock import FileLock, Timeout
from joblib import cpu_count

from tests.support import recorded
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import LabelStudioServer
from tests.support.processes import wait_for
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.trainings.job import State
from timeseries_segmenter.trainings.places import count_places, remark_on_places
from timeseries_segmenter.trainings.policy import TrainingPolicy
from timeseries_segmenter.trainings.queue import JobQueue


def test_no_more_processes_train_than_there_are_cores_and_the_log_says_so(settings: Settings) -> None:
    greedy = settings.model_copy(update={"training_processes": 10_000})
    assert count_places(settings) == 1
    assert remark_on_places(settings) == ""
    assert count_places(greedy) == cpu_count()
    assert f"TRAINING_PROCESSES is 10000, and {cpu_count()} cores" in remark_on_places(greedy)


def test_as_many_processes_train_as_there_are_places(settings: Settings) -> None:
    queue = JobQueue(settings.model_dir)
    with queue.trainer(2):
        assert queue.lacks_trainers(2)
        assert not queue.lacks_trainers(1)
        with queue.trainer(2):
            assert not queue.lacks_trainers(2)
            with pytest.raises(Timeout), queue.trainer(2, wait=False):
                pass
        assert queue.lacks_trainers(2)


def test_a_process_that_waits_takes_the_first_place_that_is_free(settings: Settings) -> None:
    queue = JobQueue(settings.model_dir)
    took = threading.Event()

    def train() -> None:
        with queue.trainer(2):
            took.set()

    waits = threading.Thread(target=train)
    first, second = (FileLock(queue.folder / name) for name in ("worker.lock", "worker-1.lock"))
    queue.folder.mkdir(parents=True)
    with first:
        with second:
            waits.start()
            assert not took.wait(0.5)
        assert took.wait(60)
    waits.join()


@pytest.mark.skipif(cpu_count() < 2, reason="only one core may be used")
def test_projects_are_trained_side_by_side(
    settings: Settings, studio: LabelStudioServer, endings: list[TrainingPolicy]
) -> None:
    both = threading.Barrier(2, timeout=120)
    for project in (3, 4):
        studio.configs[project] = recorded.body("predict_json_inline")["label_config"]

        def meet(request: Request, project: int = project) -> Reply:
            del studio.routes[f"/api/projects/{project}/"]
            both.wait()
            return studio.answer(request)

        studio.routes[f"/api/projects/{project}/"] = meet
    settings = settings.model_copy(update={"label_studio_host": studio.url, "training_processes": 2})
    policy = TrainingPolicy(settings)
    endings.append(policy)
    for project in (3, 4):
        policy.count(project, "ANNOTATION_CREATED")
    # nothing is annotated: both fail, but not before both asked for their projects
    wait_for(lambda: all(policy.queue.read(project).jobs[0].state is State.FAILED for project in (3, 4)))
    assert not both.broken
