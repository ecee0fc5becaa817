import shutil
import ssl
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.support.downloads import make_downloader
from tests.support.http_server import HttpServer, Reply
from timeseries_segmenter.errors import DownloadError
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.downloads import Downloader
from timeseries_segmenter.sources.hosts import Hosts, prepare


def downloader(settings: Settings, *allowed: str) -> Downloader:
    return make_downloader(settings, data_allowed_hosts=allowed, download_timeout=2.0)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "017700000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "localhost",
        "LocalHost",
        "10.0.0.5",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "2852039166",
        "100.64.0.1",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fec0::1]",
        "[fd00::1]",
        "[ff02::1]",
        "[4000::1]",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_that_is_not_public_is_refused_however_it_is_spelled(
    settings: Settings, host: str, scheme: str
) -> None:
    with pytest.raises(DownloadError, match="is not on the public internet") as raised:
        downloader(settings).fetch(f"{scheme}://{host}/x.csv?key=abc", 7)
    assert "Task 7: " in str(raised.value)
    assert "DATA_ALLOWED_HOSTS" in str(raised.value)
    assert host in str(raised.value)
    assert "abc" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://public.example@127.0.0.1/x",
        "http://127.0.0.1\\@public.example/x",
        "http://127.0.0.1:80?@public.example/x",
        "http://127.0.0.1#@public.example/x",
        "HTTP://127.0.0.1/x",
        "http://127.0.0.1\t/x",
    ],
)
def test_an_address_that_hides_its_host_is_refused(settings: Settings, address: str) -> None:
    with pytest.raises(DownloadError, match=r"Task 1"):
        downloader(settings, "public.example").fetch(address, 1)


def test_a_refusal_does_not_tell_whether_anybody_listens(settings: Settings, other_host: HttpServer) -> None:
    messages = set()
    for port in (other_host.url.rpartition(":")[2], "65001"):
        with pytest.raises(DownloadError) as raised:
            downloader(settings).fetch(f"http://127.0.0.1:{port}/x.csv", 1)
        messages.add(str(raised.value).replace(port, "PORT"))
    assert len(messages) == 1
    assert other_host.requests == []


@pytest.mark.parametrize(
    ("entry", "address", "trusted"),
    [
        ("minio", "http://minio/x", True),
        ("minio", "https://MINIO:9000/x", True),
        ("minio", "http://minio.example/x", False),
        ("minio", "http://my-minio/x", False),
        ("minio:9000", "http://minio:9000/x", True),
        ("minio:9000", "http://minio/x", False),
        ("minio:80", "http://minio/x", True),
        ("minio:443", "https://minio/x", True),
        ("minio", "http://minio@10.0.0.1/x", False),
        ("10.0.0.5", "http://10.0.0.5:8000/x", True),
        ("10.0.0.5", "http://10.0.0.50/x", False),
        ("[::1]:80", "http://[::1]/x", True),
        ("[::1]:80", "http://[0:0:0:0:0:0:0:1]/x", True),
        ("[::1]:80", "http://[::1]:81/x", False),
        ("other", "http://studio:8080/data/x", True),
        ("other", "http://studio/data/x", False),
        ("other", "https://studio:8080/data/x", False),
    ],
)
def test_label_studio_and_allowed_hosts_are_trusted(
    settings: Settings, entry: str, address: str, trusted: bool
) -> None:
    known = settings.model_copy(
        update={"label_studio_host": "http://Studio:8080", "data_allowed_hosts": (entry,)}
    )
    assert Hosts(known).trusts(prepare(address).url or "") is trusted


def test_a_host_is_allowed_with_its_port_alone(settings: Settings, other_host: HttpServer) -> None:
    address = other_host.serve("/x.csv", b"1\n")
    assert downloader(settings, other_host.url.removeprefix("http://")).fetch(address, 1) == b"1\n"
    with pytest.raises(DownloadError, match="DATA_ALLOWED_HOSTS"):
        downloader(settings, "127.0.0.1:1").fetch(address, 1)


def test_a_redirect_to_a_host_that_is_not_allowed_is_refused(
    settings: Settings, other_host: HttpServer
) -> None:
    for target in ("http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:2/", "//localhost/x"):
        other_host.routes["/x"] = partial(
            lambda reply, _: reply, Reply(status=302, headers={"Location": target})
        )
        with pytest.raises(DownloadError, match=r"Task 1: .*DATA_ALLOWED_HOSTS"):
            downloader(settings, other_host.url.removeprefix("http://")).fetch(f"{other_host.url}/x", 1)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_a_certificate_counts_where_requests_ca_bundle_names_it(
    settings: Settings, other_host: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = other_host._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # of this server only
    other_host.serve("/x.csv", b"1\n")
    address = other_host.url.replace("http://127.0.0.1", "https://localhost") + "/x.csv"
    with pytest.raises(DownloadError, match="SSLError"):
        downloader(settings, "localhost").fetch(address, 1)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert downloader(settings, "localhost").fetch(address, 1) == b"1\n"
