"""Addresses on Label Studio's host: its files, which ask for the token, and what is not a series."""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from timeseries_segmenter.sources.hosts import origin, prepare

BY_ID = r"/(tasks|projects)/\d+/(presign|resolve)/"
# a task's data that begins like this is not a file of this service's own
RELATIVE = re.compile(rf"/data/upload/|/data/local-files/|/storage-data/|/samples/|{BY_ID}(?:\?|$)")
UPLOAD = re.compile(r"/data/upload/(\d+/)?[0-9a-f]{8}-[^/?#]+")  # with a part of a random UUID
FILE_NAMES = ("d", "filepath")  # what these hold in a query is a path below a folder of Label Studio's
DECODINGS = 8


class StudioAddress:
    """Knows Label Studio's addresses by LABEL_STUDIO_HOST, which may have a path of its own."""

    def __init__(self, host: str) -> None:
        parts = urlsplit(host)
        self._base = parts.path.rstrip("/")
        self._root = parts._replace(path="", query="", fragment="").geturl()
        self._origin = origin(prepare(host).url)

    def of(self, source: str) -> str | None:
        """The whole address of a file that is named by a path on Label Studio; None for other paths."""
        if RELATIVE.match(source):
            return self._root + self._base + source
        if self._base and RELATIVE.match(source.removeprefix(self._base)):
            return self._root + source
        return None

    def is_upload(self, url: str) -> bool:
        """Whether an address names one upload for good: Label Studio gives each a name of its own."""
        path = url.removeprefix(self._root + self._base)
        return self.wants_token(url) and UPLOAD.fullmatch(path) is not None

    def owns(self, url: str) -> bool:
        """Whether an address has Label Studio's scheme, host and port. Raises ValueError."""
        return origin(url) == self._origin

    def wants_token(self, url: str) -> bool:
        """Whether the token goes along: to LABEL_STUDIO_HOST only, and inside its path."""
        return self.owns(url) and urlsplit(url).path.startswith(f"{self._base}/")

    def objection(self, url: str) -> str | None:
        """Why an address on Label Studio's host is not asked at all; None if it may be.

        Clients and servers resolve `..` at different points, so that `/data/../api` may become
        anything on the way.
        """
        parts = urlsplit(url)
        steps = _steps(parts.path)
        names = [_steps(value) for key, value in parse_qsl(parts.query) if key in FILE_NAMES]
        if "." in steps or any(".." in found for found in (steps, *names)):
            return "a path with '.' or '..' as a step is not asked for"
        path = re.sub("/+", "/", "/".join(steps)).casefold()
        for base in ("", self._base.casefold()):
            if f"{path}/".startswith(f"{base}/api/"):
                return "a series is a file, not an answer of the API"
            if f"{path}/".startswith(f"{base}/user/login/"):  # where it redirects to
                return "it asks to log in; check LABEL_STUDIO_API_KEY"
        return None


def _steps(path: str) -> list[str]:
    """A path's steps without percent-encoding, however often it was done; `..` if that has no end."""
    for _ in range(DECODINGS):
        plain = unquote(path)
        if plain == path:
            return [step.partition(";")[0].strip() for step in plain.replace("\\", "/").split("/")]
        path = plain
    return [".."]
