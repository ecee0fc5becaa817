"""Downloads of several tasks at once: each on a thread of its own, a few ahead of the one that is read."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from timeseries_segmenter.sources.download_cache import File
from timeseries_segmenter.sources.downloads import Download, Downloader, TooLargeAheadError
from timeseries_segmenter.sources.patience import Patience
from timeseries_segmenter.sources.time_limit import on_a_thread
from timeseries_segmenter.sources.vouching import Voucher

AHEAD = 4  # downloads of one request, or run, that nobody reads yet
AHEAD_IN_ALL = 16  # of one process
AHEAD_BYTES = 32_000_000  # of one of them: what is larger is fetched when it is read


@dataclass(frozen=True, slots=True)
class _Fetch:
    """One download on a thread of its own."""

    download: Download
    future: Future[File]


class SideBySide:
    """Fetches like a Downloader, and ahead what it hears will be asked for.

    Memory is bounded by `AHEAD_BYTES` for each download that nobody reads yet, and MAX_SERIES_MB for
    the one that is read.
    """

    def __init__(
        self,
        downloader: Downloader,
        patience: Patience,
        in_all: threading.BoundedSemaphore,
        voucher: Voucher | None = None,
    ) -> None:
        self._voucher = voucher
        self._downloader = downloader
        self._patience = patience
        self._in_all = in_all
        self._ahead: dict[tuple[str, int | str], _Fetch] = {}

    def begin(self, source: str, task: int | str) -> None:
        """Fetch ahead, if not too much is fetched ahead already."""
        key = source, task
        full = key in self._ahead or len(self._ahead) >= AHEAD or self._patience.over
        if full or not self._downloader.is_remote(source) or self._holds(source):
            return
        if self._in_all.acquire(blocking=False):
            self._ahead[key] = self._start(source, task, AHEAD_BYTES)

    def find(self, source: str, task: int | str) -> File:
        """Like `Downloader.find`; raises OutOfTimeError besides."""
        ahead = self._ahead.pop((source, task), None)
        if ahead:
            try:
                return self._take(ahead, source)
            except TooLargeAheadError:
                pass
            finally:
                self._in_all.release()
        if not self._downloader.is_remote(source) or self._holds(source):
            return self._downloader.find(source, task)
        self._patience.check(task)
        return self._take(self._start(source, task), source)

    def _start(self, source: str, task: int | str, most_bytes: int | None = None) -> _Fetch:
        download = Download(task, self._patience, most_bytes, voucher=self._voucher)
        find = self._downloader.find
        return _Fetch(download, on_a_thread("download", lambda: find(source, download.task, download)))

    def _holds(self, source: str) -> bool:
        # if somebody has to vouch for the token, that takes a request, and so a thread
        return self._voucher is None and self._downloader.holds_upload(source)

    def _take(self, fetch: _Fetch, source: str) -> File:
        return self._patience.take(fetch.future, lambda: fetch.download.moved, source, fetch.download.task)

    def end(self) -> None:
        """Let go of what is fetched and was never asked for."""
        self._patience.end()
        while self._ahead:
            self._ahead.popitem()
            self._in_all.release()


@contextmanager
def side_by_side(
    downloader: Downloader,
    patience: Patience,
    in_all: threading.BoundedSemaphore,
    voucher: Voucher | None = None,
) -> Iterator[SideBySide]:
    """Downloads that end with the block."""
    downloads = SideBySide(downloader, patience, in_all, voucher)
    try:
        yield downloads
    finally:
        downloads.end()
