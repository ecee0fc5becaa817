"""The bytes of a task's series, from wherever the task says they are."""

import base64
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3

from timeseries_segmenter.errors import DownloadError
from timeseries_segmenter.service.download_body import CODINGS, TooLargeError, read_body
from timeseries_segmenter.service.download_cache import DownloadCache
from timeseries_segmenter.service.hosts import Hosts, NotPublicError, certificates, origin, prepare
from timeseries_segmenter.service.label_studio import LabelStudioClient
from timeseries_segmenter.service.label_studio_address import StudioAddress
from timeseries_segmenter.service.local_files import LocalFiles
from timeseries_segmenter.service.retries import SHORT, STATUSES, Retries, RetryPolicy, TemporaryError
from timeseries_segmenter.settings import Settings

CONNECT_TIMEOUT = 5.0  # seconds
LONGEST_DOWNLOAD = 15  # times the time-out between two chunks
LONGEST_SHOWN = 300  # characters of an address in a message
MOST_REDIRECTS = 5
STORAGE_SCHEMES = ("s3", "gs", "azure-blob")
TRANSPORT_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
)


class Downloader:
    """Fetches series over HTTP, through Label Studio, or from one allowed folder.

    Several threads may share it. `policy` bounds the tries, `studio_policy` those of Label Studio's
    own files: while that is away a training should wait, but one dead host is not worth a minute.
    `on_cache` is called once for each series that came over HTTP: with True where its server left it
    to the copy in the cache, with False where it was sent.
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
        self._hosts = Hosts(settings)
        self._local_files = LocalFiles(settings)
        self._cache = DownloadCache(settings.series_cache_dir, settings.cache_mb * 1_000_000)
        self._retries = Retries(policy)
        self._studio_retries = Retries(studio_policy) if studio_policy else self._retries
        self._on_cache = on_cache

    def fetch(self, source: str, task: int | str) -> bytes:
        """The bytes that a task's data names.

        `source` is an http(s) URL, a path that Label Studio serves (`/data/…`, `/samples/…`), the URI
        of a storage that is connected to Label Studio (`s3://`, `gs://`, `azure-blob://`), or a file
        inside LOCAL_FILES_DIR. URLs may name Label Studio, public hosts and DATA_ALLOWED_HOSTS, and
        be redirected among these. Raises DownloadError, and LabelStudioError for want of a token.
        """
        try:
            scheme = urlsplit(source).scheme.lower()
        except ValueError as error:
            raise _no_address(source, task, error) from error
        if scheme in ("http", "https"):
            return self._get(source, task)
        if scheme in STORAGE_SCHEMES:
            uri = base64.urlsafe_b64encode(source.encode()).decode()
            path = f"/tasks/{quote(str(task), safe='')}/presign/?fileuri={quote(uri)}"
            return self._get(self._label_studio.host + path, task)
        address = self._studio.of(source)
        return self._get(address, task) if address else self._local_files.read(source, task)

    def _get(self, url: str, task: int | str) -> bytes:
        try:
            host = str(origin(prepare(url).url))
            retries = self._studio_retries if self._studio.owns(url) else self._retries
        except (requests.RequestException, ValueError) as error:
            raise _no_address(url, task, error) from error
        return retries.run(host, lambda: self._try(url, task))

    def _try(self, url: str, task: int | str) -> bytes:
        """One try; raises TemporaryError where another may do better."""
        conditions = self._cache.conditions(url)
        fetched = self._follow(url, conditions, task)
        if fetched is None:
            kept = self._cache.get(url)
            if kept is not None:
                self._count(hit=True)
                return kept
            fetched = self._follow(url, {}, task)  # it left the cache meanwhile
        assert fetched is not None
        body, headers = fetched
        self._count(hit=False)
        self._cache.put(url, body, headers)
        return body

    def _follow(
        self, url: str, conditions: dict[str, str], task: int | str
    ) -> tuple[bytes, requests.structures.CaseInsensitiveDict[str]] | None:
        """Body and headers from the end of the redirects; None where the conditions hold."""
        with_token = True
        for _ in range(MOST_REDIRECTS + 1):
            shown = _shown(url)
            request = self._request(url, conditions, with_token, task)
            assert request.url is not None
            # once it has left Label Studio, the way back is somebody else's choice
            with_token = with_token and self._studio.owns(request.url)
            try:
                with closing(self._hosts.adapter(request.url)) as adapter:
                    timeout = (CONNECT_TIMEOUT, self._settings.download_timeout)
                    response = adapter.send(
                        request, stream=True, timeout=timeout, verify=certificates(request.url)
                    )
                    with response:
                        if not response.is_redirect:
                            return self._take(response, conditions, shown, task)
                        url = urljoin(request.url, requests.Session().get_redirect_target(response) or "")
            except NotPublicError as error:
                raise DownloadError(
                    f"Task {task}: {_host(url)} is not on the public internet; where series may come "
                    "from there, add it to DATA_ALLOWED_HOSTS"
                ) from error
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                failure = DownloadError(
                    f"Task {task}: {shown} can't be fetched ({type(error).__name__}); check that this "
                    "service can reach it"
                )
                if isinstance(error, TRANSPORT_ERRORS) and not isinstance(
                    error, requests.exceptions.SSLError
                ):
                    raise TemporaryError(failure) from error
                raise failure from error
            except ValueError as error:
                raise _no_address(url, task, error) from error
        raise DownloadError(f"Task {task}: {shown} is redirected too often (TooManyRedirects)")

    def _request(
        self, url: str, conditions: dict[str, str], with_token: bool, task: int | str
    ) -> requests.PreparedRequest:
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
            raise DownloadError(f"Task {task}: {_shown(url)} is not fetched from Label Studio: {objection}")
        if with_token and self._studio.wants_token(request.url):
            request.headers["Authorization"] = self._label_studio.authorization()
        return request

    def _take(
        self, response: requests.Response, conditions: dict[str, str], shown: str, task: int | str
    ) -> tuple[bytes, requests.structures.CaseInsensitiveDict[str]] | None:
        status = response.status_code
        if status == HTTPStatus.NOT_MODIFIED and conditions:
            return None
        if status not in (HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION):
            failure = DownloadError(
                f"Task {task}: {shown} answered {status} {_phrase(status)}{_advice(status)}"
            )
            if status in STATUSES:
                raise TemporaryError(failure, response.headers.get("Retry-After"))
            raise failure
        limit = self._settings.max_series_mb
        try:
            body = read_body(response, limit * 1_000_000, self._settings.download_timeout * LONGEST_DOWNLOAD)
        except TooLargeError as error:
            raise DownloadError(
                f"Task {task}: {shown} is larger than MAX_SERIES_MB={limit}; "
                "raise it, or cut the series into shorter ones"
            ) from error
        except TimeoutError as error:
            raise DownloadError(
                f"Task {task}: {shown} is too slow; raise DOWNLOAD_TIMEOUT if it can't be faster"
            ) from error
        return body, response.headers

    def _count(self, hit: bool) -> None:
        if self._on_cache:
            self._on_cache(hit)


def _no_address(url: str, task: int | str, error: Exception) -> DownloadError:
    # the error's own text may hold the password
    shown = url.partition("?")[0].partition("#")[0].rpartition("@")[2]
    return DownloadError(
        f"Task {task}: {shown!r:.80} is no address that a series can be fetched from ({type(error).__name__})"
    )


def _shown(url: str) -> str:
    """An address as messages may hold it: no password, no signature."""
    parts = urlsplit(url)
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "…"


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2][:LONGEST_SHOWN]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""  # and not what the server calls it


def _advice(status: int) -> str:
    if status in (401, 403):
        return "; check LABEL_STUDIO_API_KEY, or the access rights of the file"
    if status == 404:
        return "; the file is gone, or its storage is not connected to the project"
    if status == 429:
        return "; it wants fewer requests: try again later, or raise its limit"
    if status >= 500:
        return "; its server is overloaded or ill: try again later, and look at its log if that stays"
    return ""
