"""A project that starts from another one's model: by the real app and the real runner."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import levels
from tests.support.label_studio_server import LabelStudioServer
from tests.support.models import PAIR
from tests.support.need import need
from timeseries_segmenter.learning.training import warm_start
from timeseries_segmenter.project import start
from timeseries_segmenter.report.saved import load_report
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.job import START_TRAINING, Job, State
from timeseries_segmenter.trainings.policy import TASKS_CREATED, TrainingPolicy
from timeseries_segmenter.trainings.runner import JobRunner

CREATED = "ANNOTATION_CREATED"
LENDER, HERE = 3, 4
TASKS = 3
CONFIG = levels.CONFIG.replace('toName="ts">', f'toName="ts" model_start="project:{LENDER}">')


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    settings = levels.settings_for(settings, studio, TASKS, train_epochs=20, predict_after_training=500)
    studio.configs[HERE] = CONFIG
    for seed in range(TASKS):
        studio.add_task(HERE, levels.data(TASKS + seed))
    return settings


@pytest.fixture
def store(settings: Settings) -> ModelStore:
    return ModelStore(settings)


@pytest.fixture
def lent(policy: TrainingPolicy, runner: JobRunner, store: ModelStore) -> str:
    """The version of the other project, and its tasks are predicted."""
    return trained(policy, runner, store, LENDER)


def trained(
    policy: TrainingPolicy, runner: JobRunner, store: ModelStore, project: int, event: str = CREATED
) -> str:
    policy.count(project, event)
    while policy.queue.read(project).queued:
        assert runner.run(project)
    return store.version(project)


def set_up(client: FlaskClient, config: str = CONFIG, project: int = HERE) -> str:
    answer = client.post("/setup", json={"project": f"{project}.1", "schema": config})
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["model_version"])


def annotate(studio: LabelStudioServer, seed: int, regions: list[dict[str, Any]] | None = None) -> None:
    drawn = levels.drawn(seed) if regions is None else regions
    studio.add_task(HERE, levels.data(seed), drawn)


def versions(studio: LabelStudioServer, project: int = HERE) -> set[tuple[str, ...]]:
    return {
        tuple(each["model_version"] for each in stored) for stored in studio.predictions(project).values()
    }


def job_of(policy: TrainingPolicy) -> Job:
    return need(policy.queue.read(HERE).prediction)


def test_before_any_annotation_the_tasks_are_predicted_by_the_other_projects_model(
    client: FlaskClient, policy: TrainingPolicy, runner: JobRunner, studio: LabelStudioServer, lent: str
) -> None:
    assert set_up(client) == lent
    assert runner.run(HERE)
    job = job_of(policy)
    assert (job.state, job.version) == (State.FINISHED, lent)
    assert need(job.predicted).tasks == TASKS
    assert versions(studio) == {(lent,)}
    stored = [prediction for (prediction,) in studio.predictions(HERE).values()]
    assert all(prediction["result"] for prediction in stored)

    # the same by a request, as Label Studio compares them with what /setup says
    body = {"tasks": studio.tasks[HERE][:1], "label_config": CONFIG, "project": f"{HERE}.1"}
    answer = client.post("/predict", json=body).get_json()
    assert {answer["model_version"], answer["results"][0]["model_version"]} == {lent}
    assert answer["results"][0]["result"]

    assert set_up(client) == lent
    assert not policy.queue.read(HERE).queued  # once for a version


def test_the_borrowed_model_follows_the_other_projects_next_one(
    client: FlaskClient,
    policy: TrainingPolicy,
    runner: JobRunner,
    store: ModelStore,
    studio: LabelStudioServer,
    lent: str,
) -> None:
    set_up(client)
    assert runner.run(HERE)
    newer = trained(policy, runner, store, LENDER)
    assert newer != lent
    assert set_up(client) == newer
    assert runner.run(HERE)
    assert versions(studio) == {(newer,)}


def test_new_tasks_are_predicted_too(
    client: FlaskClient,
    policy: TrainingPolicy,
    runner: JobRunner,
    studio: LabelStudioServer,
    lent: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("timeseries_segmenter.trainings.policy.PREDICTION_EVENTS", {TASKS_CREATED: 0.0})
    set_up(client)
    assert runner.run(HERE)
    studio.add_task(HERE, levels.data(9))
    event = {"action": TASKS_CREATED, "project": {"id": HERE, "label_config": CONFIG}}
    assert "job" in client.post("/webhook", json=event).get_json()
    assert runner.run(HERE)
    assert need(job_of(policy).predicted).tasks == TASKS + 1
    assert versions(studio) == {(lent,)}


def test_the_first_training_run_is_a_warm_start_from_it_and_the_card_and_report_say_so(
    client: FlaskClient,
    policy: TrainingPolicy,
    runner: JobRunner,
    store: ModelStore,
    studio: LabelStudioServer,
    lent: str,
) -> None:
    set_up(client)
    assert runner.run(HERE)
    annotate(studio, 7)
    own = trained(policy, runner, store, HERE)
    assert own.startswith(f"p{HERE}-v1-")
    card = store.card(HERE, own)
    assert card.start == lent
    assert card.pairs[PAIR].continued
    assert set(card.pairs[PAIR].folds) == {str(task) for task in card.tasks}
    _, report = load_report(store.version_path(HERE, own))
    assert report.start == lent
    assert set_up(client) == own
    assert policy.queue.read(HERE).start is None
    assert versions(studio) - {()} == {(own,)}  # in the place of the borrowed one's

    annotate(studio, 8)
    second = store.card(HERE, trained(policy, runner, store, HERE))
    assert (second.start, second.pairs[PAIR].continued) == ("", True)
    assert second.pairs[PAIR].held_out


def test_until_all_that_it_knows_is_annotated_the_other_model_predicts_on(
    client: FlaskClient,
    policy: TrainingPolicy,
    runner: JobRunner,
    store: ModelStore,
    studio: LabelStudioServer,
    lent: str,
) -> None:
    set_up(client)
    assert runner.run(HERE)
    annotate(studio, 7, [each for each in levels.drawn(7) if "Walk" not in str(each)])
    assert trained(policy, runner, store, HERE) == "untrained"
    job = need(policy.queue.read(HERE).newest)
    assert (job.state, job.version) == (State.FINISHED, lent)
    assert "it knows Walk, which nobody has annotated here yet" in job.skipped[0]
    assert set_up(client) == lent
    (shown,) = [
        each for each in client.get("/projects").get_json()["projects"] if each["project"] == str(HERE)
    ]
    assert (shown["status"], shown["start"]["version"]) == ("untrained", lent)
    page = client.get("/projects", headers={"Accept": "text/html"}).text
    assert "it knows Walk" in page

    # a person may have it all the same
    own = trained(policy, runner, store, HERE, START_TRAINING)
    assert own.startswith(f"p{HERE}-v1-")
    assert store.card(HERE, own).start == ""


def test_a_first_model_that_began_from_scratch_takes_over_once_it_needs_no_more_corrections(
    client: FlaskClient,
    policy: TrainingPolicy,
    runner: JobRunner,
    store: ModelStore,
    studio: LabelStudioServer,
    lent: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warm_start, "suit", lambda *_: None)
    set_up(client)
    assert runner.run(HERE)
    annotate(studio, 7)
    assert trained(policy, runner, store, HERE) == "untrained"
    said = need(policy.queue.read(HERE).newest).skipped[0]
    assert said.startswith(f"{lent} predicts on: with a single task, it is not known")

    annotate(studio, 8)
    measured = iter([0.5, 0.2, 0.2, 0.2])  # of what was learned and of the other model, twice
    found: list[float] = []
    corrections = start._corrections

    def measure(*what: Any) -> float:
        found.append(corrections(*what))
        return next(measured)

    monkeypatch.setattr(start, "_corrections", measure)
    assert trained(policy, runner, store, HERE) == "untrained"
    said = need(policy.queue.read(HERE).newest).skipped[0]
    assert "what was learned needs 0.50 corrections per region, and that model 0.20" in said
    assert 0 <= found[1] < 0.5  # the other model learned the same from more
    own = trained(policy, runner, store, HERE)
    assert store.card(HERE, own).start == ""


def test_what_does_not_suit_is_on_the_dashboard_and_nothing_is_predicted(
    client: FlaskClient, policy: TrainingPolicy, lent: str
) -> None:
    assert set_up(client, CONFIG.replace("Walk", "Sit")) == "untrained"
    reason = f"model {lent} knows the label Walk, which label:ts lacks"
    assert reason in client.get("/projects", headers={"Accept": "text/html"}).text
    assert set_up(client) == lent  # corrected
    assert policy.queue.read(HERE).queued
    assert reason not in client.get("/projects", headers={"Accept": "text/html"}).text
    assert (
        f"<strong>v1</strong> of project {LENDER} predicts"
        in client.get("/projects", headers={"Accept": "text/html"}).text
    )


def test_a_start_that_is_taken_out_of_the_config_ends(
    client: FlaskClient, policy: TrainingPolicy, lent: str
) -> None:
    assert set_up(client) == lent
    assert set_up(client, levels.CONFIG) == "untrained"
    assert policy.queue.read(HERE).start is None


def test_without_the_other_model_the_tasks_are_put_in_an_order_as_in_any_project(
    client: FlaskClient,
    policy: TrainingPolicy,
    runner: JobRunner,
    store: ModelStore,
    studio: LabelStudioServer,
    lent: str,
) -> None:
    assert set_up(client) == lent
    store.path(LENDER).unlink()
    assert runner.run(HERE)
    assert job_of(policy).version == "untrained"
    assert versions(studio) == {("untrained",)}
    own = trained(policy, runner, store, LENDER)
    assert set_up(client) == own
    assert runner.run(HERE)
    assert versions(studio) == {(own,)}


def test_a_config_that_names_nothing_or_two_is_refused_with_400(client: FlaskClient) -> None:
    for value, reason in (("47", "as in project:47"), ("project:x", "as in project:47")):
        config = levels.CONFIG.replace('toName="ts">', f'toName="ts" model_start="{value}">')
        answer = client.post("/setup", json={"project": "4.1", "schema": config})
        assert answer.status_code == 400
        assert reason in answer.get_json()["detail"]


def test_a_start_that_a_person_chose_is_as_good_as_one_in_the_config(
    client: FlaskClient,
    policy: TrainingPolicy,
    runner: JobRunner,
    store: ModelStore,
    studio: LabelStudioServer,
    lent: str,
) -> None:
    studio.configs[HERE] = levels.CONFIG
    assert set_up(client, levels.CONFIG) == "untrained"
    assert runner.run(HERE)  # the tasks are put in an order
    assert client.post(f"/projects/{HERE}/start", json={"project": LENDER}).status_code == 200
    assert runner.run(HERE)
    assert need(job_of(policy).predicted).version == lent
    assert versions(studio) == {(lent,)}
    assert set_up(client, levels.CONFIG) == lent
    assert not policy.queue.read(HERE).queued  # once for a version

    annotate(studio, 7)
    own = trained(policy, runner, store, HERE)
    assert store.card(HERE, own).start == lent
    assert store.card(HERE, own).pairs[PAIR].continued
    assert set_up(client, levels.CONFIG) == own
    assert policy.queue.read(HERE).start is None


def test_a_start_that_a_person_took_back_leaves_none_of_its_predictions(
    client: FlaskClient, policy: TrainingPolicy, runner: JobRunner, studio: LabelStudioServer, lent: str
) -> None:
    studio.configs[HERE] = levels.CONFIG
    set_up(client, levels.CONFIG)
    assert client.post(f"/projects/{HERE}/start", json={"project": LENDER}).status_code == 200
    assert runner.run(HERE)
    assert versions(studio) == {(lent,)}
    assert client.post(f"/projects/{HERE}/start", json={}).get_json() == {"start": None}
    assert runner.run(HERE)
    assert versions(studio) == {("untrained",)}
    assert set_up(client, levels.CONFIG) == "untrained"
    assert not policy.queue.read(HERE).queued
