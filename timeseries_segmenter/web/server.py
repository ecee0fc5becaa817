"""An HTTP server in which slow clients cost a connection each, and never a thread.

waitress takes a request in, head and body, before a thread sees it, and sends the answer while the
thread is at the next one. What is added here: bodies that nobody will read are not taken in, threads of
their own for predictions, and a limit on connections at which the oldest unfinished one gives way.
"""

import ctypes
import gc
import json
import logging
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge
from werkzeug.datastructures import EnvironHeaders, Headers

logger = logging.getLogger(__name__)

IDLE = 60  # seconds without a byte, after which a connection is closed
LINGER = 5  # seconds to take in and forget what a refused client still sends, so that it reads the answer
STALLED = 2  # seconds without a byte, after which half a request does not hold up a shutdown
RECEIVED = 128 * 1024  # bytes at once: each read may have to wait for other threads
IN_MEMORY = 64 * 1024  # bytes of a body; longer ones go to a temporary file
ANSWER_IN_MEMORY = 1024 * 1024  # bytes, likewise
LARGE = 16_000_000  # bytes of a body, after which memory is given back
HEAD = 64 * 1024  # bytes of a request's first line and headers
URGENT = 4  # threads for requests that find those for predictions taken
CHUNK_LINE = 4096  # bytes of a line between chunks
CHUNKED_AT_ONCE = 2048  # bytes: waitress copies what is left after each chunk
BODIES = 8  # times the longest body: all that is held for requests that are not answered yet
ACCEPTED = 64  # connections at once
NEVER = 2**62  # bytes; an answer of any length is taken off its thread's hands
COMPLAINT_EVERY = 60  # seconds
TOO_LONG = "the body is longer than MAX_REQUEST_MB: send fewer tasks at a time, or raise it"


class WantsBody(Protocol):
    """Whether a request's body will be read, which its head says already."""

    def __call__(self, method: str, path: str, headers: Headers) -> bool:
        """Of a method, a path and headers."""


class IsUrgent(Protocol):
    """Whether a request goes before others for predictions, by its body."""

    def __call__(self, body: bytes) -> bool:
        """Of a body in whole."""


class BusyError(Error):  # type: ignore[misc]  # waitress has no types
    """A body, with those that are on their way already, is more than the disk holds, or should hold."""

    code = 503
    reason = "Service Unavailable"


class Request(HTTPRequestParser):  # type: ignore[misc]
    """Takes a request in. A body that is not wanted is left out, and the app finds it empty."""

    body_rcv: Any
    chunked: bool
    error: Any
    content_length: int
    body_bytes_received: int

    def __init__(self, adj: Adjustments, channel: "Channel") -> None:
        super().__init__(adj)
        self._channel = channel

    @property
    def held(self) -> int:
        """Bytes of body that are held, or announced."""
        return max(self.content_length, self.body_bytes_received)

    def body(self, longest: int) -> bytes:
        """Its body, to look at; empty if that is longer."""
        if self.body_rcv is None or self.body_bytes_received > longest:
            return b""
        content: bytes = self.body_rcv.getbuf().get(longest)
        return content

    def received(self, data: bytes) -> int:
        """Take some bytes in; returns how many."""
        in_head = self.body_rcv is None
        piece = data[: max(CHUNKED_AT_ONCE, self.body_rcv.chunk_remainder)] if self.chunked else data
        try:
            taken: int = super().received(piece)
        except OSError as error:  # of the temporary file
            taken, self.error = 0, BusyError(f"the body can't be kept ({error.strerror}): give TMPDIR room")
        if self.body_rcv is not None and (not self.error or self.error.code == RequestEntityTooLarge.code):
            if in_head and not self._channel.wants_body(self):
                self._leave_body_out()
            else:
                self._bound_body()
        if self.error:
            self.completed = True
            self.expect_continue = False
            self._channel.leaves_rest = True
        return len(data) if self._channel.leaves_rest else taken

    def _leave_body_out(self) -> None:
        self.close()
        self.body_rcv = self.error = None
        self.chunked = self.expect_continue = False
        self.completed = True
        if self.content_length < self.adj.max_request_body_size:  # else the app refuses it for its length
            self.headers["CONTENT_LENGTH"] = "0"
        self.headers["CONNECTION"] = "close"
        self._channel.leaves_rest = True

    def _bound_body(self) -> None:
        receiver = self.body_rcv
        if self.body_bytes_received >= self.adj.max_request_body_size:
            self.error = RequestEntityTooLarge(TOO_LONG)
        elif self.chunked and max(len(receiver.control_line), len(receiver.trailer)) > CHUNK_LINE:
            self.error = BadRequest("a line between chunks is too long")
        elif self.held > IN_MEMORY and self._channel.server.held > BODIES * self.adj.max_request_body_size:
            self.error = BusyError("too many large requests at once; try again later")


