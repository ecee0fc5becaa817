import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from http_server import HttpServer, Reply, Request
from label_studio_server import TOKEN, LabelStudioServer, failure

from timeseries_segmenter.errors import DownloadError, LabelStudioError
from timeseries_segmenter.service.downloads import LONGEST_DOWNLOAD, Downloader
from timeseries_segmenter.service.label_studio import LabelStudioClient
from timeseries_segmenter.settings import Settings

SERIES = b"value\n1\n2\n"

pytestmark = pytest.mark.filterwarnings("ignore:.*parse_obj")  # the SDK exchanges tokens with it


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return settings.model_copy(
        update={"label_studio_host": studio.url, "download_timeout": 5.0, "max_series_mb": 1}
    )


@pytest.fixture
def downloader(settings: Settings) -> Downloader:
    return make(settings)


def make(settings: Settings, **changes: object) -> Downloader:
    settings = settings.model_copy(update=changes)
    return Downloader(settings, LabelStudioClient(settings))


def tokens(server: HttpServer) -> list[str | None]:
    return [request.headers["Authorization"] for request in server.requests]


def test_a_file_on_any_host_is_fetched_without_the_token(downloader: Downloader, other_host: HttpServer):
    assert downloader.fetch(other_host.serve("/series.csv", SERIES), 1) == SERIES
    assert tokens(other_host) == [None]


@pytest.mark.parametrize("path", ["/data/upload/3/series.csv", "/data/local-files/?d=folder/series.csv"])
def test_files_of_label_studio_are_fetched_with_the_token(
    downloader: Downloader, studio: LabelStudioServer, path: str
):
    studio.files[path.partition("?")[0]] = SERIES
    assert downloader.fetch(path, 1) == SERIES
    assert downloader.fetch(studio.url + path, 1) == SERIES
    assert tokens(studio) == [f"Token {TOKEN}"] * 2
    assert studio.requests[0].query == ({"d": "folder/series.csv"} if "?" in path else {})


def test_files_of_label_studio_are_fetched_with_a_personal_access_token(
    settings: Settings, studio: LabelStudioServer
):
    studio.files["/data/upload/3/series.csv"] = SERIES
    token = studio.issue_personal_access_token()
    own = Settings(**settings.model_dump() | {"label_studio_api_key": token})
    assert make(own).fetch("/data/upload/3/series.csv", 1) == SERIES


def test_a_file_of_label_studio_without_a_token_says_what_to_set(settings: Settings):
    own = Settings(**settings.model_dump() | {"label_studio_api_key": ""})
    with pytest.raises(LabelStudioError, match="LABEL_STUDIO_API_KEY is not set"):
        make(own).fetch("/data/upload/3/series.csv", 1)


@pytest.mark.parametrize("uri", ["s3://bucket/a b/é.csv", "gs://bucket/x.csv", "azure-blob://box/x.csv?v=1"])
def test_storage_is_presigned_by_label_studio_and_the_token_stays_there(
    downloader: Downloader, studio: LabelStudioServer, other_host: HttpServer, uri: str
):
    studio.storage[uri] = other_host.serve("/bucket/signed.csv", SERIES) + "?signature=abc"
    assert downloader.fetch(uri, 42) == SERIES
    assert [request.path for request in studio.requests] == ["/tasks/42/presign/"]
    assert tokens(studio) == [f"Token {TOKEN}"]
    assert tokens(other_host) == [None]
    assert other_host.requests[0].query == {"signature": "abc"}


def test_a_host_that_redirects_to_label_studio_gets_no_token_for_it(
    downloader: Downloader, studio: LabelStudioServer, other_host: HttpServer
):
    studio.files["/data/upload/3/series.csv"] = SERIES
    target = f"{studio.url}/data/upload/3/series.csv"
    other_host.routes["/x"] = lambda _: Reply(status=302, headers={"Location": target})
    with pytest.raises(DownloadError, match="401"):
        downloader.fetch(f"{other_host.url}/x", 1)
    assert tokens(studio) == [None]


def test_another_port_of_label_studios_host_gets_no_token(downloader: Downloader, other_host: HttpServer):
    downloader.fetch(other_host.serve("/data/upload/3/series.csv", SERIES), 1)
    assert tokens(other_host) == [None]


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "LABEL_STUDIO_API_KEY"), (403, "access"), (404, "gone"), (500, "Internal Server Error")],
)
def test_a_refusal_names_task_address_and_status(
    downloader: Downloader, other_host: HttpServer, status: int, advice: str
):
    other_host.routes["/x.csv"] = lambda _: failure(status, "no")
    with pytest.raises(DownloadError, match=rf"Task 7: {other_host.url}/x\.csv answered {status}.*{advice}"):
        downloader.fetch(f"{other_host.url}/x.csv", 7)


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_an_unchanged_file_is_sent_once_and_a_changed_one_is_noticed(
    settings: Settings, other_host: HttpServer, validator: str
):
    condition = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}[validator]
    content = {"stamp": '"1"', "body": SERIES}
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


