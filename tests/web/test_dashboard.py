import base64
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from filelock import FileLock
from flask.testing import FlaskClient
from lxml import html
from pydantic import SecretStr

import _wsgi
from tests.support import recorded
from tests.support.models import of_one_pair, unpack_former
from tests.support.need import need
from tests.support.processes import small_disk
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import (
    Metrics,
    PairCard,
    RecipeSearch,
    RecipeTrial,
    VersionCorrections,
)
from timeseries_segmenter.project.model import UNTRAINED
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.job import Candidate, Job, Predicted, Progress, State
from timeseries_segmenter.trainings.pauses import AFTER_FAILURE
from timeseries_segmenter.web.backend import Backend
from timeseries_segmenter.web.project_overview import MOST_OFFERED

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
HOSTILE = "<script>alert('1')</script>\" onload=\"x{{ 1234 * 1234 }}"


def about(macro_f1: float, held_out: bool = True, **more: Any) -> dict[str, Any]:
    metrics = Metrics(macro_f1=macro_f1, segment_f1={"50": macro_f1 / 2})
    pair = PairCard(
        training=Metrics(macro_f1=0.99, segment_f1={"50": 0.98}), held_out=metrics if held_out else None
    )
    return {
        "title": "Basic motions",
        "created_at": "2026-11-25T10:15:00+00:00",
        "tasks": [1, 2],
        "skipped": ["Task 3: no file"],
        "pairs": {"label:ts": pair},
    } | more


@pytest.fixture
def versions(backend: Backend, run_walk: Segmenter) -> list[str]:
    """Of project 47, oldest first; the first has no held-out metrics."""
    saved = [about(0.5, held_out=False), about(0.66), about(0.75)]
    return [backend.store.save(47, of_one_pair(run_walk, **each)) for each in saved]


