"""Status, headers and body of each route, through the handlers of the functions."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from recordings.domain.archive import Archive
from recordings.domain.lifecycle import Status
from tests.support.builders import NOON, a_file
from tests.support.deployed import FUNCTIONS, Answer, Deployed

UNKNOWN = "rec_01KE9EDY806S2TGZ7Z3QHSBYMG"
OF_A_RECORDING = [
    "GetRecording",
    "DownloadRecording",
    "ArchiveRecording",
    "RestoreRecording",
    "RecoverRecording",
    "DeleteRecording",
    "UndeleteRecording",
]
OF_A_ROOM = ["GetRoom", "DeleteRoom", "StartRecording", "StopRecording", "SyncRecordings"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def in_vault(**facts: Any) -> dict[str, Any]:
    """The attributes of an archived recording."""
    archive = {"state": "stored", "storage_class": "GLACIER"} | facts
    return {
        "status": Status.ARCHIVED,
        "archived_at": NOON,
        "file": a_file(store="s3", key="vault"),
        "archive": Archive(**archive),
    }


def soon() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


# ---------------------------------------------------------------- tenants and scopes


def without_request(response: Answer) -> tuple[int, dict[str, str], str]:
    """A response without the members that differ each time."""
    headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
    return response.status, headers, json.dumps({**response.body, "request_id": None})


@pytest.mark.parametrize("name", OF_A_RECORDING)
def test_another_tenants_recording_does_not_exist(app: Deployed, tenant: str, name: str) -> None:
    foreign = app.seed(tenant_id=f"{tenant}-other", status=Status.PROCESSING)
    deleted = app.seed(tenant_id=tenant, status=Status.PROCESSING, deleted_at=NOON)
    ids = [UNKNOWN, foreign.id, "rec_1", "room_1", "..", "x" * 2000, "\x00", ""]
    if name != "UndeleteRecording":
        ids.append(deleted.id)
    responses = {json.dumps(without_request(app.call(name, one, tenant=tenant))) for one in ids}
    (only,) = responses
    status, _, body = json.loads(only)
    assert (status, json.loads(body)["code"]) == (404, "recording_not_found")
    assert app.recordings.get_including_deleted(foreign.tenant_id, foreign.id) == foreign


@pytest.mark.parametrize("name", OF_A_ROOM)
def test_another_tenants_room_does_not_exist(app: Deployed, tenant: str, name: str) -> None:
    foreign = app.room(tenant_id=f"{tenant}-other", id="foreign")
    responses = {
        json.dumps(without_request(app.call(name, one, tenant=tenant))) for one in ["none", "foreign", "x" * 2000, ".."]
    }
    (only,) = responses
    status, _, body = json.loads(only)
    assert (status, json.loads(body)["code"]) == (404, "room_not_found")
    assert app.rooms.get(foreign.tenant_id, "foreign") == foreign


@pytest.mark.parametrize("name", [*OF_A_RECORDING, *OF_A_ROOM, "PutRoom", "ListRecordings", "ListRooms"])
def test_reading_and_changing_need_different_scopes(app: Deployed, name: str) -> None:
    """The gateway requires the same scopes. The function checks them too."""
    reads = name.startswith(("Get", "List", "Download"))
    has, lacks = ("recordings:read", "recordings:write") if reads else ("recordings:write", "recordings:read")
    response = app.call(name, UNKNOWN, scope=lacks)
    assert (response.status, response.code) == (403, "scope_missing")
    assert app.call(name, UNKNOWN, scope=has).status != 403


@pytest.mark.parametrize("name", [*OF_A_RECORDING, *OF_A_ROOM, "PutRoom", "ListRecordings", "ListRooms"])
def test_an_unknown_query_parameter_or_key_is_refused(app: Deployed, tenant: str, name: str) -> None:
    for response in (app.call(name, "x", tenant=tenant, query="unknwon=1"),):
        assert (response.status, response.code) == (400, "invalid_request")
        assert "unknwon" in [error["field"] for error in response.body["errors"]]
    response = app.call(name, "x", tenant=tenant, body={"unknwon": 1})
    assert (response.status, response.code) == (400, "invalid_request")


# ---------------------------------------------------------------- start, stop, sync


def test_a_start_returns_201_with_a_location(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant)
    response = app.call("StartRecording", room.id, tenant=tenant)
    assert response.status == 201
    assert response.headers["location"] == f"/api/v1/recordings/{response.data['id']}"
    assert response.data.keys() == {"id", "room_id", "status", "started_at"}
    assert (response.data["room_id"], response.data["status"]) == (room.id, "recording")
    assert TIME.fullmatch(response.data["started_at"])
    known = app.call("GetRecording", response.data["id"], tenant=tenant)
    assert (known.status, known.data["origin"], known.data["version"]) == (200, "api", 1)


@pytest.mark.parametrize(("asked", "seconds"), [({}, 86_400), ({"max_duration_seconds": 90}, 90)])
def test_a_start_passes_the_maximum_duration_to_cloudflare(
    app: Deployed, tenant: str, asked: Any, seconds: int
) -> None:
    room = app.room(tenant_id=tenant)
    assert app.call("StartRecording", room.id, tenant=tenant, body=asked).status == 201
    (provider_recording,) = app.standin.world.by_meeting[room.meeting_id]
    assert provider_recording.max_seconds == seconds


def test_a_second_start_is_refused_and_names_the_first(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant)
    first = app.call("StartRecording", room.id, tenant=tenant).data
    response = app.call("StartRecording", room.id, tenant=tenant)
    assert (response.status, response.code) == (409, "room_already_recording")
    wanted = {"id": first["id"], "status": "recording", "started_at": first["started_at"], "origin": "api"}
    assert response.body["recording"] == wanted
    assert len(app.standin.world.by_meeting[room.meeting_id]) == 1


def test_a_stop_returns_the_recording_in_processing(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant)
    nothing = app.call("StopRecording", room.id, tenant=tenant)
    assert (nothing.status, nothing.code) == (404, "no_active_recording")
    first = app.call("StartRecording", room.id, tenant=tenant).data
    response = app.call("StopRecording", room.id, tenant=tenant)
    assert response.status == 200
    assert response.data.keys() == {"id", "room_id", "status", "stopped_at"}
    assert (response.data["id"], response.data["status"]) == (first["id"], "processing")
    assert f"{first['id']}-1" in app.runs("PROCESSING_ARN")
    assert app.call("GetRoom", room.id, tenant=tenant).data["active_recording_id"] is None


def test_a_second_sync_imports_nothing(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant)
    app.standin.begin(room.meeting_id)
    first = app.call("SyncRecordings", room.id, tenant=tenant)
    assert (first.status, first.data["synced_count"]) == (200, 1)
    (row,) = first.data["recordings"]
    assert row.keys() == {"id", "status"}
    assert row["status"] == "recording"
    assert app.call("GetRecording", row["id"], tenant=tenant).data["origin"] == "auto"
    again = app.call("SyncRecordings", room.id, tenant=tenant)
    assert again.data == {"synced_count": 0, "recordings": []}


# ---------------------------------------------------------------- lists


def ids(response: Answer) -> list[str]:
    assert response.status == 200, response.body
    return [row["id"] for row in response.data]


def test_a_list_has_twenty_rows_by_default_and_is_paged_and_filtered(app: Deployed, tenant: str) -> None:
    made = [
        app.seed(tenant_id=tenant, room_id=f"room_{n % 2}", created_at=NOON + timedelta(hours=n), status=Status.READY)
        for n in range(20)
    ]
    made.append(app.seed(tenant_id=tenant, created_at=NOON + timedelta(hours=20), status=Status.FAILED))
    newest_first = [one.id for one in reversed(made)]
    response = app.call("ListRecordings", tenant=tenant)
    assert ids(response) == newest_first[:20]
    assert response.body.keys() == {"data", "meta"}
    cursor = response.body["meta"].pop("next_cursor")
    assert response.body["meta"] == {"total": 21, "limit": 20, "offset": 0}
    assert response.data[0].keys() == {"id", "room_id", "status", "duration_seconds", "size_bytes", "created_at"}
    # An unknown value is null, not missing.
    assert (response.data[0]["duration_seconds"], response.data[0]["size_bytes"]) == (None, None)
    rest = app.call("ListRecordings", tenant=tenant, query=f"cursor={cursor}")
    assert ids(rest) == newest_first[20:]
    assert rest.body["meta"] == {"total": 21, "limit": 20, "offset": None, "next_cursor": None}
    queries = {
        "limit=3&offset=4": (slice(4, 7), 21),
        "offset=20": (slice(20, 21), 21),
        "offset=21": (slice(21, 21), 21),
        "status=failed": (slice(0, 1), 1),
        "status=ready&status=failed&limit=2": (slice(0, 2), 21),
        "created_before=2026-01-06T14:00:00Z": (slice(19, 21), 2),
        "created_after=2026-01-07T06:00:00Z": (slice(0, 2), 2),
        "room_id=room_1&limit=2&offset=1": (slice(1, 4, 2), 11),
    }
    for query, (chosen, total) in queries.items():
        response = app.call("ListRecordings", tenant=tenant, query=query)
        assert (ids(response), response.body["meta"]["total"]) == (newest_first[chosen], total), query


def test_a_deleted_recording_is_not_listed_counted_or_found_until_it_is_undeleted(app: Deployed, tenant: str) -> None:
    kept, gone = (
        app.seed(tenant_id=tenant, status=Status.READY),
        app.seed(tenant_id=tenant, status=Status.READY),
    )

    def seen() -> tuple[list[str], int, int]:
        response = app.call("ListRecordings", tenant=tenant)
        return ids(response), response.body["meta"]["total"], app.call("GetRecording", gone.id, tenant=tenant).status

    assert seen() == ([gone.id, kept.id], 2, 200)
    response = app.call("DeleteRecording", gone.id, tenant=tenant)
    assert response.status == 200
    assert response.data == {"id": gone.id, "deleted": True, "deleted_at": response.data["deleted_at"]}
    assert TIME.fullmatch(response.data["deleted_at"])
    assert seen() == ([kept.id], 1, 404)
    back = app.call("UndeleteRecording", gone.id, tenant=tenant)
    assert (back.status, back.data) == (200, {"id": gone.id, "deleted": False, "status": "ready"})
    assert seen() == ([gone.id, kept.id], 2, 200)


def test_a_running_recording_cannot_be_deleted(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant)
    began = app.call("StartRecording", room.id, tenant=tenant).data["id"]
    response = app.call("DeleteRecording", began, tenant=tenant)
    assert (response.status, response.code) == (409, "recording_in_progress")
    removed = app.call("DeleteRoom", room.id, tenant=tenant)
    assert (removed.status, removed.code) == (409, "room_recording")


# ---------------------------------------------------------------- one recording


def test_a_recording_shows_the_present_or_last_name_of_its_room(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant, name="First")
    began = app.call("StartRecording", room.id, tenant=tenant).data["id"]
    app.call("StopRecording", room.id, tenant=tenant)

    def reported() -> Any:
        return app.call("GetRecording", began, tenant=tenant).data["room"]

    assert reported() == {"id": room.id, "name": "First"}
    assert app.call("PutRoom", room.id, tenant=tenant, body={"name": "Second"}).status == 200
    assert reported() == {"id": room.id, "name": "Second"}
    removed = app.call("DeleteRoom", room.id, tenant=tenant)
    assert (removed.status, removed.data) == (200, {"id": room.id, "deleted": True})
    assert app.call("GetRoom", room.id, tenant=tenant).status == 404
    assert reported() == {"id": room.id, "name": "Second"}


def test_unknown_values_of_a_recording_are_null(app: Deployed, tenant: str) -> None:
    one = app.seed(tenant_id=tenant, status=Status.PROCESSING)
    reported = app.call("GetRecording", one.id, tenant=tenant).data
    for name in ("duration_seconds", "size_bytes", "archived_at", "provider", "failure", "progress", "archive"):
        assert reported[name] is None, name
    assert [change["status"] for change in reported["history"]] == ["recording", "processing"]
    assert all(TIME.fullmatch(change["at"]) for change in reported["history"])


# ---------------------------------------------------------------- downloads


@pytest.mark.parametrize("status", [Status.RECORDING, Status.PROCESSING])
def test_a_download_before_the_file_is_stored_says_when_to_retry(app: Deployed, tenant: str, status: Status) -> None:
    app.room(tenant_id=tenant)
    one = app.seed(tenant_id=tenant, status=status)
    response = app.call("DownloadRecording", one.id, tenant=tenant)
    assert response.status == 202
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert response.body == {
        "recording_id": one.id,
        "status": "processing",
        "message": "Recording is still being processed. Please try again later.",
    }


@pytest.mark.parametrize(("query", "seconds"), [("", 3600), ("expires_in=60", 60), ("expires_in=604800", 604_800)])
def test_a_download_of_a_ready_recording_has_no_envelope_and_expires_when_it_says(
    app: Deployed, tenant: str, query: str, seconds: int
) -> None:
    one = app.seed(tenant_id=tenant, status=Status.READY)
    before = soon()
    response = app.call("DownloadRecording", one.id, tenant=tenant, query=query)
    ends = datetime.fromisoformat(response.body.pop("expires_at"))
    url = response.body.pop("download_url")
    assert response.status == 200
    assert response.body == {
        "recording_id": one.id,
        "status": "ready",
        "duration": 60,
        "file_size": 1000,
        "provider": "r2",
    }
    assert before + timedelta(seconds=seconds) <= ends <= soon() + timedelta(seconds=seconds)
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [str(seconds)]


@pytest.mark.parametrize("query", ["expires_in=59", "expires_in=604801", "expires_in=1e3", "expires_in="])
def test_a_download_with_an_invalid_expiry_is_refused(app: Deployed, tenant: str, query: str) -> None:
    one = app.seed(tenant_id=tenant, status=Status.READY)
    response = app.call("DownloadRecording", one.id, tenant=tenant, query=query)
    assert (response.status, [error["field"] for error in response.body["errors"]]) == (400, ["expires_in"])


def test_a_failed_recording_has_no_download(app: Deployed, tenant: str) -> None:
    one = app.seed(tenant_id=tenant, status=Status.FAILED)
    response = app.call("DownloadRecording", one.id, tenant=tenant)
    assert (response.status, response.code) == (409, "recording_failed")


def test_a_download_from_the_archive_says_how_to_restore(app: Deployed, tenant: str) -> None:
    one = app.seed(tenant_id=tenant, **in_vault())
    response = app.call("DownloadRecording", one.id, tenant=tenant)
    assert response.status == 202
    assert response.body.keys() == {"recording_id", "status", "message"}
    assert response.body["status"] == "archived"
    assert f"/api/v1/recordings/{one.id}/restore" in response.body["message"]


def test_a_file_that_is_being_moved_is_served_from_r2(app: Deployed, tenant: str) -> None:
    moving = {"status": Status.ARCHIVED, "archived_at": NOON, "archive": Archive(state="moving", moved_from="key")}
    one = app.seed(tenant_id=tenant, **moving)
    response = app.call("DownloadRecording", one.id, tenant=tenant)
    assert (response.status, response.body["provider"], response.body["status"]) == (200, "r2", "ready")


# ---------------------------------------------------------------- archive, restore, recover


def test_an_archive_responds_at_once_and_its_execution_moves_the_file(app: Deployed, tenant: str) -> None:
    one = app.seed(tenant_id=tenant, status=Status.READY)
    response = app.call("ArchiveRecording", one.id, tenant=tenant)
    assert response.status == 200
    assert response.data == {"id": one.id, "status": "archived", "archived_at": response.data["archived_at"]}
    assert TIME.fullmatch(response.data["archived_at"])
    assert f"{one.id}-1" in app.runs("ARCHIVING_ARN")


REFUSED: dict[str, tuple[str, Callable[[], dict[str, Any]], str]] = {
    "archive what is not ready": (
        "ArchiveRecording",
        lambda: {"status": Status.PROCESSING},
        "recording_not_archivable",
    ),
    "archive what failed": ("ArchiveRecording", lambda: {"status": Status.FAILED}, "recording_not_archivable"),
    "archive what is archived": ("ArchiveRecording", in_vault, "recording_not_archivable"),
    "archive what is not in R2": (
        "ArchiveRecording",
        lambda: {"status": Status.READY, "file": a_file(store="s3")},
        "recording_not_archivable",
    ),
    "recover what is ready": ("RecoverRecording", lambda: {"status": Status.READY}, "recording_not_recoverable"),
    "recover what failed": ("RecoverRecording", lambda: {"status": Status.FAILED}, "recording_not_recoverable"),
    "recover what Cloudflare gave no id": (
        "RecoverRecording",
        lambda: {"status": Status.PROCESSING, "cloudflare_recording_id": None},
        "recording_not_recoverable",
    ),
    "restore what is ready": ("RestoreRecording", lambda: {"status": Status.READY}, "recording_not_archived"),
    "restore what still moves": (
        "RestoreRecording",
        lambda: {"status": Status.ARCHIVED, "archive": Archive(state="moving", moved_from="key")},
        "recording_not_archived",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_command_that_the_status_does_not_allow_is_refused_and_starts_nothing(
    app: Deployed, tenant: str, case: str
) -> None:
    name, facts, code = REFUSED[case]
    one = app.seed(tenant_id=tenant, **facts())
    runs = [app.runs(machine) for machine in ("PROCESSING_ARN", "ARCHIVING_ARN")]
    response = app.call(name, one.id, tenant=tenant)
    assert (response.status, response.code) == (400, code)
    assert app.recordings.get_including_deleted(tenant, one.id) == one
    assert [app.runs(machine) for machine in ("PROCESSING_ARN", "ARCHIVING_ARN")] == runs


def test_a_recover_starts_a_new_attempt(app: Deployed, tenant: str) -> None:
    one = app.seed(tenant_id=tenant, status=Status.PROCESSING)
    response = app.call("RecoverRecording", one.id, tenant=tenant)
    assert response.status == 200
    assert response.data == {
        "id": one.id,
        "status": "processing",
        "message": "Recovery initiated. Recording will be reprocessed.",
    }
    assert f"{one.id}-2" in app.runs("PROCESSING_ARN")


@pytest.mark.parametrize(
    ("body", "days", "hours"),
    [
        (None, 7, 5),
        ({"days": 30, "tier": "bulk"}, 30, 12),
        ({"days": 1, "tier": "expedited"}, 1, 1),
    ],
)
def test_a_restore_requests_the_given_days_and_tier(
    app: Deployed, tenant: str, body: Any, days: int, hours: int
) -> None:
    key = f"recordings/{tenant}/restored"
    app.archive.put_object(Bucket="archive", Key=key, Body=b"film", StorageClass="GLACIER")
    one = app.seed(tenant_id=tenant, **in_vault() | {"file": a_file(store="s3", key=key)})
    response = app.call("RestoreRecording", one.id, tenant=tenant, body=body)
    assert response.status == 202
    assert response.data.keys() == {"id", "status", "archive"}
    assert (response.data["status"], response.data["archive"]["state"]) == ("archived", "restoring")
    expected = datetime.fromisoformat(response.data["archive"]["expected_at"])
    assert timedelta() < expected - soon() <= timedelta(hours=hours)
    asked = app.recordings.get_including_deleted(tenant, one.id).archive
    assert asked is not None
    assert asked.days == days


# ---------------------------------------------------------------- rooms


def test_a_room_is_created_once_and_then_updated(app: Deployed, tenant: str) -> None:
    first = app.call("PutRoom", "lab", tenant=tenant, body={"name": "Lab", "record_on_start": True})
    assert first.status == 201
    assert first.data.keys() == {
        *("id", "name", "cloudflare_meeting_id", "record_on_start"),
        *("active_recording_id", "created_at", "updated_at"),
    }
    assert (first.data["record_on_start"], first.data["active_recording_id"]) == (True, None)
    meeting = app.standin.world.meetings[first.data["cloudflare_meeting_id"]]
    assert meeting.record_on_start
    again = app.call("PutRoom", "lab", tenant=tenant, body={"name": "Laboratory"})
    assert (again.status, again.data["name"]) == (200, "Laboratory")
    assert again.data["cloudflare_meeting_id"] == first.data["cloudflare_meeting_id"]
    assert again.data["record_on_start"] is True


@pytest.mark.parametrize("id", ["", ".", "..", "a b", "a/b", "ä", "a\n", "x" * 129])
def test_a_room_id_must_fit_into_a_path(app: Deployed, tenant: str, id: str) -> None:
    response = app.call("PutRoom", id, tenant=tenant, body={"name": "Lab"})
    assert (response.status, [one["field"] for one in response.body["errors"]]) == (400, ["id"])


def test_a_meeting_belongs_to_one_room_of_one_tenant(app: Deployed, tenant: str) -> None:
    taken = app.call("PutRoom", "lab", tenant=tenant, body={"name": "Lab"}).data["cloudflare_meeting_id"]
    for other in (tenant, f"{tenant}-other"):
        body = {"name": "Other", "cloudflare_meeting_id": taken}
        response = app.call("PutRoom", "other", tenant=other, body=body)
        assert (response.status, response.code) == (409, "meeting_in_use")
        assert app.call("GetRoom", "other", tenant=other).status == 404


def test_rooms_are_listed_in_pages(app: Deployed, tenant: str) -> None:
    for number in range(5):
        app.room(tenant_id=tenant, id=f"room_{number}")
    first = app.call("ListRooms", tenant=tenant, query="limit=3")
    assert ids(first) == ["room_0", "room_1", "room_2"]
    assert first.body["meta"]["limit"] == 3
    rest = app.call("ListRooms", tenant=tenant, query=f"limit=3&cursor={first.body['meta']['next_cursor']}")
    assert ids(rest) == ["room_3", "room_4"]
    assert rest.body["meta"]["next_cursor"] is None


# ---------------------------------------------------------------- repeated requests

REPEATABLE = [
    name
    for name in [*OF_A_RECORDING, *OF_A_ROOM]
    if {event["Properties"]["Method"] for event in FUNCTIONS[name]["Events"].values()} & {"POST", "DELETE"}
]


@pytest.mark.parametrize("name", REPEATABLE)
def test_each_post_and_delete_accepts_an_idempotency_key(app: Deployed, tenant: str, name: str) -> None:
    key = {"idempotency-key": f"{name}-1"}
    first = app.call(name, UNKNOWN, tenant=tenant, headers=key)
    assert app.call(name, UNKNOWN, tenant=tenant, headers=key).body == first.body, "the kept answer, its id too"
    other = app.call(name, "another", tenant=tenant, headers=key)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    bad = app.call(name, UNKNOWN, tenant=tenant, headers={"idempotency-key": "x" * 129})
    assert (bad.status, bad.code) == (400, "invalid_request")


def test_a_repeated_start_creates_no_second_recording(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant)
    key = {"idempotency-key": "once"}
    responses = [app.call("StartRecording", room.id, tenant=tenant, headers=key) for _ in range(2)]
    assert [one.status for one in responses] == [201, 201]
    assert responses[0].body == responses[1].body
    assert responses[0].headers["location"] == responses[1].headers["location"]
    assert len(app.standin.world.by_meeting[room.meeting_id]) == 1


def test_a_recording_that_cloudflare_started_blocks_a_start_too(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant)
    app.standin.begin(room.meeting_id)
    response = app.call("StartRecording", room.id, tenant=tenant)
    assert (response.status, response.code, response.body["recording"]["origin"]) == (
        409,
        "room_already_recording",
        "auto",
    )


def test_a_url_expires_no_later_than_the_restored_copy(app: Deployed, tenant: str) -> None:
    until = soon() + timedelta(minutes=10)
    key = f"recordings/{tenant}/copy"
    # A storage class that needs no restore gives the URL its full time.
    app.archive.put_object(Bucket="archive", Key=key, Body=b"film", StorageClass="STANDARD_IA")
    facts = in_vault(state="restored", restored_until=until)
    one = app.seed(tenant_id=tenant, **facts | {"file": replace(facts["file"], key=key)})
    response = app.call("DownloadRecording", one.id, tenant=tenant, query="expires_in=3600")
    assert (response.status, response.body["provider"], response.body["status"]) == (200, "s3", "ready")
    assert datetime.fromisoformat(response.body["expires_at"]) <= until
    (seconds,) = parse_qs(urlsplit(response.body["download_url"]).query)["X-Amz-Expires"]
    assert int(seconds) <= 600
