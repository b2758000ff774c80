"""The relay of the soak between a client and a server on the loopback interface: each fault as a client meets it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tools.bench.soak import relay as relays
from tools.bench.soak.calls import Call
from tools.bench.soak.faults import CUT, DROP, FLIP, HANG, LOST, SLOW, Chooser, Fault, faults_of
from tools.bench.soak.relay import MAX_REPORTED, FaultyRelay

FILE = bytes(range(256)) * 400


class Server(ThreadingHTTPServer):
    daemon_threads = True
    asked: list[tuple[str, str, bytes]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def response(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", str(len(FILE)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(FILE)

    do_GET = do_PUT = do_HEAD = do_POST = response

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


class Always(Chooser):
    """The same fault for every call, for as long as one is set."""

    def __init__(self) -> None:
        super().__init__(1)
        self.fault: Fault | None = None

    def choose(self, call: Call) -> Fault | None:
        self.seen[call] += 1
        return self.fault


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def chooser() -> Always:
    return Always()


@pytest.fixture
def relay(server: Server, chooser: Always, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyRelay]:
    monkeypatch.setattr(relays, "HANG_SECONDS", 0.05)
    monkeypatch.setattr(relays, "SLOW_SECONDS", 0.05)
    url = f"http://127.0.0.1:{server.server_port}"
    with FaultyRelay(
        aws=url, cloudflare=url, functions={"CopySegment": "copy"}, r2_bucket="files", chooser=chooser
    ) as made:
        yield made


GET: Call = Call("R2", "GetObject")
ERROR = next(fault for fault in faults_of(GET) if fault.kind == "answer")


def get(relay: FaultyRelay) -> bytes:
    response = httpx.get(f"{relay.urls['CopySegment']}/files/key", timeout=10)
    return response.raise_for_status().content


def test_a_call_that_is_not_struck_goes_through_whole(relay: FaultyRelay, server: Server, chooser: Always) -> None:
    assert get(relay) == FILE
    content = b"x" * (MAX_REPORTED + 1)
    assert httpx.put(f"{relay.urls['CopySegment']}/files/key", content=content, timeout=10).content == FILE
    assert server.asked == [("GET", "/files/key", b""), ("PUT", "/files/key", content)]
    assert chooser.seen == {GET: 1, Call("R2", "PutObject"): 1}
    assert relay.last_call.keys() == {"CopySegment"}


BROKEN: Mapping[str, tuple[Fault, int]] = {
    "before the call": (DROP, 0),
    "without an answer": (HANG, 0),
    "after the call": (LOST, 1),
    "within the answer": (CUT, 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_connection_breaks_where_it_is_told_to(
    relay: FaultyRelay, server: Server, chooser: Always, name: str
) -> None:
    chooser.fault, done = BROKEN[name]
    with pytest.raises(httpx.TransportError):
        get(relay)
    assert len(server.asked) == done


def test_a_late_answer_is_whole(relay: FaultyRelay, chooser: Always) -> None:
    chooser.fault = SLOW
    assert get(relay) == FILE


def test_an_error_is_answered_and_nothing_is_done(relay: FaultyRelay, server: Server, chooser: Always) -> None:
    chooser.fault = ERROR
    responses: list[Callable[[], httpx.Response]] = [
        lambda: httpx.get(f"{relay.urls['CopySegment']}/files/key"),
        lambda: httpx.head(f"{relay.urls['CopySegment']}/files/key"),
        lambda: httpx.put(f"{relay.urls['CopySegment']}/files/key", content=b"x" * (MAX_REPORTED + 1)),
    ]
    reported = [ask() for ask in responses]
    assert [(one.status_code, one.text) for one in reported] == [
        (ERROR.status, ERROR.body),
        (ERROR.status, ""),
        (ERROR.status, ERROR.body),
    ]
    assert server.asked == []


def test_one_bit_is_wrong_in_what_is_read_and_in_what_is_sent(
    relay: FaultyRelay, server: Server, chooser: Always
) -> None:
    chooser.fault = FLIP
    assert wrong_bits(get(relay), FILE) == 1
    for size in (100, MAX_REPORTED + 1):
        content = b"x" * size
        assert httpx.put(f"{relay.urls['CopySegment']}/files/key", content=content, timeout=10).content == FILE
        assert wrong_bits(server.asked[-1][2], content) == 1


def wrong_bits(one: bytes, other: bytes) -> int:
    assert len(one) == len(other)
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True) if a != b)


def test_a_call_that_is_made_again_and_goes_through_is_counted(relay: FaultyRelay, chooser: Always) -> None:
    chooser.fault = DROP
    with pytest.raises(httpx.TransportError):
        get(relay)
    chooser.fault = None
    assert relay.repeated == {}
    assert [get(relay), get(relay)] == [FILE, FILE]
    assert relay.repeated == {(GET, DROP.name): 1}
