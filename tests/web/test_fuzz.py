"""Odd requests to every route. `FUZZ_EFFORT=20` tries 20 times as many, and new ones."""

import json
import os
import re
from copy import deepcopy
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from pydantic import SecretStr
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.support import recorded
from tests.support.models import of_one_pair
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.web.backend import Backend

EFFORT = int(os.environ.get("FUZZ_EFFORT", "1"))
INLINE = "predict_json_inline"
JSON = "application/json"
DEEP = re.compile(r'"deep (\d+)"')  # stands for so many lists in each other, which `json.dumps` can't write


def tries(number: int) -> limits:
    """The same examples each time, unless more than those of every day are asked for."""
    return limits(
        max_examples=number * EFFORT,
        derandomize=EFFORT == 1,
        deadline=None,
        # one service answers all of an example's requests: what one leaves behind must not hurt the next
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update=getattr(request, "param", {}))


@pytest.fixture(autouse=True)
def _trained(backend: Backend, run_walk: Segmenter) -> None:
    """A model for the projects of the recorded predictions, and for requests without a project."""
    for project in (0, *{int(recorded.body(name)["project"].split(".")[0]) for name in recorded.PREDICTIONS}):
        backend.store.save(project, of_one_pair(run_walk))


def check(answer: TestResponse) -> None:
    """No failure of the service, and an answer that a strict reader of JSON takes."""
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
    method, path = answer.request.method, answer.request.path
    if method in ("HEAD", "OPTIONS") or 300 <= answer.status_code < 400:
        return  # these have no body, or one that nobody reads
    if answer.mimetype == "text/html" and "text/html" in answer.request.headers.get("Accept", ""):
        return  # a page for a person
    if answer.status_code < 400 and (path == "/metrics" or answer.mimetype == "text/css"):
        return  # text in the form of Prometheus, and a style sheet
    content = json.loads(answer.text, parse_constant=pytest.fail)
    assert answer.is_json
    if answer.status_code >= 400:
        assert isinstance(content["detail"], str)
        assert content["detail"]


def post(client: FlaskClient, path: str, body: object) -> TestResponse:
    text = DEEP.sub(lambda match: "[" * int(match[1]) + "]" * int(match[1]), json.dumps(body))
    answer = client.post(path, data=text, content_type=JSON)
    check(answer)
    return answer


def shorter(body: dict[str, Any]) -> dict[str, Any]:
    """One task of 120 rows: enough to hold a region."""
    body["tasks"] = body["tasks"][:1]
    for task in body["tasks"]:
        task["annotations"] = []
        if "ts" in task["data"]:
            task["data"]["ts"] = {name: cells[:120] for name, cells in task["data"]["ts"].items()}
    return body


def from_file() -> dict[str, Any]:
    """A prediction whose series is a file in LOCAL_FILES_DIR."""
    body = shorter(recorded.body("predict_test_single_task"))
    body["tasks"][0]["data"]["csv_url"] = "test_from_video_tutorial.csv"
    return body


PREDICTIONS = [*(shorter(recorded.body(name)) for name in (INLINE, *recorded.PREDICTIONS)), from_file()]
BODIES: dict[str, list[Any]] = {
    "/predict": [*PREDICTIONS, *(shorter(recorded.body(INLINE)) for _ in PREDICTIONS)],
    "/setup": [recorded.body("setup_request_index_time")],
    "/webhook": [recorded.body(name) for name in recorded.WEBHOOKS],
    "/versions": [{"project": "6"}, {"project": 6, "model_dir": "x"}],
    "/job_status": [
        {"job": job} for job in ("6-0123456789ab", "6-", f"{10**300}-0123456789ab", "../6-0123456789ab")
    ],
}
CONFIG = recorded.body(INLINE)["label_config"]
CONFIGS = [
    *(recorded.body(name)["label_config"] for name in recorded.PREDICTIONS),
    CONFIG.replace('column="value"', 'column="0"'),
    CONFIG.replace('valueType="json"', 'valueType="json" timeFormat="%s"'),
    CONFIG.replace('valueType="json"', 'valueType="url" sep="auto"'),
    CONFIG.replace('value="$ts"', ""),
    CONFIG.replace("$ts", "$ts.value[0]"),
    CONFIG.replace('name="label"', 'name="é&#9;"'),
    "<View/>",
    '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><View>&a;</View>',
    "<View>" * 20_000,
]
# none of them leaves this machine
ADDRESSES = [
    *("http://127.0.0.1:1/x.csv", "http://127.0.0.1:1/\0", "http://[", "http://", "//", "/", ".", "a" * 5000),
    *("file:///etc/passwd", "../../etc/passwd", "s3://b/\ud800", "gs://", "azure-blob://x", "x\0", "\ud800"),
    *("/data/upload/../x", "/data/upload/3/\ud800.csv", "/data/local-files/?d=é", "time_series.csv"),
]
NUMBERS = [0, -1, 1.5, 6, 10**17, 10**30, 10**400, -(10**400), 2**63, 1e308, float("nan"), float("inf")]
TEXTS = [
    "",
    " ",
    "None",
    "null",
    "6",
    "6.1",
    "-6",
    "6.x",
    "../6",
    "1e3",
    "٣",
    "9" * 18,
    "9" * 5000,
    "\ud800",
    "é\0",
]
JSON_TEXTS = ["{", "[1]", '{"value": [1, 2]}', '{"time": [1], "value": [NaN]}', '{"a": 1e999}', "value\n1\n2"]
DEPTHS = [f"deep {depth}" for depth in (2, 40, 300, 800, 900, 940, 960, 980, 5000)]

