import json
import logging
from collections.abc import Callable

import pytest

from tests.support import recorded
from tests.support.downloads import AT_ONCE
from tests.support.http_server import HttpServer, Reply, Request
from tests.support.label_studio_server import TOKEN, LabelStudioServer, failure, jwt, ok
from timeseries_segmenter.errors import LabelStudioError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.label_studio import PAGE_SIZE, LabelStudioClient, Project

CONFIG = recorded.body("setup_request_index_time")["schema"]

pytestmark = pytest.mark.filterwarnings("ignore:.*parse_obj")  # the SDK exchanges tokens with it


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    studio.configs[3] = CONFIG
    return settings.model_copy(update={"label_studio_host": studio.url})


@pytest.fixture
def client(settings: Settings) -> LabelStudioClient:
    return LabelStudioClient(settings, AT_ONCE)


def with_key(settings: Settings, key: str) -> LabelStudioClient:
    return LabelStudioClient(Settings(**settings.model_dump() | {"label_studio_api_key": key}), AT_ONCE)


def test_a_project_is_its_title_and_its_label_config(
    client: LabelStudioClient, studio: LabelStudioServer
) -> None:
    assert client.project(3) == Project("series", CONFIG)
    assert studio.requests[-1].headers["Authorization"] == f"Token {TOKEN}"


def test_all_labelled_tasks_come_page_by_page(client: LabelStudioClient, studio: LabelStudioServer) -> None:
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
def test_the_last_page_may_be_full_or_empty(
    client: LabelStudioClient, studio: LabelStudioServer, tasks: int
) -> None:
    for _ in range(tasks):
        studio.add_task(3, {}, [])
    assert len(list(client.labelled_tasks(3))) == tasks


def test_tasks_come_with_their_data_and_whole_annotations(
    client: LabelStudioClient, studio: LabelStudioServer
) -> None:
    sent = recorded.body("webhook_annotation_created_with_relation")
    studio.tasks[3] = [sent["task"] | {"annotations": [sent["annotation"]]}]
    (task,) = client.labelled_tasks(3)
    assert (task["id"], task["data"]) == (sent["task"]["id"], sent["task"]["data"])
    (annotation,) = task["annotations"]
    for key in ("id", "result", "was_cancelled", "ground_truth"):
        assert annotation[key] == sent["annotation"][key]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "LABEL_STUDIO_API_KEY"),
        (403, "access to the project"),
        (404, "LABEL_STUDIO_HOST"),
        (429, "fewer requests"),
        (500, "log"),
        (501, "log"),
    ],
)
def test_a_refusal_names_the_status_and_what_to_do(
    client: LabelStudioClient, studio: LabelStudioServer, status: int, advice: str
) -> None:
    studio.routes["/api/projects/3/"] = studio.routes["/api/tasks/"] = lambda _: failure(status, "no")
    with pytest.raises(LabelStudioError, match=f"{studio.url} answered {status} .*project 3.*{advice}"):
        client.project(3)
    with pytest.raises(LabelStudioError, match=f"answered {status} .*tasks of project 3.*{advice}"):
        list(client.labelled_tasks(3))


def test_a_wrong_token_is_a_401(settings: Settings) -> None:
    with pytest.raises(LabelStudioError, match="answered 401"):
        with_key(settings, "f" * 40).project(3)


def test_a_failure_on_a_later_page_is_no_end(client: LabelStudioClient, studio: LabelStudioServer) -> None:
    for _ in range(PAGE_SIZE + 1):
        studio.add_task(3, {}, [])

    def fail_later(request: Request) -> Reply:
        query = request.query
        return failure(500, "no") if query["page"] == "2" else studio._page(query)

    studio.routes["/api/tasks/"] = fail_later
    with pytest.raises(LabelStudioError, match="answered 500"):
        list(client.labelled_tasks(3))


def test_without_a_token_nothing_is_asked(settings: Settings, studio: LabelStudioServer) -> None:
    client = with_key(settings, "")
    with pytest.raises(LabelStudioError, match="LABEL_STUDIO_API_KEY is not set"):
        client.project(3)
    with pytest.raises(LabelStudioError, match="LABEL_STUDIO_API_KEY is not set"):
        list(client.labelled_tasks(3))
    assert studio.requests == []


