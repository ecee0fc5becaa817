import gzip
import os
import resource
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pydantic import SecretStr

from tests.support import recorded
from tests.support.downloads import AT_ONCE, ONCE, make_downloader
from tests.support.http_server import HttpServer, Reply, Request
from tests.support.label_studio_server import TOKEN, LabelStudioServer, failure
from timeseries_segmenter.errors import DownloadError, LabelStudioError, PassingDownloadError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.download_cache import File
from timeseries_segmenter.sources.downloads import LONGEST_DOWNLOAD, Download, Downloader
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.patience import Patience
from timeseries_segmenter.sources.retries import RetryPolicy
from timeseries_segmenter.sources.vouching import Vouching

SERIES = b"value\n1\n2\n"
PUBLIC = "93.184.216.34"

pytestmark = pytest.mark.filterwarnings("ignore:.*parse_obj")  # the SDK exchanges tokens with it


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return settings.model_copy(
        update={"label_studio_host": studio.url, "download_timeout": 5.0, "max_series_mb": 1}
    )


@pytest.fixture
def downloader(settings: Settings) -> Downloader:
    return make(settings)


def make(settings: Settings, policy: RetryPolicy = AT_ONCE, **changes: object) -> Downloader:
    return make_downloader(settings, policy, **changes)


def endless(sent: list[int]) -> Iterator[bytes]:
    """A body without end; counts what is taken of it."""
    while True:
        sent.append(100_000)
        yield bytes(100_000)


def tokens(server: HttpServer) -> list[str | None]:
    return [request.headers["Authorization"] for request in server.requests]


def test_a_file_on_any_host_is_fetched_without_the_token(
    downloader: Downloader, other_host: HttpServer
) -> None:
    assert downloader.fetch(other_host.serve("/series.csv", SERIES), 1) == SERIES
    assert tokens(other_host) == [None]


def test_files_of_label_studio_are_fetched_with_a_personal_access_token(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.files["/data/upload/3/series.csv"] = SERIES
    token = studio.issue_personal_access_token()
    own = Settings(**settings.model_dump() | {"label_studio_api_key": token})
    assert make(own).fetch("/data/upload/3/series.csv", 1) == SERIES


def test_a_file_of_label_studio_without_a_token_says_what_to_set(settings: Settings) -> None:
    own = Settings(**settings.model_dump() | {"label_studio_api_key": ""})
    with pytest.raises(LabelStudioError, match="LABEL_STUDIO_API_KEY is not set"):
        make(own).fetch("/data/upload/3/series.csv", 1)


@pytest.mark.parametrize("uri", ["s3://bucket/a b/é.csv", "gs://bucket/x.csv", "azure-blob://box/x.csv?v=1"])
def test_storage_is_presigned_by_label_studio_and_the_token_stays_there(
    downloader: Downloader, studio: LabelStudioServer, other_host: HttpServer, uri: str
) -> None:
    studio.storage[uri] = other_host.serve("/bucket/signed.csv", SERIES) + "?signature=abc"
    assert downloader.fetch(uri, 42) == SERIES
    assert [request.path for request in studio.requests] == ["/tasks/42/presign/"]
    assert tokens(studio) == [f"Token {TOKEN}"]
    assert tokens(other_host) == [None]
    assert other_host.requests[0].query == {"signature": "abc"}


def test_a_host_that_redirects_to_label_studio_gets_no_token_for_it(
    downloader: Downloader, studio: LabelStudioServer, other_host: HttpServer
) -> None:
    studio.files["/data/upload/3/series.csv"] = SERIES
    target = f"{studio.url}/data/upload/3/series.csv"
    other_host.routes["/x"] = lambda _: Reply(status=302, headers={"Location": target})
    with pytest.raises(DownloadError, match="401"):
        downloader.fetch(f"{other_host.url}/x", 1)
    assert tokens(studio) == [None]


def test_a_redirect_away_and_back_gets_no_token(
    downloader: Downloader, studio: LabelStudioServer, other_host: HttpServer
) -> None:
    studio.files["/data/upload/3/series.csv"] = SERIES
    studio.storage["s3://bucket/x.csv"] = f"{other_host.url}/x"
    target = f"{studio.url}/data/upload/3/series.csv"
    other_host.routes["/x"] = lambda _: Reply(status=307, headers={"Location": target})
    with pytest.raises(DownloadError, match="401"):
        downloader.fetch("s3://bucket/x.csv", 42)
    assert tokens(studio) == [f"Token {TOKEN}", None]
    assert tokens(other_host) == [None]


def test_a_redirect_within_label_studio_keeps_the_token(
    downloader: Downloader, studio: LabelStudioServer
) -> None:
    studio.files["/data/upload/3/series.csv"] = SERIES
    studio.storage["s3://bucket/x.csv"] = "/data/upload/3/series.csv"
    assert downloader.fetch("s3://bucket/x.csv", 42) == SERIES
    assert tokens(studio) == [f"Token {TOKEN}"] * 2


@pytest.mark.parametrize(
    "path",
    [
        "/data/upload/3/x.csv",
        "/data/local-files/?d=folder/x.csv",
        "/storage-data/uploaded/?filepath=upload/3/x.csv",
        "/tasks/42/presign/?fileuri=czM6Ly94",
        "/tasks/42/resolve/?fileuri=czM6Ly94",
        "/projects/3/presign/?fileuri=czM6Ly94",
        "/projects/3/resolve/?fileuri=czM6Ly94",
    ],
)
def test_the_token_goes_to_the_paths_of_label_studios_files(
    downloader: Downloader, studio: LabelStudioServer, path: str
) -> None:
    name, _, query = path.partition("?")
    studio.files[name] = SERIES
    assert downloader.fetch(path, 1) == SERIES
    assert downloader.fetch(studio.url + path, 1) == SERIES
    assert tokens(studio) == [f"Token {TOKEN}"] * 2
    assert [request.query for request in studio.requests] == [dict(parse_qsl(query))] * 2


@pytest.mark.parametrize(
    "path", ["/samples/time-series.csv", "/static/x.csv", "/tasks/1/presign/", "/signed.csv"]
)
def test_every_path_of_label_studio_but_its_api_gets_the_token(
    downloader: Downloader, studio: LabelStudioServer, path: str
) -> None:
    assert downloader.fetch(studio.serve(path, SERIES), 1) == SERIES
    assert tokens(studio) == [f"Token {TOKEN}"]


def test_a_sample_of_label_studio_is_understood_by_its_path(
    downloader: Downloader, studio: LabelStudioServer
) -> None:
    studio.serve("/samples/time-series.csv", SERIES)
    assert downloader.fetch("/samples/time-series.csv?time=t&values=a", 1) == SERIES


@pytest.mark.parametrize("path", ["/api/projects/3/", "/api", "//api/x", "/API/x", "/%61pi/x", "/%2561pi/x"])
def test_label_studios_api_is_no_series(downloader: Downloader, studio: LabelStudioServer, path: str) -> None:
    with pytest.raises(DownloadError, match=r"Task 1: .*not an answer of the API"):
        downloader.fetch(studio.url + path, 1)
    assert studio.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/data/upload/../../api/x",
        "/data/upload/%2e%2e/%2E%2e/api/x",
        "/data/upload/%252e%252e/x",
        "/data/upload/" + "%" + "25" * 20 + "2e/x",
        "/data/upload/..%2f..%2fapi",
        "/data/upload/..\\..\\api",
        "/data/upload/%5c..%5capi",
        "/data/upload/./x.csv",
        "/data/upload/..;/api/x",
        "/samples/../api/x",
        "/data/local-files/?d=../../etc/passwd",
        "/data/local-files/?d=a&d=a/%2e%2e/%2e%2e/etc/passwd",
        "/data/local-files/?d=a%252f%252e%252e%252fetc",
        "/data/local-files/?d=..%5c..%5cetc",
        "/storage-data/uploaded/?filepath=upload/../../x",
    ],
)
def test_a_path_that_climbs_is_never_sent_to_label_studio(
    downloader: Downloader, studio: LabelStudioServer, other_host: HttpServer, path: str
) -> None:
    other_host.routes["/x"] = lambda _: Reply(status=302, headers={"Location": studio.url + path})
    for source in (path, studio.url + path, f"{other_host.url}/x"):
        with pytest.raises(DownloadError, match=r"Task 1: .*'\.\.'"):
            downloader.fetch(source, 1)
    assert studio.requests == []


