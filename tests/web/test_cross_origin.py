import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support import recorded
from tests.support.models import of_one_pair
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.web.backend import Backend

HOST = "segmenter.example.com:9090"
OWN = f"http://{HOST}"
SENT_BY_OUR_PAGE_OR_A_PROGRAM = [
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": OWN},
    {"Origin": f"https://{HOST}"},  # TLS ends at a proxy
    {"Origin": OWN, "Sec-Fetch-Site": "same-origin"},
    {"Origin": "https://outside.example.com", "Sec-Fetch-Site": "same-origin"},  # a proxy changed Host
]
SENT_BY_ANOTHER_SITE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": OWN},
    {"Sec-Fetch-Site": "Same-Origin, cross-site"},
    {"Sec-Fetch-Site": "anything"},
    {"Origin": "https://evil.example.com"},
    {"Origin": "http://segmenter.example.com"},
    {"Origin": "http://segmenter.example.com:9091"},
    {"Origin": f"http://{HOST}.evil.example.com"},
    {"Origin": f"http://evil.example.com/{HOST}"},
    {"Origin": f"http://me@{HOST}"},
    {"Origin": "null"},
    {"Origin": HOST},
    {"Origin": "http://["},
    {"Origin": "file://"},
]
EVENT = recorded.body("webhook_start_training")


@pytest.fixture
def trained(backend: Backend, run_walk: Segmenter) -> Backend:
    """Project 3 with two versions."""
    for _ in range(2):
        backend.store.save(3, of_one_pair(run_walk))
    return backend


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("headers", SENT_BY_OUR_PAGE_OR_A_PROGRAM)
def test_our_own_page_and_programs_may_change_things(client: FlaskClient, headers: dict[str, str]) -> None:
    sent = {"Host": HOST} | headers
    assert client.post("/projects/3/train", headers=sent).status_code == 201
    assert len(client.post("/projects/3/training/cancel", headers=sent).get_json()["cancelled"]) == 1
    assert client.post("/projects/3/rollback", headers=sent).status_code == 200
    assert client.post("/webhook", json=EVENT, headers=sent).status_code == 201


@pytest.mark.parametrize("headers", SENT_BY_ANOTHER_SITE)
def test_a_page_of_another_site_may_not(
    client: FlaskClient, trained: Backend, headers: dict[str, str]
) -> None:
    sent = {"Host": HOST} | headers
    version = trained.store.version(3)
    for path in ("train", "rollback", "start", "training/cancel"):
        answer = client.post(f"/projects/3/{path}", headers=sent)
        assert answer.status_code == 403, path
        assert "another site" in answer.get_json()["detail"]
    assert client.post("/webhook", json=EVENT, headers=sent).status_code == 403
    assert trained.store.version(3) == version
    assert trained.policy.queue.projects() == []


def test_every_route_that_takes_more_than_a_look_refuses_other_sites(app: Flask, client: FlaskClient) -> None:
    methods = {"POST", "PUT", "PATCH", "DELETE"}
    changing = [
        (method, rule.rule.replace("<project:project>", "3"))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) & methods
    ]
    assert {path for _, path in changing} >= {"/webhook", "/projects/3/training/cancel", "/projects/3/train"}
    for method, path in changing:
        answer = client.open(path, method=method, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403, path


def test_links_from_other_sites_lead_to_the_pages(client: FlaskClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}
    assert client.get("/projects", headers=headers).status_code == 200
    assert client.head("/health", headers=headers).status_code == 200


def test_a_browser_is_told_on_a_page(client: FlaskClient, settings: Settings) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Accept": "text/html"}
    answer = client.post("/projects/3/train", headers=headers)
    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert "another site" in answer.text
    assert not settings.model_dir.exists()
