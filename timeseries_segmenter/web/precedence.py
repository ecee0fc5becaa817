"""Who goes first: a request that somebody with a region in hand waits for, before one for many tasks."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 0.5  # seconds that each task of a batch waits at most, so that batches end, too
LONGEST = 4_000_000  # bytes of a body that is looked at; one task, with its series in it, has fewer

# as Label Studio ends its requests for predictions; in a text, quotation marks have a backslash before them
_DRAWING = re.compile(rb'"params"\s*:\s*\{[^{}]*"context"\s*:\s*\{[^{}]*"result"\s*:\s*\[')


class Precedence:
    """Has the batches of a process pause between two tasks while interactive requests are answered."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._first = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Go first."""
        with self._changed:
            self._first += 1
        try:
            yield
        finally:
            with self._changed:
                self._first -= 1
                self._changed.notify_all()

    def give_way(self) -> None:
        """Wait while others go first, for PATIENCE at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._first, PATIENCE)


def is_interactive(body: bytes) -> bool:
    """Whether a request for predictions seems to say what an annotator has drawn, by a look at its bytes."""
    start = body.rfind(b'"params"')
    return start >= 0 and _DRAWING.match(body, start) is not None