def test_a_file_without_a_validator_is_sent_each_time(downloader: Downloader, other_host: HttpServer):
    address = other_host.serve("/x.csv", SERIES)
    assert [downloader.fetch(address, 1), downloader.fetch(address, 1)] == [SERIES] * 2
    assert [request.headers["If-None-Match"] for request in other_host.requests] == [None, None]


def test_a_kept_file_is_not_served_without_its_servers_leave(downloader: Downloader, other_host: HttpServer):
    address = other_host.serve("/x.csv", SERIES, ETag='"1"')
    downloader.fetch(address, 1)
    other_host.routes["/x.csv"] = lambda _: failure(403, "no longer")
    with pytest.raises(DownloadError, match="403"):
        downloader.fetch(address, 1)


def test_another_token_asks_label_studio_again(settings: Settings, studio: LabelStudioServer):
    """What one person may read is not for the next."""
    studio.serve("/open.csv", SERIES, ETag='"1"')
    make(settings).fetch(f"{studio.url}/open.csv", 1)
    own = Settings(**settings.model_dump() | {"label_studio_api_key": "f" * 40})
    studio.routes["/open.csv"] = lambda request: (
        failure(401, "no") if request.headers["Authorization"] != f"Token {TOKEN}" else Reply(status=304)
    )
    with pytest.raises(DownloadError, match="401"):
        make(own).fetch(f"{studio.url}/open.csv", 1)


def test_a_304_for_a_file_that_left_the_cache_is_fetched_or_named(settings: Settings, other_host: HttpServer):
    downloader = make(settings)
    address = other_host.serve("/x.csv", SERIES, ETag='"1"')
    downloader.fetch(address, 1)

    def empty_the_cache(request: Request) -> Reply:
        for path in settings.series_cache_dir.iterdir():
            path.unlink()
        return Reply(status=304) if request.headers["If-None-Match"] else Reply(SERIES)

    other_host.routes["/x.csv"] = empty_the_cache
    with suppress(DownloadError):
        assert downloader.fetch(address, 1) == SERIES
    assert downloader.fetch(address, 1) == SERIES


def test_the_cache_stays_below_cache_mb(settings: Settings, other_host: HttpServer):
    downloader = make(settings, cache_mb=1)
    for number in range(5):
        downloader.fetch(other_host.serve(f"/{number}.csv", bytes(300_000), ETag='"1"'), 1)
    kept = list(settings.series_cache_dir.glob("*.series"))
    assert len(kept) == 3
    assert sum(path.stat().st_size for path in kept) <= 1_000_000


def test_a_compressed_answer_is_unpacked(downloader: Downloader, other_host: HttpServer):
    address = other_host.serve("/x.csv", gzip.compress(SERIES), Content_Encoding="gzip")
    assert downloader.fetch(address, 1) == SERIES


def test_a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_not(
    downloader: Downloader, other_host: HttpServer
):
    assert len(downloader.fetch(other_host.serve("/x.csv", bytes(1_000_000)), 1)) == 1_000_000
    with pytest.raises(DownloadError, match=r"Task 5: .*/y\.csv is larger than MAX_SERIES_MB=1"):
        downloader.fetch(other_host.serve("/y.csv", bytes(1_000_001)), 5)


def test_the_limit_holds_for_what_a_compressed_answer_becomes(downloader: Downloader, other_host: HttpServer):
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(DownloadError, match="MAX_SERIES_MB=1"):
        downloader.fetch(other_host.serve("/x.csv", bomb, Content_Encoding="gzip"), 1)


def test_an_endless_answer_is_given_up_at_the_limit(downloader: Downloader, other_host: HttpServer):
    sent = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(100_000)
            yield bytes(100_000)

    other_host.routes["/x.csv"] = lambda _: Reply(endless())
    with pytest.raises(DownloadError, match="MAX_SERIES_MB=1"):
        downloader.fetch(f"{other_host.url}/x.csv", 1)
    assert sum(sent) < 50_000_000


def test_a_silent_server_is_given_up_after_download_timeout(settings: Settings, other_host: HttpServer):
    other_host.routes["/x.csv"] = lambda _: Reply(SERIES if other_host.stopping.wait(10) else b"late")
    began = time.monotonic()
    with pytest.raises(DownloadError, match=r"Task 1: .*/x\.csv can't be fetched \(ReadTimeout\)"):
        make(settings, download_timeout=0.2).fetch(f"{other_host.url}/x.csv", 1)
    assert time.monotonic() - began < 2


def test_a_server_that_stops_in_the_middle_is_given_up_too(settings: Settings, other_host: HttpServer):
    def half() -> Iterator[bytes]:
        yield SERIES
        other_host.stopping.wait(10)

    other_host.routes["/x.csv"] = lambda _: Reply(half(), headers={"Content-Length": "1000"})
    with pytest.raises(DownloadError, match=r"Task 1: .*/x\.csv"):
        make(settings, download_timeout=0.2).fetch(f"{other_host.url}/x.csv", 1)


