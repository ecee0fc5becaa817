import base64
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

import _wsgi
from tests.support import recorded
from timeseries_segmenter.settings import Settings

SETUP = recorded.body("setup_request_index_time")
EVENT = recorded.body("webhook_start_training")
SECRET = "wébhook-sécret"


def served(settings: Settings, user: str = "", password: str = "", secret: str = "") -> FlaskClient:
    changes = {
        "basic_auth_user": user,
        "basic_auth_pass": SecretStr(password),
        "webhook_secret": SecretStr(secret),
    }
    return _wsgi.init_app(settings=settings.model_copy(update=changes)).test_client()


def basic(user: str, password: str, encoding: str = "utf-8", scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(f'{user}:{password}'.encode(encoding)).decode()}"}


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    "password", ["plain", "with:colons:", "ünïcödé £", "パスワード", " spaces ", '"\\<>&%20', "x" * 500]
)
def test_only_user_and_password_open_the_service(settings: Settings, password: str) -> None:
    client = served(settings, "label studio", password)
    assert client.post("/setup", json=SETUP, headers=basic("label studio", password)).status_code == 200
    for wrong in (
        {},
        basic("label studio", password + "x"),
        basic("label studio", password[:-1]),
        basic("label studio", password.swapcase() + "é"),
        basic("", password),
        basic("label studio ", password),
        basic("label studio", password, scheme="Bearer"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic not base64 at all"},
        {"Authorization": "Basic YWJj"},
        {"X-Webhook-Secret": password},
    ):
        answer = client.post("/setup", json=SETUP, headers=wrong)
        assert answer.status_code == 401, wrong
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert answer.get_json()["detail"]
        assert password not in answer.text


@pytest.mark.usefixtures("app")
def test_a_password_may_come_in_the_encoding_of_label_studio_or_of_a_browser(settings: Settings) -> None:
    client = served(settings, "jürgen", "straße")
    for encoding in ("utf-8", "latin-1"):
        assert client.get("/versions", headers=basic("jürgen", "straße", encoding)).status_code == 200
    assert client.get("/versions", headers=basic("jürgen", "straße", "utf-16")).status_code == 401
    assert client.get("/versions", headers=basic("jürgen", "straße", scheme="bASIC")).status_code == 200


@pytest.mark.usefixtures("app")
def test_every_route_but_health_is_closed(settings: Settings, app: Flask) -> None:
    client = served(settings, "me", "secret")
    assert client.get("/health").get_json()["status"] == "UP"
    closed = {"/", "/nowhere"}
    closed |= {rule.rule.replace("<project:project>", "3") for rule in app.url_map.iter_rules()} - {"/health"}
    assert {"/setup", "/predict", "/webhook", "/metrics", "/ready", "/versions", "/job_status"} <= closed
    for path in closed:
        for method in ("GET", "POST", "OPTIONS", "HEAD", "DELETE"):
            assert client.open(path, method=method).status_code == 401, (method, path)
    for near in ("/health/", "//health", "/Health", "/health;x", "/health/../versions"):
        assert client.get(near).status_code == 401, near


@pytest.mark.usefixtures("app")
def test_a_body_is_not_read_before_the_credentials(settings: Settings) -> None:
    client = served(settings, "me", "secret")
    answer = client.post("/predict", data=b"[" * 10_000_000, content_type="application/json")
    assert answer.status_code == 401


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("user", "headers", "status"),
    [
        ("", {"X-Webhook-Secret": SECRET}, 201),
        ("", {}, 401),
        ("", {"X-Webhook-Secret": "other"}, 401),
        ("", {"X-Webhook-Secret": ""}, 401),
        ("", basic("me", "secret"), 401),
        ("me", {"X-Webhook-Secret": SECRET}, 201),
        ("me", basic("me", "secret"), 201),
        ("me", basic("me", "secret") | {"X-Webhook-Secret": "other"}, 201),
        ("me", basic("me", SECRET), 401),
        ("me", {}, 401),
    ],
)
def test_a_webhook_gives_the_secret_or_user_and_password(
    settings: Settings, user: str, headers: dict[str, str], status: int
) -> None:
    client = served(settings, user, "secret" if user else "", SECRET)
    assert client.post("/webhook", json=EVENT, headers=headers).status_code == status


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("password", ["secret", "pässwörd", "パスワード"])
def test_user_and_password_of_the_environment_are_asked_for_by_this_service_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, password: str
) -> None:
    variables = {"BASIC_AUTH_USER": "me", "BASIC_AUTH_PASS": password, "WEBHOOK_SECRET": "other"}
    for name, value in (variables | {"MODEL_DIR": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    client = _wsgi.init_app().test_client()
    assert client.get("/health").status_code == 200
    assert client.post("/webhook", json=EVENT, headers={"X-Webhook-Secret": "other"}).status_code == 201
    assert client.post("/setup", json=SETUP, headers=basic("me", password)).status_code == 200
    assert client.post("/setup", json=SETUP, headers=basic("me", "wrong")).status_code == 401
    assert client.post("/setup", json=SETUP).status_code == 401


@pytest.mark.usefixtures("app")
def test_the_webhook_secret_opens_nothing_else_and_closes_nothing_else(settings: Settings) -> None:
    client = served(settings, secret=SECRET)
    assert client.post("/setup", json=SETUP).status_code == 200
    client = served(settings, "me", "secret", SECRET)
    assert client.post("/setup", json=SETUP, headers={"X-Webhook-Secret": SECRET}).status_code == 401


@pytest.mark.usefixtures("app")
def test_without_settings_nothing_is_asked_for(settings: Settings) -> None:
    client = served(settings)
    assert client.post("/webhook", json=EVENT).status_code == 201
    assert client.post("/setup", json=SETUP, headers=basic("any", "body")).status_code == 200


@pytest.mark.usefixtures("app")
def test_a_webhook_that_is_refused_says_in_the_log_what_to_do(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    client = served(settings, "me", "secret", SECRET)
    client.post("/webhook", json=EVENT, headers={"X-Webhook-Secret": "wrong-secret"})
    (line,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "POST /webhook refused" in line.message
    assert "X-Webhook-Secret" in line.message
    assert "wrong-secret" not in caplog.text