def test_nobody_at_the_address_is_an_error_that_names_it(settings: Settings) -> None:
    away = settings.model_copy(update={"label_studio_host": "http://127.0.0.1:1"})
    with pytest.raises(LabelStudioError, match=r"http://127\.0\.0\.1:1 did not answer.*LABEL_STUDIO_HOST"):
        LabelStudioClient(away, AT_ONCE).project(3)


@pytest.mark.parametrize("answer", [b"<html>Sign in</html>", b"[]", b"null", b"{}"])
def test_another_server_at_the_address_is_an_error(
    settings: Settings, other_host: HttpServer, answer: bytes
) -> None:
    away = settings.model_copy(update={"label_studio_host": other_host.url})
    other_host.serve("/api/projects/3/", answer)
    with pytest.raises(LabelStudioError):
        LabelStudioClient(away, AT_ONCE).project(3)
    other_host.serve("/api/tasks/", answer)
    with pytest.raises(LabelStudioError):
        list(LabelStudioClient(away, AT_ONCE).labelled_tasks(3))


def test_a_personal_access_token_is_exchanged_once(settings: Settings, studio: LabelStudioServer) -> None:
    studio.add_task(3, {}, [])
    client = with_key(settings, studio.issue_personal_access_token())
    assert client.project(3).label_config == CONFIG
    assert len(list(client.labelled_tasks(3))) == 1
    assert {client.authorization()} == studio.authorizations
    assert [request.path for request in studio.requests].count("/api/token/refresh/") == 1


