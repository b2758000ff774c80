"""GET of a URL that Cloudflare gave for a file: over https, from allowed hosts, at public addresses only.

The URL comes from outside, and a function can reach addresses that others cannot: the loopback interface, the instance
metadata, a private network. So every hop is checked, redirects included. The address that is connected to is checked,
not the name: a name that is resolved twice could change in between (DNS rebinding). A connection may serve several
requests: it stays a connection to the address that was checked. A host that is new to it gets one of its own.

Two settings decide. `CAPTURE_HOSTS` lists names and `*.suffixes`, separated by commas. `LOOPBACK_CAPTURES=on`, which
only the local stack sets, also allows http, other ports and loopback addresses.
"""

import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util import parse_url
from urllib3.util.connection import create_connection

from recordings import settings
from recordings.domain.errors import SourceNotAllowed, SourceUnavailable
from recordings.observability import count, logger

TIMEOUT_SECONDS: Final = (3, 20)
MAX_REDIRECTS: Final = 3
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
HTTPS_PORT: Final = 443
# RFC 3986 allows no space, control character, backslash or character outside ASCII. Parsers differ on them.
VISIBLE: Final = re.compile(r"[!-\[\]-~]+")
# The last four bytes of such an address are the IPv4 address that a gateway connects to (RFC 6052, section 2.1).
NAT64: Final = IPv6Network("64:ff9b::/96")
# A connection is used again after a body that was read to its end. Of a redirect or an error so much is read.
MAX_UNUSED_BYTES: Final = 64 * 1024

type Resolve = Callable[[str, int], Sequence[str]]


def resolve_host(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, in the system's order of preference. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class DownloadRules:
    """From where files may be fetched. `hosts` are lower-case names. `*.example.com` stands for every name below it."""

    hosts: Sequence[str]
    loopback: bool = False

    @classmethod
    def from_settings(cls) -> "DownloadRules":
        """The rules as deployed."""
        source = settings.SOURCE()
        return cls(source.hosts, source.is_loopback_allowed)

    def check_url(self, url: str) -> None:
        """Raise SourceNotAllowed unless the URL may be fetched, as far as its text shows."""
        if not VISIBLE.fullmatch(url):
            raise _not_allowed("the URL contains characters that no URL may contain", None)
        try:
            # The parser that requests uses: two parsers could find two hosts.
            parts = parse_url(url)
        except LocationParseError:
            raise _not_allowed("the URL cannot be parsed", None) from None
        if parts.scheme != "https" and not (self.loopback and parts.scheme == "http"):
            raise _not_allowed("the scheme of the URL is not https", parts.host)
        if parts.auth is not None:
            raise _not_allowed("the URL contains a user name", parts.host)
        self.check_host(parts.host or "", parts.port or HTTPS_PORT)

    def check_host(self, host: str, port: int) -> None:
        """Raise SourceNotAllowed unless files may be fetched from this host and port."""
        name = host.lower()
        if not any(name.endswith(rule[1:]) if rule.startswith("*.") else name == rule for rule in self.hosts):
            raise _not_allowed("the host is not allowed", host)
        if port != HTTPS_PORT and not self.loopback:
            raise _not_allowed("the port is not that of https", host)

    def check_address(self, host: str, text: str) -> None:
        """Raise SourceNotAllowed unless the address of a host is public."""
        try:
            address = _unwrapped(ip_address(text))
        except ValueError:
            raise _not_allowed("the address of the host cannot be parsed", host) from None
        if self.loopback and address.is_loopback:
            return
        # `is_global` follows the registries of IANA. It includes multicast and some reserved addresses.
        if not address.is_global or address.is_multicast or address.is_reserved:
            raise _not_allowed("the address of the host is not public", host)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _not_allowed(reason: str, host: str | None) -> SourceNotAllowed:
    """Return the error, and log the host for the operator who sets `CaptureHosts`. The URL contains a signature."""
    logger.warning("source url refused", reason=reason, host=ascii((host or "")[:253]))
    count("SourceUrlsRefused")
    return SourceNotAllowed(reason)


class CheckedConnections:
    """GET requests by the rules, over connections that are kept until `close`. Several threads may use one object."""

    def __init__(self, rules: DownloadRules, resolve: Resolve = resolve_host) -> None:
        self._rules = rules
        # No session: a session takes proxies and passwords from the environment, and follows redirects unchecked.
        self._adapter = _GuardedAdapter(rules, resolve)

    def close(self) -> None:
        """Close the connections. Those of responses that are not read yet close with these."""
        self._adapter.close()

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        """The response to a GET request, after a few redirects at most. Its body was not read yet.

        Raises:
            SourceNotAllowed: the URL, a redirect or an address may not be fetched
            SourceUnavailable: there are too many redirects
            requests.RequestException: the server cannot be reached
        """
        for _ in range(MAX_REDIRECTS + 1):
            self._rules.check_url(url)
            request = requests.Request("GET", url, headers=headers).prepare()
            # A response that is not read to its end closes its connection here.
            with self._adapter.send(request, stream=True, timeout=TIMEOUT_SECONDS) as response:
                target = response.headers.get("Location") if response.status_code in REDIRECTS else None
                if target is None:
                    yield response
                _read_unused(response)
                if target is None:
                    return
            url = _join(url, target)
        raise SourceUnavailable("the URL leads to too many redirects")


@contextmanager
def open_url(
    url: str, headers: Mapping[str, str], rules: DownloadRules, resolve: Resolve = resolve_host
) -> Iterator[requests.Response]:
    """As CheckedConnections.open, over connections of its own."""
    with closing(CheckedConnections(rules, resolve)) as connections, connections.open(url, headers) as response:
        yield response


def receive_into(response: requests.Response, view: memoryview) -> int:
    """Fill the view with the bytes of the body that come next, as they were sent. Return their number.

    It is less than the view's only at the end of the body, or of the connection. A connection whose response was read
    to its end can be used again.

    Raises:
        requests.ConnectionError: the connection is lost; up to the whole view may have changed
    """
    connection: Any = response.raw.connection
    if connection is None:
        return 0
    body: HTTPResponse = connection.body
    try:
        received = body.readinto(view)
    except (OSError, HTTPException) as error:
        raise requests.ConnectionError(type(error).__name__) from error
    if body.isclosed():
        response.raw.release_conn()
    return received


def _read_unused(response: requests.Response) -> None:
    """Read the short body of a redirect or an error, so that the connection can be used again."""
    length = response.headers.get("Content-Length", "")
    if response.status_code in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT) or not length.isdecimal():
        return
    if int(length) <= MAX_UNUSED_BYTES:
        # A body that does not arrive costs the connection, and not the response, which nobody needs any more.
        with suppress(requests.RequestException):
            _ = response.content


