"""GET of a URL that Cloudflare gave for a file: over https, from allowed hosts, at public addresses only.

Such a URL comes from outside, and these functions run where an address can mean more than it does to others: the
loopback interface, the instance metadata, a private network. So every hop is checked, redirects included, and the
address is checked that is connected to. A name that is resolved twice could change in between (DNS rebinding).

Two settings decide: `CAPTURE_HOSTS`, names and `*.suffixes` with commas between, and `LOOPBACK_CAPTURES`, which the
local stack alone sets to `on`: then http, other ports and loopback addresses are allowed too.
"""

import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
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
# RFC 3986 knows no space, no control character, no backslash and nothing outside ASCII; readers differ on them.
VISIBLE: Final = re.compile(r"[!-\[\]-~]+")
# The last four bytes of such an address are the IPv4 address that a gateway connects to (RFC 6052, 2.1).
NAT64: Final = IPv6Network("64:ff9b::/96")

type Resolve = Callable[[str, int], Sequence[str]]


def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, in the system's order of preference. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class DownloadRules:
    """From where files may be fetched. `hosts` are lower-case names; `*.example.com` is every name below it."""

    hosts: Sequence[str]
    loopback: bool = False

    @classmethod
    def from_settings(cls) -> "DownloadRules":
        """The rules as deployed."""
        source = settings.SOURCE()
        return cls(source.hosts, source.is_loopback_allowed)

    def check_url(self, url: str) -> None:
        """Raise SourceNotAllowed unless the URL may be fetched, as far as its text tells."""
        if not VISIBLE.fullmatch(url):
            raise _refused("the URL holds what no URL does", None)
        try:
            # What requests itself reads a URL with: two readers could find two hosts.
            parts = parse_url(url)
        except LocationParseError:
            raise _refused("the URL cannot be read", None) from None
        if parts.scheme != "https" and not (self.loopback and parts.scheme == "http"):
            raise _refused("the URL is not of https", parts.host)
        if parts.auth is not None:
            raise _refused("the URL names a user", parts.host)
        self.check_host(parts.host or "", parts.port or HTTPS_PORT)

    def check_host(self, host: str, port: int) -> None:
        """Raise SourceNotAllowed unless files may be fetched from this host and port."""
        name = host.lower()
        if not any(name.endswith(one[1:]) if one.startswith("*.") else name == one for one in self.hosts):
            raise _refused("the host is not allowed", host)
        if port != HTTPS_PORT and not self.loopback:
            raise _refused("the port is not that of https", host)

    def check_address(self, host: str, text: str) -> None:
        """Raise SourceNotAllowed unless the address that a host has is a public one."""
        try:
            address = _unwrapped(ip_address(text))
        except ValueError:
            raise _refused("the host has an address that cannot be read", host) from None
        if self.loopback and address.is_loopback:
            return
        # What is global by the registries of IANA, and no multicast or reserved address among it.
        if not address.is_global or address.is_multicast or address.is_reserved:
            raise _refused("the host has an address that is not public", host)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _refused(reason: str, host: str | None) -> SourceNotAllowed:
    """The error, without the URL: it holds a signature. Its host is logged, for whoever sets `CaptureHosts`."""
    logger.warning("capture url refused", reason=reason, host=ascii((host or "")[:253]))
    count("SourceUrlsRefused")
    return SourceNotAllowed(reason)


@contextmanager
def opened(
    url: str, headers: Mapping[str, str], rules: DownloadRules, resolve: Resolve = resolved
) -> Iterator[requests.Response]:
    """The response to a GET whose body has not been read yet, at the end of a few redirects at most.

    Raises:
        SourceNotAllowed: the URL, a redirect or an address is none that files may be fetched from
        SourceUnavailable: there are too many redirects
        requests.RequestException: the server cannot be reached
    """
    # No session: it would take a proxy and a password from the environment, and follow redirects by itself.
    with closing(_GuardedAdapter(rules, resolve)) as adapter:
        for _ in range(MAX_REDIRECTS + 1):
            rules.check_url(url)
            request = requests.Request("GET", url, headers=headers).prepare()
            with adapter.send(request, stream=True, timeout=TIMEOUT_SECONDS) as answer:
                to = answer.headers.get("Location") if answer.status_code in REDIRECTS else None
                if to is None:
                    yield answer
                    return
            url = _joined(url, to)
    raise SourceUnavailable("the URL leads from redirect to redirect")


def _joined(url: str, to: str) -> str:
    try:
        return urljoin(url, to)
    except ValueError:
        raise _refused("a redirect leads to no URL", None) from None


class _GuardedAdapter(HTTPAdapter):
    """Connects to checked addresses only; the name stays in the Host header, in SNI and in the certificate's check."""

    def __init__(self, rules: DownloadRules, resolve: Resolve) -> None:
        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return _connected(self, rules, resolve)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return _connected(self, rules, resolve)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self._pools = {"http": PlainPool, "https": SecurePool}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools


def _connected(connection: HTTPConnection, rules: DownloadRules, resolve: Resolve) -> socket.socket:
    """A socket to the first address of a connection's host that answers, all of them checked."""
    host, port = connection.host, connection.port
    # Here too, whatever read the URL: this is the host that the connection is really for.
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
            # An address, not the name: nothing is resolved a second time.
            return create_connection((address, port), connection.timeout, socket_options=connection.socket_options)
        except TimeoutError:
            broken = ConnectTimeoutError(connection, "the host did not answer in time")
        except OSError as error:
            broken = NewConnectionError(connection, f"no connection: {type(error).__name__}")
    raise broken
