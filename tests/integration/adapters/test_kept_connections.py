"""Connections to the source that serve one part after the other, and what can happen to them in between."""

import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests.adapters

from recordings.adapters.storage.download import CheckedConnections, DownloadRules
from recordings.adapters.storage.resume import CHUNK_BYTES
from recordings.adapters.storage.source import UrlReader
from recordings.domain.errors import RangesRefused, SourceNotAllowed, SourceUnavailable
from recordings.domain.transfer import SourceFile
from tools.bench.transfer.certificate import Certificate

PART = 3 * CHUNK_BYTES
CONTENT = bytes(range(251)) * (8 * PART // 251 + 1)
ETAG = '"v1"'


class Peer:
    """A server that keeps connections open. `script` says in turn how it answers; at its end it answers well."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self.script: list[Callable[[Peer, socket.socket, int, int], bool]] = []
        self.accepted, self._ended = 0, 0
        self.asked: list[tuple[str, int]] = []
        self._lock, self._end = threading.Lock(), threading.Condition()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._threads: list[threading.Thread] = []
        self._thread.start()

    @property
    def url(self) -> str:
        scheme = "https" if self._context else "http"
        return f"{scheme}://127.0.0.1:{self.port}/file?signature=x"

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def wait_for_ends(self, count: int) -> None:
        """Wait until so many connections have ended, and fail if they do not."""
        with self._end:
            assert self._end.wait_for(lambda: self._ended >= count, timeout=10), f"{self._ended} of {count} ended"

    def close(self) -> None:
        # shutdown() wakes the thread that waits in accept().
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)
        for one in self._open:
            one.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                return
            self.accepted += 1
            thread = threading.Thread(target=self._serve, args=(accepted,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, accepted: socket.socket) -> None:
        try:
            connection = self._context.wrap_socket(accepted, server_side=True) if self._context else accepted
            self._open.append(connection)
            with connection:
                while self._answer(connection):
                    pass
        except OSError:
            # The client has closed the connection, or the test has.
            pass
        finally:
            with self._end:
                self._ended += 1
                self._end.notify_all()

    def _answer(self, connection: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            received = connection.recv(65536)
            if not received:
                return False
            head += received
        line, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        first, last = (int(text) for text in headers["range"].removeprefix("bytes=").split("-"))
        with self._lock:
            self.asked.append((line.split()[1], first))
            answer = self.script.pop(0) if self.script else well
        return answer(self, connection, first, last)


def head(first: int, last: int, length: int, *more: str, status: str = "206 Partial Content") -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {length}",
        f"Content-Range: bytes {first}-{last}/{len(CONTENT)}",
        f"ETag: {ETAG}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def well(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
    connection.sendall(head(first, last, last - first + 1) + CONTENT[first : last + 1])
    return True


def well_and_close(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
    return not well(peer, connection, first, last)


def reset_after(count: int) -> Callable[[Peer, socket.socket, int, int], bool]:
    def answer(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
        connection.sendall(head(first, last, last - first + 1) + CONTENT[first : first + count])
        # What was sent arrives, and then a reset instead of an end (socket(7), SO_LINGER).
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return answer


def another_range(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
    connection.sendall(head(first + 1, last, last - first) + CONTENT[first + 1 : last + 1])
    return True


def more_than_announced(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
    connection.sendall(head(first, last, last - first + 11) + CONTENT[first : last + 11])
    return True


def whole_file(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
    connection.sendall(head(0, 0, len(CONTENT), status="200 OK") + CONTENT)
    return True


def compressed(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
    body = gzip.compress(CONTENT[first : last + 1])
    connection.sendall(head(first, last, len(body), "Content-Encoding: gzip") + body)
    return True


def chunked(surplus: bytes = b"", *, ends: bool = True) -> Callable[[Peer, socket.socket, int, int], bool]:
    def answer(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
        lines = [
            "HTTP/1.1 206 Partial Content",
            "Transfer-Encoding: chunked",
            f"Content-Range: bytes {first}-{last}/{len(CONTENT)}",
        ]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        body = CONTENT[first : last + 1] + surplus
        for at in range(0, len(body) if ends else len(body) // 2, 100_000):
            chunk = body[at : at + 100_000]
            connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        if ends:
            connection.sendall(b"0\r\n\r\n")
        return ends

    return answer


def in_drops(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
    connection.sendall(head(first, last, last - first + 1))
    for at in range(first, first + 200):
        connection.sendall(CONTENT[at : at + 1])
    connection.sendall(CONTENT[first + 200 : last + 1])
    return True


def changed_condition(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
    connection.sendall(head(0, 0, 4, status="412 Precondition Failed") + b"body")
    return True


def redirect(url: str) -> Callable[[Peer, socket.socket, int, int], bool]:
    def answer(peer: Peer, connection: socket.socket, first: int, last: int) -> bool:
        connection.sendall(head(0, 0, 4, f"Location: {url}", status="302 Found") + b"away")
        return True

    return answer


@pytest.fixture
def peer() -> Iterator[Peer]:
    with closing(Peer()) as peer:
        yield peer


@pytest.fixture(params=["http", "TLS"])
def any_peer(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    if request.param == "http":
        made = Peer()
    else:
        certificate = Certificate.make(tmp_path)
        monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(certificate.authority))
        made = Peer(certificate.server_context())
    with closing(made) as peer:
        yield peer


def read(reader: UrlReader, url: str, part: int) -> bytes:
    buffer = bytearray(PART)
    reader.read(url, SourceFile(size=len(CONTENT), etag=ETAG, ranges=True), (part - 1) * PART, buffer)
    return bytes(buffer)


def part(number: int) -> bytes:
    return CONTENT[(number - 1) * PART : number * PART]


def test_all_parts_of_a_session_come_over_one_connection(any_peer: Peer) -> None:
    with UrlReader().session() as reader:
        assert [read(reader, any_peer.url, number) for number in range(1, 7)] == [part(n) for n in range(1, 7)]
    assert (any_peer.accepted, len(any_peer.asked)) == (1, 6)
    any_peer.wait_for_ends(1)


def test_a_read_outside_of_a_session_leaves_no_connection(peer: Peer) -> None:
    reader = UrlReader()
    for number in (1, 2):
        assert read(reader, peer.url, number) == part(number)
    assert peer.accepted == 2
    peer.wait_for_ends(2)


def test_threads_have_a_connection_each_and_no_more(any_peer: Peer) -> None:
    with UrlReader().session() as reader, ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda number: read(reader, any_peer.url, number % 8 + 1), range(24)))
    assert parts == [part(number % 8 + 1) for number in range(24)]
    assert any_peer.accepted <= 4


def test_a_connection_that_the_server_closes_between_two_parts_costs_nothing(any_peer: Peer) -> None:
    any_peer.script = [well_and_close, well_and_close]
    with UrlReader().session() as reader:
        for number in (1, 2, 3, 4):
            assert read(reader, any_peer.url, number) == part(number)
            any_peer.wait_for_ends(min(number, 2))
    assert any_peer.accepted == 3
    assert len(any_peer.asked) == 4


def test_a_connection_that_is_reset_within_a_part_costs_one_chunk(peer: Peer) -> None:
    peer.script = [well, reset_after(2 * CHUNK_BYTES + 10)]
    with UrlReader().session() as reader:
        assert [read(reader, peer.url, number) for number in (1, 2, 3)] == [part(1), part(2), part(3)]
    begins = [first for _, first in peer.asked]
    assert begins[:2] == [0, PART]
    # The kernel may drop what the client has not read when the reset arrives.
    assert PART <= begins[2] <= PART + 2 * CHUNK_BYTES
    assert begins[3:] == [2 * PART]
    assert peer.accepted == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(another_range, id="another range"),
        pytest.param(more_than_announced, id="a length that is not that of the range"),
        pytest.param(whole_file, id="the whole file"),
        pytest.param(compressed, id="a compressed range"),
        pytest.param(chunked(b"more"), id="more than the range, in chunks"),
    ],
)
def test_a_wrong_answer_is_refused_and_its_rest_is_never_taken_for_the_next_part(
    peer: Peer, answer: Callable[[Peer, socket.socket, int, int], bool]
) -> None:
    peer.script = [well, answer]
    with UrlReader().session() as reader:
        assert read(reader, peer.url, 1) == part(1)
        with pytest.raises(RangesRefused):
            read(reader, peer.url, 2)
        assert read(reader, peer.url, 3) == part(3)


def test_a_range_that_comes_in_drops_arrives(peer: Peer) -> None:
    peer.script = [in_drops]
    with UrlReader().session() as reader:
        assert [read(reader, peer.url, number) for number in (1, 2)] == [part(1), part(2)]
    assert peer.accepted == 1


def test_ranges_that_come_in_chunks_keep_their_connection(peer: Peer) -> None:
    peer.script = [chunked(), chunked()]
    with UrlReader().session() as reader:
        assert [read(reader, peer.url, number) for number in (1, 2, 3)] == [part(1), part(2), part(3)]
    assert (peer.accepted, len(peer.asked)) == (1, 3)


def test_a_connection_that_ends_between_two_chunks_costs_what_has_not_arrived(peer: Peer) -> None:
    peer.script = [chunked(ends=False)]
    with UrlReader().session() as reader:
        assert [read(reader, peer.url, number) for number in (1, 2)] == [part(1), part(2)]
    begins = [first for _, first in peer.asked]
    assert 0 < begins[1] < PART
    assert begins[2:] == [PART]


def test_a_failed_condition_keeps_its_connection(peer: Peer) -> None:
    """Some servers call an ETag strong once and weak later: then each part takes two requests."""
    peer.script = [changed_condition, well, changed_condition, well]
    with UrlReader().session() as reader:
        assert [read(reader, peer.url, number) for number in (1, 2)] == [part(1), part(2)]
    assert peer.accepted == 1


def test_a_redirect_keeps_both_connections(peer: Peer) -> None:
    with closing(Peer()) as other, UrlReader().session() as reader:
        peer.script = [redirect(other.url)] * 3
        assert [read(reader, peer.url, number) for number in (1, 2, 3)] == [part(1), part(2), part(3)]
        assert (peer.accepted, other.accepted) == (1, 1)


def test_a_redirect_out_of_the_rules_is_refused_on_a_kept_connection_too(peer: Peer) -> None:
    peer.script = [well, redirect(f"http://localhost:{peer.port}/stolen")]
    with UrlReader().session() as reader:
        assert read(reader, peer.url, 1) == part(1)
        with pytest.raises(SourceNotAllowed):
            read(reader, peer.url, 2)
    assert [path for path, _ in peer.asked if "stolen" in path] == []


def test_a_new_connection_is_checked_again_and_a_kept_one_stays_at_the_checked_address(peer: Peer) -> None:
    host, resolved = "account.r2.cloudflarestorage.com", 0

    def resolve(name: str, port: int) -> Sequence[str]:
        # Another answer to each question: DNS rebinding.
        nonlocal resolved
        resolved += 1
        return ["127.0.0.1"] if resolved == 1 else ["10.0.0.1"]

    url, rules = f"http://{host}:{peer.port}/file", DownloadRules(["*.r2.cloudflarestorage.com"], loopback=True)
    peer.script = [well, well, well_and_close]
    with closing(CheckedConnections(rules, resolve)) as connections:
        for _ in range(3):
            with connections.open(url, {"Range": "bytes=0-9"}) as response:
                assert response.content == CONTENT[:10]
        assert (resolved, peer.accepted) == (1, 1)
        peer.wait_for_ends(1)
        with pytest.raises(SourceNotAllowed), connections.open(url, {"Range": "bytes=0-9"}):
            pass
    assert peer.accepted == 1


def test_a_server_that_always_resets_is_given_up(peer: Peer) -> None:
    peer.script = [well, *[reset_after(0)] * 100]
    with UrlReader().session() as reader:
        assert read(reader, peer.url, 1) == part(1)
        with pytest.raises(SourceUnavailable):
            read(reader, peer.url, 2)
    assert len(peer.asked) < 10


def test_ranges_that_are_refused_are_no_lost_connection(peer: Peer) -> None:
    peer.script = [whole_file]
    with UrlReader().session() as reader, pytest.raises(RangesRefused):
        read(reader, peer.url, 1)
    assert len(peer.asked) == 1
