"""The gateway of the local stack hands messages on as they came, and refuses what an HTTP API refuses."""

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools.local import gateway

ZIPPED = gzip.compress(b"a recording " * 100)


class Upstream(ThreadingHTTPServer):
    """What stands behind the gateway: remembers requests, and answers with the bytes of `answer`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, list[tuple[str, str]], bytes]] = []
        self.response = b"HTTP/1.1 204 No Content\r\n\r\n"
        self.held = threading.Event()
        self.held.set()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Upstream

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline()
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, [*self.headers.items()], body))
        self.server.held.wait(10)
        self.wfile.write(self.server.response)
        self.close_connection = True


@contextmanager
def served(upstream: Upstream, folder: Path, seconds: float = 30) -> Iterator[int]:
    """The gateway before `upstream`, in a thread; gives its port."""
    (folder / "api_id").write_text("api1")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = gateway.Gateway(f"http://127.0.0.1:{upstream.server_port}", folder, seconds=seconds)
    try:
        yield asyncio.run_coroutine_threadsafe(made.start(0), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(made.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


type Ask = Callable[[bytes], tuple[int, list[tuple[str, str]], bytes]]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.held.set()
    server.shutdown()
    server.server_close()


def asked(port: int, request: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """Send bytes, read one answer: status, headers, and the content as it came."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rb") as got:
        connection.sendall(request)
        status = int(got.readline().split()[1])
        lines = iter(lambda: got.readline().decode("latin-1").strip(), "")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        empty = status in (204, 304) or request.startswith(b"HEAD ")
        # The gateway has all of an answer before it sends it, so its length is known.
        return status, headers, got.read() if empty else got.read(int(dict(headers)["content-length"]))


@pytest.fixture
def ask(upstream: Upstream, tmp_path: Path) -> Iterator[Ask]:
    with served(upstream, tmp_path) as port:
        yield lambda request: asked(port, request)


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: here", "Connection: close", *headers]
    if body and not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def values(headers: list[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in headers if key.lower() == name]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "unknown"])
def test_compressed_content_of_a_request_arrives_as_it_was_sent(ask: Ask, upstream: Upstream, coding: str) -> None:
    assert ask(request("POST", "/x", f"Content-Encoding: {coding}", body=ZIPPED))[0] == 204

    _, _, headers, body = upstream.seen[0]
    assert body == ZIPPED
    assert values(headers, "content-encoding") == [coding]
    assert values(headers, "content-length") == [str(len(ZIPPED))]


def test_content_in_chunks_arrives_whole(ask: Ask, upstream: Upstream) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (ZIPPED[:10], ZIPPED[10:])) + b"0\r\n\r\n"

    ask(request("POST", "/x", "Transfer-Encoding: chunked", "Content-Encoding: gzip", body=chunks))

    _, _, headers, body = upstream.seen[0]
    assert body == ZIPPED
    assert values(headers, "content-length") == [str(len(ZIPPED))]
    assert not values(headers, "transfer-encoding")


@pytest.mark.parametrize("coding", ["gzip", "br", "unknown"])
@pytest.mark.parametrize("framed", ["length", "chunks", "end"])
def test_compressed_content_of_an_answer_arrives_as_it_was_sent(
    ask: Ask, upstream: Upstream, coding: str, framed: str
) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: {coding}\r\n".encode()
    upstream.response = (
        head
        + {
            "length": b"Content-Length: %d\r\n\r\n%b" % (len(ZIPPED), ZIPPED),
            "chunks": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(ZIPPED), ZIPPED),
            "end": b"\r\n" + ZIPPED,
        }[framed]
    )

    status, headers, body = ask(request("GET", "/x", "Accept-Encoding: gzip, br"))

    assert (status, body) == (200, ZIPPED)
    assert values(headers, "content-encoding") == [coding]
    assert values(headers, "content-length") == [str(len(ZIPPED))]
    assert not values(headers, "transfer-encoding")


def test_an_answer_that_breaks_off_is_an_error(ask: Ask, upstream: Upstream) -> None:
    upstream.response = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"

    assert ask(request("GET", "/x"))[0] == 502


def test_the_answer_to_a_head_tells_the_length_of_what_it_leaves_out(ask: Ask, upstream: Upstream) -> None:
    upstream.response = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 1234\r\n\r\n"

    status, headers, body = ask(request("HEAD", "/x"))

    assert (status, body) == (200, b"")
    assert values(headers, "content-length") == ["1234"]


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content_has_none(ask: Ask, upstream: Upstream, status: int) -> None:
    upstream.response = b'HTTP/1.1 %d X\r\nETag: "a"\r\n\r\n' % status

    got, headers, body = ask(request("GET", "/x"))

    assert (got, body) == (status, b"")
    assert values(headers, "etag") == ['"a"']
    assert not values(headers, "content-type")
    assert not values(headers, "transfer-encoding")


