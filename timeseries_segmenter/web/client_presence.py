"""Whether the client of a request still waits for its answer."""

import select
import socket
from collections.abc import Mapping
from typing import Any

SOCKETS = ("gunicorn.socket", "werkzeug.socket")  # where servers leave the connection
DISCONNECTED = "waitress.client_disconnected"  # or a function that knows


def client_waits(environ: Mapping[str, Any]) -> bool:
    """Whether the client of a WSGI request is still there; believed if the server gives no connection."""
    if callable(disconnected := environ.get(DISCONNECTED)):
        return not disconnected()
    connection = next(filter(None, map(environ.get, SOCKETS)), None)
    if not isinstance(connection, socket.socket):
        return True
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