def test_an_access_token_that_expired_is_exchanged_again(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.access_lifetime = -1
    client = with_key(settings, studio.issue_personal_access_token())
    first, second = client.authorization(), client.authorization()
    assert first != second
    assert studio.authorizations == {second}


def test_an_access_token_that_expired_by_label_studios_clock_alone_is_exchanged_again(
    settings: Settings, studio: LabelStudioServer
) -> None:
    """This machine's clock is 20 minutes behind: the token seems good for 25, and is for 5."""
    studio.access_lifetime = 25 * 60
    studio.add_task(3, {}, [])
    client = with_key(settings, studio.issue_personal_access_token())
    assert client.project(3).label_config == CONFIG
    for ask in (lambda: client.project(3).label_config, lambda: len(list(client.labelled_tasks(3)))):
        studio.authorizations = {"Bearer none"}
        assert ask() in (CONFIG, 1)
    assert [request.path for request in studio.requests].count("/api/token/refresh/") == 3


def test_a_refused_access_token_is_exchanged_once_and_a_legacy_token_never(
    settings: Settings, studio: LabelStudioServer
) -> None:
    client = with_key(settings, studio.issue_personal_access_token())
    studio.routes["/api/projects/3/"] = lambda _: failure(401, "Invalid token.")
    with pytest.raises(LabelStudioError, match="answered 401"):
        client.project(3)
    paths = [request.path for request in studio.requests]
    assert (paths.count("/api/token/refresh/"), paths.count("/api/projects/3/")) == (2, 2)
    with pytest.raises(LabelStudioError, match="answered 401"):
        with_key(settings, TOKEN).project(3)
    assert [request.path for request in studio.requests].count("/api/projects/3/") == 3


def test_a_legacy_token_is_sent_as_it_is(client: LabelStudioClient) -> None:
    assert client.authorization() == f"Token {TOKEN}"


@pytest.mark.parametrize("lifetime", [-10, 3600])
def test_a_personal_access_token_that_expired_or_was_revoked_is_a_401(
    settings: Settings, lifetime: float
) -> None:
    client = with_key(settings, jwt("refresh", lifetime))
    for ask in (client.authorization, lambda: client.project(3), lambda: list(client.labelled_tasks(3))):
        with pytest.raises(LabelStudioError, match="answered 401"):
            ask()


def test_a_token_exchange_that_answers_html_is_an_error(
    settings: Settings, studio: LabelStudioServer
) -> None:
    client = with_key(settings, studio.issue_personal_access_token())
    studio.routes["/api/token/refresh/"] = lambda _: Reply(b"<html>Bad Gateway</html>", 502)
    with pytest.raises(LabelStudioError):
        client.project(3)


def test_errors_never_show_the_token(settings: Settings, studio: LabelStudioServer) -> None:
    token = studio.issue_personal_access_token()
    studio.refresh_token = "revoked"
    with pytest.raises(LabelStudioError) as raised:
        with_key(settings, token).project(3)
    assert token not in str(raised.value)


def test_the_filter_is_one_label_studio_understands(
    client: LabelStudioClient, studio: LabelStudioServer
) -> None:
    list(client.labelled_tasks(3))
    query = json.loads(studio.requests[-1].query["query"])
    assert query["filters"]["conjunction"] == "and"
    assert set(query["filters"]["items"][0]) == {"filter", "operator", "type", "value"}


def test_a_path_below_the_host_is_kept(settings: Settings, other_host: HttpServer) -> None:
    below = settings.model_copy(update={"label_studio_host": f"{other_host.url}/studio"})
    other_host.routes["/studio/api/projects/3/"] = lambda _: ok({"id": 3, "label_config": CONFIG})
    assert LabelStudioClient(below, AT_ONCE).project(3).label_config == CONFIG


def half(reply: Reply, length: bool) -> Reply:
    """The reply as it is when the connection breaks, with the length that was meant or with none."""
    assert isinstance(reply.body, bytes)
    headers = dict(reply.headers) | ({"Content-Length": str(len(reply.body))} if length else {})
    return Reply(iter([reply.body[: len(reply.body) // 2]]), headers=headers)


FAILURES: dict[str, Callable[[Reply], Reply]] = {
    "429": lambda _: failure(429, "slower"),
    "500": lambda _: failure(500, "no"),
    "502 of a proxy": lambda _: Reply(b"<html>Bad Gateway</html>", 502),
    "503": lambda _: Reply(b"", 503, {"Retry-After": "60"}),
    "half, with a length": lambda reply: half(reply, length=True),
    "half, without one": lambda reply: half(reply, length=False),
    "nothing": lambda _: Reply(b""),
    "no text": lambda _: Reply(b'{"tasks": "\xff'),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_page_that_fails_is_fetched_again_without_losing_or_doubling_tasks(
    client: LabelStudioClient, studio: LabelStudioServer, kind: str
) -> None:
    wanted = [studio.add_task(3, {}, []) for _ in range(2 * PAGE_SIZE + 1)]
    failed: dict[str, int] = {}

    def answer(request: Request) -> Reply:
        page = request.query["page"]
        failed[page] = failed.get(page, 0) + 1
        reply = studio._page(request.query)
        return reply if failed[page] == 3 else FAILURES[kind](reply)

    studio.routes["/api/tasks/"] = answer
    if kind.startswith("half"):
        studio.tasks[3] = studio.tasks[3][:-1]  # no page 3: half a 404 is not a failure that passes
        wanted = wanted[:-1]
        studio.routes["/api/tasks/"] = lambda request: (
            answer(request) if int(request.query["page"]) < 3 else studio._page(request.query)
        )
    assert [task["id"] for task in client.labelled_tasks(3)] == wanted
    assert failed["1"] == failed["2"] == 3


@pytest.mark.parametrize("kind", FAILURES)
def test_the_label_config_and_the_exchange_of_tokens_are_tried_again(
    settings: Settings, studio: LabelStudioServer, kind: str
) -> None:
    client = with_key(settings, studio.issue_personal_access_token())
    asked: list[str] = []

    def flaky(path: str) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            asked.append(path)
            if path == "/api/token/refresh/":
                reply = studio._refresh(json.loads(request.body))
            else:
                assert request.headers["Authorization"] in studio.authorizations
                reply = ok({"id": 3, "label_config": CONFIG})
            return reply if asked.count(path) == 3 else FAILURES[kind](reply)

        return answer

    for path in ("/api/token/refresh/", "/api/projects/3/"):
        studio.routes[path] = flaky(path)
    assert {client.authorization()} == studio.authorizations
    assert client.project(3).label_config == CONFIG
    assert asked == ["/api/token/refresh/"] * 3 + ["/api/projects/3/"] * 3


def test_a_failure_that_stays_names_the_tries(client: LabelStudioClient, studio: LabelStudioServer) -> None:
    studio.routes["/api/projects/3/"] = lambda _: failure(503, "no")
    with pytest.raises(LabelStudioError, match=r"answered 503 to .*project 3.*\(3 tries\)"):
        client.project(3)
    assert len(studio.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_a_refusal_is_not_tried_again(
    client: LabelStudioClient, studio: LabelStudioServer, status: int
) -> None:
    studio.routes["/api/projects/3/"] = studio.routes["/api/tasks/"] = lambda _: failure(status, "no")
    for ask in (lambda: client.project(3), lambda: list(client.labelled_tasks(3))):
        with pytest.raises(LabelStudioError, match=rf"answered {status}((?!tries).)*$"):
            ask()
    assert len(studio.requests) == 2


def test_a_project_that_is_deleted_meanwhile_is_no_end(
    client: LabelStudioClient, studio: LabelStudioServer
) -> None:
    for _ in range(PAGE_SIZE + 1):
        studio.add_task(3, {}, [])
    studio.routes["/api/tasks/"] = lambda request: (
        studio._page(request.query) if request.query["page"] == "1" else failure(404, "Not found.")
    )
    with pytest.raises(LabelStudioError, match="answered 404"):
        list(client.labelled_tasks(3))


def test_pages_that_shift_double_no_task(client: LabelStudioClient, studio: LabelStudioServer) -> None:
    wanted = [studio.add_task(3, {}, []) for _ in range(2 * PAGE_SIZE)]

    def shift(request: Request) -> Reply:
        reply = studio._page(request.query)
        if request.query["page"] == "1":
            studio.tasks[3].insert(0, studio.tasks[4][0])
        return reply

    studio.add_task(4, {}, [])
    studio.routes["/api/tasks/"] = shift
    assert [task["id"] for task in client.labelled_tasks(3)] == wanted


def test_a_server_that_ignores_the_page_has_an_end(
    client: LabelStudioClient, studio: LabelStudioServer
) -> None:
    number = studio.add_task(3, {}, [])
    studio.routes["/api/tasks/"] = lambda request: studio._page(request.query | {"page": "1"})
    assert [task["id"] for task in client.labelled_tasks(3)] == [number]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_takes_a_token_to_another_host(
    settings: Settings, studio: LabelStudioServer, other_host: HttpServer, status: int
) -> None:
    def away(request: Request) -> Reply:
        return Reply(status=status, headers={"Location": other_host.url + request.path})

    for path in ("/api/projects/3/", "/api/tasks/", "/api/token/refresh/"):
        studio.routes[path] = away
        other_host.serve(path, b"{}")
    legacy, personal = with_key(settings, TOKEN), with_key(settings, studio.issue_personal_access_token())
    for ask in (
        lambda: legacy.project(3),
        lambda: list(legacy.labelled_tasks(3)),
        lambda: personal.project(3),
        personal.authorization,
    ):
        with pytest.raises(LabelStudioError, match=rf"redirects to {other_host.url}.*set LABEL_STUDIO_HOST"):
            ask()
    assert other_host.requests == []


def test_a_redirect_on_the_same_host_is_followed(
    client: LabelStudioClient, studio: LabelStudioServer
) -> None:
    studio.configs[7] = CONFIG
    studio.routes["/api/projects/3/"] = lambda _: Reply(status=302, headers={"Location": "/api/projects/7/"})
    assert client.project(3).label_config == CONFIG


def test_tokens_appear_in_no_log_at_all(
    settings: Settings, studio: LabelStudioServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = studio.issue_personal_access_token()
    client = with_key(settings, token)
    client.project(3)
    secrets = [token, client.authorization().removeprefix("Bearer ")]
    studio.routes["/api/projects/3/"] = lambda _: failure(503, "no")
    with pytest.raises(LabelStudioError):
        client.project(3)
    text = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "trying again" in text
    for secret in secrets:
        assert secret not in text


def test_a_token_is_exchanged_below_the_path_of_the_host(
    settings: Settings, studio: LabelStudioServer
) -> None:
    below = settings.model_copy(update={"label_studio_host": f"{studio.url}/studio"})
    token = studio.issue_personal_access_token()
    studio.routes["/studio/api/token/refresh/"] = lambda request: studio._refresh(json.loads(request.body))
    assert {with_key(below, token).authorization()} == studio.authorizations
    assert [request.path for request in studio.requests] == ["/studio/api/token/refresh/"]