def test_a_function_sees_no_header_that_the_caller_did_not_send(ask: Ask, upstream: Upstream) -> None:
    ask(request("POST", "/x", body=b"{}"))

    names = {name.lower() for name, _ in upstream.seen[0][2]}
    assert names == {"host", "content-length"}


def test_headers_of_one_connection_stay_there(ask: Ask, upstream: Upstream) -> None:
    upstream.response = (
        b"HTTP/1.1 200 OK\r\nConnection: close, X-Inner\r\nKeep-Alive: timeout=9\r\nX-Inner: 1\r\n"
        b"Content-Length: 2\r\n\r\nok"
    )
    only = request("GET", "/x", "TE: trailers", "Proxy-Connection: close", "X-Mine: 1")
    _, headers, _ = ask(only.replace(b"Connection: close\r\n", b"Connection: close, X-Mine\r\n", 1))

    seen = {name.lower() for name, _ in upstream.seen[0][2]}
    assert not seen & {"te", "proxy-connection", "x-mine"}
    assert not {name for name, _ in headers} & {"keep-alive", "x-inner"}


def test_repeated_headers_and_cookies_stay_apart(ask: Ask, upstream: Upstream) -> None:
    upstream.response = (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\nLink: <1>\r\nLink: <2>\r\n"
        b"Content-Length: 0\r\n\r\n"
    )

    _, headers, _ = ask(request("GET", "/x", "X-Tag: 1", "X-Tag: 2, 3", "Cookie: a=1; b=2"))

    assert values(headers, "set-cookie") == ["a=1", "b=2; Path=/"]
    assert values(headers, "link") == ["<1>", "<2>"]
    assert values(upstream.seen[0][2], "x-tag") == ["1", "2, 3"]
    assert values(upstream.seen[0][2], "cookie") == ["a=1; b=2"]


@pytest.mark.parametrize(
    "path",
    ["/a%2Fb", "/a%252Fb", "/%E2%82%AC", "/a+b?q=a+b&q=c%26d&q", "/x?a=%zz", "/../y", "//z", "/a%20b?c=%C3%A9"],
)
def test_path_and_query_arrive_as_they_were_sent(ask: Ask, upstream: Upstream, path: str) -> None:
    ask(request("GET", path))

    assert upstream.seen[0][1] == f"/_aws/execute-api/api1/$default{path}"


def test_more_than_ten_megabytes_are_refused(ask: Ask, upstream: Upstream) -> None:
    status, _, body = ask(request("POST", "/x", f"Content-Length: {gateway.MAX_BODY_BYTES + 1}"))

    assert (status, json.loads(body)) == (413, {"message": "Request Entity Too Large"})
    assert not upstream.seen


def test_more_than_ten_megabytes_in_chunks_are_refused(
    ask: Ask, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "MAX_BODY_BYTES", 1000)

    status, _, _ = ask(
        request("POST", "/x", "Transfer-Encoding: chunked", body=b"3e9\r\n%b\r\n0\r\n\r\n" % bytes(1001))
    )

    assert status == 413
    assert not upstream.seen


@pytest.mark.parametrize(("length", "status"), [(10_000, 204), (10_241, 431), (60_000, 431)])
def test_a_long_head_is_refused(ask: Ask, upstream: Upstream, length: int, status: int) -> None:
    assert ask(request("GET", "/x", f"Authorization: {'a' * (length - 100)}", f"X-More: {'b' * 100}"))[0] == status
    assert len(upstream.seen) == (status == 204)


def test_a_function_that_takes_too_long_is_not_waited_for(upstream: Upstream, tmp_path: Path) -> None:
    upstream.held.clear()
    with served(upstream, tmp_path, seconds=0.2) as port:
        status, _, body = asked(port, request("GET", "/x"))

    assert (status, json.loads(body)) == (503, {"message": "Service Unavailable"})
    assert len(upstream.seen) == 1


def test_before_the_first_deployment_it_says_so(upstream: Upstream, tmp_path: Path) -> None:
    with served(upstream, tmp_path) as port:
        (tmp_path / "api_id").unlink()
        assert asked(port, request("GET", "/x"))[0] == 503