def _join(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError:
        raise _not_allowed("the target of a redirect is no URL", None) from None


class _KeepsBody:
    """A connection that keeps http.client's response, because urllib3's `readinto` reads and then copies."""

    body: HTTPResponse

    # http.client calls this attribute for each response; usually it is the class.
    def response_class(self, *given: Any, **named: Any) -> HTTPResponse:
        self.body = HTTPResponse(*given, **named)
        return self.body


class _GuardedAdapter(HTTPAdapter):
    """Connects to checked addresses only. The Host header, SNI and the check of the certificate use the name."""

    def __init__(self, rules: DownloadRules, resolve: Resolve) -> None:
        class Plain(_KeepsBody, HTTPConnection):  # type: ignore[misc]
            def _new_conn(self) -> socket.socket:
                return _connect(self, rules, resolve)

        class Secure(_KeepsBody, HTTPSConnection):  # type: ignore[misc]
            def _new_conn(self) -> socket.socket:
                return _connect(self, rules, resolve)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self._pools = {"http": PlainPool, "https": SecurePool}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools


def _connect(connection: HTTPConnection, rules: DownloadRules, resolve: Resolve) -> socket.socket:
    """Return a socket to the first address of the host that responds. All its addresses are checked."""
    host, port = connection.host, connection.port
    # Checked again: this is the host that the connection is for, whatever parsed the URL.
    rules.check_host(host, port)
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise NameResolutionError(host, connection, socket.gaierror(str(error))) from error
    for address in addresses:
        rules.check_address(host, address)
    broken: Exception = NewConnectionError(connection, "the host has no address")
    for address in addresses:
        try:
            # The address, not the name: nothing is resolved a second time.
            return create_connection((address, port), connection.timeout, socket_options=connection.socket_options)
        except TimeoutError:
            broken = ConnectTimeoutError(connection, "the host did not respond in time")
        except OSError as error:
            broken = NewConnectionError(connection, f"no connection: {type(error).__name__}")
    raise broken