@pytest.mark.parametrize(
    "path", ["/data/upload/3/a..b.csv", "/data/upload/3/x.csv?v=../1", "/data/local-files/?d=./..x/y.csv"]
)
def test_dots_in_names_are_no_climbing(downloader: Downloader, studio: LabelStudioServer, path: str) -> None:
    studio.files[path.partition("?")[0]] = SERIES
    assert downloader.fetch(path, 1) == SERIES


def test_a_task_number_that_is_none_can_not_change_the_path(
    downloader: Downloader, studio: LabelStudioServer
) -> None:
    with pytest.raises(DownloadError):
        downloader.fetch("s3://bucket/x.csv", "../../api/projects/3/?x=")
    assert studio.requests == []


def test_a_redirect_to_the_login_page_names_the_token(
    downloader: Downloader, studio: LabelStudioServer
) -> None:
    studio.routes["/data/upload/3/x.csv"] = lambda _: Reply(
        status=302, headers={"Location": "/user/login/?next=/data/upload/3/x.csv"}
    )
    with pytest.raises(DownloadError, match="LABEL_STUDIO_API_KEY"):
        downloader.fetch("/data/upload/3/x.csv", 1)


def test_label_studio_below_a_path_is_asked_there(settings: Settings, studio: LabelStudioServer) -> None:
    downloader = make(settings, label_studio_host=f"{studio.url}/studio")
    for path in ("/data/upload/3/x.csv", "/tasks/42/presign/"):
        studio.files[f"/studio{path}"] = SERIES
    assert downloader.fetch("/data/upload/3/x.csv", 42) == SERIES
    assert downloader.fetch("/studio/data/upload/3/x.csv", 42) == SERIES
    assert downloader.fetch("s3://bucket/x.csv", 42) == SERIES
    assert tokens(studio) == [f"Token {TOKEN}"] * 3
    studio.serve("/data/upload/3/x.csv", SERIES)
    assert downloader.fetch(f"{studio.url}/data/upload/3/x.csv", 42) == SERIES
    assert tokens(studio)[3:] == [None]
    for path in ("/api/x", "/studio/api/x"):
        with pytest.raises(DownloadError, match="not an answer of the API"):
            downloader.fetch(studio.url + path, 1)


