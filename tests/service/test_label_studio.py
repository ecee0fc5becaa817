import json

import pytest
import recorded
from http_server import HttpServer, Reply
from label_studio_sdk.core import http_client
from label_studio_server import TOKEN, LabelStudioServer, failure, jwt, ok

from timeseries_segmenter.errors import LabelStudioError
from timeseries_segmenter.service.label_studio import PAGE_SIZE, LabelStudioClient
from timeseries_segmenter.settings import Settings

CONFIG = recorded.body("setup_request_index_time")["schema"]

pytestmark = pytest.mark.filterwarnings("ignore:.*parse_obj")  # the SDK exchanges tokens with it


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(http_client, "INITIAL_RETRY_DELAY_SECONDS", 0.01)
    studio.configs[3] = CONFIG
    return settings.model_copy(update={"label_studio_host": studio.url})


@pytest.fixture
def client(settings: Settings) -> LabelStudioClient:
    return LabelStudioClient(settings)


def with_key(settings: Settings, key: str) -> LabelStudioClient:
    return LabelStudioClient(Settings(**settings.model_dump() | {"label_studio_api_key": key}))


def test_the_label_config_is_the_projects(client: LabelStudioClient, studio: LabelStudioServer):
    assert client.label_config(3) == CONFIG
    assert studio.requests[-1].headers["Authorization"] == f"Token {TOKEN}"


def test_all_labelled_tasks_come_page_by_page(client: LabelStudioClient, studio: LabelStudioServer):
    wanted = []
    for number in range(2 * PAGE_SIZE + 50):
        wanted.append(studio.add_task(3, {"number": number}, recorded.regions((0, 5, "Run"))))
        studio.add_task(3, {"number": "not annotated"})
    studio.add_task(4, {}, [])
    tasks = list(client.labelled_tasks(3))
    assert [task["id"] for task in tasks] == wanted
    asked = [request.query for request in studio.requests if request.path == "/api/tasks/"]
    assert [query["page"] for query in asked] == ["1", "2", "3", "4"]
    assert {(query["fields"], query["page_size"]) for query in asked} == {("all", str(PAGE_SIZE))}


@pytest.mark.parametrize("tasks", [0, 1, PAGE_SIZE, PAGE_SIZE + 1])
def test_the_last_page_may_be_full_or_empty(client: LabelStudioClient, studio: LabelStudioServer, tasks: int):
    for _ in range(tasks):
        studio.add_task(3, {}, [])
    assert len(list(client.labelled_tasks(3))) == tasks


def test_tasks_come_with_their_data_and_whole_annotations(
    client: LabelStudioClient, studio: LabelStudioServer
):
    sent = recorded.body("webhook_annotation_created_with_relation")
    studio.tasks[3] = [sent["task"] | {"annotations": [sent["annotation"]]}]
    (task,) = client.labelled_tasks(3)
    assert (task["id"], task["data"]) == (sent["task"]["id"], sent["task"]["data"])
    (annotation,) = task["annotations"]
    for key in ("id", "result", "was_cancelled", "ground_truth"):
        assert annotation[key] == sent["annotation"][key]


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "LABEL_STUDIO_API_KEY"), (403, "access to the project"), (404, "LABEL_STUDIO_HOST"), (500, "log")],
)
def test_a_refusal_names_the_status_and_what_to_do(
    client: LabelStudioClient, studio: LabelStudioServer, status: int, advice: str
):
    studio.routes["/api/projects/3/"] = studio.routes["/api/tasks/"] = lambda _: failure(status, "no")
    with pytest.raises(LabelStudioError, match=f"{studio.url} answered {status} .*project 3.*{advice}"):
        client.label_config(3)
    with pytest.raises(LabelStudioError, match=f"answered {status} .*tasks of project 3.*{advice}"):
        list(client.labelled_tasks(3))


def test_a_wrong_token_is_a_401(settings: Settings):
    with pytest.raises(LabelStudioError, match="answered 401"):
        with_key(settings, "f" * 40).label_config(3)


def test_a_failure_on_a_later_page_is_no_end(client: LabelStudioClient, studio: LabelStudioServer):
    for _ in range(PAGE_SIZE + 1):
        studio.add_task(3, {}, [])

    def fail_later(request: object) -> Reply:
        query = request.query
        return failure(500, "no") if query["page"] == "2" else studio._page(query)

    studio.routes["/api/tasks/"] = fail_later
    with pytest.raises(LabelStudioError, match="answered 500"):
        list(client.labelled_tasks(3))


