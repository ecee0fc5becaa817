import socket
from collections.abc import Iterator

import pytest

from timeseries_segmenter.web.client_presence import still_wanted

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Pair]:
    listening = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listening.getsockname())
    server, _ = listening.accept()
    with listening, client, server:
        yield client, server


@pytest.mark.parametrize("name", ["gunicorn.socket", "werkzeug.socket"])
def test_a_client_is_there_until_it_closes_its_connection(ends: Pair, name: str):
    client, server = ends
    wanted = still_wanted({name: server})
    assert wanted()
    client.sendall(b"GET / HTTP/1.1\r\n")  # the next request, which stays unread
    assert wanted()
    assert server.recv(100) == b"GET / HTTP/1.1\r\n"
    client.close()
    assert not wanted()


def test_a_connection_that_is_reset_or_closed_here_has_no_client(ends: Pair):
    client, server = ends
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert not still_wanted({"gunicorn.socket": server})()
    server.close()
    assert not still_wanted({"gunicorn.socket": server})()


def test_a_server_that_gives_no_connection_is_believed():
    assert still_wanted({})()
    assert not still_wanted({"waitress.client_disconnected": lambda: True})()
