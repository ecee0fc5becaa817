"""A door on loopback between a service and Label Studio, which can be shut and opened again."""

import socket
import socketserver
import threading
from contextlib import suppress
from typing import Self

from tools.studio.processes import free_port


class Door:
    """Hands connections on to a port while it is open. Shutting it ends them, and new ones are refused."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._port = free_port()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        self._server = _Server(self._port, self._behind)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def shut(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, port: int, behind: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.behind = behind
        self.passing: set[socket.socket] = set()

    def server_close(self) -> None:
        for each in list(self.passing):
            _end(each)
        super().server_close()  # waits for the handlers


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server.behind)) as behind:
            both = {self.request, behind}
            self.server.passing |= both
            back = threading.Thread(target=_copy, args=(behind, self.request))
            back.start()
            _copy(self.request, behind)
            back.join()
            self.server.passing -= both


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copies until one side ends, which ends the other."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _end(target)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