def test_another_port_of_label_studios_host_gets_no_token(
    downloader: Downloader, other_host: HttpServer
) -> None:
    downloader.fetch(other_host.serve("/data/upload/3/series.csv", SERIES), 1)
    assert tokens(other_host) == [None]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "; make the file readable for all, or renew its address"),
        (403, "; make the file readable for all, or renew its address"),
        (404, "; the file is gone, or its address is wrong"),
        (429, "fewer requests"),
        (500, "Internal Server Error.*try again later"),
        (206, "Partial Content"),
        (304, "Not Modified"),
        (302, "Found"),
        (599, ""),
    ],
)
def test_a_refusal_names_task_address_and_status(
    downloader: Downloader, other_host: HttpServer, status: int, advice: str
) -> None:
    other_host.routes["/x.csv"] = lambda _: failure(status, "no")
    with pytest.raises(DownloadError, match=rf"Task 7: {other_host.url}/x\.csv answered {status}.*{advice}"):
        downloader.fetch(f"{other_host.url}/x.csv", 7)


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "check LABEL_STUDIO_API_KEY"), (404, "its storage is not connected")]
)
def test_a_refusal_of_label_studio_leads_to_its_settings(
    downloader: Downloader, studio: LabelStudioServer, status: int, advice: str
) -> None:
    studio.routes["/data/upload/x.csv"] = lambda _: failure(status, "no")
    with pytest.raises(DownloadError, match=rf"Task 7: .*answered {status}.*{advice}"):
        downloader.fetch("/data/upload/x.csv", 7)


def test_a_file_is_asked_for_again_with_another_access_token_where_one_is_refused(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.access_lifetime = 25 * 60  # by this machine's clock, which is behind
    studio.files["/data/upload/3/x.csv"] = SERIES
    downloader = make(settings, label_studio_api_key=SecretStr(studio.issue_personal_access_token()))
    assert downloader.fetch("/data/upload/3/x.csv", 1) == SERIES
    studio.authorizations = {"Bearer none"}
    assert downloader.fetch("/data/upload/3/x.csv", 1) == SERIES
    studio.routes["/data/upload/3/x.csv"] = lambda _: failure(401, "Invalid token.")
    before = len(studio.requests)
    with pytest.raises(DownloadError, match="answered 401"):
        downloader.fetch("/data/upload/3/x.csv", 1)
    assert [request.path for request in studio.requests[before:]] == [
        "/data/upload/3/x.csv",
        "/api/token/refresh/",
        "/data/upload/3/x.csv",
    ]


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_an_unchanged_file_is_sent_once_and_a_changed_one_is_noticed(
    settings: Settings, other_host: HttpServer, validator: str
) -> None:
    condition = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}[validator]
    content: dict[str, Any] = {"stamp": '"1"', "body": SERIES}
    sent = []

    def answer(request: Request) -> Reply:
        if request.headers[condition] == content["stamp"]:
            return Reply(status=304)
        sent.append(content["body"])
        return Reply(content["body"], headers={validator: content["stamp"]})

    other_host.routes["/x.csv"] = answer
    address = f"{other_host.url}/x.csv"
    assert [make(settings).fetch(address, task) for task in (1, 2)] == [SERIES] * 2
    assert len(sent) == 1
    content |= {"stamp": '"2"', "body": b"value\n9\n"}
    assert make(settings).fetch(address, 1) == b"value\n9\n"
    assert len(sent) == len(other_host.requests) - 1 == 2


def test_a_file_without_a_validator_is_sent_each_time(downloader: Downloader, other_host: HttpServer) -> None:
    address = other_host.serve("/x.csv", SERIES)
    assert [downloader.fetch(address, 1), downloader.fetch(address, 1)] == [SERIES] * 2
    assert [request.headers["If-None-Match"] for request in other_host.requests] == [None, None]


def test_a_kept_file_is_not_served_without_its_servers_leave(
    downloader: Downloader, other_host: HttpServer
) -> None:
    address = other_host.serve("/x.csv", SERIES, ETag='"1"')
    downloader.fetch(address, 1)
    other_host.routes["/x.csv"] = lambda _: failure(403, "no longer")
    with pytest.raises(DownloadError, match="403"):
        downloader.fetch(address, 1)


def test_another_token_asks_label_studio_again(settings: Settings, studio: LabelStudioServer) -> None:
    """What one person may read is not for the next."""
    studio.serve("/data/open.csv", SERIES, ETag='"1"')
    make(settings).fetch(f"{studio.url}/data/open.csv", 1)
    own = Settings(**settings.model_dump() | {"label_studio_api_key": "f" * 40})
    studio.routes["/data/open.csv"] = lambda request: (
        failure(401, "no") if request.headers["Authorization"] != f"Token {TOKEN}" else Reply(status=304)
    )
    with pytest.raises(DownloadError, match="401"):
        make(own).fetch(f"{studio.url}/data/open.csv", 1)


def test_a_304_for_a_file_that_left_the_cache_is_fetched(settings: Settings, other_host: HttpServer) -> None:
    downloader = make(settings)
    address = other_host.serve("/x.csv", SERIES, ETag='"1"')
    downloader.fetch(address, 1)

    def empty_the_cache(request: Request) -> Reply:
        for path in settings.series_cache_dir.iterdir():
            path.unlink()
        return Reply(status=304) if request.headers["If-None-Match"] else Reply(SERIES)

    other_host.routes["/x.csv"] = empty_the_cache
    assert downloader.fetch(address, 1) == SERIES


UPLOAD = "/data/upload/3/0a1b2c3d-x.csv"


def test_an_upload_is_downloaded_once(settings: Settings, studio: LabelStudioServer) -> None:
    studio.files[UPLOAD] = SERIES
    assert [make(settings).fetch(source, 1) for source in (UPLOAD, studio.url + UPLOAD, UPLOAD)] == [
        SERIES
    ] * 3
    assert [request.path for request in studio.requests] == [UPLOAD]


