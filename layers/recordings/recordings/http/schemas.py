"""The documents of the public API. Changing a field here changes the API.

msgspec and not pydantic: it checks and describes the same things, and its import costs a function's cold start a tenth.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from recordings.domain.lifecycle import Status
from recordings.domain.purge import PurgeRecord
from recordings.domain.recording import Archive, Failure, Recording, StoredFile
from recordings.domain.room import Room
from recordings.ports.repositories import Filter

type Document = dict[str, Any]

# The query parameters that are numbers; in a query everything comes as text.
# How many removed items the event of a purge names.
LISTED_IN_EVENT: Final = 200
NUMBERS: Final = frozenset({"limit", "offset", "expires_in"})

TOGETHER: Final = "cursor and offset cannot be given together"

Limit = Annotated[int, Meta(ge=1, le=100, description="The most items of a page.")]
Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        pattern="^[A-Za-z0-9_-]+$",
        description="`meta.next_cursor` of the page before; opaque.",
    ),
]
Time = Annotated[datetime, Meta(tz=True)]


class Nothing(Struct, forbid_unknown_fields=True, frozen=True):
    """A request that takes no parameters."""


class StartBody(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How a recording is to be made."""

    max_duration_seconds: (
        Annotated[int, Meta(ge=60, le=86_400, description="Cloudflare stops the recording after this long.")] | None
    ) = None