def look(client: FlaskClient, query: str = "") -> html.HtmlElement:
    answer = client.get(f"/projects{query}", headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    return html.document_fromstring(answer.text)


def card(page: html.HtmlElement, project: int) -> html.HtmlElement:
    return page.get_element_by_id(f"project-{project}")


def text(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def status(element: html.HtmlElement) -> str:
    (badge,) = element.find_class("badge")[:1]
    return text(badge)


def buttons(element: html.HtmlElement) -> dict[str, str]:
    """What forms are sent to, by the first word of their button."""
    return {text(form.xpath(".//button")[0]).split()[0]: form.action for form in element.xpath(".//form")}


def queued(backend: Backend, project: int, event: str = "ANNOTATION_CREATED") -> Job:
    job = backend.policy.count(project, event)
    assert job
    return job


def started(
    backend: Backend, project: int, step: str | None = None, progress: Progress | None = None
) -> None:
    with backend.policy.queue.change(project) as trainings:
        job = trainings.job_in(State.QUEUED)
        assert job
        job.start("host:7")
        job.step, job.progress = step, progress


def failed(backend: Backend, project: int, error: str) -> None:
    queued(backend, project)
    started(backend, project)
    with backend.policy.queue.change(project) as trainings:
        trainings.fail(trainings.jobs[-1], error)


def test_what_people_corrected_is_beside_the_metrics(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    corrected = [VersionCorrections(version="p47-v1", annotations=3, regions=10, added=5)]
    backend.store.save(47, of_one_pair(run_walk, **about(0.75), corrected=corrected))
    assert "0.50 corrections per region in 3 annotations" in text(card(look(client), 47))


# who gets what


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("application/json, text/html", "application/json"),
        ("image/png", "application/json"),
        ("text/html", "text/html"),
        (BROWSER["Accept"], "text/html"),
        ("text/html, application/json;q=0.9, */*;q=0.1", "text/html"),
    ],
)
def test_browsers_get_a_page_and_programs_json(client: FlaskClient, accept: str | None, kind: str) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = client.get("/projects", headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, kind)
    assert "Accept" in answer.headers["Vary"]
    for path in ("/projects/x", "/projects/3/nothing", "/projects/3/report", "/projects/static/nothing.css"):
        missing = client.get(path, headers=headers)
        assert (missing.status_code, missing.mimetype) == (404, kind), path


def test_other_routes_answer_browsers_as_ever(client: FlaskClient) -> None:
    for path in ("/nowhere", "/versions", "/projects/3/training", "/projectsx"):
        assert client.get(path, headers=BROWSER).is_json


def test_a_page_may_do_what_it_needs_and_no_more(client: FlaskClient, versions: list[str]) -> None:
    for path in ("/projects", "/projects/x", f"/projects/47/report?version={versions[0]}"):
        headers = client.get(path, headers=BROWSER).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in policy.get("script-src", "")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
    page = client.get("/projects", headers=BROWSER).text
    assert not re.search(r"<style|<script(?! src)|\sstyle=|\son\w+=", page)


def test_everything_a_page_loads_is_served(client: FlaskClient) -> None:
    page = look(client)
    loaded = [*page.xpath("//link/@href"), *page.xpath("//script/@src")]
    assert {name.rpartition(".")[2] for name in loaded} == {"css", "js", "svg"}
    for address in loaded:
        answer = client.get(address)
        assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (200, "nosniff"), address
        assert answer.data


def test_pages_ask_for_user_and_password(settings: Settings, app: object) -> None:
    del app
    closed = settings.model_copy(update={"basic_auth_user": "me", "basic_auth_pass": SecretStr("secret")})
    client = _wsgi.init_app(settings=closed).test_client()
    paths = ["/projects", "/projects/static/palette.css", "/projects/47/report"]
    for path in paths:
        assert client.get(path, headers=BROWSER).status_code == 401
    for path in ("train", "rollback", "training/cancel"):
        assert client.post(f"/projects/47/{path}").status_code == 401
    known = {"Authorization": f"Basic {base64.b64encode(b'me:secret').decode()}"}
    assert [client.get(path, headers=known).status_code for path in paths] == [200, 200, 404]


def test_links_keep_the_path_that_a_proxy_puts_before_them(client: FlaskClient, versions: list[str]) -> None:
    del versions
    answer = client.get("/projects", headers=BROWSER, base_url="http://localhost/segmenter/")
    page = html.document_fromstring(answer.text)
    own = [*page.xpath("//link/@href"), *page.xpath("//form/@action"), *page.xpath("//td/a/@href")]
    assert len(own) > 5
    assert [address for address in own if not address.startswith("/segmenter/projects/")] == []
    sent = client.post("/projects/47/train", headers=BROWSER, base_url="http://localhost/segmenter/")
    assert sent.headers["Location"].startswith("/segmenter/projects?")


# what is shown


def test_without_projects_the_next_steps_are_told(client: FlaskClient, settings: Settings) -> None:
    page = look(client)
    steps = text(page.find_class("first-steps")[0])
    for word in ("Connect Model", "http://localhost", "submit", "Start Training"):
        assert word in steps
    assert client.get("/projects").json == {"projects": [], "page": 1, "pages": 1, "total": 0}
    assert not settings.model_dir.exists()


def test_a_missing_token_is_told(settings: Settings, app: object) -> None:
    del app
    client = _wsgi.init_app(settings=settings.model_copy(update={"label_studio_api_key": SecretStr("")}))
    assert "LABEL_STUDIO_API_KEY" in text(look(client.test_client()))


def test_a_project_is_shown_with_title_version_quality_and_links(
    client: FlaskClient, versions: list[str]
) -> None:
    shown = card(look(client), 47)
    assert (text(shown.xpath(".//h2")[0]), status(shown)) == ("Basic motions", "trained")
    given = text(shown)
    for words in ("Project 47", "Model v3", "25 Nov 2026, 10:15 UTC", "2 tasks", "1 left out", versions[2]):
        assert words in given
    metrics = text(shown.find_class("metrics")[0])
    assert metrics == "Macro F1 0.75 Segment F1@50 0.38 on held-out series"
    links = dict(zip(map(text, shown.xpath(".//footer/a")), shown.xpath(".//footer/a/@href"), strict=True))
    assert links == {
        "Report of Basic motions": "/projects/47/report",
        "Open in Label Studio: Basic motions": "http://127.0.0.1:1/projects/47/data",
    }


def test_versions_stand_below_each_other_with_what_they_were_measured_on(
    client: FlaskClient, versions: list[str]
) -> None:
    rows = card(look(client), 47).xpath(".//tbody/tr")
    given = [[text(cell) for cell in row] for row in rows]
    assert [cells[0].split()[0] for cells in given] == ["v3", "v2", "v1"]
    assert ["served" in cells[0] for cells in given] == [True, False, False]
    assert [cells[2].split()[0] for cells in given] == ["0.75", "0.66", "0.99"]
    assert [cells[4] for cells in given] == ["held-out series", "held-out series", "training series"]
    meters = [float(meter.get("value")) for meter in rows[1].xpath(".//meter")]
    assert meters == [0.66, 0.33]
    links = [row.xpath(".//a/@href")[0] for row in rows]
    assert links == [f"/projects/47/report?version={version}" for version in reversed(versions)]


def test_links_lead_to_the_public_address_of_label_studio(
    settings: Settings, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.save(47, of_one_pair(run_walk))
    public = settings.model_copy(update={"label_studio_public_url": "https://studio.example.com/ls"})
    client = _wsgi.init_app(settings=public).test_client()
    assert "https://studio.example.com/ls/projects/47/data" in card(look(client), 47).xpath(".//a/@href")
    (given,) = client.get("/projects").get_json()["projects"]
    assert given["label_studio"] == "https://studio.example.com/ls/projects/47/data"


def test_a_training_that_runs_is_shown_with_step_bar_and_figures(
    client: FlaskClient, backend: Backend, versions: list[str]
) -> None:
    del versions
    queued(backend, 47)
    started(backend, 47, "fetching tasks")
    shown = card(look(client), 47)
    (bar,) = shown.xpath(".//progress")
    assert (status(shown), text(shown.find_class("step")[0]), bar.get("value")) == (
        "training",
        "fetching tasks",
        None,
    )
    assert shown.xpath(f".//label[@for='{bar.get('id')}']")
    with backend.policy.queue.change(47) as trainings:
        progress = Progress(epoch=40, epochs=1000, loss=0.314, balanced_accuracy=0.8, min_f1=0.256)
        trainings.jobs[0].step, trainings.jobs[0].progress = "training", progress
    shown = card(look(client), 47)
    (bar,) = shown.xpath(".//progress")
    assert (bar.get("value"), bar.get("max")) == ("40", "1000")
    assert "epoch 40 of at most 1000 · loss 0.31 · worst F1 0.26" in text(shown)
    assert {"Cancel", "Roll", "Train"} == set(buttons(shown))
    with backend.policy.queue.change(47) as trainings:
        trainings.jobs[0].step = "checking"
    shown = card(look(client), 47)
    assert (text(shown.find_class("step")[0]), text(shown.find_class("epoch")[0])) == ("checking", "")
    assert shown.xpath(".//progress")[0].get("value") is None
    assert client.get("/projects").get_json()["projects"][0]["progress"] is None


def test_each_state_of_a_training_has_its_word_and_its_buttons(client: FlaskClient, backend: Backend) -> None:
    queued(backend, 3)
    failed(backend, 4, "no annotated task of project 4 can be learned from")
    queued(backend, 5)
    backend.policy.cancel(5)
    queued(backend, 6)
    started(backend, 6)
    queued(backend, 6)
    backend.policy.cancel(6)
    queued(backend, 7)
    started(backend, 7)
    queued(backend, 7)
    page = look(client)
    assert [shown.get("data-project") for shown in page.find_class("project")] == ["7", "6", "5", "4", "3"]
    expected = {
        3: ("waiting", {"Cancel"}),
        4: ("failed", {"Train"}),
        5: ("cancelled", {"Train"}),
        6: ("stopping", {"Train"}),
        7: ("training", {"Cancel"}),
    }
    given = {int(each["project"]): each["status"] for each in client.get("/projects").get_json()["projects"]}
    for project, (word, names) in expected.items():
        assert (status(card(page, project)), set(buttons(card(page, project)))) == (word, names)
        assert given[project] == word
    assert "no annotated task of project 4" in text(card(page, 4))
    assert "Another training follows" in text(card(page, 7))
    assert text(page.get_element_by_id("summary")) == "1 training 1 stopping 1 waiting 1 failed"


def test_a_training_that_is_tried_again_is_shown_with_its_reason_and_the_next_try(
    client: FlaskClient, backend: Backend
) -> None:
    queued(backend, 3)
    started(backend, 3)
    with backend.policy.queue.change(3) as trainings:
        job = trainings.jobs[0]
        trainings.try_again(job, "http://studio answered 503 to <the request>", AFTER_FAILURE)
    shown = card(look(client), 3)
    assert status(shown) == "waiting"
    assert "The last try failed" in text(shown)
    assert "answered 503 to <the request>" in text(shown)
    moments = shown.xpath(".//div[contains(@class, 'notice')]//time/@datetime")
    assert moments == [need(job.failed_at).isoformat(), need(job.not_before).isoformat()]
    assert set(buttons(shown)) == {"Cancel", "Train"}
    (given,) = client.get("/projects").get_json()["projects"]
    assert (given["state"], given["error"], given["attempts"]) == ("queued", job.error, 1)
    assert datetime.fromisoformat(given["not_before"]) == job.not_before
    training = client.get("/projects/3/training").get_json()
    assert (training["state"], training["last_error"]) == ("queued", job.error)
    assert datetime.fromisoformat(training["not_before"]) == job.not_before
    client.post("/projects/3/train")
    assert backend.policy.queue.waiting() == [3]


def test_a_project_whose_state_cannot_be_used_is_shown_with_the_reason_beside_the_others(
    client: FlaskClient, backend: Backend
) -> None:
    queued(backend, 3)
    (backend.policy.queue.folder / "project_4.json").write_text('{"format": 99}')
    (backend.policy.queue.folder / "project_5.json").mkdir()
    page = look(client)
    assert [status(card(page, project)) for project in (5, 4, 3)] == ["blocked", "blocked", "waiting"]
    assert "newer release" in text(card(page, 4))
    assert "Is a directory" in text(card(page, 5))
    assert set(buttons(card(page, 4))) == set()
    assert text(page.get_element_by_id("summary")) == "1 waiting 2 blocked"
    assert "format 99" in client.get("/projects/4/training").get_json()["problem"]
    for project, reason in ((4, "newer release"), (5, "Is a directory")):
        answer = client.post(f"/projects/{project}/train")
        assert (answer.status_code, reason in answer.get_json()["detail"]) == (503, True)
    assert client.get("/metrics").status_code == 200


def test_pages_answer_while_a_projects_lock_is_held(client: FlaskClient, backend: Backend) -> None:
    queued(backend, 3)
    with FileLock(backend.policy.queue.folder / "project_3.lock"):
        for path in ("/projects", "/metrics", "/ready", "/projects/3/training"):
            assert client.get(path).status_code == 200
        assert client.post("/projects/3/train").status_code == 201  # kept
        answer = client.post("/projects/3/training/cancel")
        assert (answer.status_code, "project_3.lock" in answer.get_json()["detail"]) == (503, True)
        queued(backend, 4)
    backend.policy.look()
    assert backend.policy.queue.read(3).jobs[0].event == "START_TRAINING"


def test_events_that_do_not_train_yet_are_counted(settings: Settings, app: object) -> None:
    del app
    app = _wsgi.init_app(settings=settings.model_copy(update={"start_training_each_n_updates": 10}))
    client = app.test_client()
    for _ in range(3):
        client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 3}})
    shown = card(look(client), 3)
    assert status(shown) == "untrained"
    assert "3 of 10 annotations" in text(shown)


