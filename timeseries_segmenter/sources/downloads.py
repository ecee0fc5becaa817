"""The bytes of a task's series, from wherever the task says they are."""

import base64
import hashlib
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import BinaryIO
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3

from timeseries_segmenter.errors import (
    DownloadError,
    LabelStudioError,
    PassingDownloadError,
    SegmenterError,
)
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.cache_folder import temporary_file
from timeseries_segmenter.sources.download_body import CODINGS, SpillError, TooLargeError, read_body
from timeseries_segmenter.sources.download_cache import DownloadCache, File
from timeseries_segmenter.sources.hosts import (
    CONNECT_TIMEOUT,
    Hosts,
    NotPublicError,
    certificates,
    origin,
    prepare,
)
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.label_studio_address import StudioAddress
from timeseries_segmenter.sources.local_files import LocalFiles
from timeseries_segmenter.sources.patience import Patience, host_of
from timeseries_segmenter.sources.retries import SHORT, STATUSES, Retries, RetryPolicy, TemporaryError
from timeseries_segmenter.sources.vouching import Voucher

LONGEST_DOWNLOAD = 15  # times the time-out between two chunks
SLOWEST = 1000  # bytes a second
SENDS = 100_000  # bytes after which a host does not hang, whatever becomes of the rest
LONGEST_SHOWN = 300  # characters of an address in a message
MOST_REDIRECTS = 5
STORAGE_SCHEMES = ("s3", "gs", "azure-blob")
REMOTE_SCHEMES = ("http", "https", *STORAGE_SCHEMES)
OTHER_ADDRESS = re.compile(r"[a-z][a-z\d+.-]+://|(data|blob|file):|//", re.ASCII | re.IGNORECASE)
TRANSPORT_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
)


class TooLargeAheadError(Exception):
    """A series is larger than what is fetched before anybody reads it."""


@dataclass(slots=True)
class Download:
    """One download: for which task, what it may cost, and when something last moved."""

    task: int | str
    patience: Patience
    most_bytes: int | None = None  # of the series; None: only MAX_SERIES_MB counts
    moved: float = field(default_factory=monotonic)
    stalled: str = ""  # the host that the newest try waited for in vain
    insists: bool = False  # on a host that was waited for in vain
    voucher: Voucher | None = None  # says for what the token may be sent; None: for everything
    withheld: str = ""  # why the token is not sent

    def move(self) -> None:
        """Note that something moves. Raises TimeoutError if nobody waits for the outcome any more."""
        self.moved = monotonic()
        if self.patience.ended:
            raise TimeoutError("nobody waits for it")


