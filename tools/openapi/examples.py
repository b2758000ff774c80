"""An example of every answer, made by the API's own views of recordings that lived as real ones do."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from recordings.domain.recording import Failure, Progress, Recording, StoredFile
from recordings.domain.room import Room
from recordings.http import schemas
from recordings.http.claims import TENANT_INVALID
from recordings.http.endpoint import LARGEST_BODY
from recordings.http.problems import DETAIL_OF
from tools.openapi.operations import GATEWAY, error_classes, statuses

type Document = dict[str, Any]

BEGAN: Final = datetime(2026, 1, 6, 10, 30, tzinfo=UTC)
ENDED: Final = BEGAN + timedelta(minutes=30)
STORED: Final = ENDED + timedelta(minutes=4)
LATER: Final = BEGAN + timedelta(days=30)
REQUEST_ID: Final = "JKJaXmPLvHcESHA="
CURSOR: Final = "cmVjXzAxS0U5RURZODA2UzJUR1o3WjNRSFNCWU1H"
ID: Final = "rec_01KE9EDY806S2TGZ7Z3QHSBYMG"
FILE: Final = StoredFile(provider="r2", key="recordings/a.mp4", size_bytes=524_288_000, content_type="video/mp4")
IN_VAULT: Final = StoredFile(provider="s3", key="recordings/a.mp4", size_bytes=524_288_000, content_type="video/mp4")

ROOM: Final = Room(
    id="room_abc123",
    tenant_id="acme",
    name="CS101 Lecture",
    meeting_id="bbb0a4a3-0d4d-4a0a-9f4b-1a4a3ef8f4d1",
    record_on_start=False,
    created_at=BEGAN - timedelta(days=1),
    updated_at=BEGAN - timedelta(days=1),
)
RUNNING: Final = Recording.begin(
    id=ID,
    tenant_id="acme",
    room_id=ROOM.id,
    room_name=ROOM.name,
    meeting_id=ROOM.meeting_id,
    cloudflare_recording_id="5b7ad52f-6d0a-4b0a-a5bb-0d5d7d6d4a11",
    origin="api",
    at=BEGAN,
    cause="api_start",
)
PROCESSING: Final = RUNNING.stopped(at=ENDED, cause="api_stop")
READY: Final = PROCESSING.stored(FILE, duration_seconds=1800, partial=False, at=STORED, cause="file_verified")
FAILED: Final = PROCESSING.failed(
    Failure("capture_failed", "Cloudflare lost the recording; there is no file of it."), at=STORED, cause="lost"
)
MOVING: Final = READY.archiving(at=LATER)
ARCHIVED: Final = MOVING.vaulted(IN_VAULT, storage_class="GLACIER", at=LATER)
RESTORING: Final = ARCHIVED.restoring(tier="standard", days=7, expected_at=LATER + timedelta(hours=5), at=LATER)
RESTORED: Final = RESTORING.restored(until=LATER + timedelta(days=7))
COPYING: Final = Progress(
    step="copying",
    attempt=1,
    bytes_done=134_217_728,
    bytes_total=524_288_000,
    next_step_due=ENDED + timedelta(minutes=2),
    stuck_after=ENDED + timedelta(minutes=20),
)
URL: Final = (
    "https://recordings.0123456789abcdef.r2.cloudflarestorage.com/a.mp4"
    "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600&X-Amz-Signature=5d2a1f0e"
)
SIGNATURE: Final = "bm90IGEgdHJ1ZSBzaWduYXR1cmU="
# Of query parameters.
PARAMETERS: Final[Mapping[str, Any]] = {
    "limit": 20,
    "offset": 40,
    "cursor": CURSOR,
    "room_id": "room_abc123",
    "status": ["ready", "archived"],
    "created_after": "2026-01-01T00:00:00Z",
    "created_before": "2026-02-01T00:00:00Z",
    "expires_in": 600,
}
BODIES: Final[Mapping[str, Mapping[str, Document]]] = {
    "PutRoom": {
        "new_meeting": {"name": ROOM.name},
        "own_meeting": {
            "name": ROOM.name,
            "cloudflare_meeting_id": "9d4dfc2b-2c9f-4f6f-8dfc-d8e06bb0a3a5",
            "record_on_start": True,
        },
    },
    "StartRecording": {"two_hours_at_most": {"max_duration_seconds": 7200}},
    "RestoreRecording": {"cheaply": {"days": 14, "tier": "bulk"}},
    "ReceiveWebhook": {
        "uploaded": {
            "event": "recording.statusUpdate",
            "meeting": {"id": ROOM.meeting_id},
            "recording": {"recordingId": RUNNING.cloudflare_recording_id, "status": "UPLOADED"},
        }
    },
}


def _whole(recording: Recording) -> Document:
    return {"data": schemas.recording_view(recording, room_name=recording.room_name)}


def answered() -> dict[str, dict[HTTPStatus, dict[str, Document]]]:
    """By operation, status and name."""
    ok, created, accepted = HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED
    room = {"data": schemas.room_view(ROOM)}
    rows = [schemas.row_view(READY)]
    meta = {"total": 50, "limit": 20, "offset": 0, "next_cursor": CURSOR}
    return {
        "PutRoom": {ok: {"updated": room}, created: {"created": room}},
        "GetRoom": {ok: {"room": room}},
        "ListRooms": {ok: {"page": {"data": [room["data"]], "meta": {"limit": 20, "next_cursor": None}}}},
        "DeleteRoom": {ok: {"deleted": {"data": {"id": ROOM.id, "deleted": True}}}},
        "StartRecording": {created: {"started": {"data": schemas.started_view(RUNNING)}}},
        "StopRecording": {ok: {"stopped": {"data": schemas.stopped_view(PROCESSING)}}},
        "SyncRecordings": {
            ok: {
                "imported": {"data": schemas.synced_view([PROCESSING])},
                "nothing_new": {"data": schemas.synced_view([])},
            }
        },
        "ListRecordings": {
            ok: {
                "by_offset": {"data": rows, "meta": meta},
                "by_cursor": {"data": rows, "meta": {**meta, "offset": None, "next_cursor": None}},
            }
        },
        "GetRecording": {
            ok: {
                "ready": _whole(READY),
                "recording": _whole(RUNNING),
                "processing": _whole(replace(PROCESSING, progress=COPYING)),
                "failed": _whole(FAILED),
                "archived": _whole(ARCHIVED),
                "restored": _whole(RESTORED),
            }
        },
        "DownloadRecording": {
            ok: {"ready": schemas.download_view(READY, FILE, URL, STORED + timedelta(hours=1))},
            accepted: {
                "processing": schemas.waiting_view(PROCESSING),
                "archived": schemas.archived_view(ARCHIVED),
                "being_restored": schemas.archived_view(RESTORING),
            },
        },
        "ArchiveRecording": {ok: {"archived": {"data": schemas.archiving_view(MOVING)}}},
        "RestoreRecording": {accepted: {"asked": {"data": schemas.restoring_view(RESTORING)}}},
        "RecoverRecording": {ok: {"recovering": {"data": schemas.recovering_view(PROCESSING)}}},
        "DeleteRecording": {ok: {"deleted": {"data": schemas.deleted_view(READY.deleted(at=LATER))}}},
        "UndeleteRecording": {ok: {"undeleted": {"data": schemas.undeleted_view(READY)}}},
        "ReceiveWebhook": {
            ok: {"handled": {"data": {"handled": True}}, "none_of_ours": {"data": {"handled": False}}},
        },
    }


FRAME_DETAILS: Final[Mapping[str, str]] = {
    "signature_invalid": "Cloudflare's signature does not fit the body.",
    "scope_missing": "The access token lacks the scope recordings:write.",
    "tenant_missing": "The access token names no tenant.",
    "tenant_invalid": TENANT_INVALID,
    "body_too_large": f"The body is over {LARGEST_BODY} bytes.",
    "internal_error": "Something went wrong on our side; the request id leads to the cause.",
}


def problem(code: str) -> Document:
    """The problem document with this code."""
    details = {
        kind.code: next(DETAIL_OF[of] for of in kind.__mro__ if of in DETAIL_OF) for kind in reversed(error_classes())
    }
    status = statuses()[code]
    document: Document = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "code": code,
        "detail": FRAME_DETAILS.get(code) or details[code],
        "request_id": REQUEST_ID,
    }
    if code == "invalid_request":
        document |= {
            "detail": "The request is not valid: ofset is not known.",
            "errors": [{"field": "ofset", "message": "is not known"}],
        }
    if code in {"room_already_recording", "room_recording"}:
        document["recording"] = schemas.blocker_view(RUNNING)
    return document


def gateway(status: HTTPStatus) -> Document:
    """What the gateway says by itself."""
    return {"message": GATEWAY[status]}