def test_a_project_without_a_model_has_the_title_that_label_studio_named_last(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    event = {"action": "ANNOTATION_CREATED", "project": {"id": 3, "title": "Heart beats"}}
    for title in ("Beats", "Heart beats", "", None, ["a list"]):
        event["project"] = {"id": 3, "title": title}
        assert client.post("/webhook", json=event).status_code == 201
    shown = text(card(look(client), 3))
    assert ("Heart beats" in shown, "Project 3" in shown) == (True, True)
    assert names(look(client, "?search=heart")) == ["Heart beats"]
    (listed,) = client.get("/projects").get_json()["projects"]
    assert listed["title"] == "Heart beats"
    event["project"] = {"id": 3, "title": "x" * 10**6}
    client.post("/webhook", json=event)
    assert len(backend.policy.queue.read(3).title) < 1000
    backend.store.save(3, of_one_pair(run_walk, **about(0.5, title="Learned")))
    assert names(look(client)) == ["Learned"]


def test_what_others_wrote_is_text(client: FlaskClient, backend: Backend, run_walk: Segmenter) -> None:
    backend.store.save(3, of_one_pair(run_walk, **about(0.5, title=HOSTILE)))
    backend.store.save(3, of_one_pair(run_walk, **about(0.5, title=HOSTILE)))
    failed(backend, 3, HOSTILE)
    queued(backend, 4)
    started(backend, 4, HOSTILE)
    page = look(client, f"?done={HOSTILE}&project={HOSTILE}")
    assert page.xpath("//script[not(@src)]") == []
    assert page.xpath("//*[@onload]") == []
    assert text(card(page, 3).xpath(".//h2")[0]) == " ".join(HOSTILE.split())
    assert " ".join(HOSTILE.split()) in text(card(page, 3).find_class("notice")[0])
    assert "1522756" not in text(card(page, 4))


def test_a_model_of_an_older_form_or_that_is_damaged_costs_no_page(
    client: FlaskClient, backend: Backend, run_walk: Segmenter, settings: Settings
) -> None:
    settings.model_dir.mkdir()
    unpack_former(2, backend.store.path(3))
    first, _ = (
        backend.store.save(4, of_one_pair(run_walk, **about(0.5))),
        backend.store.save(4, of_one_pair(run_walk, **about(0.6))),
    )
    backend.store.path(5).write_bytes(b"no model at all")
    (settings.model_dir / "versions" / f"{first}.pt").write_bytes(b"damaged")
    backend.store.save(6, of_one_pair(run_walk))
    page = look(client)
    assert "on the training series" in text(card(page, 3).find_class("metrics")[0])
    assert len(card(page, 4).xpath(".//tbody/tr")) == 2
    assert card(page, 6).find_class("metrics") == []
    given = {each["project"]: each for each in client.get("/projects").get_json()["projects"]}
    assert given["3"]["versions"][0]["quality"] == {
        "held_out": False,
        "macro_f1": 0.9954,
        "segment_f1": None,
        "point_f1": None,
    }
    assert given["6"]["versions"][0]["created_at"] is None


def test_requests_that_name_no_project_have_a_model_but_no_training(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    backend.store.save(0, of_one_pair(run_walk))
    shown = card(look(client), 0)
    assert text(shown.xpath(".//h2")[0]) == "Requests that name no project"
    assert buttons(shown) == {}
    assert client.post("/projects/0/train").status_code == 404


def test_programs_are_told_the_same(client: FlaskClient, backend: Backend, versions: list[str]) -> None:
    job = queued(backend, 47)
    started(
        backend, 47, "training", Progress(epoch=4, epochs=9, loss=0.5, balanced_accuracy=0.8, min_f1=0.25)
    )
    (given,) = client.get("/projects").get_json()["projects"]
    assert (given["project"], given["title"], given["version"]) == ("47", "Basic motions", versions[2])
    assert (given["job"], given["state"], given["step"], given["progress"]["epoch"]) == (
        job.id,
        "started",
        "training",
        4,
    )
    assert datetime.fromisoformat(given["started_at"]) <= datetime.now(UTC)
    assert [each["version"] for each in given["versions"]] == versions[::-1]
    assert given["versions"][0] == {
        "version": versions[2],
        "created_at": "2026-11-25T10:15:00+00:00",
        "tasks": 2,
        "skipped": 1,
        "restored": None,
        "quality": {"held_out": True, "macro_f1": 0.75, "segment_f1": 0.375, "point_f1": None},
    }
    assert given["report"] == "/projects/47/report"
    training = client.get("/projects/47/training").get_json()
    assert (training["step"], training["progress"]["epoch"]) == ("training", 4)


def test_figures_of_versions_are_read_once(
    client: FlaskClient, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from timeseries_segmenter.storage import model_store

    client.get("/projects")
    monkeypatch.setattr(model_store, "read_card", lambda path: pytest.fail(f"{path} is read again"))
    (given,) = client.get("/projects").get_json()["projects"]
    assert len(given["versions"]) == len(versions)


def searching(backend: Backend, project: int = 47) -> None:
    """A search runs, after a training run that ended well."""
    queued(backend, project)
    started(backend, project)
    with backend.policy.queue.change(project) as trainings:
        trainings.finish(trainings.jobs[-1], "p47-v3", [], 1.0)
        trainings.plan_search(4, asked=False)
        need(trainings.search).start("host:7")


def change_search(backend: Backend, **changes: Any) -> None:
    with backend.policy.queue.change(47) as trainings:
        trainings.search = need(trainings.search).model_copy(update=changes)


def predicting(backend: Backend, **changes: Any) -> None:
    """A training run has ended, and its project's tasks are predicted."""
    queued(backend, 47)
    started(backend, 47)
    version = backend.store.version(47)
    with backend.policy.queue.change(47) as trainings:
        trainings.finish(trainings.jobs[-1], version, [], 1.0)
        prediction = trainings.plan_prediction()
        prediction.start("host:7")
        reached = Predicted(version=version, tasks=412, most=500, unreadable=2, reason=HOSTILE)
        trainings.prediction = prediction.model_copy(update={"predicted": reached} | changes)


@pytest.mark.usefixtures("versions")
def test_a_job_that_predicts_tasks_says_how_far_it_is(client: FlaskClient, backend: Backend) -> None:
    predicting(backend)
    shown = card(look(client), 47)
    assert status(shown) == "predicting"
    (block,) = shown.find_class("prediction")
    assert re.match(r"predicting since .* UTC: 412 of 500 tasks predicted, 2 can't be", text(block))
    assert buttons(shown).keys() == {"Train", "Cancel", "Roll"}
    (given,) = client.get("/projects").get_json()["projects"]
    assert (given["status"], given["predicted"]) == ("predicting", "412 of 500 tasks predicted, 2 can't be")
    assert shown.get("data-mark").endswith(given["behind_mark"])
    assert "timeseries_segmenter_predictions_running 1.0" in client.get("/metrics").text
    client.post("/projects/47/training/cancel")
    (block,) = card(look(client), 47).find_class("prediction")
    assert text(block).startswith("stopping")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": State.FINISHED}, f"412 of 500 tasks predicted, 2 can't be: {HOSTILE}."),
        ({"state": State.FAILED, "error": HOSTILE}, f"Predictions could not be stored: {HOSTILE}"),
        ({"state": State.FAILED, "error": "cancelled", "cancelled": True}, "Predicting tasks was cancelled"),
        ({"state": State.QUEUED, "error": HOSTILE}, f"The last try failed: {HOSTILE}"),
    ],
)
def test_what_came_of_predicting_tasks_is_shown(
    client: FlaskClient, backend: Backend, versions: list[str], changes: dict[str, Any], words: str
) -> None:
    predicting(backend, version=versions[-1], **changes)
    shown = card(look(client), 47)
    assert status(shown) == "trained"
    (block,) = shown.find_class("prediction")
    assert words in text(block)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.STARTED, "4 of 9 tasks in order The tasks get scores in Label Studio"),
        (State.FINISHED, "4 of 9 tasks in order: begin with the lowest prediction score."),
    ],
)
def test_before_there_is_a_model_tasks_are_put_in_an_order(
    client: FlaskClient, backend: Backend, state: State, words: str
) -> None:
    with backend.policy.queue.change(47) as trainings:
        reached = Predicted(version=UNTRAINED, tasks=4, most=9)
        job = trainings.plan_prediction()
        job.start("host:7")
        trainings.prediction = job.model_copy(update={"state": state, "predicted": reached})
    shown = card(look(client), 47)
    assert status(shown) == ("predicting" if state is State.STARTED else "untrained")
    (block,) = shown.find_class("prediction")
    assert words in text(block)


