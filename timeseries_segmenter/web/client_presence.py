"""Whether the client of a request still waits for its answer."""

import select
import socket
from collections.abc import Callable, Mapping
from typing import Any

SOCKETS = ("gunicorn.socket", "werkzeug.socket")  # where servers leave the connection
DISCONNECTED = "waitress.client_disconnected"  # or a function that knows


def still_wanted(environ: Mapping[str, Any]) -> Callable[[], bool]:
    """A function that says whether the client of a WSGI request is still there.

    It is taken to be where the server gives no connection to look at.
    """
    if callable(disconnected := environ.get(DISCONNECTED)):
        return lambda: not disconnected()
    for name in SOCKETS:
        connection = environ.get(name)
        if isinstance(connection, socket.socket):
            return lambda: _is_open(connection)
    return lambda: True


def _is_open(connection: socket.socket) -> bool:
    """Whether the other side has neither closed nor reset a connection."""
    try:
        readable = select.poll()
        readable.register(connection, select.POLLIN)
        if not readable.poll(0):
            return True  # it is silent, and waits
        return bool(connection.recv(1, socket.MSG_PEEK))
    except ValueError:
        return connection.fileno() >= 0  # TLS can't be looked into without reading
    except OSError:
        return False
