"""The bytes of a task's series, from wherever the task says they are."""

import base64
import time
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import urllib3

from timeseries_segmenter.errors import DownloadError
from timeseries_segmenter.service.download_cache import DownloadCache
from timeseries_segmenter.service.label_studio import LabelStudioClient
from timeseries_segmenter.settings import Settings

CHUNK = 1 << 20  # bytes
CONNECT_TIMEOUT = 5.0  # seconds
LONGEST_DOWNLOAD = 15  # times the time-out between two chunks
STORAGE_SCHEMES = ("s3", "gs", "azure-blob")


class Downloader:
    """Fetches series over HTTP, through Label Studio, or from one allowed folder."""

    def __init__(self, settings: Settings, label_studio: LabelStudioClient) -> None:
        self._settings = settings
        self._label_studio = label_studio
        self._cache = DownloadCache(settings.series_cache_dir, settings.cache_mb * 1_000_000)

    def fetch(self, source: str, task: int | str) -> bytes:
        """The bytes that a task's data names.

        `source` is an http(s) URL, a path that Label Studio serves (`/data/…`), the URI of a
        storage that is connected to Label Studio (`s3://`, `gs://`, `azure-blob://`), or a file
        inside LOCAL_FILES_DIR. Raises DownloadError, and LabelStudioError for want of a token.
        """
        try:
            scheme = urlsplit(source).scheme.lower()
            _origin(source)
        except ValueError as error:
            raise DownloadError(f"Task {task}: {source!r:.80} is no address: {error}") from error
        if scheme in ("http", "https"):
            return self._get(source, task)
        if scheme in STORAGE_SCHEMES:
            uri = base64.urlsafe_b64encode(source.encode()).decode()
            return self._get(f"{self._label_studio.host}/tasks/{task}/presign/?fileuri={quote(uri)}", task)
        if source.startswith(("/data/upload/", "/data/local-files/")):
            return self._get(self._label_studio.host + source, task)
        return self._read_file(source, task)

    def _get(self, url: str, task: int | str) -> bytes:
        shown = _shown(url)
        headers = self._cache.conditions(url)
        if self._is_label_studio(url):
            headers["Authorization"] = self._label_studio.authorization()
        timeout = (CONNECT_TIMEOUT, self._settings.download_timeout)
        try:
            # requests drops the Authorization header where a redirect leaves the host
            with requests.get(url, headers=headers, timeout=timeout, stream=True) as response:
                if response.status_code == requests.codes.not_modified:
                    body = self._cache.get(url)
                    if body is not None:
                        return body
                    raise DownloadError(f"Task {task}: {shown} left the cache meanwhile; try again")
                if not response.ok:
                    raise DownloadError(
                        f"Task {task}: {shown} answered {response.status_code} {response.reason}"
                        f"{_advice(response.status_code)}"
                    )
                body = self._read_body(response, shown, task)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise DownloadError(
                f"Task {task}: {shown} can't be fetched ({type(error).__name__}); check that this "
                "service can reach it"
            ) from error
        self._cache.put(url, body, response.headers)
        return body

    def _read_body(self, response: requests.Response, shown: str, task: int | str) -> bytes:
        limit = self._settings.max_series_mb * 1_000_000
        ends = time.monotonic() + self._settings.download_timeout * LONGEST_DOWNLOAD
        body = bytearray()
        # read1 gives what has arrived: a trickle must not hide from the clock
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            body += chunk
            if len(body) > limit:
                raise DownloadError(
                    f"Task {task}: {shown} is larger than MAX_SERIES_MB={self._settings.max_series_mb}; "
                    "raise it, or cut the series into shorter ones"
                )
            if time.monotonic() > ends:
                raise DownloadError(f"Task {task}: {shown} is too slow")
        return bytes(body)

    def _is_label_studio(self, url: str) -> bool:
        return _origin(url) == _origin(self._label_studio.host)

    def _read_file(self, source: str, task: int | str) -> bytes:
        folder = self._settings.local_files_dir
        if folder is None:
            raise DownloadError(
                f"Task {task}: {source!r} is neither a URL nor a file of Label Studio; paths are read "
                "only inside LOCAL_FILES_DIR, which is not set"
            )
        try:
            path = (folder / source).resolve()
            if not path.is_relative_to(folder.resolve()):
                raise DownloadError(f"Task {task}: {source!r} is not inside LOCAL_FILES_DIR")
            if path.stat().st_size > self._settings.max_series_mb * 1_000_000:
                raise DownloadError(
                    f"Task {task}: {source!r} is larger than MAX_SERIES_MB={self._settings.max_series_mb}"
                )
            return path.read_bytes()
        except OSError as error:
            raise DownloadError(f"Task {task}: {source!r} can't be read: {error.strerror}") from error
        except ValueError as error:
            raise DownloadError(f"Task {task}: {source!r} is no path: {error}") from error


def _shown(url: str) -> str:
    """An address as messages may hold it: no password, no signature."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _origin(url: str) -> tuple[Any, ...]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default


def _advice(status: int) -> str:
    if status in (401, 403):
        return "; check LABEL_STUDIO_API_KEY, or the access rights of the file"
    if status == 404:
        return "; the file is gone, or its storage is not connected to the project"
    return ""
