"""An example of every response, built by the API's own models from recordings with a realistic life."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from recordings.domain.access import Access
from recordings.domain.actor import Actor, system
from recordings.domain.listing import ListedRecording
from recordings.domain.recording import Failure, Progress, Recording
from recordings.domain.room import Room
from recordings.domain.stored_file import StoredFile
from recordings.http.claims import ACTOR_MISSING, TENANT_INVALID
from recordings.http.endpoint import MAX_BODY_BYTES
from recordings.http.problems import ProblemError, invalid_field, row_of
from recordings.http.responses import access, actions, archive, downloads, recordings, rooms, webhooks
from recordings.http.responses.base import to_dict
from tools.openapi.operations import GATEWAY, error_classes, statuses

type Document = dict[str, Any]

BEGAN: Final = datetime(2026, 1, 6, 10, 30, tzinfo=UTC)
ENDED: Final = BEGAN + timedelta(minutes=30)
STORED: Final = ENDED + timedelta(minutes=4)
LATER: Final = BEGAN + timedelta(days=30)
REQUEST_ID: Final = "JKJaXmPLvHcESHA="
CURSOR: Final = "cmVjXzAxS0U5RURZODA2UzJUR1o3WjNRSFNCWU1H"
ID: Final = "rec_01KE9EDY806S2TGZ7Z3QHSBYMG"
FILE: Final = StoredFile(store="r2", key="recordings/a.mp4", size_bytes=524_288_000, content_type="video/mp4")
IN_VAULT: Final = StoredFile(store="s3", key="recordings/a.mp4", size_bytes=524_288_000, content_type="video/mp4")

TEACHER: Final = Actor("user", "6f1d3f0e-2f6c-4a39-8d6b-0b7f3f1f2c11", client_id="classroom")
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
).attributed_to(TEACHER, after=None)
PROCESSING: Final = RUNNING.stopped(at=ENDED, cause="api_stop").attributed_to(TEACHER, after=RUNNING)
READY: Final = PROCESSING.stored(
    FILE, duration_seconds=1800, partial=False, at=STORED, cause="file_verified"
).attributed_to(system("workflow"), after=PROCESSING)
FAILED: Final = PROCESSING.failed(
    Failure("capture_failed", "Cloudflare lost the recording; there is no file of it."), at=STORED, cause="lost"
).attributed_to(system("workflow"), after=PROCESSING)
MOVING: Final = READY.archiving(at=LATER).attributed_to(TEACHER, after=READY)
ARCHIVED: Final = MOVING.archive_completed(IN_VAULT, storage_class="GLACIER", at=LATER)
RESTORING: Final = ARCHIVED.restoring(tier="standard", days=7, expected_at=LATER + timedelta(hours=5), at=LATER)
RESTORED: Final = RESTORING.restored(until=LATER + timedelta(days=7))
ACCESS: Final = Access(
    actor=TEACHER._replace(request_id=REQUEST_ID), at=LATER, until=LATER + timedelta(hours=1), store="r2"
)
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
# By query parameter.
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
    return to_dict(recordings.RecordingResponse.from_domain(recording, room_name=recording.room_name))


def _page(**meta: Any) -> Document:
    return to_dict(recordings.RecordingPage.from_domain([ListedRecording.of(READY)], total=50, limit=20, **meta))


def answered() -> dict[str, dict[HTTPStatus, dict[str, Document]]]:
    """Return examples of the responses by operation, status and name."""
    ok, created, accepted = HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED
    room = to_dict(rooms.RoomResponse.from_domain(ROOM))
    url = downloads.Download.from_domain(READY, file=FILE, url=URL, expires_at=STORED + timedelta(hours=1))
    return {
        "PutRoom": {ok: {"updated": room}, created: {"created": room}},
        "GetRoom": {ok: {"room": room}},
        "ListRooms": {ok: {"page": to_dict(rooms.RoomPage.from_domain([ROOM], limit=20, next_cursor=None))}},
        "DeleteRoom": {ok: {"deleted": to_dict(rooms.DeletedRoomResponse.from_domain(ROOM))}},
        "StartRecording": {created: {"started": to_dict(actions.StartedRecordingResponse.from_domain(RUNNING))}},
        "StopRecording": {ok: {"stopped": to_dict(actions.StoppedRecordingResponse.from_domain(PROCESSING))}},
        "SyncRecordings": {
            ok: {
                "imported": to_dict(actions.SyncResponse.from_domain([PROCESSING])),
                "nothing_new": to_dict(actions.SyncResponse.from_domain([])),
            }
        },
        "ListRecordings": {
            ok: {
                "by_offset": _page(offset=0, next_cursor=CURSOR),
                "by_cursor": _page(offset=None, next_cursor=None),
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
            ok: {"ready": to_dict(url)},
            accepted: {
                "processing": to_dict(downloads.DownloadPending.from_domain(PROCESSING)),
                "archived": to_dict(downloads.DownloadArchived.from_domain(ARCHIVED)),
                "being_restored": to_dict(downloads.DownloadArchived.from_domain(RESTORING)),
            },
        },
        "ListAccess": {ok: {"page": to_dict(access.AccessPage.from_domain([ACCESS], limit=20, next_cursor=None))}},
        "ArchiveRecording": {ok: {"archived": to_dict(archive.ArchivedRecordingResponse.from_domain(MOVING))}},
        "RestoreRecording": {accepted: {"asked": to_dict(archive.RestoringRecordingResponse.from_domain(RESTORING))}},
        "RecoverRecording": {ok: {"recovering": to_dict(actions.RecoveringRecordingResponse.from_domain(PROCESSING))}},
        "DeleteRecording": {
            ok: {"deleted": to_dict(actions.DeletedRecordingResponse.from_domain(READY.deleted(at=LATER)))}
        },
        "UndeleteRecording": {ok: {"undeleted": to_dict(actions.UndeletedRecordingResponse.from_domain(READY))}},
        "ReceiveWebhook": {
            ok: {
                "handled": to_dict(webhooks.WebhookResponse.from_result(handled=True)),
                "none_of_ours": to_dict(webhooks.WebhookResponse.from_result(handled=False)),
            },
        },
    }


FRAME_DETAILS: Final[Mapping[str, str]] = {
    "signature_invalid": "Cloudflare's signature does not fit the body.",
    "scope_missing": "The access token lacks the scope recordings:write.",
    "tenant_missing": "The access token names no tenant.",
    "tenant_invalid": TENANT_INVALID,
    "actor_missing": ACTOR_MISSING,
    "body_too_large": f"The body is over {MAX_BODY_BYTES} bytes.",
    "internal_error": "Something went wrong on our side; the request id leads to the cause.",
}


def problem(code: str) -> Document:
    """Return an example of the problem document with this code."""
    if code == "invalid_request":
        return to_dict(invalid_field("ofset", "Field is not known").document(REQUEST_ID))
    details = {kind.code: row_of(kind).detail for kind in reversed(error_classes())}
    blocker = RUNNING if code in {"room_already_recording", "room_recording"} else None
    error = ProblemError(statuses()[code], code, FRAME_DETAILS.get(code) or details[code], blocker=blocker)
    return to_dict(error.document(REQUEST_ID))


def gateway(status: HTTPStatus) -> Document:
    """Return an example of a response of the gateway."""
    return {"message": GATEWAY[status]}
