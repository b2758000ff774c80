"""Reading over HTTP from a server that breaks connections, ignores ranges and changes its file."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from recordings.adapters.storage.resume import CHUNK_BYTES, MAX_REQUESTS
from recordings.adapters.storage.source import UrlReader
from recordings.domain.errors import RangesRefused, SourceChanged, SourceUnavailable, TransferError
from recordings.domain.transfer import SourceFile

CONTENT = bytes(range(256)) * 40  # 10,240 bytes
EARLIER = "Tue, 01 Sep 2026 10:00:00 GMT"


class Server(ThreadingHTTPServer):
    """Serves one file; the fields say how badly."""

    daemon_threads = True
    content = CONTENT
    etag: str | None = '"v1"'
    ranges = True
    # What each answer in turn is cut to, in bytes; None: whole.
    cuts: list[int | None]
    # Answered in turn instead of the file.
    statuses: list[int]
    # Headers that replace the true ones.
    lies: dict[str, str]
    heeds_if_match = True
    asked: list[tuple[str | None, str | None]]
    # What was stored when, and the If-Unmodified-Since of each call.
    modified: str | None = None
    since: list[str | None]
    # Whether a response names its length; the most bytes that one range gives.
    counted = True
    longest: int | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.asked.append((wanted, self.headers["If-Match"]))
        if self.server.statuses and (status := self.server.statuses.pop(0)) != 200:
            return self._send(status, b"no")
        since = self.headers["If-Unmodified-Since"]
        self.server.since.append(since)
        if since and self.server.heeds_if_match and since != self.server.modified:
            return self._send(412, b"")
        if_match = self.headers["If-Match"]
        if if_match and self.server.heeds_if_match and if_match != self.server.etag:
            return self._send(412, b"")
        if not wanted or not self.server.ranges:
            return self._send(200, self.server.content)
        size = len(self.server.content)
        first, last = (int(text) for text in wanted.removeprefix("bytes=").split("-"))
        if first >= size:
            return self._send(416, b"", {"Content-Range": f"bytes */{size}"})
        last = min(last, size - 1, first + (self.server.longest or size) - 1)
        part = self.server.content[first : last + 1]
        return self._send(206, part, {"Content-Range": f"bytes {first}-{last}/{size}"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        length = {"Content-Length": str(len(body))} if self.server.counted else {}
        reported = length | (headers or {}) | self.server.lies
        if self.server.etag:
            reported.setdefault("ETag", self.server.etag)
        if self.server.modified:
            reported.setdefault("Last-Modified", self.server.modified)
        for name, value in reported.items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.cuts, server.statuses, server.lies, server.asked, server.since = [], [], {}, [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/file?signature=x"


def a_source_file(**changes: Any) -> SourceFile:
    facts: dict[str, Any] = {"size": len(CONTENT), "etag": '"v1"', "ranges": True}
    return SourceFile(**facts | changes)


def read(server: Server, first: int = 0, last: int = len(CONTENT) - 1, **changes: Any) -> bytes:
    buffer = bytearray(last - first + 1)
    UrlReader().read(url(server), a_source_file(**changes), first, buffer)
    return bytes(buffer)


def stream(server: Server, *, part_size: int = 1000, **changes: Any) -> list[bytes]:
    return list(UrlReader().stream(url(server), a_source_file(ranges=False, **changes), part_size))


# ---------------------------------------------------------------- measure


def test_a_file_is_measured_by_one_byte(server: Server) -> None:
    found = UrlReader().measure(url(server))
    assert (found.size, found.etag, found.ranges) == (len(CONTENT), '"v1"', True)
    assert [asked for asked, _ in server.asked] == ["bytes=0-0"]


def test_a_server_that_ignores_ranges_is_noticed(server: Server) -> None:
    server.ranges = False
    found = UrlReader().measure(url(server))
    assert (found.size, found.ranges) == (len(CONTENT), False)


def test_an_empty_file_has_a_size_too(server: Server) -> None:
    server.content = b""
    assert UrlReader().measure(url(server)).size == 0


def test_a_weak_etag_is_as_good_as_none(server: Server) -> None:
    server.etag = 'W/"v1"'
    assert UrlReader().measure(url(server)).etag is None


@pytest.mark.parametrize("ranges", [True, False])
def test_the_last_modified_header_is_returned(server: Server, ranges: bool) -> None:
    server.etag, server.modified, server.ranges = None, EARLIER, ranges
    found = UrlReader().measure(url(server))
    assert (found.etag, found.modified) == (None, EARLIER)


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_file_that_cannot_be_measured_raises_a_transfer_error(server: Server, status: int) -> None:
    server.statuses = [status] * 100
    with pytest.raises(TransferError):
        UrlReader().measure(url(server))


@pytest.mark.parametrize("reported", ["bytes 0-0/*", "nonsense", ""])
def test_a_size_that_a_range_does_not_show_is_read_with_a_plain_get(server: Server, reported: str) -> None:
    server.lies = {"Content-Range": reported}
    found = UrlReader().measure(url(server))
    assert (found.size, found.ranges) == (len(CONTENT), False)
    assert [asked for asked, _ in server.asked] == ["bytes=0-0", None]
    assert b"".join(stream(server)) == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("content", [CONTENT, b""])
def test_the_bytes_of_a_file_without_a_size_are_counted(server: Server, content: bytes, ranges: bool) -> None:
    server.content, server.ranges, server.counted = content, ranges, False
    server.lies = {"Content-Range": "bytes 0-0/*"}
    found = UrlReader().measure(url(server))
    assert (found.size, found.ranges) == (len(content), False)
    assert b"".join(stream(server, size=len(content))) == content


def test_counting_the_bytes_of_a_file_has_a_limit(server: Server) -> None:
    server.ranges = server.counted = False
    with pytest.raises(SourceUnavailable):
        UrlReader(max_counting_seconds=-1).measure(url(server))


def test_a_416_without_a_size_is_followed_by_a_plain_get(server: Server) -> None:
    server.content, server.lies = b"", {"Content-Range": "bytes */*"}
    assert UrlReader().measure(url(server)).size == 0


def test_the_error_of_an_unreachable_server_does_not_contain_the_signed_url() -> None:
    with pytest.raises(SourceUnavailable) as raised:
        UrlReader().measure("http://127.0.0.1:9/file?signature=secret")
    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__


# ---------------------------------------------------------------- read


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 10_239), (10_239, 10_239), (256, 511), (5, 1029)])
def test_a_range_is_read_with_both_ends(server: Server, first: int, last: int) -> None:
    assert read(server, first, last) == CONTENT[first : last + 1]
    assert server.asked == [(f"bytes={first}-{last}", '"v1"')]


@pytest.mark.parametrize("cuts", [[0], [1], [4096], [0, 0, 0], [100, 0, 7000, 1]])
def test_a_lost_connection_is_retried(server: Server, cuts: list[int | None]) -> None:
    server.cuts = list(cuts)
    assert read(server) == CONTENT
    assert len(server.asked) == len(cuts) + 1


def test_a_lost_connection_does_not_restart_the_range(server: Server) -> None:
    server.content = CONTENT * 320  # three chunks and a bit
    server.cuts = [CHUNK_BYTES + 5, CHUNK_BYTES + 700]
    size = len(server.content)
    assert read(server, 0, size - 1, size=size) == server.content
    begins = [int(asked.removeprefix("bytes=").split("-")[0]) for asked, _ in server.asked if asked]
    assert begins[0] == 0
    assert begins[1] >= CHUNK_BYTES
    assert begins[2] >= 2 * CHUNK_BYTES


def test_a_connection_that_is_lost_within_every_chunk_still_arrives(server: Server) -> None:
    server.cuts = [1000] * 30
    assert read(server) == CONTENT


def test_a_connection_that_is_always_lost_raises_source_unavailable(server: Server) -> None:
    server.cuts = [1] * 1000
    with pytest.raises(SourceUnavailable):
        read(server)
    assert 1 < len(server.asked) <= MAX_REQUESTS


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_range_that_is_always_refused_raises_a_transfer_error(server: Server, status: int) -> None:
    server.statuses = [status] * 100
    with pytest.raises(TransferError):
        read(server)


def test_a_server_that_stops_answering_ranges_raises_an_error_before_a_byte_is_taken(server: Server) -> None:
    server.ranges = False
    with pytest.raises(TransferError):
        read(server, 256, 511)


@pytest.mark.parametrize("etag", ['W/"v1"', None, '"v1"'])
@pytest.mark.parametrize("heeds", [True, False])
def test_an_etag_that_is_strong_once_and_weak_or_missing_the_next_time_is_no_change(
    server: Server, etag: str | None, heeds: bool
) -> None:
    server.etag, server.modified, server.heeds_if_match = etag, EARLIER, heeds
    assert read(server, 0, 99, modified=EARLIER) == CONTENT[:100]
    server.ranges = False
    assert b"".join(stream(server, modified=EARLIER)) == CONTENT


def test_an_etag_that_is_weak_for_one_part_only_holds_nothing_up(server: Server) -> None:
    original, responses = Handler._send, iter(['"v1"', 'W/"v1"', 'W/"v1"', '"v1"'])

    def sent(handler: Handler, *given: Any) -> None:
        handler.server.etag = next(responses, '"v1"')
        original(handler, *given)

    server.RequestHandlerClass = type("Wavering", (Handler,), {"_send": sent})
    assert [read(server, at, at + 99) for at in range(0, 400, 100)] == [
        CONTENT[at : at + 100] for at in (0, 100, 200, 300)
    ]


def test_a_condition_that_fails_without_a_sign_of_the_same_file_is_a_change(server: Server) -> None:
    server.etag = None
    with pytest.raises(SourceChanged):
        read(server, 0, 99)


FORMS = [EARLIER, "Tuesday, 01-Sep-26 10:00:00 GMT", "Tue Sep  1 10:00:00 2026", "Tue, 01 Sep 2026 12:00:00 +0200"]


@pytest.mark.parametrize("form", [*FORMS, "yesterday", "Tue, 01 Sep 99999999999 10:00:00 GMT", ""])
@pytest.mark.parametrize("heeds", [True, False])
def test_a_time_in_another_form_is_the_same_time(server: Server, form: str, heeds: bool) -> None:
    server.etag, server.modified, server.heeds_if_match = None, form, heeds
    if heeds and form not in FORMS:
        # What the server says of the file is no time: without one, a refused condition is a change.
        with pytest.raises(SourceChanged):
            read(server, 0, 9, etag=None, modified=EARLIER)
    else:
        assert read(server, 0, 9, etag=None, modified=EARLIER) == CONTENT[:10]
    assert read(server, 0, 9, etag=None, modified=form) == CONTENT[:10]
    server.ranges = False
    assert b"".join(stream(server, etag=None, modified=EARLIER)) == CONTENT


@pytest.mark.parametrize("reported", ["bytes 0-99/*", "bytes 0-99/10240"])
def test_a_range_of_a_file_whose_total_is_unknown_is_read(server: Server, reported: str) -> None:
    server.lies = {"Content-Range": reported}
    assert read(server, 0, 99) == CONTENT[:100]


def test_a_range_that_ends_early_is_completed_by_further_requests(server: Server) -> None:
    server.longest = 30
    assert read(server, 0, 99) == CONTENT[:100]
    assert [asked for asked, _ in server.asked] == [f"bytes={at}-99" for at in (0, 30, 60, 90)]


@pytest.mark.parametrize("reported", ["", "nonsense", "bytes 1-100/10240", "bytes 0-49/10240"])
def test_a_response_with_another_range_raises_ranges_refused(server: Server, reported: str) -> None:
    server.lies = {"Content-Range": reported}
    with pytest.raises(RangesRefused):
        read(server, 0, 99)


def test_a_response_with_the_whole_file_raises_ranges_refused(server: Server) -> None:
    server.ranges = False
    with pytest.raises(RangesRefused):
        read(server, 0, 99)


def test_a_file_that_shrank_is_a_change(server: Server) -> None:
    server.content = CONTENT[:50]
    with pytest.raises(SourceChanged):
        read(server, 60, 99)


def test_a_changed_file_raises_source_changed(server: Server) -> None:
    server.etag = '"v2"'
    with pytest.raises(SourceChanged):
        read(server)


def test_a_changed_file_is_noticed_if_the_server_ignores_conditions(server: Server) -> None:
    server.etag, server.heeds_if_match = '"v2"', False
    with pytest.raises(SourceChanged):
        read(server)


def test_a_file_that_changes_between_two_pieces_is_never_mixed(server: Server) -> None:
    server.cuts = [100]
    original = Handler._send

    def change_after(handler: Handler, *given: Any) -> None:
        original(handler, *given)
        server.etag, server.content = '"v2"', CONTENT[::-1]

    server.RequestHandlerClass = type("Changing", (Handler,), {"_send": change_after})
    with pytest.raises(SourceChanged):
        read(server)


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_file_of_another_size_raises_source_changed_without_an_etag(server: Server, size: int) -> None:
    server.etag, server.content = None, (CONTENT + b"x")[:size]
    with pytest.raises(SourceChanged):
        read(server, 0, 99, etag=None)


@pytest.mark.parametrize("reported", ["bytes 0-98/10240", "bytes 1-100/10240", "", "bytes */10240"])
def test_another_range_than_requested_raises_a_transfer_error(server: Server, reported: str) -> None:
    server.lies = {"Content-Range": reported}
    with pytest.raises(TransferError):
        read(server, 0, 99)


def test_more_bytes_than_requested_are_never_returned(server: Server) -> None:
    server.lies = {"Content-Range": "bytes 0-99/10240"}
    try:
        got = read(server, 0, 199)
    except TransferError:
        return
    assert len(got) == 200


def test_a_file_without_etag_is_read_without_condition(server: Server) -> None:
    server.etag = None
    assert read(server, 0, 9, etag=None) == CONTENT[:10]
    assert server.asked == [("bytes=0-9", None)]


@pytest.mark.parametrize("heeds", [True, False])
def test_the_last_modified_time_identifies_a_file_without_etag(server: Server, heeds: bool) -> None:
    server.etag, server.modified, server.heeds_if_match = None, EARLIER, heeds
    assert read(server, 0, 9, etag=None, modified=EARLIER) == CONTENT[:10]
    assert server.since == [EARLIER]
    server.modified = "Tue, 01 Sep 2026 11:00:00 GMT"
    with pytest.raises(SourceChanged):
        read(server, 0, 9, etag=None, modified=EARLIER)
    server.ranges = False
    with pytest.raises(SourceChanged):
        stream(server, etag=None, modified=EARLIER)


def test_the_etag_is_the_condition_if_there_is_a_time_as_well(server: Server) -> None:
    server.modified = "Tue, 01 Sep 2026 11:00:00 GMT"
    assert read(server, 0, 9, modified=EARLIER) == CONTENT[:10]
    assert server.since == [None]


# ---------------------------------------------------------------- stream


@pytest.mark.parametrize("part_size", [1, 1000, 1024, 10_239, 10_240, 10_241])
def test_a_stream_comes_in_equal_parts(server: Server, part_size: int) -> None:
    server.ranges = False
    parts = stream(server, part_size=part_size)
    assert b"".join(parts) == CONTENT
    assert {len(part) for part in parts[:-1]} <= {part_size}
    assert 0 < len(parts[-1]) <= part_size
    assert server.asked == [(None, None)]


def test_a_stream_that_grew_raises_source_changed_before_a_part_too_many(server: Server) -> None:
    server.content = CONTENT * 300
    with pytest.raises(SourceChanged):
        for _ in UrlReader().stream(url(server), a_source_file(ranges=False), 1000):
            pass


def test_an_empty_stream_has_no_parts(server: Server) -> None:
    server.content = b""
    assert stream(server, size=0) == []


@pytest.mark.parametrize("cut", [0, 1, 10_239])
def test_a_lost_connection_is_not_taken_for_the_end_of_a_stream(server: Server, cut: int) -> None:
    server.cuts = [cut]
    with pytest.raises(SourceUnavailable):
        stream(server)


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_stream_of_another_size_raises_a_transfer_error(server: Server, size: int) -> None:
    with pytest.raises(TransferError):
        stream(server, size=size)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refused_stream_raises_a_transfer_error(server: Server, status: int) -> None:
    server.statuses = [status]
    with pytest.raises(TransferError):
        stream(server)


def test_a_stream_of_a_changed_file_raises_source_changed_before_the_first_part(server: Server) -> None:
    server.etag = '"v2"'
    with pytest.raises(SourceChanged):
        next(iter(UrlReader().stream(url(server), a_source_file(ranges=False), 1000)))