@pytest.mark.usefixtures("versions")
def test_a_search_that_runs_says_what_it_tries(client: FlaskClient, backend: Backend) -> None:
    searching(backend)
    change_search(backend, step="searching", candidate=Candidate(name="longer", number=2, most=5))
    page = look(client)
    shown = card(page, 47)
    assert status(shown) == "searching"
    assert text(page.get_element_by_id("summary")) == "1 searching"
    (block,) = shown.find_class("search")
    assert re.match(r"searching since .* UTC: recipe 2 of 5, longer", text(block))
    assert buttons(shown).keys() == {"Train", "Cancel", "Roll"}
    (given,) = client.get("/projects").get_json()["projects"]
    assert (given["status"], given["state"]) == ("searching", "finished")  # the project is not in training
    assert given["search"]["candidate"] == {"name": "longer", "number": 2, "most": 5}
    assert shown.get("data-mark").endswith(given["behind_mark"])
    training = client.get("/projects/47/training").get_json()
    assert (training["state"], training["search"]["state"]) == ("finished", "started")
    queued(backend, 47)
    assert status(card(look(client), 47)) == "waiting"
    client.post("/projects/47/training/cancel")
    assert "stopping the search" in text(card(look(client), 47))


def test_what_came_of_a_search_is_shown_with_what_was_tried(
    client: FlaskClient, backend: Backend, versions: list[str]
) -> None:
    searching(backend)
    trials = [
        RecipeTrial(name="the recipe that is set", f1=0.7, macro_f1=0.8, seconds=3.14),
        RecipeTrial(
            name=HOSTILE, f1=0.75, macro_f1=0.82, difference=0.05, noise=0.02, seconds=4, better=True
        ),
    ]
    found = RecipeSearch(tasks=4, searched_at=datetime.now(UTC), trials=trials)
    with backend.policy.queue.change(47) as trainings:
        trainings.end_search(need(trainings.search), {"label:ts": found}, versions[2])
    shown = card(look(client), 47)
    assert status(shown) == "trained"
    (block,) = shown.find_class("search")
    assert text(block.xpath("./summary")[0]).startswith("Search: v3 has a better recipe")
    rows = [[text(cell) for cell in row.xpath("./th | ./td")] for row in block.xpath(".//tbody/tr")]
    assert rows == [
        ["the recipe that is set", "0.700", "0.800", "", "3.1"],
        [f"{HOSTILE} better", "0.750", "0.820", "+0.050 ± 0.020", "4.0"],
    ]


