"""Hosts that series may come from: Label Studio, public ones, and those in DATA_ALLOWED_HOSTS."""

import ipaddress
import socket
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import InvalidIPAddress  # type: ignore[import-untyped]
from requests_hardened.ip_filter_adapter import IPFilterAdapter  # type: ignore[import-untyped]
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.time_limit import run_within, time_limit

Origin = tuple[str, str, int | None]

NotPublicError = InvalidIPAddress

CONNECT_TIMEOUT = 5.0  # seconds to resolve a name, and again to connect to an address
LONGEST_CONNECT = 3  # times that, for both and the greetings of TLS


class Hosts:
    """Gives out the adapter that an address may be asked with.

    Adapters see neither proxies nor .netrc, and follow no redirect.
    """

    def __init__(self, settings: Settings) -> None:
        self._label_studio = origin(prepare(settings.label_studio_host).url)
        allowed = [urlsplit(f"//{entry}") for entry in settings.data_allowed_hosts]
        self._allowed = {(_spelled(entry.hostname), entry.port) for entry in allowed}

    def adapter(self, url: str) -> HTTPAdapter:
        """The adapter for an address as `prepare` leaves it.

        Sending with it raises NotPublicError if the host is not trusted and its name, or what it
        resolves to, is not a public address; it connects to the very address that was checked.
        """
        if self.trusts(url):
            return _Trusted()
        return _Public(tls=urlsplit(url).scheme == "https")

    def trusts(self, url: str) -> bool:
        """Whether the address is Label Studio's, or its host in DATA_ALLOWED_HOSTS."""
        scheme, host, port = origin(url)
        return (scheme, host, port) == self._label_studio or not self._allowed.isdisjoint(
            {(host, port), (host, None)}
        )


def prepare(url: str, headers: dict[str, str] | None = None) -> requests.PreparedRequest:
    """A GET request; its `url` is the one spelling that is checked, and connected to.

    Raises requests.RequestException, and ValueError.
    """
    return requests.Request("GET", url, headers=headers).prepare()


def origin(url: str | None) -> Origin:
    """Scheme, host and port. Raises ValueError."""
    parts = urlsplit(url or "")
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, _spelled(parts.hostname), parts.port or default


def certificates(url: str) -> bool | str:
    """What `verify` should be: REQUESTS_CA_BUNDLE if that is set; requests itself looks."""
    settings = requests.Session().merge_environment_settings(url, {}, None, None, None)
    verify: bool | str | None = settings["verify"]
    return True if verify is None else verify


def _spelled(host: str | None) -> str:
    """A name in lower case; an IPv6 address in its short form."""
    try:
        return str(ipaddress.ip_address(host or ""))
    except ValueError:
        return host or ""


class _Connection(urllib3.connection.HTTPConnection):
    """Its time-out holds for the headers as a whole, not just between two bytes of them, and for the
    name to be resolved.
    """

    def _new_conn(self) -> socket.socket:
        name, seconds = self._dns_host, self.timeout
        assert isinstance(seconds, float | int)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            pass
        else:
            return super()._new_conn()
        try:
            found = run_within(
                seconds,
                lambda: socket.getaddrinfo(name, self.port, allowed_gai_family(), socket.SOCK_STREAM),
            )
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} is not resolved within {seconds} s") from error
        ends = monotonic() + seconds
        failure: Exception = NewConnectionError(self, f"{self.host} has no address")
        for *_, address in found:
            if monotonic() > ends:
                break
            self._dns_host = str(address[0])
            try:
                return super()._new_conn()
            except (ConnectTimeoutError, NewConnectionError) as error:
                failure = error
            finally:
                self._dns_host = name
        raise failure

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        sock, seconds = self.sock, self.timeout
        assert sock is not None
        assert isinstance(seconds, float | int)
        with time_limit(seconds, lambda: sock.shutdown(socket.SHUT_RD)):
            return super().getresponse()


class _TlsConnection(_Connection, urllib3.connection.HTTPSConnection):
    """Its greetings have an end, too."""

    _same: socket.socket | None = None  # TLS takes the socket over, and shows its own after the handshake

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        self._same = connected.dup()
        return connected

    def connect(self) -> None:
        seconds = self.timeout
        assert isinstance(seconds, float | int)

        def shut() -> None:
            if self._same:
                self._same.shutdown(socket.SHUT_RDWR)

        try:
            with time_limit(seconds * LONGEST_CONNECT, shut):
                super().connect()
        finally:
            if self._same:
                self._same.close()


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Trusted(HTTPAdapter):
    """Connects to any address."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class _Public(IPFilterAdapter, _Trusted):  # type: ignore[misc]
    """Connects to public addresses only."""

    def __init__(self, tls: bool) -> None:
        super().__init__(is_https_proto=tls)  # type: ignore[call-arg]

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        try:  # this resolves the name
            host, pool = run_within(
                CONNECT_TIMEOUT,
                lambda: super(_Public, self).build_connection_pool_key_attributes(*args, **kwargs),
            )
        except TimeoutError as error:
            raise requests.ConnectTimeout(f"not resolved within {CONNECT_TIMEOUT} s") from error
        address = ipaddress.ip_address(host["host"].strip("[]"))
        # the filter leaves site-local and reserved IPv6 addresses through
        site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
        if site_local or address.is_reserved or not address.is_global:
            raise NotPublicError(address)
        return host, pool