def test_without_a_token_nothing_is_asked(settings: Settings, studio: LabelStudioServer):
    client = with_key(settings, "")
    with pytest.raises(LabelStudioError, match="LABEL_STUDIO_API_KEY is not set"):
        client.label_config(3)
    with pytest.raises(LabelStudioError, match="LABEL_STUDIO_API_KEY is not set"):
        list(client.labelled_tasks(3))
    assert studio.requests == []


def test_nobody_at_the_address_is_an_error_that_names_it(settings: Settings):
    away = settings.model_copy(update={"label_studio_host": "http://127.0.0.1:1"})
    with pytest.raises(LabelStudioError, match=r"http://127\.0\.0\.1:1 did not answer.*LABEL_STUDIO_HOST"):
        LabelStudioClient(away).label_config(3)


@pytest.mark.parametrize("answer", [b"<html>Sign in</html>", b"[]", b"null", b"{}"])
def test_another_server_at_the_address_is_an_error(settings: Settings, other_host: HttpServer, answer: bytes):
    away = settings.model_copy(update={"label_studio_host": other_host.url})
    other_host.serve("/api/projects/3/", answer)
    with pytest.raises(LabelStudioError):
        LabelStudioClient(away).label_config(3)
    if answer != b"{}":
        other_host.serve("/api/tasks/", answer)
        with pytest.raises(LabelStudioError):
            list(LabelStudioClient(away).labelled_tasks(3))


def test_a_personal_access_token_is_exchanged_once(settings: Settings, studio: LabelStudioServer):
    studio.add_task(3, {}, [])
    client = with_key(settings, studio.issue_personal_access_token())
    assert client.label_config(3) == CONFIG
    assert len(list(client.labelled_tasks(3))) == 1
    assert {client.authorization()} == studio.authorizations
    assert [request.path for request in studio.requests].count("/api/token/refresh/") == 1


def test_an_access_token_that_expired_is_exchanged_again(settings: Settings, studio: LabelStudioServer):
    studio.access_lifetime = -1
    client = with_key(settings, studio.issue_personal_access_token())
    first, second = client.authorization(), client.authorization()
    assert first != second
    assert studio.authorizations == {second}


def test_a_legacy_token_is_sent_as_it_is(client: LabelStudioClient):
    assert client.authorization() == f"Token {TOKEN}"


@pytest.mark.parametrize("lifetime", [-10, 3600])
def test_a_personal_access_token_that_expired_or_was_revoked_is_a_401(settings: Settings, lifetime: float):
    client = with_key(settings, jwt("refresh", lifetime))
    for ask in (client.authorization, lambda: client.label_config(3), lambda: list(client.labelled_tasks(3))):
        with pytest.raises(LabelStudioError, match="answered 401"):
            ask()


def test_a_token_exchange_that_answers_html_is_an_error(settings: Settings, studio: LabelStudioServer):
    client = with_key(settings, studio.issue_personal_access_token())
    studio.routes["/api/token/refresh/"] = lambda _: Reply(b"<html>Bad Gateway</html>", 502)
    with pytest.raises(LabelStudioError):
        client.label_config(3)


def test_errors_never_show_the_token(settings: Settings, studio: LabelStudioServer):
    token = studio.issue_personal_access_token()
    studio.refresh_token = "revoked"
    with pytest.raises(LabelStudioError) as raised:
        with_key(settings, token).label_config(3)
    assert token not in str(raised.value)


def test_the_filter_is_one_label_studio_understands(client: LabelStudioClient, studio: LabelStudioServer):
    list(client.labelled_tasks(3))
    query = json.loads(studio.requests[-1].query["query"])
    assert query["filters"]["conjunction"] == "and"
    assert set(query["filters"]["items"][0]) == {"filter", "operator", "type", "value"}


def test_a_path_below_the_host_is_kept(settings: Settings, other_host: HttpServer):
    below = settings.model_copy(update={"label_studio_host": f"{other_host.url}/studio"})
    other_host.routes["/studio/api/projects/3/"] = lambda _: ok({"id": 3, "label_config": CONFIG})
    assert LabelStudioClient(below).label_config(3) == CONFIG
