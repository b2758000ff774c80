import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from msgspec import Struct

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Progress, Recording, StoredFile
from recordings.domain.room import Room
from recordings.http import schemas
from recordings.http.endpoint import Request, Response, endpoint
from tests.support.context import Context

BEGAN = datetime(2026, 1, 6, 10, 30, tzinfo=UTC)
FILE = StoredFile(provider="r2", key="k", size_bytes=524_288_000, content_type="video/mp4")
RUNNING = Recording.begin(
    id="rec_1",
    tenant_id="t",
    room_id="room_1",
    room_name="Old name",
    meeting_id="m",
    cloudflare_recording_id="c",
    origin="api",
    at=BEGAN,
    cause="api_start",
)
PROCESSING = RUNNING.stopped(at=BEGAN + timedelta(minutes=30), cause="api_stop")
READY = PROCESSING.stored(FILE, duration_seconds=1800, partial=False, at=BEGAN + timedelta(hours=1), cause="stored")


def asked[Q: Struct](model: type[Q], query: str) -> Q | None:
    """The query as a function is given it, or None when it is refused with 400."""
    given: list[Q] = []

    @endpoint(scope=None, query=model)
    def handler(request: Request[Q, schemas.Nothing]) -> Response:
        given.append(request.query)
        return Response(HTTPStatus.OK, {})

    event = {"requestContext": {"requestId": "r", "http": {"method": "GET"}}, "rawQueryString": query}
    answer = handler(event, Context())
    assert answer["statusCode"] == (200 if given else 400), answer["body"]
    return given[0] if given else None


def accepts(model: type[Struct], given: dict[str, Any]) -> bool:
    """Whether a body fits."""
    try:
        msgspec.json.decode(json.dumps(given), type=model)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("limit", ["1", "20", "100"])
def test_a_limit_is_a_plain_whole_number(limit: str) -> None:
    query = asked(schemas.ListQuery, f"limit={limit}")
    assert query is not None
    assert query.limit == int(limit)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.0", "1e1", " 5", "+5", "5_0", "٥", "", "x", "0x10", "9" * 40])
def test_another_limit_is_refused(limit: str) -> None:
    assert asked(schemas.ListQuery, f"limit={quote(limit)}") is None
    assert asked(schemas.RoomsQuery, f"limit={quote(limit)}") is None


def test_a_query_has_defaults() -> None:
    assert asked(schemas.ListQuery, "") == schemas.ListQuery(limit=20, offset=None, cursor=None, status=[])
    assert asked(schemas.RoomsQuery, "") == schemas.RoomsQuery(limit=20, cursor=None)
    assert asked(schemas.DownloadQuery, "") == schemas.DownloadQuery(expires_in=3600)


def test_an_offset_may_be_beyond_every_list_but_not_before_it() -> None:
    assert asked(schemas.ListQuery, f"offset={2**53 - 1}") == schemas.ListQuery(offset=2**53 - 1)
    for offset in ("-1", f"{2**53}", f"{10**18}", f"{2**63}", "9" * 400):
        assert asked(schemas.ListQuery, f"offset={offset}") is None


def test_a_list_is_filtered_by_room_statuses_and_times() -> None:
    query = asked(
        schemas.ListQuery,
        "room_id=r%2F1&status=ready&status=failed&created_after=2026-01-06T12:30:00%2B02:00&created_before=2026-01-07T00:00:00Z",
    )
    assert query is not None
    only = query.only()
    assert (only.room_id, only.statuses) == ("r/1", frozenset({Status.READY, Status.FAILED}))
    assert (only.created_after, only.created_before) == (BEGAN, datetime(2026, 1, 7, tzinfo=UTC))


@pytest.mark.parametrize(
    "query",
    [
        "status=unknown",
        "status=READY",
        "room_id=",
        "room_id=a&room_id=b",
        "created_after=yesterday",
        "created_after=2026-01-06",
        "created_after=2026-01-06T10:30:00",
        "created_before=1767695400",
        "cursor=",
        "cursor=x&offset=0",
        "ofset=1",
    ],
)
def test_another_filter_is_refused(query: str) -> None:
    assert asked(schemas.ListQuery, query) is None


@pytest.mark.parametrize(("seconds", "fits"), [("59", False), ("60", True), ("604800", True), ("604801", False)])
def test_a_download_lives_a_minute_to_a_week(seconds: str, fits: bool) -> None:
    assert (asked(schemas.DownloadQuery, f"expires_in={seconds}") is not None) is fits


