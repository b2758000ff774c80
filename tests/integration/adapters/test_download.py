"""URLs from outside, over real sockets: nothing but an allowed host at a public address is ever connected to."""

import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from recordings.adapters.storage.download import DownloadRules, open_url
from recordings.adapters.storage.source import UrlReader
from recordings.domain.errors import SourceNotAllowed, SourceUnavailable
from recordings.domain.transfer import SourceFile
from recordings.settings import SettingsError

CLOUDFLARE = DownloadRules(["*.r2.cloudflarestorage.com", "files.cloudflare.com"])
LOCAL = DownloadRules(["127.0.0.1", "*.r2.cloudflarestorage.com"], loopback=True)
R2Bucket = "account.r2.cloudflarestorage.com"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"], self.path, self.headers["Range"]))  # type: ignore[attr-defined]
        to = self.server.redirects.get(self.path)  # type: ignore[attr-defined]
        self.send_response(302 if to else 200)
        if to:
            self.send_header("Location", to)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"file")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    asked: list[tuple[str, str, str | None]]
    redirects: dict[str, str]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.asked, server.redirects = [], {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def to(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda host, port: addresses


def fetch(url: str, rules: DownloadRules, resolve: Any = None) -> bytes:
    with open_url(url, {"Range": "bytes=0-3"}, rules, *([resolve] if resolve else [])) as response:
        return response.content


# ---------------------------------------------------------------- what the text of a URL tells

REFUSED_URLS = [
    pytest.param("http://{r2}/file", id="http"),
    pytest.param("HTTP://{r2}/file", id="HTTP in capitals"),
    pytest.param("ftp://{r2}/file", id="another scheme"),
    pytest.param("file:///etc/passwd", id="a file"),
    pytest.param("//{r2}/file", id="no scheme"),
    pytest.param("/file", id="no host"),
    pytest.param("https:///file", id="an empty host"),
    pytest.param("", id="nothing"),
    pytest.param("https://example.com/file", id="another host"),
    pytest.param("https://r2.cloudflarestorage.com/file", id="the suffix itself"),
    pytest.param("https://evil-r2.cloudflarestorage.com/file", id="a name that ends alike"),
    pytest.param("https://{r2}.example.com/file", id="a name that begins alike"),
    pytest.param("https://x.files.cloudflare.com/file", id="below a name"),
    pytest.param("https://{r2}@example.com/file", id="the host as a user"),
    pytest.param("https://example.com\\@{r2}/file", id="a backslash before it"),
    pytest.param("https://{r2}\\@example.com/file", id="a backslash after it"),
    pytest.param("https://user:secret@{r2}/file", id="a user"),
    pytest.param("https://example.com#@{r2}/file", id="the host in a fragment"),
    pytest.param("https://example.com?@{r2}/file", id="the host in a query"),
    pytest.param("https://{r2}:8443/file", id="another port"),
    pytest.param("https://{r2}:80/file", id="the port of http"),
    pytest.param("https://{r2}:x/file", id="a port that is none"),
    pytest.param("https://127.0.0.1/file", id="loopback"),
    pytest.param("https://2130706433/file", id="loopback as a number"),
    pytest.param("https://0x7f.1/file", id="loopback in hexadecimal"),
    pytest.param("https://[::1]/file", id="loopback of IPv6"),
    pytest.param("https://[::ffff:127.0.0.1]/file", id="loopback of IPv4 in IPv6"),
    pytest.param("https://169.254.169.254/latest/meta-data", id="the metadata address"),
    pytest.param("https://[fe80::1%25eth0]/file", id="an address with a zone"),
    pytest.param("https://a.\n{r2}/file", id="a line break"),
    pytest.param("https://{r2}/a b", id="a space"),
    pytest.param("https://ﬁles.{r2}/file", id="a letter outside ASCII"),
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_leads_elsewhere_is_never_resolved(url: str, log: io.StringIO) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["93.184.216.34"]

    with pytest.raises(SourceNotAllowed) as raised:
        fetch(url.format(r2=R2Bucket) + "?X-Amz-Signature=SECRET", CLOUDFLARE, resolve)
    assert asked == []
    assert "SECRET" not in f"{raised.value!r} {raised.value.__cause__!r} {log.getvalue()}"
    assert '"source url refused"' in log.getvalue()


# ---------------------------------------------------------------- what a name resolves to


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "fe80::1",
        "fe80::1%lo",
        "fc00::1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "no address",
    ],
)
@pytest.mark.parametrize("position", ["alone", "beside a public one"])
def test_a_name_that_has_an_address_which_is_not_public_is_never_connected_to(
    address: str, position: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("connected"))
    addresses = [address] if position == "alone" else ["93.184.216.34", address]
    with pytest.raises(SourceNotAllowed):
        fetch(f"https://{R2Bucket}/file", CLOUDFLARE, to(*addresses))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822"])
def test_it_is_connected_to_the_very_address_that_was_checked(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[tuple[str, int]] = []

    def connect(_: socket.socket, at: Any) -> None:
        connected.append((at[0], at[1]))
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        # The next answer to the same question would be another one.
        asked.append(host)
        return [address] if len(asked) == 1 else ["127.0.0.1"]

    with pytest.raises(requests.ConnectionError):
        fetch(f"https://{R2Bucket}/file", CLOUDFLARE, resolve)
    assert (connected, asked) == ([(address, 443)], [R2Bucket])


def test_a_name_without_an_address_is_unavailable() -> None:
    def resolve(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    for none in (resolve, to()):
        with pytest.raises(requests.ConnectionError):
            fetch(f"https://{R2Bucket}/file", CLOUDFLARE, none)


def test_the_system_resolves_names_by_default(server: Server) -> None:
    assert fetch(f"http://127.0.0.1:{server.server_port}/file", LOCAL) == b"file"
    assert server.asked == [(f"127.0.0.1:{server.server_port}", "/file", "bytes=0-3")]


def test_a_second_address_is_tried_if_the_first_does_not_respond(server: Server) -> None:
    assert fetch(f"http://{R2Bucket}:{server.server_port}/file", LOCAL, to("127.0.0.2", "127.0.0.1")) == b"file"


# ---------------------------------------------------------------- redirects


def test_a_redirect_within_the_rules_is_followed_with_the_same_range(server: Server) -> None:
    here = f"http://127.0.0.1:{server.server_port}"
    server.redirects = {"/a": "/b", "/b": f"{here}/file"}
    assert fetch(f"{here}/a", LOCAL) == b"file"
    assert [(path, asked) for _, path, asked in server.asked] == [
        ("/a", "bytes=0-3"),
        ("/b", "bytes=0-3"),
        ("/file", "bytes=0-3"),
    ]


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:{port}/stolen",
        "http://[::1]:{port}/stolen",
        "http://127.0.0.2:{port}/stolen",
        "http://user@127.0.0.1:{port}/stolen",
        "//example.com/stolen",
        "ftp://127.0.0.1:{port}/stolen",
        "file:///etc/passwd",
        "http://[broken/stolen",
    ],
)
def test_a_redirect_out_of_the_rules_is_not_followed(server: Server, location: str) -> None:
    server.redirects = {"/a": location.format(port=server.server_port)}
    with pytest.raises(SourceNotAllowed):
        fetch(f"http://127.0.0.1:{server.server_port}/a", LOCAL)
    assert [path for _, path, _ in server.asked] == ["/a"]


def test_redirects_have_an_end(server: Server) -> None:
    here = f"http://127.0.0.1:{server.server_port}/a"
    server.redirects = {"/a": here}
    with pytest.raises(SourceUnavailable):
        fetch(here, LOCAL)
    assert len(server.asked) == 4


def test_a_proxy_of_the_environment_is_not_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(f"http://{R2Bucket}:{server.server_port}/file", LOCAL, to("127.0.0.1")) == b"file"
    assert server.asked[0][0] == f"{R2Bucket}:{server.server_port}"


# ---------------------------------------------------------------- the name stays


def test_the_name_is_in_the_handshake_and_in_the_certificates_check(tmp_path: Path) -> None:
    """The certificate of the server is signed by nobody: the handshake names the host, and then it fails."""
    key, at = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = builder.serial_number(1).not_valid_before(at).not_valid_after(at + timedelta(days=1)).sign(key, SHA256())
    file = tmp_path / "pair.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    named: list[str] = []
    context.sni_callback = lambda _, name, __: named.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            accepted, _ = listening.accept()
            with accepted, pytest.raises(ssl.SSLError):
                context.wrap_socket(accepted, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(requests.exceptions.SSLError):
            fetch(f"https://{R2Bucket}:{listening.getsockname()[1]}/file", LOCAL, to("127.0.0.1"))
        thread.join(10)
    assert named == [R2Bucket]


# ---------------------------------------------------------------- as it is deployed


@pytest.mark.parametrize("setting", ["", "true", "ON"])
def test_a_malformed_switch_does_not_allow_loopback(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPBACK_CAPTURES", setting)
    with pytest.raises(SettingsError, match="LOOPBACK_CAPTURES"):
        UrlReader()


def test_loopback_is_refused_when_it_is_switched_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPBACK_CAPTURES", "off")
    with pytest.raises(SourceNotAllowed):
        UrlReader().measure(f"http://127.0.0.1:{server.server_port}/file")


def test_the_environment_names_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPTURE_HOSTS", " *.R2.example.com, files.example.com,,")
    monkeypatch.delenv("LOOPBACK_CAPTURES")
    assert DownloadRules.from_settings() == DownloadRules(("*.r2.example.com", "files.example.com"))


def test_every_way_to_read_keeps_to_the_rules(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPTURE_HOSTS", "*.r2.cloudflarestorage.com")
    url, reader = f"http://127.0.0.1:{server.server_port}/file", UrlReader()
    file = SourceFile(size=4, etag='"e"', ranges=True)
    for way in (
        lambda: reader.measure(url),
        lambda: reader.read(url, file, 0, bytearray(4)),
        lambda: list(reader.stream(url, file, 4)),
    ):
        with pytest.raises(SourceNotAllowed):
            way()
    assert server.asked == []
