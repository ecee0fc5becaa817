"""Requests that a page of another site has a browser send, with the credentials that the browser knows.

The rules are those of Go's `http.CrossOriginProtection`: they need no secret and no cookie.
"""

from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN = frozenset({"same-origin", "none"})  # none: the person typed the address, or chose a bookmark


def is_cross_origin(method: str, headers: Headers) -> bool:
    """Whether a browser sent the request from another origin; programs tell no origin.

    Browsers leave `Sec-Fetch-Site` out where the service is reached by plain HTTP across a network:
    there the host of `Origin` has to be the one that the request is for.
    """
    if method in SAFE_METHODS:
        return False
    site = headers.get("Sec-Fetch-Site")
    if site:
        return site not in OWN
    origin = headers.get("Origin")
    if not origin:
        return False
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return True
    return not host or host != headers.get("Host")
