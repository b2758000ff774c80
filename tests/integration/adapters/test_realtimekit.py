"""The Cloudflare client against a server that answers as Cloudflare may."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from recordings.adapters.cloudflare import transport
from recordings.adapters.cloudflare.client import DirectDelivery, RealtimeKitClient
from recordings.domain.errors import (
    ProviderError,
    ProviderFailure,
    ProviderNotFound,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
)
from recordings.domain.provider_recording import ProviderStatus
from tests.support.fakes import FakeRateLimiter
from tests.support.secrets import known_token

ROW = {"id": "c1", "status": "RECORDING", "invoked_time": "2026-09-01T10:00:00.000Z", "output_file_name": "a.mp4"}


type Answer = tuple[int, dict[str, str], bytes]


class Server(HTTPServer):
    """Gives the queued answers in order, the last one for ever, and remembers what was asked."""

    responses: list[Answer]
    asked: list[tuple[str, str, Any, str | None]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def response(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(
            (self.command, self.path, json.loads(body) if body else None, self.headers["Authorization"])
        )
        status, headers, content = (
            self.server.responses.pop(0) if len(self.server.responses) > 1 else self.server.responses[0]
        )
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = response

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.responses, server.asked = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def rate_limiter() -> FakeRateLimiter:
    return FakeRateLimiter()


@pytest.fixture
def provider(server: Server, rate_limiter: FakeRateLimiter, monkeypatch: pytest.MonkeyPatch) -> RealtimeKitClient:
    monkeypatch.setenv("CLOUDFLARE_API_URL", f"http://127.0.0.1:{server.server_port}/client/v4")
    return RealtimeKitClient(rate_limiter, token=known_token())


def ok(data: object, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {}, json.dumps({"success": True, "data": data}).encode()


def test_a_start_names_the_meeting_and_both_codecs(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [ok(ROW, 201)]

    provider_recording = provider.start("m1", max_seconds=60)

    method, path, body, authorization = server.asked[0]
    assert (method, path) == ("POST", "/client/v4/accounts/account/realtime/kit/app/recordings")
    assert body["meeting_id"] == "m1"
    assert body["max_seconds"] == 60
    assert body.keys() >= {"audio_config", "video_config"}
    assert authorization == "Bearer token"
    assert (provider_recording.cloudflare_recording_id, provider_recording.status) == ("c1", ProviderStatus.RECORDING)
    assert provider_recording.invoked_at == datetime(2026, 9, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        ((502, {}, b"<html>Bad gateway</html>"), ProviderError),
        ((504, {}, b""), ProviderTimeout),
        ((401, {}, b'{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}'), ProviderError),
        ((409, {}, b'{"success":false,"error":{"code":409,"message":"already"}}'), ProviderRefused),
        ((422, {}, b'{"success":false,"error":"odd"}'), ProviderRefused),
        ((404, {}, b'{"success":false,"error":{"code":404,"message":"no"}}'), ProviderNotFound),
        ((404, {}, b'{"success":false,"errors":[{"code":1,"message":"no"}]}'), ProviderNotFound),
        ((404, {}, b'{"success":false,"errors":[{"code":7003,"message":"Could not route to"}]}'), ProviderError),
        ((404, {}, b"<html>Not found</html>"), ProviderError),
        ((200, {}, b'{"success":false,"error":{"code":500,"message":"no"}}'), ProviderError),
        ((200, {}, b'{"success":true}'), ProviderError),
        ((200, {}, b'{"success":true,"data":[]}'), ProviderError),
        ((200, {}, b'{"success":true,"data":{"status":"RECORDING"}}'), ProviderError),
        ((200, {}, b"[1]"), ProviderError),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), ProviderError),
    ],
)
def test_a_failed_start_raises_its_error_and_is_sent_once(
    server: Server, provider: RealtimeKitClient, response: Any, error: type[Exception]
) -> None:
    server.responses = [response]
    with pytest.raises(error):
        provider.start("m1", max_seconds=None)
    assert len(server.asked) == 1


LEAK = "SECRET of another customer" * 2_000


@pytest.mark.parametrize("status", [200, 400, 401, 404, 409, 422, 429, 500, 504])
@pytest.mark.parametrize(
    "reported",
    [
        {"error": {"code": 409, "message": LEAK}},
        {"errors": [{"code": 10000, "message": LEAK}, {"code": LEAK}, {"code": [LEAK]}, LEAK]},
        {"error": LEAK, "errors": LEAK},
    ],
    ids=["its own envelope", "the gateway's envelope", "odd ones"],
)
def test_text_of_cloudflare_is_in_no_error_and_no_log(
    server: Server, provider: RealtimeKitClient, log: io.StringIO, status: int, reported: dict[str, Any]
) -> None:
    server.responses = [(status, {}, json.dumps({"success": False, **reported}).encode())]
    with pytest.raises(ProviderFailure) as raised:
        provider.start("m1", max_seconds=None)
    assert "SECRET" not in f"{raised.value!r} {log.getvalue()}"
    assert f'"status":{status}' in log.getvalue()


def test_a_deeply_nested_response_is_unreadable(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [(200, {}, b"[" * 200_000)]
    with pytest.raises(ProviderError):
        provider.start("m1", max_seconds=None)


@pytest.mark.parametrize("id", ["", "..", "a/b", "a#b", "a?b", "é", "x" * 129, None, 7, ["c1"]])
def test_a_malformed_id_is_none(server: Server, provider: RealtimeKitClient, id: Any) -> None:
    server.responses = [ok(ROW | {"session_id": id, "meeting": {"id": id}})]
    provider_recording = provider.start("m1", max_seconds=None)
    assert (provider_recording.session_id, provider_recording.meeting_id) == (None, None)
    server.responses = [ok(ROW | {"id": id})]
    with pytest.raises(ProviderError):
        provider.start("m1", max_seconds=None)
    server.responses = [ok({"id": id})]
    with pytest.raises(ProviderError):
        provider.create_meeting("Room", record_on_start=False)


def test_a_429_carries_cloudflares_pause(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [(429, {"Retry-After": "17"}, b"")]
    with pytest.raises(ProviderThrottled) as raised:
        provider.get("c1")
    assert raised.value.retry_after == 17
    assert len(server.asked) == 1


def test_a_429_without_a_pause_counts_as_a_whole_block(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [(429, {}, b"")]
    with pytest.raises(ProviderThrottled) as raised:
        provider.get("c1")
    assert raised.value.retry_after == 300


def test_a_read_is_retried_after_a_failure(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [(502, {}, b"<html>"), ok(ROW)]
    assert provider.get("c1").cloudflare_recording_id == "c1"
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_read_has_three_attempts_and_each_is_a_call(
    server: Server, provider: RealtimeKitClient, rate_limiter: FakeRateLimiter, status: int
) -> None:
    server.responses = [(status, {}, b"<html>")]
    with pytest.raises((ProviderError, ProviderTimeout)):
        provider.get("c1")
    assert (len(server.asked), rate_limiter.spent) == (3, 3)


def test_retries_end_at_the_rate_limit(
    server: Server, provider: RealtimeKitClient, rate_limiter: FakeRateLimiter
) -> None:
    server.responses, rate_limiter.calls = [(502, {}, b"<html>")], 2
    with pytest.raises(ProviderThrottled):
        provider.get("c1")
    assert len(server.asked) == 2


def test_a_read_is_retried_after_a_closed_connection(
    server: Server, provider: RealtimeKitClient, rate_limiter: FakeRateLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.responses = [ok(ROW)]
    closing = iter([True, False])
    response = Handler.response

    def now_and_then(handler: Handler) -> None:
        if next(closing):
            handler.close_connection = True
        else:
            response(handler)

    monkeypatch.setattr(Handler, "do_GET", now_and_then)
    assert provider.get("c1").cloudflare_recording_id == "c1"
    assert rate_limiter.spent == 2


def test_a_read_time_out_is_not_retried(
    server: Server, provider: RealtimeKitClient, rate_limiter: FakeRateLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()
    monkeypatch.setattr(transport, "READ_SECONDS", 0.2)
    monkeypatch.setattr(Handler, "do_GET", lambda _: given_up.wait(60))
    try:
        with pytest.raises(ProviderTimeout):
            provider.get("c1")
    finally:
        given_up.set()
    assert rate_limiter.spent == 1


def test_a_second_stop_returns_the_ended_recording(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [(409, {}, b"{}"), ok(ROW | {"status": "UPLOADED"})]
    assert provider.stop("c1").status is ProviderStatus.UPLOADED


def test_a_refused_stop_of_a_running_capture_is_told(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [(409, {}, b"{}"), ok(ROW)]
    with pytest.raises(ProviderRefused):
        provider.stop("c1")


def test_find_active_returns_none_without_a_recording(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [(404, {}, b'{"success":false,"error":{"code":404,"message":"none"}}')]
    assert provider.find_active("m1") is None


def test_ids_cannot_change_the_path(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [ok(ROW)]
    provider.get("../meetings?x=1")
    assert server.asked[0][1].endswith("/recordings/..%2Fmeetings%3Fx%3D1")


@pytest.mark.parametrize(
    ("field", "given", "read", "wanted"),
    [
        ("file_size", "2044680", lambda c: c.size_bytes, 2044680),
        ("file_size", 2044680, lambda c: c.size_bytes, 2044680),
        ("file_size", "many", lambda c: c.size_bytes, None),
        ("file_size", True, lambda c: c.size_bytes, None),
        ("recording_duration", 95, lambda c: c.duration_seconds, 95),
        ("recording_duration", 95.6, lambda c: c.duration_seconds, 96),
        ("recording_duration", "95", lambda c: c.duration_seconds, 95),
        ("recording_duration", 0, lambda c: c.duration_seconds, None),
        ("recording_duration", -95, lambda c: c.duration_seconds, None),
        ("recording_duration", 10**18, lambda c: c.duration_seconds, None),
        ("recording_duration", 1e300, lambda c: c.duration_seconds, None),
        ("status", "SOMETHING_NEW", lambda c: c.status, ProviderStatus.UNKNOWN),
        ("started_time", "yesterday", lambda c: c.started_at, None),
        ("started_time", "2026-09-01T12:00:00+02:00", lambda c: c.started_at, datetime(2026, 9, 1, 10, tzinfo=UTC)),
        ("start_reason", {"reason": "RECORD_ON_START"}, lambda c: c.auto_started, True),
        ("start_reason", {"reason": "API_CALL"}, lambda c: c.auto_started, False),
        ("start_reason", None, lambda c: c.auto_started, None),
    ],
)
def test_every_form_of_a_field_is_read(
    server: Server,
    provider: RealtimeKitClient,
    field: str,
    given: object,
    read: Callable[[Any], object],
    wanted: object,
) -> None:
    server.responses = [ok(ROW | {field: given})]
    assert read(provider.get("c1")) == wanted


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [ROW | {"id": f"c{number}"} for number in numbers]


def page(numbers: range, total: int, begins: int | None) -> tuple[int, dict[str, str], bytes]:
    """A page as it is told; `begins` None: without its paging."""
    document: dict[str, Any] = {"success": True, "data": rows(*numbers)}
    if begins is not None:
        document["paging"] = {
            "total_count": total,
            "start_offset": begins,
            "end_offset": begins + len(numbers) - 1,
        }
    return 200, {}, json.dumps(document).encode()


def numbers_asked(server: Server) -> list[str]:
    return [parse_qs(urlsplit(path).query)["page_no"][0] for _, path, _, _ in server.asked]


def test_the_captures_of_a_meeting_are_asked_for_newest_first(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [page(range(2), 2, 1)]
    assert [provider_recording.cloudflare_recording_id for provider_recording in provider.list_by_meeting("m1")] == [
        "c0",
        "c1",
    ]
    query = parse_qs(urlsplit(server.asked[0][1]).query)
    assert query["meeting_id"] == ["m1"]
    assert (query["sort_by"], query["sort_order"]) == (["invokedTime"], ["DESC"])


def test_pages_that_count_from_one_are_listed_to_the_end(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [page(range(100), 150, 1), page(range(100, 150), 150, 101)]
    assert [provider_recording.cloudflare_recording_id for provider_recording in provider.list_by_meeting("m1")] == [
        f"c{number}" for number in range(150)
    ]
    assert numbers_asked(server) == ["1", "2"]


def test_pages_that_count_from_zero_are_listed_from_the_start(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [page(range(100, 150), 150, 101), page(range(100), 150, 1)]
    assert [provider_recording.cloudflare_recording_id for provider_recording in provider.list_by_meeting("m1")] == [
        f"c{number}" for number in range(150)
    ]
    assert numbers_asked(server) == ["1", "0"]


def test_pages_without_paging_end_with_a_short_page(server: Server, provider: RealtimeKitClient) -> None:
    refused: Answer = (422, {}, b'{"success": false, "error": {"code": 422, "message": "page_no"}}')
    server.responses = [page(range(100), 0, None), refused, page(range(100, 130), 0, None)]
    assert len([*provider.list_by_meeting("m1")]) == 130
    assert numbers_asked(server) == ["1", "0", "2"]


@pytest.mark.parametrize(
    "paging",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="list"),
        pytest.param("paging", id="text"),
        pytest.param(7, id="number"),
        pytest.param({}, id="empty"),
        pytest.param({"total_count": "many"}, id="text as a number"),
        pytest.param({"total_count": -1, "start_offset": None, "end_offset": []}, id="numbers out of range"),
    ],
)
def test_rows_are_read_with_any_paging(server: Server, provider: RealtimeKitClient, paging: object) -> None:
    response = json.dumps({"success": True, "data": rows(1), "paging": paging}).encode()
    server.responses = [(200, {}, response), ok(rows(0))]
    listed, more = provider.list_page(1)
    assert ([one.cloudflare_recording_id for one in listed], more) == ([rows(0)[0]["id"], rows(1)[0]["id"]], False)
    assert numbers_asked(server) == ["1", "0"]


def test_shorter_pages_are_listed_to_the_end(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [page(range(30), 70, 1), page(range(30, 60), 70, 31), page(range(60, 70), 70, 61)]
    assert len([*provider.list_by_meeting("m1")]) == 70


def test_rows_that_shift_between_pages_are_listed_once(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [page(range(100), 151, 1), page(range(98, 150), 151, 101)]
    assert [provider_recording.cloudflare_recording_id for provider_recording in provider.list_by_meeting("m1")] == [
        f"c{number}" for number in range(150)
    ]


def test_a_listing_requests_no_page_before_it_is_needed(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [page(range(100), 1000, 1)]
    assert next(iter(provider.list_by_meeting("m1"))).cloudflare_recording_id == "c0"
    assert len(server.asked) == 1


def test_one_page_of_all_captures_tells_whether_there_are_more(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [page(range(100), 150, 1), page(range(100, 150), 150, 101)]
    first, more = provider.list_page(1)
    assert ([provider_recording.cloudflare_recording_id for provider_recording in first], more) == (
        [f"c{number}" for number in range(100)],
        True,
    )
    last, more = provider.list_page(2)
    assert ([provider_recording.cloudflare_recording_id for provider_recording in last], more) == (
        [f"c{number}" for number in range(100, 150)],
        False,
    )
    assert numbers_asked(server) == ["1", "2"]
    assert all("meeting_id" not in parse_qs(urlsplit(path).query) for _, path, _, _ in server.asked)


def test_the_first_page_of_a_list_that_counts_from_zero_has_both(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [page(range(100, 150), 150, 101), page(range(100), 150, 1)]
    provider_recordings, more = provider.list_page(1)
    assert ([provider_recording.cloudflare_recording_id for provider_recording in provider_recordings], more) == (
        [f"c{number}" for number in range(150)],
        False,
    )


@pytest.mark.parametrize("total", [3, None])
def test_a_short_list_that_counts_from_zero_is_read(
    server: Server, provider: RealtimeKitClient, total: int | None
) -> None:
    first, empty = (page(some, 3, 1 if total else None) for some in (range(3), range(0)))
    server.responses = [empty, first]
    provider_recordings, more = provider.list_page(1)
    assert ([provider_recording.cloudflare_recording_id for provider_recording in provider_recordings], more) == (
        ["c0", "c1", "c2"],
        False,
    )
    assert numbers_asked(server) == ["1", "0"]


def test_an_empty_page_ends_the_listing(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [page(range(0), 0, 1)]
    assert provider.list_page(1) == ([], False)
    assert provider.list_page(7) == ([], False)
    assert len(server.asked) == 2


MEETING = "8a5d9a5c-1a2b-4c3d-9e8f-0123456789ab"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (f"{MEETING}_1767700800000.mp4", MEETING),
        (f"tenant/room_{MEETING}_1.webm", MEETING),
        (f"{MEETING}.mp4", None),
        (f"{MEETING}_1767700800000", None),
        ("a.mp4", None),
        (None, None),
        (7, None),
    ],
)
def test_the_meeting_is_read_from_the_file_name(
    server: Server, provider: RealtimeKitClient, name: object, hint: str | None
) -> None:
    server.responses = [ok([ROW | {"output_file_name": name}])]
    provider_recordings, _ = provider.list_page(2)
    assert [
        (provider_recording.meeting_id, provider_recording.likely_meeting_id)
        for provider_recording in provider_recordings
    ] == [(None, hint)]


ENDED = "2026-09-01T10:30:00.000Z"
SAID = datetime(2026, 9, 1, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("session", "reported"),
    [
        ({"status": "ENDED", "ended_at": ENDED}, SAID),
        ({"session": {"status": "ENDED", "ended_at": ENDED}}, SAID),
        ({"status": "ENDED", "ended_at": None, "updated_at": ENDED}, SAID),
        ({"status": "ENDED"}, None),
        ({"status": "LIVE", "ended_at": None, "updated_at": ENDED}, None),
        ({"status": "ended", "ended_at": ENDED}, None),
        ({"session": None}, None),
        ({}, None),
    ],
)
def test_a_session_has_an_end_only_if_cloudflare_reports_it(
    server: Server, provider: RealtimeKitClient, session: object, reported: datetime | None
) -> None:
    server.responses = [ok(session)]
    assert provider.find_session_end("../s1") == reported
    assert server.asked[0][1].endswith("/sessions/..%2Fs1")


def test_an_unknown_session_has_no_end(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [(404, {}, b'{"success":false,"error":{"code":404,"message":"no"}}')]
    assert provider.find_session_end("s1") is None


# ---------------------------------------------------------------- the budget


CALLS: dict[str, Callable[[RealtimeKitClient], object]] = {
    "start": lambda provider: provider.start("m1", max_seconds=None),
    "stop": lambda provider: provider.stop("c1"),
    "get": lambda provider: provider.get("c1"),
    "active": lambda provider: provider.find_active("m1"),
    "captures": lambda provider: list(provider.list_by_meeting("m1")),
    "recent": lambda provider: provider.list_page(1),
    "create_meeting": lambda provider: provider.create_meeting("title", record_on_start=False),
    "set_meeting": lambda provider: provider.set_record_on_start("m1", record_on_start=True),
}


def answer_to(call: str) -> Answer:
    return page(range(1), 1, 1) if call in {"captures", "recent"} else ok(ROW)


@pytest.mark.parametrize("call", CALLS)
def test_each_call_takes_one_from_the_rate_limit(
    server: Server, provider: RealtimeKitClient, rate_limiter: FakeRateLimiter, call: str
) -> None:
    server.responses = [answer_to(call)]
    CALLS[call](provider)
    assert (rate_limiter.spent, len(server.asked), rate_limiter.blocks) == (1, 1, [])


def test_each_page_takes_one_from_the_rate_limit(
    server: Server, provider: RealtimeKitClient, rate_limiter: FakeRateLimiter
) -> None:
    server.responses = [page(range(100), 250, 1), page(range(100, 200), 250, 101), page(range(200, 250), 250, 201)]
    assert len([*provider.list_by_meeting("m1")]) == 250
    assert rate_limiter.spent == 3


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_sent_above_the_rate_limit(
    server: Server, provider: RealtimeKitClient, rate_limiter: FakeRateLimiter, call: str
) -> None:
    server.responses, rate_limiter.calls = [answer_to(call)], 0
    with pytest.raises(ProviderThrottled) as raised:
        CALLS[call](provider)
    assert raised.value.retry_after == 60
    assert server.asked == []


def test_a_listing_ends_at_the_rate_limit(
    server: Server, provider: RealtimeKitClient, rate_limiter: FakeRateLimiter
) -> None:
    server.responses, rate_limiter.calls = [page(range(100), 1000, 1)], 1
    walk = provider.list_by_meeting("m1")
    assert [next(walk).cloudflare_recording_id for _ in range(100)] == [f"c{number}" for number in range(100)]
    with pytest.raises(ProviderThrottled):
        next(walk)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": "86400"}, 3600),
        ({"Retry-After": "9" * 400}, 300),
        ({}, 300),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 300),
    ],
)
@pytest.mark.parametrize("call", CALLS)
def test_a_429_blocks_every_call(
    server: Server,
    provider: RealtimeKitClient,
    rate_limiter: FakeRateLimiter,
    call: str,
    headers: dict[str, str],
    seconds: int,
) -> None:
    server.responses = [(429, headers, b"")]
    with pytest.raises(ProviderThrottled):
        CALLS[call](provider)
    assert (rate_limiter.blocks, len(server.asked)) == ([seconds], 1)


@pytest.mark.parametrize(
    ("reported", "blocks"),
    [
        ('"default";r=0;t=30', [30]),
        ('"default"; r=0; t=30', [30]),
        ('"default";r=0;t=0', [0]),
        ('"default";r=0;t=99999', [300]),
        ('"default";r=1;t=30', []),
        ('"default";r=10;t=30', []),
        ('"default";r=100;t=30', []),
        ("", []),
        ("nonsense", []),
    ],
)
def test_an_exhausted_rate_limit_header_blocks_the_next_call(
    server: Server, provider: RealtimeKitClient, rate_limiter: FakeRateLimiter, reported: str, blocks: list[int]
) -> None:
    status, _, content = ok(ROW)
    server.responses = [(status, {"Ratelimit": reported}, content)]
    assert provider.get("c1").cloudflare_recording_id == "c1"
    assert rate_limiter.blocks == blocks


@pytest.fixture
def delivering(provider: RealtimeKitClient) -> RealtimeKitClient:
    """The client of the same server whose recordings Cloudflare delivers into our bucket."""
    keys = {"access_key_id": "a", "secret_access_key": "s"}
    return RealtimeKitClient(FakeRateLimiter(), token=known_token(), delivery=DirectDelivery("files", lambda: keys))


def test_a_start_names_our_bucket(server: Server, delivering: RealtimeKitClient) -> None:
    server.responses = [ok(ROW, 201)]
    started = delivering.start("m1", max_seconds=None, folder="delivered/t/r")
    assert started.delivery_key == "delivered/t/r/a.mp4"
    storage = server.asked[0][2]["storage_config"]
    assert storage == {
        "type": "cloudflare", "account_id": "account", "access_key": "a", "secret": "s", "bucket": "files",
        "path": "delivered/t/r",
    }  # fmt: skip


def test_a_start_is_repeated_without_a_rejected_bucket(server: Server, delivering: RealtimeKitClient) -> None:
    refused: Answer = (422, {}, b'{"success": false, "error": {"code": 422, "message": "storage_config"}}')
    none: Answer = (404, {}, b'{"success": false, "error": {"code": 404, "message": "none"}}')
    server.responses = [refused, none, ok(ROW, 201)]
    started = delivering.start("m1", max_seconds=None, folder="delivered/t/r")
    assert started.delivery_key is None
    assert [method for method, *_ in server.asked] == ["POST", "GET", "POST"]
    assert "storage_config" not in server.asked[2][2]


def test_a_start_during_a_recording_is_not_repeated(server: Server, delivering: RealtimeKitClient) -> None:
    server.responses = [(409, {}, b"{}"), ok(ROW)]
    with pytest.raises(ProviderRefused):
        delivering.start("m1", max_seconds=None, folder="delivered/t/r")
    assert [method for method, *_ in server.asked] == ["POST", "GET"]


def test_a_signed_url_is_in_no_log(server: Server, provider: RealtimeKitClient) -> None:
    server.responses = [ok(ROW | {"download_url": "https://files.example/a?signature=hidden"})]
    assert "hidden" not in repr(provider.get("c1"))
