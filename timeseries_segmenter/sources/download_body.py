"""The body of an answer: bounded in bytes and in seconds, unpacked, and whole."""

import io
import mmap
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import BinaryIO

import requests
import urllib3

from timeseries_segmenter.sources.time_limit import time_limit

ARRIVING = 1 << 16  # bytes
UNPACKED = 1 << 20  # bytes
MOST_IN_MEMORY = 1 << 24  # bytes
CODINGS = "gzip, deflate"  # that read_body can unpack
LAYERS = 3  # codings, one around the other


class TooLargeError(Exception):
    """A body is larger than it may be."""


class SpillError(Exception):
    """The disk refuses a temporary file, and why."""


def read_body(
    response: requests.Response,
    limit: int,
    seconds: float,
    spill: Callable[[], BinaryIO],
    on_arrival: Callable[[int], None] = lambda _: None,
) -> bytes | memoryview:
    """The body of a streamed answer, at most `limit` bytes: in memory, or if it is long, mapped from the
    temporary file that `spill` opens.

    `on_arrival` gets the number of packed bytes that have arrived so far, and may raise to end it. Raises
    TooLargeError, TimeoutError, SpillError, and urllib3's HTTPError: ProtocolError if it is cut off,
    DecodeError if it can't be unpacked.
    """
    raw = response.raw
    ends = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > ends:
            raise TimeoutError(f"not done after {seconds} s")

    codings = [name.strip().lower() for name in response.headers.get("Content-Encoding", "").split(",")]
    codings = [name for name in codings if name not in ("", "identity")]
    length = response.headers.get("Content-Length", "")
    if not codings and length.isdecimal() and len(length) < 20 and int(length) > limit:
        raise TooLargeError(length)
    if len(codings) > LAYERS:
        raise urllib3.exceptions.DecodeError(f"{len(codings)} codings")
    chunks = _arriving(raw, on_arrival)
    for coding in reversed(codings):
        chunks = _unpacked(chunks, coding, check)
    with _Body(spill) as body, time_limit(seconds, raw.shutdown):
        for chunk in chunks:
            check()
            body.write(chunk)
            if body.length > limit:
                raise TooLargeError(limit)
        if not body.length and not length and not raw.chunked:  # headers that were cut off look like this
            raise urllib3.exceptions.ProtocolError("no body")
        return body.content()


class _Body(ExitStack):
    """What has arrived of a body: in memory, or from MOST_IN_MEMORY on in a temporary file."""

    def __init__(self, spill: Callable[[], BinaryIO]) -> None:
        super().__init__()
        self.length = 0
        self._spill = spill
        self._memory = io.BytesIO()  # unlike a bytearray, it gives its content away without a copy
        self._file: BinaryIO | None = None

    def write(self, chunk: bytes) -> None:
        """Raises SpillError."""
        self.length += len(chunk)
        try:
            if self._file is None and self.length > MOST_IN_MEMORY:
                self._file = self.enter_context(self._spill())
                self._file.write(self._memory.getbuffer())
                self._memory = io.BytesIO()
            (self._file or self._memory).write(chunk)
        except OSError as error:
            raise SpillError(error.strerror) from error

    def content(self) -> bytes | memoryview:
        """All of it, also after the file was closed. Raises SpillError."""
        if self._file is None:
            return self._memory.getvalue()
        try:
            self._file.flush()
            return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
        except OSError as error:
            raise SpillError(error.strerror) from error


def _arriving(raw: urllib3.HTTPResponse, on_arrival: Callable[[int], None]) -> Iterator[bytes]:
    arrived = 0
    # read1 gives what has arrived, and not packed: urllib3 takes half a gzip file for a whole one
    while chunk := raw.read1(ARRIVING, decode_content=False):
        arrived += len(chunk)
        on_arrival(arrived)
        yield chunk


def _unpacked(chunks: Iterator[bytes], coding: str, check: Callable[[], None]) -> Iterator[bytes]:
    decoder = None
    for chunk in chunks:
        left = chunk
        while left:
            check()  # packed nothing can go on for long
            if decoder is None or (decoder.eof and coding != "deflate" and left[0] == 0x1F):
                decoder = _decoder(coding, left[0])  # gzip files may follow one another
            if decoder.eof:
                break  # padding
            try:
                piece = decoder.decompress(left, UNPACKED)
            except zlib.error as error:
                raise urllib3.exceptions.DecodeError(f"no {coding}") from error
            left = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            if piece:
                yield piece
    while decoder and not decoder.eof and (piece := decoder.decompress(b"", UNPACKED)):
        yield piece
    if decoder and not decoder.eof:
        raise urllib3.exceptions.ProtocolError(f"{coding} without its end")


def _decoder(coding: str, first: int) -> "zlib._Decompress":
    if coding in ("gzip", "x-gzip"):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if coding == "deflate":  # with a zlib header (RFC 9110), or, as some servers send it, without
        return zlib.decompressobj(zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS)
    raise urllib3.exceptions.DecodeError(f"unknown coding {coding:.20}")