odd = (
    st.sampled_from([None, True, False, [], {}, [None], {"": None}, {"id": 6}, {"id": [6]}])
    | st.sampled_from([*NUMBERS, *TEXTS, *JSON_TEXTS, *DEPTHS])
    | st.sampled_from([*CONFIGS, *ADDRESSES])
    | st.text(max_size=8)
    | st.integers()
    | st.floats()
    | st.lists(st.integers(-5, 5) | st.none() | st.text(max_size=3), max_size=5)
)
KEYS = [
    "id",
    "project",
    "context",
    "project_id",
    "data",
    "ts",
    "time",
    "value",
    "csv_url",
    "tasks",
    "\ud800",
    "",
]


@st.composite
def mutated(draw: st.DrawFn, path: str) -> object:
    """A recorded body with a few places dropped, replaced, wrapped or added to."""
    body: Any = {"": deepcopy(draw(st.sampled_from(BODIES[path])))}
    for _ in range(draw(st.integers(1, 4))):
        _mutate(draw, body)
    return body.get("")


def _mutate(draw: st.DrawFn, body: dict[str, Any]) -> None:
    place: Any = body
    key: Any = ""
    while isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 4)):
        place = place[key]
        # one of many cells is as good as another
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(min(len(place), 4))))
    match draw(st.sampled_from(["replace", "replace", "drop", "wrap", "twice", "add"])):
        case "drop" if place is not body:
            del place[key]
        case "wrap":
            place[key] = draw(st.sampled_from([[place[key]], {"id": place[key]}, str(place[key])]))
        case "twice" if isinstance(place, list):
            place.append(deepcopy(place[key]))
        case "add" if isinstance(place, dict) and place is not body:
            place[draw(st.sampled_from(KEYS))] = deepcopy(draw(odd))
        case _:
            place[key] = deepcopy(draw(odd))  # what is drawn twice is one object


def test_mutated_predictions_get_an_answer_in_strict_json(client: FlaskClient) -> None:
    with_regions = []

    @tries(250)
    @given(mutated("/predict"))
    @example(recorded.body(INLINE))
    @example({"tasks": [], "label_config": CONFIG, "project": True})
    def ask(body: Any) -> None:
        answer = post(client, "/predict", body)
        if answer.status_code == 200:
            assert len(answer.get_json()["results"]) == len(body["tasks"])
            with_regions.append(any(result["result"] for result in answer.get_json()["results"]))

    ask()
    assert sum(with_regions) > len(with_regions) / 10  # so many went all the way


@pytest.mark.parametrize("path", ["/setup", "/webhook", "/versions", "/job_status"])
def test_mutated_bodies_get_an_answer_in_strict_json(client: FlaskClient, path: str) -> None:
    @tries(120)
    @given(mutated(path))
    @example({"schema": CONFIG, "project": True})
    @example({"action": "START_TRAINING", "project": {"id": True}})
    def ask(body: object) -> None:
        post(client, path, body)

    ask()


@pytest.mark.parametrize("path", BODIES)
def test_damaged_texts_get_an_answer_in_strict_json(client: FlaskClient, path: str) -> None:
    @tries(60)
    @given(st.sampled_from(BODIES[path]), st.data())
    def ask(body: dict[str, Any], data: st.DataObject) -> None:
        text = json.dumps(body).encode()
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 10)))
        piece = data.draw(
            st.binary(max_size=4) | st.sampled_from([b'"\\ud800"', b"NaN", b"1e999", b"[" * 99_999])
        )
        damaged = text[:start] + piece + text[end:]
        check(client.post(path, data=damaged, content_type=JSON))

    ask()