@pytest.mark.usefixtures("versions")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": State.QUEUED}, "A search for a better recipe follows once nothing else is trained."),
        ({"state": State.FAILED, "error": "no memory"}, "The search for a better recipe failed: no memory"),
        (
            {"state": State.FAILED, "error": "cancelled", "cancelled": True},
            "The search for a better recipe was cancelled.",
        ),
    ],
)
def test_a_search_that_waits_or_failed_leaves_the_project_trained(
    client: FlaskClient, backend: Backend, changes: dict[str, Any], words: str
) -> None:
    searching(backend)
    change_search(backend, **changes)
    shown = card(look(client), 47)
    assert status(shown) == "trained"
    assert words in text(shown)
    assert "Cancel" not in buttons(shown)
    assert client.get("/projects/47/training").get_json()["last_error"] is None


# what is done


def follow(client: FlaskClient, path: str, **form: str) -> html.HtmlElement:
    """Press a button: the answer sends the browser to the page that says what was done."""
    answer = client.post(path, data=form, headers=BROWSER)
    assert (answer.status_code, answer.headers["Location"].endswith("#news")) == (303, True)
    address = answer.headers["Location"].partition("#")[0]
    assert address.startswith("/projects?")
    return look(client, address.removeprefix("/projects"))


def test_train_queues_a_training_from_scratch(
    client: FlaskClient, backend: Backend, versions: list[str]
) -> None:
    del versions
    address = buttons(card(look(client), 47))["Train"]
    page = follow(client, address)
    assert "A training run is queued." in text(card(page, 47).get_element_by_id("news"))
    (job,) = backend.policy.queue.read(47).jobs
    assert (job.state, job.event, job.from_scratch) == (State.QUEUED, "START_TRAINING", True)
    answer = client.post(address)
    assert (answer.status_code, answer.json) == (201, {"job": job.id})


