import socket
from collections.abc import Iterator

import pytest

from timeseries_segmenter.web.client_presence import client_waits

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Pair]:
    listening = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listening.getsockname())
    server, _ = listening.accept()
    with listening, client, server:
        yield client, server


@pytest.mark.parametrize("name", ["gunicorn.socket", "werkzeug.socket"])
def test_a_client_is_there_until_it_closes_its_connection(ends: Pair, name: str) -> None:
    client, server = ends
    environ = {name: server}
    assert client_waits(environ)
    client.sendall(b"GET / HTTP/1.1\r\n")  # the next request, which stays unread
    assert client_waits(environ)
    assert server.recv(100) == b"GET / HTTP/1.1\r\n"
    client.close()
    assert not client_waits(environ)


def test_a_connection_that_is_reset_or_closed_here_has_no_client(ends: Pair) -> None:
    client, server = ends
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert not client_waits({"gunicorn.socket": server})
    server.close()
    assert not client_waits({"gunicorn.socket": server})


def test_a_server_that_gives_no_connection_is_believed() -> None:
    assert client_waits({})
    assert not client_waits({"waitress.client_disconnected": lambda: True})
