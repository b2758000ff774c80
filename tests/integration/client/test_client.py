import inspect
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from recordings_client.client import AsyncClient, Client
from recordings_client.errors import NotReady, UnexpectedAnswer
from recordings_client.models import Archive, Change, Download, RecordingStatus, Status

from tests.integration.client.support import (
    ARCHIVED,
    LINK,
    NOON,
    RECORDING,
    ROOM,
    ROW,
    URL,
    WAIT,
    Caller,
    Reply,
    Script,
    a_recording,
    data,
)

METHODS = [name for name in vars(Client) if not name.startswith("_")]
AT_NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)


def test_both_clients_have_the_same_methods() -> None:
    assert sorted(METHODS) == sorted(name for name in vars(AsyncClient) if not name.startswith("_"))
    assert len(METHODS) == 22


@pytest.mark.parametrize("name", METHODS)
def test_both_clients_accept_the_same_arguments(name: str) -> None:
    blocking, waiting = getattr(Client, name), getattr(AsyncClient, name)

    assert inspect.signature(blocking).parameters == inspect.signature(waiting).parameters


@pytest.mark.parametrize("name", [name for name in METHODS if not name.startswith("iter_")])
def test_both_clients_return_the_same(name: str) -> None:
    returned = [inspect.signature(getattr(kind, name)).return_annotation for kind in (Client, AsyncClient)]

    assert returned[0] == returned[1]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "close"])
def test_every_method_has_the_same_docstring_in_both_clients(name: str) -> None:
    assert getattr(Client, name).__name__ == getattr(AsyncClient, name).__name__ == name
    assert getattr(Client, name).__doc__
    assert getattr(Client, name).__doc__ == getattr(AsyncClient, name).__doc__


STARTED = {"id": "rec_1", "room_id": "room_1", "status": "recording", "started_at": NOON}
STOPPED = {"id": "rec_1", "room_id": "room_1", "status": "processing", "stopped_at": NOON}
SYNCED = {"synced_count": 1, "recordings": [{"id": "rec_1", "status": "ready"}]}
MOVED = {"id": "rec_1", "status": "archived", "archived_at": NOON}
RESTORING = {
    "id": "rec_1",
    "status": "archived",
    "archive": {"state": "restoring", "storage_class": "GLACIER", "restored_until": None, "expected_at": NOON},
}
RECOVERING = {"id": "rec_1", "status": "processing", "message": "Recovery initiated."}
ACCESS = {
    "at": NOON,
    "actor": {"type": "user", "id": "alice", "client_id": None},
    "request_id": "r",
    "expires_at": NOON,
    "provider": "r2",
}
ACCESSES = Reply(200, {"data": [ACCESS], "meta": {"limit": 20, "next_cursor": None}})
DELETED = {"id": "rec_1", "deleted": True, "deleted_at": NOON}
BACK = {"id": "rec_1", "deleted": False, "status": "ready"}


@pytest.mark.parametrize(
    ("name", "given", "response", "sent", "body"),
    [
        ("put_room", {"name": "Algebra"}, data(ROOM, 201), "PUT /api/v1/rooms/1", {"name": "Algebra"}),
        (
            "put_room",
            {"name": "A", "cloudflare_meeting_id": "m", "record_on_start": False},
            data(ROOM),
            "PUT /api/v1/rooms/1",
            {"name": "A", "cloudflare_meeting_id": "m", "record_on_start": False},
        ),
        ("get_room", {}, data(ROOM), "GET /api/v1/rooms/1", None),
        ("delete_room", {}, data({"id": "room_1", "deleted": True}), "DELETE /api/v1/rooms/1", None),
        ("delete_room", {}, Reply(204, b""), "DELETE /api/v1/rooms/1", None),
        ("start", {}, data(STARTED, 201), "POST /api/v1/rooms/1/recordings/start", None),
        (
            "start",
            {"max_duration_seconds": 60},
            data(STARTED, 201),
            "POST /api/v1/rooms/1/recordings/start",
            {"max_duration_seconds": 60},
        ),
        ("stop", {}, data(STOPPED), "POST /api/v1/rooms/1/recordings/stop", None),
        ("sync", {}, data(SYNCED), "POST /api/v1/rooms/1/recordings/sync", None),
        ("get", {}, data(RECORDING), "GET /api/v1/recordings/1", None),
        ("list_access", {}, ACCESSES, "GET /api/v1/recordings/1/access", None),
        (
            "list_access",
            {"limit": 2, "cursor": "c"},
            ACCESSES,
            "GET /api/v1/recordings/1/access?limit=2&cursor=c",
            None,
        ),
        ("download_url", {}, Reply(200, LINK), "GET /api/v1/recordings/1/download", None),
        ("download_url", {"expires_in": 60}, Reply(200, LINK), "GET /api/v1/recordings/1/download?expires_in=60", None),
        ("archive", {}, data(MOVED), "POST /api/v1/recordings/1/archive", None),
        ("restore", {}, data(RESTORING, 202), "POST /api/v1/recordings/1/restore", None),
        (
            "restore",
            {"days": 3, "tier": "bulk"},
            data(RESTORING, 202),
            "POST /api/v1/recordings/1/restore",
            {"days": 3, "tier": "bulk"},
        ),
        ("recover", {}, data(RECOVERING), "POST /api/v1/recordings/1/recover", None),
        ("delete", {}, data(DELETED), "DELETE /api/v1/recordings/1", None),
        ("undelete", {}, data(BACK), "POST /api/v1/recordings/1/undelete", None),
    ],
)
def test_a_call_sends_what_the_contract_says(
    call: Caller, name: str, given: dict[str, Any], response: Reply, sent: str, body: object
) -> None:
    api = Script(response)

    result = call(api, name, "1", **given)

    (request,) = api.requests
    assert f"{request.method} {request.url.raw_path.decode()}" == sent
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers["authorization"] == "Bearer secret"
    assert ("idempotency-key" in request.headers) == (request.method in ("POST", "DELETE"))
    assert (result is None) == (name == "delete_room")