def test_cancel_takes_a_training_back(client: FlaskClient, backend: Backend) -> None:
    queued(backend, 3)
    address = buttons(card(look(client), 3))["Cancel"]
    assert status(card(follow(client, address), 3)) == "cancelled"
    page = follow(client, address)
    assert "no training to cancel" in text(page.get_element_by_id("news"))
    assert client.post(address).json == {"cancelled": []}


def test_roll_back_serves_the_version_that_is_chosen(
    client: FlaskClient, backend: Backend, versions: list[str]
) -> None:
    form = card(look(client), 47).xpath(".//details[contains(@class, 'rollback')]//form")[0]
    options = form.xpath(".//option/@value")
    assert options == [versions[1], versions[0]]
    page = follow(client, form.action, version=versions[0])
    assert "which is v1 again" in text(card(page, 47))
    # nothing predicts without a token
    assert "Rolled back. Retrieve predictions" in text(page.get_element_by_id("news"))
    assert backend.store.card(47, backend.store.version(47)).restored == versions[0]
    again = card(page, 47).xpath(".//option/@value")
    assert again == [versions[2], versions[1]]  # none is before v1; v1 itself is served


@pytest.mark.parametrize(
    "request_",
    [{}, {"json": {}}, {"json": {"version": None}}, {"data": {"version": ""}}, {"data": {}}],
)
def test_programs_roll_back_to_the_version_before(
    client: FlaskClient, backend: Backend, versions: list[str], request_: dict[str, Any]
) -> None:
    for restored in (versions[1], versions[0]):
        answer = client.post("/projects/47/rollback", **request_)
        assert (answer.status_code, answer.get_json()["restored"]) == (200, restored)
        assert answer.get_json()["version"] == backend.store.version(47)


def test_programs_roll_back_to_a_version_with_a_form_or_json(
    client: FlaskClient, versions: list[str]
) -> None:
    for kind in ("json", "data"):
        answer = client.post("/projects/47/rollback", **{kind: {"version": versions[0]}})
        assert (answer.status_code, answer.get_json()["restored"]) == (200, versions[0])


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({"json": {"version": "p47-v9-20261122T100000Z"}}, 404, "is not kept; project 47 has p47-v3-"),
        ({"json": {"version": "../model_project_47"}}, 404, "is not kept"),
        ({"json": {"version": 5}}, 400, "version"),
        ({"json": ["p47"]}, 400, "JSON object"),
        ({"json": {"to": "p47-v1"}}, 400, "to: "),
        ({"data": '{"version": "p47-v1"}', "content_type": "application/json; x"}, 404, "is not kept"),
        # curl -d sends JSON as a form unless asked otherwise
        (
            {"data": '{"version": "p47-v1"}', "content_type": "application/x-www-form-urlencoded"},
            400,
            "Extra inputs",
        ),
        ({"data": "version", "content_type": "text/plain"}, 415, "json"),
        ({"data": "{", "content_type": "application/json"}, 400, "no JSON"),
    ],
)
def test_a_rollback_that_can_not_be_says_why(
    client: FlaskClient,
    backend: Backend,
    versions: list[str],
    request_: dict[str, Any],
    code: int,
    words: str,
) -> None:
    for headers in ({}, BROWSER):
        answer = client.post("/projects/47/rollback", **request_, headers=headers)
        assert answer.status_code == code
        assert words in (answer.get_json()["detail"] if answer.is_json else answer.text)
    assert backend.store.version(47) == versions[2]