@pytest.mark.parametrize(
    ("seconds", "fits"),
    [(59, False), (60, True), (86_400, True), (86_401, False), ("60", False), (60.0, False), (True, False)],
)
def test_a_start_body_holds_an_integer_in_range(seconds: object, fits: bool) -> None:
    assert accepts(schemas.StartBody, {"max_duration_seconds": seconds}) is fits


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({}, True),
        ({"days": 1, "tier": "bulk"}, True),
        ({"days": 30}, True),
        ({"days": 0}, False),
        ({"days": 31}, False),
        ({"tier": "Bulk"}, False),
        ({"tier": None}, False),
    ],
)
def test_a_restore_names_days_and_a_tier(body: dict[str, Any], fits: bool) -> None:
    assert accepts(schemas.RestoreBody, body) is fits


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": ""},
        {"name": "x" * 201},
        {"name": 1},
        {"name": "x", "record_on_start": "yes"},
        {"name": "x", "record_on_start": 1},
        {"name": "x", "cloudflare_meeting_id": "not a uuid"},
        {"name": "x", "tenant_id": "other"},
    ],
)
def test_a_room_body_that_does_not_fit_is_refused(given: dict[str, Any]) -> None:
    assert not accepts(schemas.RoomBody, given)


def test_a_time_is_told_in_utc_and_whole_seconds() -> None:
    east = datetime(2026, 1, 6, 12, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert schemas.instant(east) == "2026-01-06T10:30:00Z"
    assert schemas.instant(None) is None


def test_the_documents_of_start_and_stop() -> None:
    assert schemas.started_view(RUNNING) == {
        "id": "rec_1",
        "room_id": "room_1",
        "status": "recording",
        "started_at": "2026-01-06T10:30:00Z",
    }
    assert schemas.stopped_view(PROCESSING) == {
        "id": "rec_1",
        "room_id": "room_1",
        "status": "processing",
        "stopped_at": "2026-01-06T11:00:00Z",
    }
    assert schemas.blocker_view(RUNNING).keys() == {"id", "status", "started_at", "origin"}


def test_what_is_unknown_is_null_and_not_missing() -> None:
    view = schemas.recording_view(RUNNING, room_name="New name")
    assert view.keys() == schemas.recording_view(READY, room_name="New name").keys()
    assert view["room"] == {"id": "room_1", "name": "New name"}
    unknown = ("stopped_at", "duration_seconds", "size_bytes", "archived_at", "provider", "failure", "progress")
    assert {view[name] for name in (*unknown, "archive")} == {None}


def test_a_whole_recording() -> None:
    view = schemas.recording_view(READY, room_name="New name")
    assert (view["duration_seconds"], view["size_bytes"], view["provider"]) == (1800, 524_288_000, "r2")
    assert (view["origin"], view["version"], view["partial"]) == ("api", 3, False)
    assert view["history"] == [
        {"status": "recording", "at": "2026-01-06T10:30:00Z", "cause": "api_start"},
        {"status": "processing", "at": "2026-01-06T11:00:00Z", "cause": "api_stop"},
        {"status": "ready", "at": "2026-01-06T11:30:00Z", "cause": "stored"},
    ]


def test_failure_and_progress_are_told_in_full() -> None:
    failed = PROCESSING.failed(Failure("capture_failed", "Lost."), at=BEGAN, cause="lost")
    assert schemas.recording_view(failed, room_name="x")["failure"] == {"code": "capture_failed", "message": "Lost."}
    working = replace(PROCESSING, progress=Progress(step="copy", attempt=2, bytes_done=5, next_step_due=BEGAN))
    progress = schemas.recording_view(working, room_name="x")["progress"]
    assert progress == {
        "step": "copy",
        "attempt": 2,
        "bytes_done": 5,
        "bytes_total": None,
        "next_step_due": "2026-01-06T10:30:00Z",
        "stuck_after": None,
        "stalled": False,
    }


def test_the_answers_to_a_download_have_no_envelope() -> None:
    assert schemas.waiting_view(RUNNING) == {
        "recording_id": "rec_1",
        "status": "processing",
        "message": "Recording is still being processed. Please try again later.",
    }
    assert schemas.archived_view(READY).keys() == {"recording_id", "status", "message"}
    assert schemas.download_view(READY, FILE, "https://x", BEGAN + timedelta(hours=1)) == {
        "recording_id": "rec_1",
        "download_url": "https://x",
        "status": "ready",
        "duration": 1800,
        "file_size": 524_288_000,
        "provider": "r2",
        "expires_at": "2026-01-06T11:30:00Z",
    }


def test_a_room_shows_neither_tenant_nor_lease() -> None:
    room = Room(
        id="room_1",
        tenant_id="t",
        name="x",
        meeting_id="m",
        record_on_start=False,
        created_at=BEGAN,
        updated_at=BEGAN,
        lease_nonce="secret",
    )
    assert schemas.room_view(room) == {
        "id": "room_1",
        "name": "x",
        "cloudflare_meeting_id": "m",
        "record_on_start": False,
        "active_recording_id": None,
        "created_at": "2026-01-06T10:30:00Z",
        "updated_at": "2026-01-06T10:30:00Z",
    }