class RoomBody(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A room as it is to be; what is left out stays as it is, or takes its default."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="What people call the room.")]
    cloudflare_meeting_id: (
        Annotated[UUID, Meta(description="An existing RealtimeKit meeting; without it one is made.")] | None
    ) = None
    record_on_start: (
        Annotated[bool, Meta(description="Whether Cloudflare records by itself when the first person joins.")] | None
    ) = None


class RoomsQuery(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which page of the rooms."""

    limit: Limit = 20
    cursor: Cursor | None = None


class ListQuery(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which recordings, and which page of them."""

    limit: Limit = 20
    offset: (
        Annotated[
            int,
            # The greatest integer that every JSON reader holds exactly (RFC 8259, 6).
            Meta(ge=0, le=2**53 - 1, description="How many to leave out; not together with `cursor`."),
        ]
        | None
    ) = None
    cursor: Cursor | None = None
    room_id: Annotated[str, Meta(min_length=1, max_length=1000, description="Only those of this room.")] | None = None
    status: Annotated[list[Status], Meta(description="Only those with one of these statuses.")] = []
    created_after: Annotated[Time, Meta(description="Only those created after this, exclusive.")] | None = None
    created_before: Annotated[Time, Meta(description="Only those created before this, exclusive.")] | None = None

    def __post_init__(self) -> None:
        if self.cursor is not None and self.offset is not None:
            raise ValueError(TOGETHER)

    def only(self) -> Filter:
        """The filters among it."""
        return Filter(
            room_id=self.room_id,
            statuses=frozenset(self.status),
            created_after=self.created_after,
            created_before=self.created_before,
        )


class RestoreBody(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How a readable copy is to be made."""

    days: Annotated[int, Meta(ge=1, le=30, description="How long the copy is kept.")] = 7
    tier: Annotated[
        Literal["standard", "bulk", "expedited"], Meta(description="How fast, and how dear, the retrieval is.")
    ] = "standard"


class DownloadQuery(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How long the URL is to live."""

    expires_in: Annotated[int, Meta(ge=60, le=604_800, description="Seconds that the URL lives at most.")] = 3600


def instant(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, whole seconds, with a Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def room_view(room: Room) -> Document:
    return {
        "id": room.id,
        "name": room.name,
        "cloudflare_meeting_id": room.meeting_id,
        "record_on_start": room.record_on_start,
        "active_recording_id": room.active_recording_id,
        "created_at": instant(room.created_at),
        "updated_at": instant(room.updated_at),
    }


def started_view(recording: Recording) -> Document:
    return {
        "id": recording.id,
        "room_id": recording.room_id,
        "status": recording.status,
        "started_at": instant(recording.started_at),
    }


def stopped_view(recording: Recording) -> Document:
    return {
        "id": recording.id,
        "room_id": recording.room_id,
        "status": recording.status,
        "stopped_at": instant(recording.stopped_at),
    }


def blocker_view(recording: Recording) -> Document:
    return {
        "id": recording.id,
        "status": recording.status,
        "started_at": instant(recording.started_at),
        "origin": recording.origin,
    }


def row_view(recording: Recording) -> Document:
    return {
        "id": recording.id,
        "room_id": recording.room_id,
        "status": recording.status,
        "duration_seconds": recording.duration_seconds,
        "size_bytes": recording.size_bytes,
        "created_at": instant(recording.created_at),
    }


def recording_view(recording: Recording, *, room_name: str) -> Document:
    """The whole of a recording, under the name its room has now (or had last)."""
    progress = recording.progress
    return {
        **row_view(recording),
        "room": {"id": recording.room_id, "name": room_name},
        "started_at": instant(recording.started_at),
        "stopped_at": instant(recording.stopped_at),
        "archived_at": instant(recording.archived_at),
        "provider": recording.file.provider if recording.file else None,
        "failure": failure_view(recording.failure),
        "origin": recording.origin,
        "version": recording.version,
        "partial": recording.partial,
        "progress": {
            "step": progress.step,
            "attempt": progress.attempt,
            "bytes_done": progress.bytes_done,
            "bytes_total": progress.bytes_total,
            "next_step_due": instant(progress.next_step_due),
            "stuck_after": instant(progress.stuck_after),
            "stalled": recording.stalled,
        }
        if progress
        else None,
        "archive": archive_view(recording.archive),
        "archive_error": failure_view(recording.archive_error),
        "history": [
            {"status": change.status, "at": instant(change.at), "cause": change.cause} for change in recording.history
        ],
    }


def failure_view(failure: Failure | None) -> Document | None:
    return {"code": failure.code, "message": failure.message} if failure else None


def archive_view(archive: Archive | None) -> Document | None:
    if archive is None:
        return None
    return {
        "state": archive.state,
        "storage_class": archive.storage_class,
        "restored_until": instant(archive.restored_until),
        "expected_at": instant(archive.expected_at),
    }


def synced_view(recordings: Sequence[Recording]) -> Document:
    return {
        "synced_count": len(recordings),
        "recordings": [{"id": recording.id, "status": recording.status} for recording in recordings],
    }


def archiving_view(recording: Recording) -> Document:
    return {"id": recording.id, "status": recording.status, "archived_at": instant(recording.archived_at)}


def restoring_view(recording: Recording) -> Document:
    return {"id": recording.id, "status": recording.status, "archive": archive_view(recording.archive)}


def recovering_view(recording: Recording) -> Document:
    return {
        "id": recording.id,
        "status": recording.status,
        "message": "Recovery initiated. Recording will be reprocessed.",
    }


def deleted_view(recording: Recording) -> Document:
    return {"id": recording.id, "deleted": True, "deleted_at": instant(recording.deleted_at)}


def undeleted_view(recording: Recording) -> Document:
    return {"id": recording.id, "deleted": False, "status": recording.status}


def change_view(before: Status | None, recording: Recording) -> Document:
    """The detail of an event that tells of a transition, or of an import when there was no status before."""
    change = recording.history[-1]
    return {
        "event_id": f"{recording.id}-{recording.version}",
        "tenant_id": recording.tenant_id,
        "recording_id": recording.id,
        "room_id": recording.room_id,
        "from": before,
        "to": recording.status,
        "at": instant(change.at),
        "cause": change.cause,
        "version": recording.version,
        "recording": recording_view(recording, room_name=recording.room_name),
    }


def purged_view(record: PurgeRecord, *, late: bool) -> Document:
    """The event that tells that everything stored of a deleted recording is gone for good; `late`: what came after."""
    # An event holds 256 KB at most (EventBridge, "Quotas"): so many are named, and all are counted.
    named = record.found[:LISTED_IN_EVENT]
    return {
        "id": f"{record.id}-purged-late" if late else f"{record.id}-purged",
        "type": "recording.purged",
        "time": instant(record.purged_at),
        "tenant_id": record.tenant_id,
        "actor": {"type": "system", "id": "retention"},
        "version": record.version,
        "data": {
            "id": record.id,
            "room_id": record.room_id,
            "deleted_at": instant(record.deleted_at),
            "removed_count": len(record.found),
            "removed": [
                {"store": item.store, "key": item.key, "kind": item.kind.value, "id": item.id or None} for item in named
            ],
            "absent": [] if late else [{"store": store, "key": key} for store, key in record.absent],
        },
    }


def waiting_view(recording: Recording) -> Document:
    """The answer to a download that comes too early; it has no envelope."""
    return {
        "recording_id": recording.id,
        "status": "processing",
        "message": "Recording is still being processed. Please try again later.",
    }


def archived_view(recording: Recording) -> Document:
    """The answer to a download of what is in cold storage; it has no envelope."""
    expected = instant(recording.archive.expected_at) if recording.archive else None
    how = (
        f"A readable copy is on its way and expected by {expected}."
        if expected
        else f"Ask for a readable copy with POST /api/v1/recordings/{recording.id}/restore."
    )
    return {"recording_id": recording.id, "status": "archived", "message": f"Recording is archived. {how}"}


def download_view(recording: Recording, file: StoredFile, url: str, expires_at: datetime) -> Document:
    """Where the file is; it has no envelope. `status` is the download's, of a restored copy too."""
    return {
        "recording_id": recording.id,
        "download_url": url,
        "status": "ready",
        "duration": recording.duration_seconds,
        "file_size": file.size_bytes,
        "provider": file.provider,
        "expires_at": instant(expires_at),
    }