def test_a_rollback_conflicts_with_the_version_that_is_served_or_the_first(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    first = backend.store.save(3, of_one_pair(run_walk))
    answer = client.post("/projects/3/rollback")
    assert (answer.status_code, f"no version before {first}" in answer.get_json()["detail"]) == (409, True)
    answer = client.post("/projects/3/rollback", json={"version": first})
    assert (answer.status_code, "is served" in answer.get_json()["detail"]) == (409, True)
    page = client.post("/projects/3/rollback", headers=BROWSER)
    assert (page.status_code, page.mimetype) == (409, "text/html")
    assert "no version before" in page.text
    assert 'href="/projects"' in page.text
    assert card(look(client), 3).find_class("rollback") == []


def test_a_version_that_is_damaged_is_not_served(
    client: FlaskClient, backend: Backend, versions: list[str], settings: Settings
) -> None:
    (settings.model_dir / "versions" / f"{versions[0]}.pt").write_bytes(b"damaged")
    answer = client.post("/projects/47/rollback", json={"version": versions[0]})
    assert (answer.status_code, versions[0] in answer.get_json()["detail"]) == (409, True)
    assert backend.store.version(47) == versions[2]


@pytest.mark.parametrize("action", ["train", "rollback"])
def test_an_unknown_project_is_not_found_and_leaves_nothing_behind(
    client: FlaskClient, settings: Settings, action: str
) -> None:
    for project in ("9", "x", "-3", "9" * 19):
        answer = client.post(f"/projects/{project}/{action}")
        assert answer.status_code == 404
        assert answer.get_json()["detail"]
        page = client.post(f"/projects/{project}/{action}", headers=BROWSER)
        assert (page.status_code, page.mimetype) == (404, "text/html")
    assert not settings.model_dir.exists()


def test_a_folder_that_can_not_be_written_is_told_on_a_page(
    client: FlaskClient, backend: Backend, run_walk: Segmenter, settings: Settings
) -> None:
    import subprocess

    with small_disk(settings.model_dir):
        for _ in range(2):
            backend.store.save(3, of_one_pair(run_walk, **about(0.5)))
        queued(backend, 3)
        subprocess.run(["mount", "-o", "remount,ro", settings.model_dir], check=True)
        assert status(card(look(client), 3)) == "waiting"
        for action in ("train", "rollback", "training/cancel"):
            page = client.post(f"/projects/3/{action}", headers=BROWSER)
            assert (page.status_code, page.mimetype) == (503, "text/html"), action
            assert "Read-only" in page.text


def test_a_failure_is_told_without_its_cause(
    client: FlaskClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("secret cause")

    monkeypatch.setattr(backend.store, "summaries_by_project", fail)
    for headers, kind in (({}, "application/json"), (BROWSER, "text/html")):
        answer = client.get("/projects", headers=headers)
        assert (answer.status_code, answer.mimetype) == (500, kind)
        assert "internal error" in answer.text
        assert "secret cause" not in answer.text


# many projects


def names(page: html.HtmlElement) -> list[str]:
    return [text(each) for each in page.xpath("//article//h2")]


@pytest.fixture
def hundred(backend: Backend) -> None:
    """Projects 1 to 101 had a training event."""
    for project in range(1, 102):
        with backend.policy.queue.change(project) as trainings:
            trainings.updates = 1


@pytest.mark.usefixtures("hundred")
@pytest.mark.parametrize(
    ("query", "first", "last", "number"),
    [
        ("", 101, 52, 1),
        ("?page=2", 51, 2, 2),
        ("?page=3", 1, 1, 3),
        ("?page=99", 1, 1, 3),
        ("?page=0", 101, 52, 1),
        ("?page=x", 101, 52, 1),
        ("?project=51", 51, 2, 2),
        ("?project=999", 101, 52, 1),
    ],
)
def test_projects_come_in_pages(client: FlaskClient, query: str, first: int, last: int, number: int) -> None:
    answer = client.get(f"/projects{query}").get_json()
    listed = [int(project["project"]) for project in answer["projects"]]
    assert listed == list(range(first, last - 1, -1))
    assert (answer["page"], answer["pages"], answer["total"]) == (number, 3, 101)
    page = look(client, query)
    assert names(page) == [f"Project {project}" for project in listed]
    assert f"Page {number} of 3, 101 projects" in text(page.get_element_by_id("pages"))


@pytest.mark.usefixtures("hundred")
def test_pages_lead_to_each_other_and_the_page_asks_for_itself_again(client: FlaskClient) -> None:
    page = look(client, "?search=project&page=2")
    links = {link.get("rel"): link.get("href") for link in page.xpath("//nav//a")}
    assert [names(look(client, links[rel].removeprefix("/projects")))[0] for rel in ("prev", "next")] == [
        "Project 101",
        "Project 1",
    ]
    query = page.get_element_by_id("projects").get("data-query")
    assert names(look(client, query)) == names(page)
    assert look(client, "?page=1").get_element_by_id("projects").get("data-query") == ""


@pytest.mark.usefixtures("hundred")
def test_a_status_leads_to_its_project_on_another_page(client: FlaskClient, backend: Backend) -> None:
    queued(backend, 7)
    (badge,) = look(client).get_element_by_id("summary").xpath("a")
    assert text(badge) == "1 waiting"
    query, _, anchor = badge.get("href").removeprefix("/projects").partition("#")
    assert status(look(client, query).get_element_by_id(anchor)) == "waiting"


def test_projects_are_found_by_number_or_title(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    for project, title in ((4, "Heart beats"), (5, "Walking"), (44, "")):
        backend.store.save(project, of_one_pair(run_walk, **about(0.5, title=title)))
    found = {
        search: names(look(client, f"?search={search}"))
        for search in ("4", "44", "heart", "WALK", "project+44", "t+b", "nothing", "+")
    }
    assert found == {
        "4": ["Project 44", "Heart beats"],
        "44": ["Project 44"],
        "heart": ["Heart beats"],
        "WALK": ["Walking"],
        "project+44": ["Project 44"],
        "t+b": ["Heart beats"],
        "nothing": [],
        "+": ["Project 44", "Walking", "Heart beats"],
    }
    page = look(client, "?search=nothing")
    assert "No project has this number" in text(page)
    assert page.find_class("first-steps") == []
    hostile = look(client, "?search=" + quote(HOSTILE))
    assert hostile.get_element_by_id("search").value == HOSTILE


def test_a_new_title_is_found_at_once_and_the_old_one_no_more(
    client: FlaskClient, backend: Backend, settings: Settings, run_walk: Segmenter
) -> None:
    backend.store.save(4, of_one_pair(run_walk, **about(0.5, title="Old")))
    assert names(look(client, "?search=old")) == ["Old"]
    ModelStore(settings).save(4, of_one_pair(run_walk, **about(0.6, title="New")))  # another process
    assert names(look(client, "?search=new")) == ["New"]
    assert names(look(client, "?search=old")) == []


def test_a_damaged_model_costs_only_its_project(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    for project in (4, 5):
        backend.store.save(project, of_one_pair(run_walk, **about(0.5, title=f"Title {project}")))
    for path in (backend.store.path(4), backend.store.version_path(4, backend.store.version(4))):
        path.write_bytes(b"damaged")
    assert names(look(client, "?search=title")) == ["Title 5"]
    assert names(look(client)) == ["Title 5"]


LENT = recorded.body("predict_json_inline")["label_config"]


def lent(backend: Backend, run_walk: Segmenter, project: int, **more: Any) -> str:
    """The version of a project from whose model others with that labeling config may start."""
    known = about(0.75) | {"label_config": LENT, "title": f"Lender {project}"} | more
    return backend.store.save(project, of_one_pair(run_walk, **known))


def set_up(client: FlaskClient, project: int, config: str = LENT) -> str:
    answer = client.post("/setup", json={"project": f"{project}.1", "schema": config})
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["model_version"])


def test_a_project_without_a_model_starts_from_one_that_is_chosen_until_that_is_undone(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    versions = {project: lent(backend, run_walk, project) for project in (3, 5)}
    lent(backend, run_walk, 4, label_config=LENT.replace("Walk", "Sit"))
    assert set_up(client, 47) == UNTRAINED
    page = look(client)
    assert not card(page, 3).find_class("start-from")  # it has a model of its own
    (offer,) = card(page, 47).find_class("start-from")
    assert [text(option) for option in offer.iter("option")] == [
        f"Lender {project} ({project}), v1, macro F1 0.75" for project in (5, 3)
    ]
    page = follow(client, offer.xpath(".//form")[0].action, project="3")
    assert "Started. Retrieve predictions" in text(page.get_element_by_id("news"))
    shown = card(page, 47)
    assert "v1 of project 3 predicts until this project has a model of its own" in text(shown)
    assert not shown.find_class("start-from")
    assert set_up(client, 47) == versions[3]
    body = recorded.body("predict_json_inline") | {"project": "47.1"}
    assert client.post("/predict", json=body).get_json()["model_version"] == versions[3]

    page = follow(client, buttons(card(look(client), 47))["Undo"])
    assert "It starts from no other project." in text(page.get_element_by_id("news"))
    assert card(page, 47).find_class("start-from")
    assert set_up(client, 47) == UNTRAINED


def test_programs_choose_a_start_and_read_which_projects_suit(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    version = lent(backend, run_walk, 3)
    set_up(client, 47)
    projects = {each["project"]: each for each in client.get("/projects").get_json()["projects"]}
    assert projects["47"]["lenders"] == [{"project": "3", "title": "Lender 3", "version": version}]
    assert projects["3"]["lenders"] == []
    answer = client.post("/projects/47/start", json={"project": 3})
    assert answer.get_json() == {"start": {"project": 3, "version": version, "problem": "", "chosen": True}}
    assert client.post("/projects/47/start").get_json() == {"start": None}


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        (4, 409, "knows the label Sit, which label:ts lacks; choose another one"),
        (47, 409, "project 47 has no model to start from"),
        (99, 409, "project 99 has no model to start from"),
        ("x", 400, "project"),
    ],
)
def test_a_start_that_can_not_be_says_why(
    client: FlaskClient, backend: Backend, run_walk: Segmenter, wanted: object, code: int, words: str
) -> None:
    lent(backend, run_walk, 4, label_config=LENT.replace("Walk", "Sit"))
    set_up(client, 47)
    answer = client.post("/projects/47/start", json={"project": wanted})
    assert (answer.status_code, words in answer.get_json()["detail"]) == (code, True), answer.text
    assert backend.policy.queue.read(47).chosen_start is None


def test_a_start_is_for_known_projects_without_a_model(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    for project in (3, 5):
        lent(backend, run_walk, project)
    assert client.post("/projects/47/start", json={"project": 3}).status_code == 404
    answer = client.post("/projects/5/start", json={"project": 3})
    assert (answer.status_code, "has a model of its own" in answer.get_json()["detail"]) == (409, True)


def test_the_labeling_configs_start_can_not_be_overruled(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    versions = {project: lent(backend, run_walk, project) for project in (3, 5)}
    config = LENT.replace('toName="ts">', 'toName="ts" model_start="project:3">')
    assert set_up(client, 47, config) == versions[3]
    shown = card(look(client), 47)
    assert not shown.find_class("start-from")
    assert "Undo" not in buttons(shown)
    answer = client.post("/projects/47/start", json={"project": 5})
    assert (answer.status_code, "change it there" in answer.get_json()["detail"]) == (409, True)


def test_only_some_of_many_projects_to_start_from_are_offered(
    client: FlaskClient, backend: Backend, run_walk: Segmenter
) -> None:
    for project in range(1, MOST_OFFERED + 4):
        lent(backend, run_walk, project)
    set_up(client, 47)
    (offer,) = card(look(client), 47).find_class("start-from")
    assert len(list(offer.iter("option"))) == MOST_OFFERED
    assert "3 more projects have one that does" in text(offer)