@pytest.mark.parametrize(
    "path",
    ["/data/upload/3/x.csv", f"{UPLOAD}?part=1", "/data/local-files/0a1b2c3d-x.csv", f"{UPLOAD}/other"],
)
def test_what_may_be_another_file_later_is_downloaded_again(
    settings: Settings, studio: LabelStudioServer, path: str
) -> None:
    for content in (SERIES, b"value\n5\n"):
        studio.files[path.partition("?")[0]] = content
        assert make(settings).fetch(path, 1) == content


def test_an_upload_with_that_name_on_another_host_is_downloaded_again(
    settings: Settings, other_host: HttpServer
) -> None:
    for _ in range(2):
        make(settings).fetch(other_host.serve(UPLOAD, SERIES), 1)
    assert len(other_host.requests) == 2


def test_a_kept_upload_is_not_for_another_token(settings: Settings, studio: LabelStudioServer) -> None:
    studio.files[UPLOAD] = SERIES
    make(settings).fetch(UPLOAD, 1)
    own = Settings(**settings.model_dump() | {"label_studio_api_key": "f" * 40})
    with pytest.raises(DownloadError, match="401"):
        make(own).fetch(UPLOAD, 1)


def test_a_kept_upload_is_not_for_whom_nobody_vouches_for(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.files[UPLOAD] = SERIES
    make(settings).fetch(UPLOAD, 1)
    config = parse_label_config(recorded.body("predict_test_single_task")["label_config"])
    vouching = Vouching(settings, LabelStudioClient(settings, AT_ONCE))
    voucher = vouching.of_request(3, config, [{"id": 1, "data": {"csv_url": UPLOAD}}])
    with pytest.raises(DownloadError, match=r"401.*without the token"):
        make(settings).fetch(UPLOAD, 1, Download(1, Patience(), voucher=voucher))


def test_a_kept_upload_that_is_cut_off_is_downloaded_again(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.files[UPLOAD] = SERIES
    make(settings).fetch(UPLOAD, 1)
    (path,) = settings.series_cache_dir.glob("*.series")
    path.write_bytes(path.read_bytes()[:-2])
    assert make(settings).fetch(UPLOAD, 1) == SERIES
    assert len(studio.requests) == 2


def test_the_cache_stays_below_cache_mb(settings: Settings, other_host: HttpServer) -> None:
    downloader = make(settings, cache_mb=1)
    for number in range(5):
        downloader.fetch(other_host.serve(f"/{number}.csv", bytes(300_000), ETag='"1"'), 1)
    kept = list(settings.series_cache_dir.glob("*.series"))
    assert len(kept) == 3
    assert sum(path.stat().st_size for path in kept) <= 1_000_000


def test_a_compressed_answer_is_unpacked(downloader: Downloader, other_host: HttpServer) -> None:
    address = other_host.serve("/x.csv", gzip.compress(SERIES), Content_Encoding="gzip")
    assert downloader.fetch(address, 1) == SERIES


def test_a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_not(
    downloader: Downloader, other_host: HttpServer
) -> None:
    assert len(downloader.fetch(other_host.serve("/x.csv", bytes(1_000_000)), 1)) == 1_000_000
    with pytest.raises(DownloadError, match=r"Task 5: .*/y\.csv is larger than MAX_SERIES_MB=1"):
        downloader.fetch(other_host.serve("/y.csv", bytes(1_000_001)), 5)


def test_the_limit_holds_for_what_a_compressed_answer_becomes(
    downloader: Downloader, other_host: HttpServer
) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(DownloadError, match="MAX_SERIES_MB=1"):
        downloader.fetch(other_host.serve("/x.csv", bomb, Content_Encoding="gzip"), 1)


def long_body(chunks: int = 300) -> Iterator[bytes]:
    """Thirty megabytes, unless it should be more or less."""
    for number in range(chunks):
        yield bytes([number % 251]) * 100_000


@pytest.mark.parametrize(
    ("cache_mb", "headers", "kept"),
    [
        (100, {"ETag": '"1"'}, True),
        (100, {}, False),
        (20, {"ETag": '"1"'}, False),
        (0, {"ETag": '"1"'}, False),
    ],
)
def test_a_long_answer_is_not_held_in_memory(
    settings: Settings, other_host: HttpServer, cache_mb: int, headers: dict[str, str], kept: bool
) -> None:
    other_host.routes["/x.csv"] = lambda _: Reply(long_body(), headers=headers)
    downloader = make(settings, max_series_mb=50, cache_mb=cache_mb)
    tracemalloc.start()
    try:
        with downloader.find(f"{other_host.url}/x.csv", 1) as found:
            _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 25_000_000
    assert found.read() == b"".join(long_body())
    names = [path.suffix for path in settings.series_cache_dir.iterdir()]
    assert names == ([".series"] if kept else [])
    if kept:
        assert downloader.holds(f"{other_host.url}/x.csv")


def test_a_long_answer_for_which_the_disk_has_no_room_may_be_fetched_later(
    settings: Settings, other_host: HttpServer
) -> None:
    other_host.routes["/x.csv"] = lambda _: Reply(long_body())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, before[1]))  # as full as a disk gets in a test
    try:
        with pytest.raises(PassingDownloadError, match=r"/x\.csv is long, .* \(File too large\); make room"):
            make(settings, ONCE, max_series_mb=50).find(f"{other_host.url}/x.csv", 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(settings.series_cache_dir.iterdir()) == []


def test_an_endless_answer_is_given_up_at_the_limit(downloader: Downloader, other_host: HttpServer) -> None:
    sent: list[int] = []
    other_host.routes["/x.csv"] = lambda _: Reply(endless(sent))
    with pytest.raises(DownloadError, match="MAX_SERIES_MB=1"):
        downloader.fetch(f"{other_host.url}/x.csv", 1)
    assert sum(sent) < 50_000_000


def test_a_silent_server_is_given_up_after_download_timeout(
    settings: Settings, other_host: HttpServer
) -> None:
    other_host.routes["/x.csv"] = lambda _: Reply(SERIES if other_host.stopping.wait(120) else b"late")
    began = time.monotonic()
    with pytest.raises(DownloadError, match=r"Task 1: .*/x\.csv can't be fetched \(ReadTimeout\)"):
        make(settings, ONCE, download_timeout=0.2).fetch(f"{other_host.url}/x.csv", 1)
    assert time.monotonic() - began < 60


def test_a_server_that_stops_in_the_middle_is_given_up_too(
    settings: Settings, other_host: HttpServer
) -> None:
    def half() -> Iterator[bytes]:
        yield SERIES
        other_host.stopping.wait(120)

    other_host.routes["/x.csv"] = lambda _: Reply(half(), headers={"Content-Length": "1000"})
    with pytest.raises(DownloadError, match=r"Task 1: .*/x\.csv"):
        make(settings, ONCE, download_timeout=0.2).fetch(f"{other_host.url}/x.csv", 1)


def test_a_cut_off_answer_is_no_series(downloader: Downloader, other_host: HttpServer) -> None:
    other_host.routes["/x.csv"] = lambda _: Reply(iter([SERIES]), headers={"Content-Length": "1000"})
    with pytest.raises(DownloadError, match=r"Task 1: .*/x\.csv"):
        downloader.fetch(f"{other_host.url}/x.csv", 1)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "900000"}])