def test_the_times_of_a_recording_are_in_utc(call: Caller) -> None:
    archive = {"state": "restored", "storage_class": "GLACIER", "restored_until": NOON}

    found = call(Script(data(a_recording(archive=archive, started_at="2026-01-06T14:00:00+02:00"))), "get", "rec_1")

    assert (found.status, found.room.name, found.size_bytes) == (Status.READY, "Algebra", 524288000)
    assert found.started_at == AT_NOON
    assert found.started_at.tzinfo is UTC
    assert found.history == (Change(status=Status.RECORDING, at=AT_NOON, cause="api_start", actor=None),)
    assert found.archive == Archive(state="restored", storage_class="GLACIER", restored_until=AT_NOON, expected_at=None)


def test_a_recording_has_its_progress_and_failure(call: Caller) -> None:
    progress = {"step": "copy", "attempt": 2, "bytes_done": 5, "bytes_total": 10, "next_step_due": None}
    progress |= {"stuck_after": NOON, "stalled": True}
    failure = {"code": "lost", "message": "It is lost."}

    found = call(Script(data(a_recording(progress=progress, failure=failure))), "get", "rec_1")

    assert (found.progress.step, found.progress.bytes_done, found.progress.stalled) == ("copy", 5, True)
    assert found.progress.stuck_after == AT_NOON
    assert found.failure.code == "lost"


def test_what_a_newer_api_adds_is_ignored(call: Caller) -> None:
    assert call(Script(data(a_recording(colour="blue"))), "get", "rec_1").id == "rec_1"


def test_a_sync_names_what_it_changed(call: Caller) -> None:
    synced = call(Script(data(SYNCED)), "sync", "room_1")

    assert synced.recordings == (RecordingStatus(id="rec_1", status=Status.READY),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"data": null}',
        b'{"data": {"id": 1}}',
        json.dumps({"data": a_recording(status=7)}).encode(),
        json.dumps({"data": a_recording(created_at="noon")}).encode(),
        json.dumps({"data": a_recording(version=True)}).encode(),
        json.dumps({"data": a_recording(history={})}).encode(),
        b"[" * 100_000,
    ],
)
def test_a_response_that_breaks_the_contract_is_an_unexpected_answer(call: Caller, body: bytes) -> None:
    api = Script(Reply(200, body, {"X-Request-Id": "request-1"}))

    with pytest.raises(UnexpectedAnswer) as caught:
        call(api, "get", "rec_1")

    assert (caught.value.status, caught.value.request_id) == (200, "request-1")
    assert len(api.requests) == 1


def test_an_id_cannot_change_the_path(call: Caller) -> None:
    api = Script(data(ROOM))

    call(api, "get_room", "../recordings/a b?c:d")

    assert api.requests[0].url.raw_path == b"/api/v1/rooms/..%2Frecordings%2Fa%20b%3Fc:d"


@pytest.mark.parametrize("given", ["", ".", ".."])
def test_a_text_that_cannot_be_an_id_is_not_sent(call: Caller, given: str) -> None:
    api = Script(data(DELETED))

    with pytest.raises(ValueError, match="not an id"):
        call(api, "delete", given)

    assert api.requests == []


