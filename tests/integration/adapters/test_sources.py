"""What the URL of a file may answer, read by the real adapters, and what becomes of the recording."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recordings.adapters.storage.media import read_media_facts
from recordings.adapters.storage.source import UrlReader
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from tests.unit.services.world import World
from tools.local.standin.media import base_file

PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body>please</body></html>"
NO_MEDIA = {
    "page": PAGE,
    "json": b'{"success": false, "errors": [{"code": 10000}]}',
    "xml": b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
    "nothing": b"",
    "zeros": bytes(60_000),
}


class Source(ThreadingHTTPServer):
    """Serves one file after the other: each time that its first byte alone is asked for, the next one comes."""

    daemon_threads = True
    contents: list[bytes]
    ranges = True
    chunked = False
    total = ""

    def content(self, wanted: str | None) -> bytes:
        if wanted == "bytes=0-0" and len(self.contents) > 1:
            self.contents.pop(0)
        return self.contents[0]


class Handler(BaseHTTPRequestHandler):
    server: Source
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        content = self.server.content(wanted)
        size = len(content)
        if not wanted or not self.server.ranges:
            self._send(200, content, {})
        elif not size:
            self._send(416, b"", {"Content-Range": "bytes */0"})
        else:
            first, last = (int(text) for text in wanted.removeprefix("bytes=").split("-"))
            last = min(last, size - 1)
            total = self.server.total or str(size)
            self._send(206, content[first : last + 1], {"Content-Range": f"bytes {first}-{last}/{total}"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            # Who only measures hangs up.
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def source() -> Iterator[Source]:
    server = Source(("127.0.0.1", 0), Handler)
    server.contents = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return base_file(Path(tmp_path_factory.mktemp("media")), 4)


def fetched(source: Source, *contents: bytes, announced: int | None = None, hours: int = 72) -> tuple[World, Recording]:
    """A recording whose file is each of these in turn, after so many hours of syncs. Cloudflare tells 1,800 s of it."""
    # The first look takes the first one away.
    source.contents = [b"", *contents]
    world = World()
    world.make_reader, world.read_media_facts = UrlReader, read_media_facts
    world.start()
    world.clock.advance(minutes=1)
    world.stop()
    world.cloudflare.upload("capture_1", seconds=1800, url=f"http://127.0.0.1:{source.server_port}/file?signature=x")
    world.cloudflare._change("capture_1", size_bytes=announced)
    for _ in range(hours * 12):
        for recording in list(world.executions.started.values()):
            world.process(recording)
        (now,) = world.all()
        if now.status in {Status.READY, Status.FAILED}:
            break
        world.clock.advance(minutes=5)
        world.sync()
    return world, now


@pytest.mark.parametrize("name", NO_MEDIA)
@pytest.mark.parametrize("ranges", [True, False])
def test_what_is_no_media_is_never_ready(source: Source, name: str, ranges: bool) -> None:
    source.ranges = ranges
    world, now = fetched(source, NO_MEDIA[name])
    assert (now.status, now.attempt) == (Status.FAILED, 12)
    assert now.failure is not None
    assert now.failure.code == "file_invalid"
    (key,) = world.r2.objects
    assert key.startswith("quarantine/")
    assert world.r2.objects[key][0] == NO_MEDIA[name]


@pytest.mark.parametrize("name", ["page", "nothing"])
def test_a_page_without_a_length_is_never_ready_either(source: Source, name: str) -> None:
    source.ranges, source.chunked = False, True
    _, now = fetched(source, NO_MEDIA[name])
    assert now.failure is not None
    assert now.failure.code == "file_invalid"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_stays_half_as_large_as_announced_is_partial(source: Source, film: bytes, ranges: bool) -> None:
    source.ranges = ranges
    half = film[: len(film) // 2]
    _, now = fetched(source, half, announced=len(film))
    assert (now.status, now.partial, now.size_bytes, now.attempt) == (Status.READY, True, len(half), 6)
    # Cloudflare's 1,800 s are those of the whole.
    assert now.duration_seconds != 1800


def test_a_file_without_its_end_is_partial_whatever_was_announced(source: Source, film: bytes) -> None:
    half = film[: len(film) // 2]
    for announced in (None, len(half)):
        _, now = fetched(source, half, announced=announced)
        assert (now.status, now.partial) == (Status.READY, True)


def test_a_file_that_is_whole_in_the_second_attempt_is_whole(source: Source, film: bytes) -> None:
    world, now = fetched(source, film[: len(film) // 2], film, announced=len(film))
    assert (now.status, now.partial, now.size_bytes, now.attempt) == (Status.READY, False, len(film), 2)
    assert now.duration_seconds == 4
    assert [file[0] for file in world.r2.objects.values()] == [film]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_size_that_no_range_shows_is_read_with_a_plain_get(source: Source, film: bytes, chunked: bool) -> None:
    source.total, source.chunked = "*", chunked
    world, now = fetched(source, film)
    assert (now.status, now.partial, now.attempt) == (Status.READY, False, 1)
    assert [file[0] for file in world.r2.objects.values()] == [film]