def test_a_trickle_is_given_up_in_time(
    settings: Settings, other_host: HttpServer, headers: dict[str, str]
) -> None:
    """A byte now and then meets every time-out between two reads."""
    timeout = 0.05
    allowed = LONGEST_DOWNLOAD * timeout

    def trickle() -> Iterator[bytes]:
        until = time.monotonic() + 200 * allowed
        while time.monotonic() < until and not other_host.stopping.wait(timeout / 5):
            yield b"1\n"

    other_host.routes["/x.csv"] = lambda _: Reply(trickle(), headers=headers)
    began = time.monotonic()
    with pytest.raises(DownloadError, match="Task 1"):
        make(settings, download_timeout=timeout).fetch(f"{other_host.url}/x.csv", 1)
    assert time.monotonic() - began < 100 * allowed


def test_a_series_is_fetched_by_several_threads_at_once(
    downloader: Downloader, other_host: HttpServer
) -> None:
    address = other_host.serve("/x.csv", SERIES, ETag='"1"')
    bodies: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: bodies.extend(downloader.fetch(address, 1) for _ in range(5)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == [SERIES] * 20


@pytest.mark.parametrize(
    "address", ["http://[broken", "http://host:99999/x", "http://", "http://a b/", "https:///x"]
)
def test_an_address_that_is_none_is_a_download_error(downloader: Downloader, address: str) -> None:
    with pytest.raises(DownloadError, match="Task 1"):
        downloader.fetch(address, 1)


def test_a_name_that_does_not_resolve_or_a_closed_port_is_a_download_error(downloader: Downloader) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/x.csv"
    with pytest.raises(DownloadError, match=r"Task 1: .*can't be fetched \(ConnectionError\)"):
        downloader.fetch(address, 1)


def test_where_label_studio_is_away_its_address_is_what_may_be_wrong(settings: Settings) -> None:
    away = make(settings, label_studio_host="http://127.0.0.1:1")
    with pytest.raises(DownloadError, match="check that Label Studio runs there, or set LABEL_STUDIO_HOST"):
        away.fetch("/data/local-files/?d=x.csv", 1)


def test_a_coding_that_can_not_be_unpacked_is_the_servers_matter(
    downloader: Downloader, other_host: HttpServer
) -> None:
    address = other_host.serve("/x.csv", SERIES, Content_Encoding="br")
    with pytest.raises(DownloadError, match=r"\(DecodeError\); have its server send it as it is"):
        downloader.fetch(address, 1)


@pytest.mark.parametrize(
    "address",
    [
        *("azure://bucket/x.csv", "ftp://host/x.csv", "file:///etc/passwd", "data:text/csv;base64,AA"),
        *("blob:http://host/1", "//host/x.csv", "FILE:///x.csv"),
    ],
)
@pytest.mark.parametrize("has_folder", [True, False])
def test_an_address_of_a_kind_that_is_not_read_names_those_that_are(
    settings: Settings, tmp_path: Path, address: str, has_folder: bool
) -> None:
    downloader = make(settings, local_files_dir=tmp_path if has_folder else None)
    with pytest.raises(
        DownloadError, match=r"Task 1: .* begins with \S+, which is not read; .*azure-blob://"
    ):
        downloader.fetch(address, 1)


def test_redirects_without_end_are_a_download_error(downloader: Downloader, other_host: HttpServer) -> None:
    other_host.routes["/x"] = lambda _: Reply(status=302, headers={"Location": "/x"})
    with pytest.raises(DownloadError, match="TooManyRedirects"):
        downloader.fetch(f"{other_host.url}/x", 1)


def test_messages_hold_neither_signatures_nor_passwords(
    downloader: Downloader, other_host: HttpServer
) -> None:
    host = other_host.url.removeprefix("http://")
    address = f"http://reader:s3cret@{host}/x.csv?X-Amz-Signature=abcdef#part"
    with pytest.raises(DownloadError) as raised:
        downloader.fetch(address, 1)
    for hidden in ("s3cret", "abcdef"):
        assert hidden not in str(raised.value)


def test_a_file_in_the_allowed_folder_is_read_by_path(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "series.csv").write_bytes(SERIES)
    downloader = make(settings, local_files_dir=tmp_path)
    assert downloader.fetch("sub/series.csv", 1) == SERIES
    assert downloader.fetch(str(tmp_path / "sub" / "series.csv"), 1) == SERIES


def test_a_long_file_is_open_until_it_was_read(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_bytes(b"".join(long_body()))
    (tmp_path / "short.csv").write_bytes(SERIES)
    downloader = make(settings, local_files_dir=tmp_path, max_series_mb=50)
    with downloader.find("long.csv", 1) as found:
        assert isinstance(found.content, BufferedReader)
        assert found.content.read(5) == bytes(5)
        assert found.identity == File.from_bytes(b"".join(long_body())).identity
    assert found.content.closed
    assert downloader.find("short.csv", 1).content == SERIES


@pytest.mark.parametrize(
    "path", ["../outside.csv", "/etc/hostname", "sub/../../outside.csv", "link.csv", "folder/x"]
)
def test_nothing_outside_the_allowed_folder_is_read(settings: Settings, tmp_path: Path, path: str) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (tmp_path / "outside.csv").write_bytes(SERIES)
    (tmp_path / "x").write_bytes(SERIES)
    (allowed / "link.csv").symlink_to(tmp_path / "outside.csv")
    (allowed / "folder").symlink_to(tmp_path)
    with pytest.raises(DownloadError, match=r"Task 1: .* is not inside LOCAL_FILES_DIR"):
        make(settings, local_files_dir=allowed).fetch(path, 1)


@pytest.mark.parametrize("path", ["series.csv", "/etc/passwd", "C:\\x.csv"])
def test_without_the_setting_no_path_is_read(settings: Settings, path: str) -> None:
    with pytest.raises(DownloadError, match="LOCAL_FILES_DIR, which is not set"):
        make(settings, local_files_dir=None).fetch(path, 1)


@pytest.mark.parametrize("path", ["gone.csv", "", "x\0.csv", "x" * 5000, "file:///etc/passwd"])
def test_a_path_that_cannot_be_read_is_a_download_error(
    settings: Settings, tmp_path: Path, path: str
) -> None:
    with pytest.raises(DownloadError, match="Task 1"):
        make(settings, local_files_dir=tmp_path).fetch(path, 1)


def test_what_has_no_end_is_no_file(settings: Settings, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("pipe", "."):
        with pytest.raises(DownloadError, match=r"Task 1: .* is not a file"):
            make(settings, local_files_dir=tmp_path).fetch(path, 1)


def test_the_size_limit_holds_for_files_too(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "large.csv").write_bytes(bytes(1_000_001))
    with pytest.raises(DownloadError, match="MAX_SERIES_MB=1"):
        make(settings, local_files_dir=tmp_path).fetch("large.csv", 1)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses of names that are not in any DNS here; PUBLIC is served by this machine."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host == PUBLIC and PUBLIC in known:
            host = known[PUBLIC][0]
        if host in known:
            families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in known[host]]
            return [
                (family, socket.SOCK_STREAM, 6, "", (address, port))
                for family, address in zip(families, known[host], strict=True)
            ]
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    known[PUBLIC] = ["127.0.0.1"]
    return known


def public(url: str, name: str = "public.example") -> str:
    return url.replace("127.0.0.1", name)


def test_a_public_host_is_asked_by_the_address_that_was_checked(
    settings: Settings, other_host: HttpServer, names: dict[str, list[str]]
) -> None:
    names["public.example"] = [PUBLIC, "127.0.0.1"]
    address = public(other_host.serve("/x.csv", SERIES))
    assert make(settings, data_allowed_hosts=()).fetch(address, 1) == SERIES
    assert other_host.requests[0].headers["Host"] == address.split("/")[2]


def test_a_name_that_resolves_anew_after_the_check_is_not_followed(
    settings: Settings, other_host: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[object]:
        asked.append(host)
        if host == PUBLIC:
            raise socket.gaierror("no way there")
        address = PUBLIC if asked.count(host) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(DownloadError):
        make(settings, ONCE, data_allowed_hosts=()).fetch(
            public(other_host.serve("/x.csv", SERIES), "rebinding.example"), 1
        )
    assert asked == ["rebinding.example", PUBLIC]
    assert other_host.requests == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        ["10.0.0.5"],
        ["192.168.1.1"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["224.0.0.1"],
        ["0.0.0.0"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fec0::1"],
        ["fe80::1"],
        ["fd00::1"],
        ["64:ff9b::7f00:1"],
    ],
)
def test_a_name_that_resolves_to_no_public_address_is_refused(
    settings: Settings, other_host: HttpServer, names: dict[str, list[str]], addresses: list[str]
) -> None:
    names["inner.example"] = addresses
    address = public(other_host.serve("/x.csv", SERIES), "inner.example")
    with pytest.raises(DownloadError, match=r"Task 1: inner\.example:\d+ .*DATA_ALLOWED_HOSTS") as raised:
        make(settings, data_allowed_hosts=()).fetch(f"{address}?signature=abc", 1)
    assert addresses[0] not in str(raised.value)
    assert "abc" not in str(raised.value)
    assert other_host.requests == []


@pytest.mark.parametrize("to_studio", [True, False])
def test_a_public_host_can_not_redirect_to_this_machine(
    settings: Settings,
    studio: LabelStudioServer,
    other_host: HttpServer,
    names: dict[str, list[str]],
    to_studio: bool,
) -> None:
    names["public.example"] = [PUBLIC]
    inner = other_host.serve("/secret", SERIES)
    target = studio.url + "/api/projects/" if to_studio else inner
    other_host.routes["/x.csv"] = lambda _: Reply(status=302, headers={"Location": target})
    with pytest.raises(DownloadError, match=r"Task 1: (http://)?127\.0\.0\.1:\d+"):
        make(settings, data_allowed_hosts=()).fetch(public(f"{other_host.url}/x.csv"), 1)
    assert [request.path for request in other_host.requests] == ["/x.csv"]
    assert studio.requests == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "//[", "http://h:99999/", ""])
def test_a_redirect_to_something_else_than_http_is_refused(
    downloader: Downloader, other_host: HttpServer, target: str
) -> None:
    other_host.routes["/x"] = lambda _: Reply(status=302, headers={"Location": target})
    with pytest.raises(DownloadError, match="Task 1"):
        downloader.fetch(f"{other_host.url}/x", 1)


def test_what_a_redirect_says_besides_is_not_read(downloader: Downloader, other_host: HttpServer) -> None:
    sent: list[int] = []
    target = other_host.serve("/y.csv", SERIES)
    other_host.routes["/x"] = lambda _: Reply(endless(sent), 302, {"Location": target})
    assert downloader.fetch(f"{other_host.url}/x", 1) == SERIES
    assert sum(sent) < 20_000_000


def test_neither_proxies_nor_netrc_of_the_environment_count(
    downloader: Downloader, other_host: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login reader password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    assert downloader.fetch(other_host.serve("/x.csv", SERIES), 1) == SERIES
    assert tokens(other_host) == [None]


@pytest.mark.parametrize(
    "address",
    ["http://reader:s3cret@h:port/x", "http://reader:s3cret@[::/x?key=s3cret", "http://reader:s3cret@/x"],
)
def test_an_address_that_is_none_does_not_show_its_password(downloader: Downloader, address: str) -> None:
    with pytest.raises(DownloadError) as raised:
        downloader.fetch(address, 1)
    assert "s3cret" not in str(raised.value)


def packed(body: bytes, *codings: str) -> bytes:
    for coding in codings:
        if coding == "raw":
            body = zlib.compress(body, wbits=-15)
        else:
            body = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
    return body


@pytest.mark.parametrize(
    ("codings", "header"),
    [
        (["gzip"], "gzip"),
        (["gzip"], "X-GZIP"),
        (["deflate"], "deflate"),
        (["raw"], "deflate"),
        (["deflate", "gzip"], "deflate, gzip"),
        (["gzip", "gzip"], "gzip, identity, gzip"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_an_answer_is_unpacked_however_it_arrives(
    downloader: Downloader, other_host: HttpServer, codings: list[str], header: str, size: int
) -> None:
    body = packed(SERIES, *codings)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    other_host.routes["/x.csv"] = lambda _: Reply(iter(pieces), headers={"Content-Encoding": header})
    assert downloader.fetch(f"{other_host.url}/x.csv", 1) == SERIES


def test_gzip_files_one_after_the_other_are_one_series(
    downloader: Downloader, other_host: HttpServer
) -> None:
    body = gzip.compress(SERIES) + gzip.compress(b"3\n") + bytes(10)
    assert downloader.fetch(other_host.serve("/x.csv", body, Content_Encoding="gzip"), 1) == SERIES + b"3\n"


@pytest.mark.parametrize("codings", [["gzip"], ["deflate"], ["raw"], ["gzip", "gzip"], ["gzip"] * 3])
def test_a_bomb_is_given_up_at_the_limit(
    downloader: Downloader, other_host: HttpServer, codings: list[str]
) -> None:
    header = ", ".join("deflate" if coding == "raw" else coding for coding in codings)
    bomb = packed(bytes(30_000_000), *codings)
    address = other_host.serve("/x.csv", bomb, Content_Encoding=header)
    tracemalloc.start()
    try:
        with pytest.raises(DownloadError, match="MAX_SERIES_MB=1"):
            downloader.fetch(address, 1)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", ", ".join(["gzip"] * 4)])
def test_a_packing_nobody_asked_for_is_an_error(
    downloader: Downloader, other_host: HttpServer, coding: str
) -> None:
    with pytest.raises(DownloadError, match="DecodeError"):
        downloader.fetch(other_host.serve("/x.csv", SERIES, Content_Encoding=coding), 1)


@pytest.mark.parametrize("codings", [["gzip"], ["deflate"], ["raw"], ["gzip", "gzip"]])
def test_half_a_packed_file_is_no_series(
    downloader: Downloader, other_host: HttpServer, codings: list[str]
) -> None:
    header = ", ".join("deflate" if coding == "raw" else coding for coding in codings)
    half = packed(b"1\n" * 1000, *codings)[:-5]
    with pytest.raises(DownloadError, match="ProtocolError"):
        downloader.fetch(other_host.serve("/x.csv", half, Content_Encoding=header), 1)
    with pytest.raises(DownloadError, match="DecodeError"):
        downloader.fetch(other_host.serve("/y.csv", b"value\n1\n", Content_Encoding="gzip"), 1)


@pytest.fixture
def raw_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Sends the bytes of `request.param`, each piece after its pause, on every connection."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(10_000)
            for pause, piece in request.param:
                if ended.wait(pause):
                    return
                connection.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while not ended.is_set():
                connection, _ = listening.accept()
                threads.append(threading.Thread(target=answer, args=(connection,)))
                threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/x.csv"
    ended.set()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for thread in threads:
        thread.join()


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "raw_server",
    [
        [(0, OK + b"Content-Ty")],
        [(0, OK + b"Content-Length: 100\r\n\r\n1\n2\n")],
        [(0, CHUNKED + b"4\r\n1\n2\n\r\n")],
        [(0, CHUNKED + b"4\r\n1\n")],
        [(0, CHUNKED + b"4\r\n1\n2\n\r\nFF")],
        [(0, CHUNKED + b"nonsense\r\n")],
        [(0, b"")],
    ],
    indirect=True,
)
def test_a_connection_that_ends_early_gives_no_series(settings: Settings, raw_server: str) -> None:
    with pytest.raises(DownloadError, match=r"Task 1: .*can't be fetched .*\(3 tries\)"):
        make(settings).fetch(raw_server, 1)


@pytest.mark.parametrize(
    "raw_server",
    [
        [(0, OK)] + [(0.03, b"X-%d: 1\r\n" % number) for number in range(90)],
        [(0, CHUNKED)] + [(0.03, b"1;") for _ in range(3000)],
        [(0, CHUNKED + b"2\r\n1\n\r\n0\r\n")] + [(0.03, b"X: 1\r\n") for _ in range(3000)],
    ],
    indirect=True,
)
def test_a_trickle_outside_the_body_is_given_up_too(settings: Settings, raw_server: str) -> None:
    began = time.monotonic()
    with pytest.raises(DownloadError, match="Task 1"):
        make(settings, ONCE, download_timeout=0.06).fetch(raw_server, 1)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("failure", [408, 429, 500, 502, 503, 504, "cut off"])
def test_a_failure_that_passes_is_tried_again(
    downloader: Downloader, other_host: HttpServer, failure: int | str
) -> None:
    def answer(_: Request) -> Reply:
        if len(other_host.requests) == 3:
            return Reply(SERIES)
        if isinstance(failure, int):
            return Reply(b"", failure)
        return Reply(iter([SERIES]), headers={"Content-Length": "1000"})

    other_host.routes["/x.csv"] = answer
    assert downloader.fetch(f"{other_host.url}/x.csv", 1) == SERIES
    assert len(other_host.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_a_refusal_is_not_tried_again(downloader: Downloader, other_host: HttpServer, status: int) -> None:
    other_host.routes["/x.csv"] = lambda _: Reply(b"", status)
    with pytest.raises(DownloadError, match=rf"answered {status}((?!tries).)*$"):
        downloader.fetch(f"{other_host.url}/x.csv", 1)
    assert len(other_host.requests) == 1


def test_a_failure_that_stays_names_the_tries(downloader: Downloader, other_host: HttpServer) -> None:
    other_host.routes["/x.csv"] = lambda _: Reply(b"", 503)
    with pytest.raises(DownloadError, match=r"Task 1: .*/x\.csv answered 503 .*\(3 tries\)"):
        downloader.fetch(f"{other_host.url}/x.csv", 1)
    assert len(other_host.requests) == 3


def test_a_prediction_does_not_wait_long_for_a_batch_of_files(
    settings: Settings, other_host: HttpServer
) -> None:
    other_host.routes["/x.csv"] = lambda _: Reply(b"", 503, {"Retry-After": "60"})
    downloader = make(settings, RetryPolicy(tries=3, seconds=5, first_wait=0.1, longest_wait=0.3))
    for task in range(20):
        with pytest.raises(DownloadError):
            downloader.fetch(f"{other_host.url}/x.csv", task)
    assert len(other_host.requests) == 3 + 19


def test_hits_and_misses_of_the_cache_are_reported(settings: Settings, other_host: HttpServer) -> None:
    seen: list[bool] = []
    downloader = Downloader(settings, LabelStudioClient(settings), AT_ONCE, on_cache=seen.append)
    other_host.routes["/x.csv"] = lambda request: (
        Reply(status=304) if request.headers["If-None-Match"] else Reply(SERIES, headers={"ETag": '"1"'})
    )
    assert [downloader.fetch(f"{other_host.url}/x.csv", task) for task in (1, 2)] == [SERIES] * 2
    downloader.fetch(other_host.serve("/y.csv", SERIES), 3)
    with pytest.raises(DownloadError):
        downloader.fetch(f"{other_host.url}/gone.csv", 4)
    assert seen == [False, True, False]


def test_a_cache_that_can_not_be_written_costs_no_series(
    settings: Settings, other_host: HttpServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    downloader = make(settings, cache_dir=tmp_path / "file")
    address = other_host.serve("/x.csv", SERIES, ETag='"1"') + "?signature=abc"
    assert [downloader.fetch(address, 1), downloader.fetch(address, 1)] == [SERIES] * 2
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(lines) == 2
    assert "abc" not in "".join(lines)


def test_files_of_the_allowed_folder_are_neither_hit_nor_miss(settings: Settings, tmp_path: Path) -> None:
    seen: list[bool] = []
    (tmp_path / "x.csv").write_bytes(SERIES)
    own = settings.model_copy(update={"local_files_dir": tmp_path})
    Downloader(own, LabelStudioClient(own), on_cache=seen.append).fetch("x.csv", 1)
    assert seen == []
