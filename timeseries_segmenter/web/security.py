"""Who may ask: user and password (RFC 7617), or a shared secret on webhooks."""

import base64
import binascii
from contextlib import suppress
from hmac import compare_digest

from werkzeug.datastructures import Headers

from timeseries_segmenter.settings import Settings

OPEN = frozenset({"/health"})  # what a container's health check asks for
WEBHOOK = "/webhook"
SECRET_HEADER = "X-Webhook-Secret"


class Authentication:
    """Compares in constant time, whatever characters a password holds."""

    def __init__(self, settings: Settings) -> None:
        user, password = settings.basic_auth_user, settings.basic_auth_pass.get_secret_value()
        self._credentials = _encodings(f"{user}:{password}") if user else []
        secret = settings.webhook_secret.get_secret_value()
        self._secrets = _encodings(secret) if secret else []

    def allows(self, path: str, headers: Headers) -> bool:
        """Whether a request for `path` may be answered.

        Webhooks may give the secret instead of user and password, and have to where only a secret is
        set.
        """
        if path in OPEN:
            return True
        if path == WEBHOOK and self._secrets:
            given = headers.get(SECRET_HEADER, "").encode("latin-1", "replace")  # as WSGI decoded it
            if _is_one_of(given, self._secrets):
                return True
            return bool(self._credentials) and self._knows(headers)
        return not self._credentials or self._knows(headers)

    def _knows(self, headers: Headers) -> bool:
        scheme, _, encoded = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return _is_one_of(given, self._credentials)


def _encodings(text: str) -> list[bytes]:
    """The text as clients may write it: browsers in UTF-8, Label Studio in Latin-1 where that has it."""
    encodings = [text.encode("utf-8", "surrogateescape")]
    with suppress(UnicodeEncodeError):
        encodings.append(text.encode("latin-1"))
    return encodings


def _is_one_of(given: bytes, known: list[bytes]) -> bool:
    matches = [compare_digest(given, each) for each in known]  # all of them: the time tells nothing
    return any(matches)