def test_a_cut_off_answer_is_no_series(downloader: Downloader, other_host: HttpServer):
    other_host.routes["/x.csv"] = lambda _: Reply(iter([SERIES]), headers={"Content-Length": "1000"})
    with pytest.raises(DownloadError, match=r"Task 1: .*/x\.csv"):
        downloader.fetch(f"{other_host.url}/x.csv", 1)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "900000"}])
def test_a_trickle_is_given_up_in_time(settings: Settings, other_host: HttpServer, headers: dict[str, str]):
    """A byte now and then meets every time-out between two reads."""
    timeout = 0.05
    allowed = LONGEST_DOWNLOAD * timeout

    def trickle() -> Iterator[bytes]:
        until = time.monotonic() + 4 * allowed
        while time.monotonic() < until and not other_host.stopping.wait(timeout / 5):
            yield b"1\n"

    other_host.routes["/x.csv"] = lambda _: Reply(trickle(), headers=headers)
    began = time.monotonic()
    with pytest.raises(DownloadError, match="Task 1"):
        make(settings, download_timeout=timeout).fetch(f"{other_host.url}/x.csv", 1)
    assert time.monotonic() - began < 2 * allowed


def test_a_series_is_fetched_by_several_threads_at_once(downloader: Downloader, other_host: HttpServer):
    address = other_host.serve("/x.csv", SERIES, ETag='"1"')
    bodies = []
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
def test_an_address_that_is_none_is_a_download_error(downloader: Downloader, address: str):
    with pytest.raises(DownloadError, match="Task 1"):
        downloader.fetch(address, 1)


def test_a_name_that_does_not_resolve_or_a_closed_port_is_a_download_error(downloader: Downloader):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/x.csv"
    with pytest.raises(DownloadError, match=r"Task 1: .*can't be fetched \(ConnectionError\)"):
        downloader.fetch(address, 1)


def test_redirects_without_end_are_a_download_error(downloader: Downloader, other_host: HttpServer):
    other_host.routes["/x"] = lambda _: Reply(status=302, headers={"Location": "/x"})
    with pytest.raises(DownloadError, match="TooManyRedirects"):
        downloader.fetch(f"{other_host.url}/x", 1)


def test_messages_hold_neither_signatures_nor_passwords(downloader: Downloader, other_host: HttpServer):
    host = other_host.url.removeprefix("http://")
    address = f"http://reader:s3cret@{host}/x.csv?X-Amz-Signature=abcdef#part"
    with pytest.raises(DownloadError) as raised:
        downloader.fetch(address, 1)
    for hidden in ("s3cret", "abcdef"):
        assert hidden not in str(raised.value)


def test_a_file_in_the_allowed_folder_is_read_by_path(settings: Settings, tmp_path: Path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "series.csv").write_bytes(SERIES)
    downloader = make(settings, local_files_dir=tmp_path)
    assert downloader.fetch("sub/series.csv", 1) == SERIES
    assert downloader.fetch(str(tmp_path / "sub" / "series.csv"), 1) == SERIES


@pytest.mark.parametrize(
    "path", ["../outside.csv", "/etc/hostname", "sub/../../outside.csv", "link.csv", "folder/x"]
)
def test_nothing_outside_the_allowed_folder_is_read(settings: Settings, tmp_path: Path, path: str):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (tmp_path / "outside.csv").write_bytes(SERIES)
    (tmp_path / "x").write_bytes(SERIES)
    (allowed / "link.csv").symlink_to(tmp_path / "outside.csv")
    (allowed / "folder").symlink_to(tmp_path)
    with pytest.raises(DownloadError, match=r"Task 1: .* is not inside LOCAL_FILES_DIR"):
        make(settings, local_files_dir=allowed).fetch(path, 1)


@pytest.mark.parametrize(
    "path", ["series.csv", "/etc/passwd", "file:///etc/passwd", "ftp://host/x.csv", "C:\\x.csv"]
)
def test_without_the_setting_no_path_is_read(settings: Settings, path: str):
    with pytest.raises(DownloadError, match="LOCAL_FILES_DIR, which is not set"):
        make(settings, local_files_dir=None).fetch(path, 1)


@pytest.mark.parametrize("path", ["gone.csv", "", "x\0.csv", "x" * 5000, "file:///etc/passwd"])
def test_a_path_that_cannot_be_read_is_a_download_error(settings: Settings, tmp_path: Path, path: str):
    with pytest.raises(DownloadError, match="Task 1"):
        make(settings, local_files_dir=tmp_path).fetch(path, 1)


def test_the_size_limit_holds_for_files_too(settings: Settings, tmp_path: Path):
    (tmp_path / "large.csv").write_bytes(bytes(1_000_001))
    with pytest.raises(DownloadError, match="MAX_SERIES_MB=1"):
        make(settings, local_files_dir=tmp_path).fetch("large.csv", 1)