class Refusal(ErrorTask):  # type: ignore[misc]
    """The answer to what is not a request that the app could answer."""

    def execute(self) -> None:
        """Answer as the app does: an object with `detail`."""
        error = self.request.error
        logger.warning("a request of %s is refused: %d, %s", self.channel.addr[0], error.code, error.body)
        body = json.dumps({"detail": str(error.body)}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    error_task_class = Refusal
    close_when_flushed: bool
    leaves_rest = False  # the client may still send what nobody reads
    lingers_until = 0.0

    def parser_class(self, adj: Adjustments) -> Request:
        """The next request of this connection."""
        return Request(adj, self)

    def wants_body(self, request: Request) -> bool:
        """Whether the body of the request, whose head is here, will be read."""
        if request.content_length >= self.adj.max_request_body_size:
            return False
        headers = EnvironHeaders({f"HTTP_{name}": value for name, value in request.headers.items()})
        wanted: bool = self.server.wants_body(request.command, request.path, headers)
        return wanted

    @property
    def unfinished(self) -> bool:
        """Whether nothing of it is being answered: it is idle, or its request is not here yet."""
        return not self.requests and not self.total_outbufs_len

    def received(self, data: bytes) -> bool:
        """Take bytes in, unless nobody reads them."""
        if self.leaves_rest:
            return False
        taken: bool = super().received(data)
        return taken

    def service(self) -> None:
        """Answer the request that came first."""
        large = self.requests[0].held > LARGE
        super().service()
        if large:
            _give_back_memory()

    def write_soon(self, data: Any) -> int:
        """Have a part of the answer sent."""
        try:
            sent: int = super().write_soon(data)
        except OSError as error:  # of the temporary file; waitress takes it for the client's
            logger.error("an answer of %d bytes can't be kept (%s): give TMPDIR room", len(data), error)
            raise
        return sent

    def readable(self) -> bool:
        """Whether to look for bytes, be it to forget them."""
        return bool(self.lingers_until) or bool(super().readable())

    def handle_read(self) -> None:
        """Some bytes came, or the client has left."""
        if self.lingers_until:
            self.recv(self.adj.recv_bytes)  # closes the connection at its end
        else:
            super().handle_read()

    def handle_write(self) -> None:
        """Send what is to be sent. A connection with unread bytes in it is not closed at once.

        TCP would take the answer back with them.
        """
        if not (self.leaves_rest and self.close_when_flushed):
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.will_close or self.socket is None:
            self.handle_close()
        elif not self.total_outbufs_len:
            self.close_when_flushed = False
            self.lingers_until = time.time() + LINGER
            self.socket.shutdown(socket.SHUT_WR)

    def is_done(self, now: float) -> bool:
        """Whether nothing is lost when the service ends."""
        return self.unfinished and (self.request is None or self.last_activity < now - STALLED)


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Listens on a socket, and hands whole requests to `threads` for predictions and as many for the rest.

    What is urgent among predictions, by a body of up to `longest_urgent` bytes, finds a thread if those are
    taken. Raises no error for what clients do.
    """

    channel_class = Channel
    _complained = float(-COMPLAINT_EVERY)

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        listener: socket.socket,
        sockets: dict[int, Any],
        *,
        threads: int,
        connections: int,
        longest_body: int,
        wants_body: WantsBody,
        slow_paths: frozenset[str],
        is_urgent: IsUrgent,
        longest_urgent: int,
    ) -> None:
        self.wants_body = wants_body
        self._slow_paths = slow_paths
        self._is_urgent = is_urgent
        self._longest_urgent = longest_urgent
        self._connections = connections
        self._slow = _dispatcher(threads)
        self._urgent = _dispatcher(URGENT)
        self.answered = 0
        address = listener.getsockname()
        super().__init__(
            app,
            sockets,
            _sock=listener,
            dispatcher=_dispatcher(threads),
            adj=_adjustments(connections, longest_body),
            sockinfo=(listener.family, listener.type, listener.proto, address),
            bind_socket=False,
        )

    @property
    def channels(self) -> Mapping[int, Channel]:
        """The connections that are open."""
        channels: Mapping[int, Channel] = self.active_channels
        return channels

    @property
    def held(self) -> int:
        """Bytes of body that are held for requests which are not answered yet."""
        channels = list(self.channels.values())
        return sum(
            request.held
            for channel in channels
            for request in (channel.request, *channel.requests)
            if request is not None
        )

    def add_task(self, task: Channel) -> None:
        """Have the next request of a connection answered."""
        self.answered += 1
        request = task.requests[0]
        threads = self.task_dispatcher
        if not request.error and request.path in self._slow_paths:
            taken = self._slow.active_count + len(self._slow.queue) >= len(self._slow.threads)
            urgent = taken and self._is_urgent(request.body(self._longest_urgent))
            threads = self._urgent if urgent else self._slow
        threads.add_task(task)

    def handle_accept(self) -> None:
        """Take new connections, and close the oldest unfinished ones if there are too many."""
        for _ in range(ACCEPTED):
            before = len(self.channels)
            super().handle_accept()
            if len(self.channels) == before:
                return
            if before >= self._connections and not self._give_way():
                return

    def maintenance(self, now: float) -> None:
        """Close connections that are idle, or that have heard why they are refused."""
        super().maintenance(now)
        for channel in self.channels.values():
            if 0 < channel.lingers_until < now:
                channel.will_close = True

    def stop_listening(self) -> None:
        """Take no more connections."""
        self.accepting = False
        self.del_channel()
        self.socket.close()

    def _give_way(self) -> bool:
        unfinished = [channel for channel in self.channels.values() if channel.unfinished]
        if not unfinished:
            return False
        if time.monotonic() - self._complained > COMPLAINT_EVERY:
            self._complained = time.monotonic()
            logger.warning(
                "more than %d connections are open: the oldest that ask nothing are closed; "
                "have a proxy or a firewall keep such clients away",
                self._connections,
            )
        min(unfinished, key=lambda channel: channel.creation_time).handle_close()
        return True


def _give_back_memory() -> None:
    """Free what a refused request leaves behind, and have the C library give it back to the system."""
    gc.collect()  # an error holds the frames, with the body in them, in a circle
    with suppress(AttributeError):  # not glibc, or not Linux
        ctypes.CDLL(None).malloc_trim(0)


def _dispatcher(threads: int) -> ThreadedTaskDispatcher:
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(threads)
    return dispatcher


def _adjustments(connections: int, longest_body: int) -> Adjustments:
    return Adjustments(
        connection_limit=2 * connections,  # of waitress, which would stop listening
        backlog=2048,
        channel_timeout=IDLE,
        cleanup_interval=1,
        recv_bytes=RECEIVED,
        inbuf_overflow=IN_MEMORY,
        outbuf_overflow=ANSWER_IN_MEMORY,
        outbuf_high_watermark=NEVER,
        max_request_header_size=HEAD,
        max_request_body_size=longest_body + 1,
        channel_request_lookahead=1,  # so that it is seen when a client leaves
        log_socket_errors=False,
        ident=None,
    )