def test_a_list_can_be_filtered(call: Caller) -> None:
    api = Script(Reply(200, {"data": [ROW], "meta": {"total": 50, "limit": 1, "offset": 2, "next_cursor": "c"}}))
    in_berlin = datetime(2026, 1, 6, 13, 0, 0, 999, tzinfo=timezone(timedelta(hours=1)))

    page = call(
        api,
        "list_recordings",
        limit=1,
        offset=2,
        room_id="room_1",
        status=[Status.READY, "failed"],
        created_after=in_berlin,
        created_before=in_berlin + timedelta(days=1),
    )

    assert list(api.requests[0].url.params.multi_items()) == [
        ("limit", "1"),
        ("offset", "2"),
        ("room_id", "room_1"),
        ("status", "ready"),
        ("status", "failed"),
        ("created_after", "2026-01-06T12:00:00Z"),
        ("created_before", "2026-01-07T12:00:00Z"),
    ]
    assert (page.total, page.limit, page.offset, page.next_cursor) == (50, 1, 2, "c")
    assert page.items[0].created_at == AT_NOON


def test_one_status_is_not_a_list_of_letters(call: Caller) -> None:
    api = Script(Reply(200, {"data": [], "meta": {}}))

    call(api, "list_recordings", status="ready")

    assert api.requests[0].url.query == b"status=ready"


@pytest.mark.parametrize("given", [{"offset": 1, "cursor": "c"}, {"created_after": datetime(2026, 1, 6)}])
def test_a_contradictory_list_request_is_rejected_by_the_client(call: Caller, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not both|needs a zone"):
        call(Script(data([])), "list_recordings", **given)


@pytest.mark.parametrize(
    ("name", "row", "given"),
    [("iter_recordings", ROW, {"status": lambda: iter(["ready"])}), ("iter_rooms", ROOM, {})],
)
def test_iterating_follows_the_cursor_to_the_end(
    call: Caller, name: str, row: dict[str, Any], given: dict[str, Any]
) -> None:
    def page(number: int, cursor: str | None) -> Reply:
        rows = [{**row, "id": f"{number}{letter}"} for letter in "ab"]
        return Reply(200, {"data": rows, "meta": {"limit": 2, "next_cursor": cursor}})

    api = Script(page(1, "two"), page(2, "three"), page(3, None))

    found = call(api, name, page_size=2, **{key: make() for key, make in given.items()})

    assert [one.id for one in found] == ["1a", "1b", "2a", "2b", "3a", "3b"]
    assert [request.url.params.get("cursor") for request in api.requests] == [None, "two", "three"]
    assert {request.url.params.get("status") for request in api.requests} == {"ready" if given else None}
    assert {request.url.params["limit"] for request in api.requests} == {"2"}


def test_iterating_ends_if_the_cursor_repeats(call: Caller) -> None:
    api = Script(Reply(200, {"data": [ROW], "meta": {"next_cursor": "same"}}))

    assert len(call(api, "iter_recordings")) == 2


def test_a_page_is_requested_when_it_is_needed() -> None:
    api = Script(Reply(200, {"data": [ROW, ROW], "meta": {"next_cursor": "more"}}))
    with Client(URL, "secret", transport=httpx.MockTransport(api)) as client:
        rows = client.iter_recordings()
        assert api.requests == []

        next(rows)
        next(rows)

    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("document", "status"), [(WAIT, Status.PROCESSING), (ARCHIVED, Status.ARCHIVED)], ids=["processing", "archived"]
)
def test_a_download_url_before_the_file_is_stored_is_an_error_with_the_reason(
    call: Caller, document: dict[str, str], status: Status
) -> None:
    api = Script(Reply(202, document, {"Retry-After": "10"}))

    with pytest.raises(NotReady) as caught:
        call(api, "download_url", "rec_1")

    assert (caught.value.recording_status, caught.value.retry_after) == (status, 10)
    assert caught.value.detail == document["message"]
    assert len(api.requests) == 1


def test_a_download_url_is_in_no_log() -> None:
    assert "files.test" not in repr(Download.of(LINK))


def test_a_token_function_is_called_before_every_request(call: Caller) -> None:
    tokens = iter(["first", "second"])
    api = Script(Reply(503, {}), data(RECORDING))

    call(api, "get", "rec_1", token=lambda: next(tokens))

    assert [request.headers["authorization"] for request in api.requests] == ["Bearer first", "Bearer second"]


def test_a_token_can_be_awaited() -> None:
    async def token() -> str:
        return "later"

    api = Script(data(RECORDING))

    Caller("asyncio")(api, "get", "rec_1", token=token)

    assert api.requests[0].headers["authorization"] == "Bearer later"


@pytest.mark.parametrize("url", [URL, f"{URL}/", f"{URL}/api/v1", f"{URL}/api/v1/"])
def test_the_url_may_have_a_slash_or_the_api_path(call: Caller, url: str) -> None:
    api = Script(data(ROOM))

    call(api, "get_room", "1", url=url)

    assert str(api.requests[0].url) == f"{URL}/api/v1/rooms/1"


@pytest.mark.parametrize("url", ["", "api.test", "ftp://api.test", "https://", "https://host:port", "/api/v1"])
def test_an_invalid_url_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        Client(url, "secret")


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_must_be_positive(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        Client(URL, "secret", timeout=timeout)