class Downloader:
    """Fetches series over HTTP, through Label Studio, or from one allowed folder.

    Several threads may share it. `policy` bounds the tries, `studio_policy` those of Label Studio's
    own files: while that is away a training run should wait, but one dead host is not worth a minute.
    `on_cache` is called once for each series that came over HTTP: with True if its server left it
    to the copy in the cache, with False if it was sent.
    """

    def __init__(
        self,
        settings: Settings,
        label_studio: LabelStudioClient,
        policy: RetryPolicy = SHORT,
        studio_policy: RetryPolicy | None = None,
        on_cache: Callable[[bool], None] | None = None,
    ) -> None:
        self._settings = settings
        self._label_studio = label_studio
        self._studio = StudioAddress(label_studio.host)
        self._owner = hashlib.sha256(settings.label_studio_api_key.get_secret_value().encode()).hexdigest()
        self._hosts = Hosts(settings)
        self._local_files = LocalFiles(settings)
        self._cache = DownloadCache(settings.series_cache_dir, settings.cache_mb * 1_000_000)
        self._retries = Retries(policy)
        self._studio_retries = Retries(studio_policy) if studio_policy else self._retries
        self._on_cache = on_cache

    def is_remote(self, source: str) -> bool:
        """Whether a host is asked for what a task's data names, and not this machine's own disk."""
        scheme, mark, _ = source.partition(":")
        return bool(mark and scheme.lower() in REMOTE_SCHEMES) or self._studio.of(source) is not None

    def holds(self, source: str) -> bool:
        """Whether a file is here that a host was asked for before, which may say that it has changed."""
        return self._cache.holds(self._key(self._studio.of(source) or source))

    def holds_upload(self, source: str) -> bool:
        """Whether a file is here that need not be asked for again, whoever may see it."""
        return self._is_upload(self._studio.of(source) or source) and self.holds(source)

    def fetch(self, source: str, task: int | str, download: Download | None = None) -> bytes:
        """The bytes that `find` finds."""
        return self.find(source, task, download).read()

    def find(self, source: str, task: int | str, download: Download | None = None) -> File:
        """The file that a task's data names.

        `source` is an http(s) URL, a path that Label Studio serves (`/data/…`, `/samples/…`), the URI
        of a storage that is connected to Label Studio (`s3://`, `gs://`, `azure-blob://`), or a file
        inside LOCAL_FILES_DIR. URLs may name Label Studio, public hosts and DATA_ALLOWED_HOSTS, and
        be redirected among these. Raises DownloadError, LabelStudioError for want of a token, and
        TooLargeAheadError.
        """
        download = download or Download(task, Patience())
        try:
            scheme = urlsplit(source).scheme.lower()
        except ValueError as error:
            raise _no_address(source, task, error) from error
        if scheme in ("http", "https"):
            return self._get(source, source, download)
        if scheme in STORAGE_SCHEMES:
            uri = base64.urlsafe_b64encode(source.encode()).decode()
            path = f"/tasks/{quote(str(task), safe='')}/presign/?fileuri={quote(uri)}"
            return self._get(self._label_studio.host + path, source, download)
        address = self._studio.of(source)
        if address:
            return self._get(address, source, download)
        if other := OTHER_ADDRESS.match(source):
            *all_but_last, last = (f"{scheme}://" for scheme in REMOTE_SCHEMES)
            raise DownloadError(
                f"Task {task}: {source!r:.300} begins with {other[0]}, which is not read; name the file by "
                f"an address with {', '.join(all_but_last)} or {last}, or by its path"
            )
        return self._local_files.find(source, task)

    def spill(self) -> BinaryIO:
        """An empty file for what is too long for the memory; gone once nobody uses it. Raises OSError."""
        return temporary_file(self._cache.folder)

    def _key(self, url: str) -> str:
        """What a file is kept by; one that is not asked for again is for the owner of the token."""
        return f"{self._owner} {url}" if self._is_upload(url) else url

    def _is_upload(self, url: str) -> bool:
        try:
            return self._studio.is_upload(url)
        except ValueError:
            return False

    def _get(self, url: str, source: str, download: Download) -> File:
        try:
            host = str(origin(prepare(url).url))
            retries = self._studio_retries if self._studio.owns(url) else self._retries
        except (requests.RequestException, ValueError) as error:
            raise _no_address(url, download.task, error) from error
        if download.voucher and self._studio.wants_token(url):
            download.withheld = download.voucher.objection(download.task, source) or ""
        download.insists = retries is not self._retries
        began = monotonic()
        try:
            return retries.run(host, lambda: self._try(url, download))
        except SegmenterError:
            if download.stalled and not download.patience.ended:
                download.patience.stalled(download.stalled, began)
            raise

    def _try(self, url: str, download: Download) -> File:
        """One try; raises TemporaryError if another may do better."""
        download.stalled = ""
        # what the token brought is not for all
        key = f"without token {url}" if download.withheld else self._key(url)
        if download.most_bytes is not None and self._cache.size(key) > download.most_bytes:
            raise TooLargeAheadError
        is_upload = self._is_upload(url)
        kept = self._cache.find(key) if is_upload else None
        fetched = None if kept else self._follow(url, self._cache.conditions(key), download)
        if fetched is None:
            kept = kept or self._cache.find(key)
            if kept:
                self._count(hit=True)
                return kept
            fetched = self._follow(url, {}, download)  # it left the cache meanwhile
        assert fetched is not None
        body, headers = fetched
        self._count(hit=False)
        return self._cache.put(key, body, headers, lasting=is_upload)

    def _follow(
        self, url: str, conditions: dict[str, str], download: Download
    ) -> tuple[bytes | memoryview, requests.structures.CaseInsensitiveDict[str]] | None:
        """Body and headers from the end of the redirects; None if the conditions hold."""
        with_token = not download.withheld
        renewed = False
        task = download.task
        ends = monotonic() + CONNECT_TIMEOUT + self._settings.download_timeout  # of all redirects
        for _ in range(MOST_REDIRECTS + 1):
            shown, host = _shown(url), host_of(url)
            if objection := download.patience.objection(host):
                raise PassingDownloadError(f"Task {task}: {shown} is not fetched: {objection}")
            began = monotonic()
            try:
                request = self._request(url, conditions, with_token, download)
                assert request.url is not None
                # once it has left Label Studio, the way back is somebody else's choice
                with_token = with_token and self._studio.owns(request.url)
                download.move()
                seconds = min(self._settings.download_timeout, ends - monotonic())
                if seconds <= 0:
                    raise requests.ReadTimeout("its redirects take too long")
                with closing(self._hosts.adapter(request.url)) as adapter:
                    timeout = (min(CONNECT_TIMEOUT, seconds), seconds)
                    response = adapter.send(
                        request, stream=True, timeout=timeout, verify=certificates(request.url)
                    )
                    with response:
                        download.move()
                        shown_token = request.headers.get("Authorization", "")
                        refused = response.status_code == HTTPStatus.UNAUTHORIZED and not renewed
                        if refused and shown_token and self._label_studio.renew(shown_token):
                            renewed = True
                            continue
                        if not response.is_redirect:
                            return self._take(response, conditions, shown, download)
                        download.patience.answered(host)
                        url = urljoin(request.url, requests.Session().get_redirect_target(response) or "")
                        continue
            except NotPublicError as error:
                raise DownloadError(
                    f"Task {task}: {host} is not on the public internet; if series may come "
                    "from there, add it to DATA_ALLOWED_HOSTS"
                ) from error
            except TimeoutError as error:
                download.stalled = host
                raise PassingDownloadError(
                    f"Task {task}: {shown} is too slow; raise DOWNLOAD_TIMEOUT if it can't be faster"
                ) from error
            except LabelStudioError:
                if monotonic() - began >= CONNECT_TIMEOUT:
                    download.stalled = host
                raise
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                slow = isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError)
                if slow or monotonic() - began >= CONNECT_TIMEOUT:
                    download.stalled = host
                passes = isinstance(error, TRANSPORT_ERRORS) and not isinstance(
                    error, requests.exceptions.SSLError
                )
                failure = (PassingDownloadError if passes else DownloadError)(
                    f"Task {task}: {shown} can't be fetched ({type(error).__name__}); "
                    f"{self._remedy(error, url)}"
                )
                if passes and (download.insists or not download.stalled):
                    raise TemporaryError(failure) from error
                raise failure from error
            except ValueError as error:
                raise _no_address(url, task, error) from error
        raise DownloadError(f"Task {task}: {shown} is redirected too often (TooManyRedirects)")

    def _request(
        self, url: str, conditions: dict[str, str], with_token: bool, download: Download
    ) -> requests.PreparedRequest:
        task = download.task
        try:
            if urlsplit(url).scheme.lower() not in ("http", "https"):
                raise ValueError("redirected to something that is not HTTP")
            request = prepare(url, {"User-Agent": "timeseries-segmenter", "Accept-Encoding": CODINGS})
            assert request.url is not None
            request.headers.update(conditions)
            ours = self._studio.owns(request.url)
            # in both spellings: preparing it resolves the dots that are to be seen here
            objection = self._studio.objection(url) or self._studio.objection(request.url) if ours else None
        except (requests.RequestException, ValueError) as error:
            raise _no_address(url, task, error) from error
        if objection:
            raise DownloadError(
                f"Task {task}: {_shown(url)} is not fetched from Label Studio: {objection}"
                f"{_without_token(download)}"
            )
        if with_token and self._studio.wants_token(request.url):
            request.headers["Authorization"] = self._label_studio.authorization()
        return request

    def _take(
        self, response: requests.Response, conditions: dict[str, str], shown: str, download: Download
    ) -> tuple[bytes | memoryview, requests.structures.CaseInsensitiveDict[str]] | None:
        task, host, status = download.task, host_of(shown), response.status_code
        if status == HTTPStatus.NOT_MODIFIED and conditions:
            download.patience.answered(host)
            return None
        if status not in (HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION):
            download.patience.answered(host)
            advice = _without_token(download) or _advice(status, ours=self._studio.owns(shown))
            failure = DownloadError(f"Task {task}: {shown} answered {status} {_phrase(status)}{advice}")
            if status in STATUSES:
                raise TemporaryError(failure, response.headers.get("Retry-After"))
            raise failure
        limit = self._settings.max_series_mb
        most = limit * 1_000_000 if download.most_bytes is None else download.most_bytes
        patient = self._settings.download_timeout
        began = monotonic()

        def watch(arrived: int) -> None:
            download.move()
            seconds = monotonic() - began
            if seconds > patient and arrived < SLOWEST * seconds:
                raise TimeoutError(f"{arrived} bytes in {seconds:.0f} s")
            if arrived > SENDS:
                download.patience.answered(host)

        try:
            body = read_body(response, most, patient * LONGEST_DOWNLOAD, self.spill, watch)
        except SpillError as error:
            raise PassingDownloadError(
                f"Task {task}: {shown} is long, and can't be kept in a temporary file in "
                f"{self._cache.folder} ({error}); make room, or set CACHE_DIR to a folder on another disk"
            ) from error
        except TooLargeError as error:
            if most < limit * 1_000_000:
                raise TooLargeAheadError from error
            raise DownloadError(
                f"Task {task}: {shown} is larger than MAX_SERIES_MB={limit}; "
                "raise it, or cut the series into shorter ones"
            ) from error
        download.patience.answered(host)
        return body, response.headers

    def _remedy(self, error: Exception, url: str) -> str:
        """What to do about an address that can't be fetched."""
        if isinstance(error, urllib3.exceptions.DecodeError):
            return "have its server send it as it is, or packed by gzip"
        if self._studio.owns(url):
            return "check that Label Studio runs there, or set LABEL_STUDIO_HOST to where it does"
        return "check that this service can reach it"

    def _count(self, hit: bool) -> None:
        if self._on_cache:
            self._on_cache(hit)


def _no_address(url: str, task: int | str, error: Exception) -> DownloadError:
    # the error's own text may hold the password
    shown = url.partition("?")[0].partition("#")[0].rpartition("@")[2]
    return DownloadError(
        f"Task {task}: {shown!r:.80} is not an address to fetch a series from ({type(error).__name__})"
    )


def _shown(url: str) -> str:
    """An address as messages may hold it: no password, no signature."""
    parts = urlsplit(url)
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "…"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""  # and not what the server calls it


def _without_token(download: Download) -> str:
    return f"; it was asked for without the token: {download.withheld}" if download.withheld else ""


def _advice(status: int, *, ours: bool) -> str:
    """What to do about an answer, of Label Studio or of another host, which gets no token."""
    if status in (401, 403):
        if ours:
            return "; check LABEL_STUDIO_API_KEY, or the access rights of the file"
        return "; make the file readable for all, or renew its address if that was signed for some time only"
    if status == 404:
        if ours:
            return "; the file is gone, or its storage is not connected to the project"
        return "; the file is gone, or its address is wrong"
    if status == 429:
        return "; it wants fewer requests: try again later, or raise its limit"
    if status >= 500:
        return "; its server is overloaded or ill: try again later, and look at its log if that stays"
    return ""