# Where a reader of JSON gives up, what handles the value it has read may give up as well.
EDGES = {
    "/predict": [
        '{{"tasks": [], "label_config": {config}, "params": {{"context": {{"project": {deep}}}}}}}',
        '{{"tasks": [{{"id": 1, "project": {deep}, "data": {{}}}}], "label_config": {config}}}',
        '{{"tasks": [{{"id": {deep}, "data": {{}}}}], "label_config": {config}, "project": "6"}}',
        '{{"tasks": [{{"id": 1, "data": {{"ts": {deep}}}}}], "label_config": {config}, "project": "6"}}',
        '{{"tasks": [{{"data": {{"ts": {{"time": [1], "value": {deep}}}}}}}], "label_config": {config}}}',
        '{{"tasks": [], "label_config": {deep}}}',
        '{{"tasks": [{deep}], "label_config": {config}}}',
    ],
    "/setup": ['{{"schema": {config}, "project": {deep}}}', '{{"schema": {config}, "extra_params": {deep}}}'],
    "/webhook": [
        '{{"action": "START_TRAINING", "project": {{"id": {deep}}}}}',
        '{{"action": "START_TRAINING", "project": {{"id": 3}}, "annotation": {deep}}}',
        '{{"action": {deep}}}',
    ],
    "/versions": ['{{"project": {deep}}}', '{{"project": {{"id": {deep}}}}}'],
    "/job_status": ['{{"job": {deep}}}', '{{"job": "6-0123456789ab", "x": {deep}}}'],
}


def least_depth_refused(opening: str, closing: str) -> int:
    """At which a reader of JSON gives up: since Python 3.12 it is not the limit of recursion."""

    def is_read(depth: int) -> bool:
        try:
            json.loads(opening * depth + "1" + closing * depth)
        except RecursionError:
            return False
        return True

    read, refused = 1, 2
    while is_read(refused):
        read, refused = refused, 2 * refused
    while refused - read > 1:
        middle = (read + refused) // 2
        read, refused = (middle, refused) if is_read(middle) else (read, middle)
    return refused


@pytest.mark.parametrize(("path", "form"), [(path, form) for path, forms in EDGES.items() for form in forms])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"":', "}")])
def test_values_nested_up_to_the_limit_get_an_answer(
    client: FlaskClient, path: str, form: str, opening: str, closing: str
) -> None:
    def ask(depth: int) -> tuple[int, str]:
        body = form.format(config=json.dumps(CONFIG), deep=opening * depth + "1" + closing * depth)
        answer = client.post(path, data=body, content_type=JSON)
        check(answer)
        return answer.status_code, answer.text

    limit = least_depth_refused(opening, closing)
    too_deep = ask(limit)
    taken = 0
    for depth in range(limit, 0, -1):
        taken += ask(depth) != too_deep
        if taken == 15:
            return
    pytest.fail("no depth was near the limit")


# Routes, methods, queries and headers

METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "X-Y",
]
latin = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12)
HEADERS: dict[str, list[str]] = {
    "Content-Type": [
        *(JSON, f"{JSON}; charset=no-such", f"{JSON}; charset=utf-16", "text/plain", "\xe9", ";"),
        *("multipart/form-data; boundary=x", "multipart/form-data", "application/x-www-form-urlencoded"),
    ],
    "Content-Length": ["0", "-1", "5", "x", "9" * 30, "1e3", ""],
    "Content-Encoding": ["gzip", "x"],
    "Transfer-Encoding": ["chunked", "x"],
    "Accept": ["text/html", "*/*;q=x", ";;", ""],
    "Authorization": [
        "Basic",
        "Basic !!!",
        "Basic \xff",
        "Basic Og==",
        "Basic 6Q==",
        "Bearer x",
        "Digest a=b, c",
    ],
    "Host": ["", "[", "a b", "\xe9", "127.0.0.1:x", "localhost:99999", "/", "@", "a" * 300, "[::1]:9090"],
    "Cookie": ["a=b; \xff=;;=", '"'],
    "Range": ["bytes=0-", "bytes=x", "bytes=9-1"],
    "If-None-Match": ["*", '"x', "W/"],
    "If-Modified-Since": ["yesterday", "\xe9"],
    "X-Forwarded-Host": ["[", "a, b"],
    "X-HTTP-Method-Override": ["DELETE"],
    "X-Webhook-Secret": ["", "\xff", "x" * 9999],
    "Expect": ["100-continue", "x"],
    "Upgrade": ["websocket"],
}
headers = st.lists(
    st.sampled_from([(name, value) for name, values in HEADERS.items() for value in values])
    | st.tuples(st.sampled_from(sorted(HEADERS)), latin),
    max_size=4,
)
queries = st.sampled_from(
    [
        *(
            "",
            "project=6",
            "project=",
            "project=..%2F6",
            "project=6&project=x",
            "project[]=6",
            "project=%ff",
            "%",
        ),
        *(
            "=",
            "&&=&",
            "project=%00",
            "project=" + "9" * 5000,
            "project=%ED%A0%80",
            "a" * 9999,
            "project=6.1",
        ),
        *("project=%D9%A3", "limit=-1", "format=json"),
    ]
) | st.text(max_size=10).map(lambda text: f"project={quote(text)}")
SEGMENTS = [
    "6",
    "0",
    "-1",
    "6.1",
    "x",
    "%2e%2e",
    "%00",
    "%ff",
    "%D9%A3",
    "9" * 19,
    "9" * 300,
    "9" * 5000,
    "..",
    "6%20",
]
BODIES_OF_ANY_ROUTE = [
    *(
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"project": "6"}',
        b'{"project": NaN}',
        b"\xff\xfe",
        b"x=1",
        b"\x1f\x8b\x08",
    ),
    *(
        b"--x\r\n\r\n--x--",
        b"[" * 99_999,
        b'"\\ud800"',
        b'{"action": "START_TRAINING", "project": {"id": 6}}',
    ),
]


@st.composite
def paths(draw: st.DrawFn, rules: list[Rule]) -> str:
    """The address of a route, its variable parts filled in; now and then a bit beside it."""
    rule = draw(st.sampled_from(rules)).rule
    segment = st.sampled_from(SEGMENTS) | st.text(max_size=6).map(quote) | st.integers(0).map(str)
    path = re.sub(r"<[^>]*>", lambda _: draw(segment), rule)
    return draw(
        st.sampled_from([path] * 8 + [path + "/", "/" + path, path.upper(), path + "%00", path + "/.."])
    )


def test_every_route_answers_whatever_method_query_headers_and_body_it_gets(client: FlaskClient) -> None:
    rules = sorted(client.application.url_map.iter_rules(), key=str)
    assert len(rules) > 8

    @tries(400)
    @given(paths(rules), st.sampled_from(METHODS), queries, headers, st.sampled_from(BODIES_OF_ANY_ROUTE))
    def ask(path: str, method: str, query: str, given_headers: list[tuple[str, str]], body: bytes) -> None:
        typed = any(name == "Content-Type" for name, _ in given_headers)
        default = [] if typed else [("Content-Type", JSON)]
        check(
            client.open(
                f"http://localhost{path}",
                method=method,
                query_string=query,
                headers=given_headers + default,
                data=body,
            )
        )

    ask()


GUARDED = {"basic_auth_user": "ü", "basic_auth_pass": SecretStr("p\xe9"), "webhook_secret": SecretStr("é")}


@pytest.mark.parametrize("settings", [GUARDED], indirect=True)
def test_without_the_password_every_route_but_health_refuses_whatever_it_gets(client: FlaskClient) -> None:
    rules = sorted(client.application.url_map.iter_rules(), key=str)

    @tries(200)
    @given(paths(rules), st.sampled_from(METHODS), queries, headers, st.sampled_from(BODIES_OF_ANY_ROUTE))
    def ask(path: str, method: str, query: str, given_headers: list[tuple[str, str]], body: bytes) -> None:
        answer = client.open(
            f"http://localhost{path}", method=method, query_string=query, headers=given_headers, data=body
        )
        check(answer)
        assert answer.status_code in (400, 401) or path == "/health"

    ask()
    assert client.get("/versions", auth=("ü", "p\xe9")).status_code == 200


@pytest.mark.parametrize("digits", [1, 17, 18, 19, 100, 240, 255, 300, 4300, 4301, 20_000])
@pytest.mark.parametrize(
    ("method", "form"),
    [
        ("GET", "/projects/{}/training"),
        ("POST", "/projects/{}/training/cancel"),
        ("GET", "/versions?project={}"),
        ("GET", "/is_training?project={}"),
    ],
)
def test_a_project_number_of_any_length_gets_an_answer(
    client: FlaskClient, method: str, form: str, digits: int
) -> None:
    check(client.open(form.format("9" * digits), method=method))
