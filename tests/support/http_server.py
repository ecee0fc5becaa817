"""A real HTTP server, whose answers a test writes as functions."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Reply:
    """`body` may be chunks: they are sent as they come, without a Content-Length."""

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class HttpServer:
    """Answers `routes`, by path; anything else is a 404. Keeps the `requests` it got.

    `address` is a host and a port; by default any free port of this machine alone.
    """

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.routes: dict[str, Callable[[Request], Reply]] = {}
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(address, _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, path: str, body: bytes, **headers: str) -> str:
        """Answer `path` with a file; returns its address."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.routes[path] = lambda _: Reply(body, headers=named)
        return self.url + path

    def hang(self, path: str) -> str:
        """Take requests for `path` and never answer, until the test ends; returns its address."""

        def wait(_: Request) -> Reply:
            self.stopping.wait(120)
            return Reply()

        self.routes[path] = wait
        return self.url + path

    def answer(self, request: Request) -> Reply:
        route = self.routes.get(request.path)
        return route(request) if route else Reply(b"gone", 404)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(server: HttpServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = dict(parse_qsl(address.query))
            request = Request(self.command, address.path, query, self.headers, body)
            server.requests.append(request)
            reply = server.answer(request)
            try:
                self._send(reply)
            except ConnectionError:
                self.close_connection = True  # the client had enough

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if isinstance(reply.body, bytes):
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            for chunk in [reply.body] if isinstance(reply.body, bytes) else reply.body:
                if server.stopping.is_set():
                    return
                self.wfile.write(chunk)
                self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
