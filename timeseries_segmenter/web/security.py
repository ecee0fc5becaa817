"""Who may ask: user and password (RFC 7617) or a secret on webhooks, and no page of another site."""

import base64
import binascii
from contextlib import suppress
from enum import Enum
from hmac import compare_digest
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

from timeseries_segmenter.settings import Settings

OPEN = frozenset({"/health"})  # what a container's health check asks for
WEBHOOK = "/webhook"
SECRET_HEADER = "X-Webhook-Secret"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN = frozenset({"same-origin", "none"})  # none: the person typed the address, or chose a bookmark


class Objection(Enum):
    """Why a request is refused, as the log says it."""

    UNKNOWN = "no valid user and password"
    UNKNOWN_WEBHOOK = (
        f"no valid credentials; give the webhook in Label Studio the header {SECRET_HEADER} or Authorization"
    )
    OTHER_SITE = "a page of another site sent it"


class Security:
    """Looks at the head of requests. Compares in constant time, whatever characters a password holds."""

    def __init__(self, settings: Settings) -> None:
        user, password = settings.basic_auth_user, settings.basic_auth_pass.get_secret_value()
        self._credentials = _encodings(f"{user}:{password}") if user else []
        secret = settings.webhook_secret.get_secret_value()
        self._secrets = _encodings(secret) if secret else []

    def objection(self, method: str, path: str, headers: Headers) -> Objection | None:
        """Why a request for `path` is not answered; None if it is.

        Webhooks may give the secret instead of user and password, and have to if only a secret is set.
        Browsers send the credentials that they know for pages of other sites too; programs send neither
        `Sec-Fetch-Site` nor `Origin`.
        """
        secrets = self._secrets if path == WEBHOOK else []
        closed = path not in OPEN and (self._credentials or secrets)
        if closed and not self._knows(headers, secrets):
            return Objection.UNKNOWN_WEBHOOK if path == WEBHOOK else Objection.UNKNOWN
        site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
        if method in SAFE_METHODS or not (site or origin):
            return None
        return Objection.OTHER_SITE if is_other_site(site, origin, headers.get("Host")) else None

    def wants_body(self, method: str, path: str, headers: Headers) -> bool:
        """Whether a request's body will be read: not that of one which is refused for its head."""
        path = "/" + path.lstrip("/")  # as the app gets it
        return path not in OPEN and self.objection(method, path, headers) is None

    def _knows(self, headers: Headers, secrets: list[bytes]) -> bool:
        given = headers.get(SECRET_HEADER, "").encode("latin-1", "replace")  # as WSGI decoded it
        if _is_one_of(given, secrets):
            return True
        scheme, _, encoded = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return _is_one_of(given, self._credentials)


def is_other_site(site: str | None, origin: str | None, host: str | None) -> bool:
    """Whether a browser's `Sec-Fetch-Site`, or else its `Origin`, names another site than `host`.

    The rules are those of Go's `http.CrossOriginProtection`: they need no secret and no cookie. Browsers
    leave `Sec-Fetch-Site` out if the service is reached by plain HTTP across a network: there the host of
    `Origin` has to be the one that the request is for.
    """
    if site:
        return site not in OWN
    try:
        named = urlsplit(origin or "").netloc
    except ValueError:
        return True
    return not named or named != host


def _encodings(text: str) -> list[bytes]:
    """The text as clients may write it: browsers in UTF-8, Label Studio in Latin-1 if that has it."""
    encodings = [text.encode("utf-8", "surrogateescape")]
    with suppress(UnicodeEncodeError):
        encodings.append(text.encode("latin-1"))
    return encodings


def _is_one_of(given: bytes, known: list[bytes]) -> bool:
    matches = [compare_digest(given, each) for each in known]  # all of them: the time says nothing
    return any(matches)
