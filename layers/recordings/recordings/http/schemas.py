"""The documents of the public API. Changing a field here changes the API."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from recordings.domain.recording import Recording, StoredFile
from recordings.domain.room import Room

type Document = dict[str, Any]


def _decimal(given: object) -> object:
    # Plain digits only: int() would also take " 5", "+5", "5_0" and digits of other scripts.
    if isinstance(given, str) and given.isascii() and given.removeprefix("-").isdigit() and len(given) <= 30:
        return int(given)
    raise ValueError("must be a whole number")


type Whole = Annotated[int, BeforeValidator(_decimal)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(_Strict):
    """A request that takes no parameters."""


class StartBody(_Strict):
    max_duration_seconds: Annotated[int, Field(ge=60, le=86_400)] | None = None


class RoomBody(_Strict):
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    cloudflare_meeting_id: Annotated[UUID, Field(strict=False)] | None = None
    record_on_start: bool | None = None


class RoomsQuery(_Strict):
    limit: Annotated[Whole, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = None


class ListQuery(_Strict):
    limit: Annotated[Whole, Field(ge=1, le=100)] = 20
    offset: Annotated[Whole, Field(ge=0)] = 0


class DownloadQuery(_Strict):
    expires_in: Annotated[Whole, Field(ge=60, le=604_800)] = 3600


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
        "failure": {"code": recording.failure.code, "message": recording.failure.message}
        if recording.failure
        else None,
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
        "archive": None,
        "history": [
            {"status": change.status, "at": instant(change.at), "cause": change.cause} for change in recording.history
        ],
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
    return {
        "recording_id": recording.id,
        "status": "archived",
        "message": f"Recording is archived. Ask for a copy with POST /api/v1/recordings/{recording.id}/restore.",
    }


def download_view(recording: Recording, file: StoredFile, url: str, expires_at: str | None) -> Document:
    """Where the file is; it has no envelope."""
    return {
        "recording_id": recording.id,
        "download_url": url,
        "status": recording.status,
        "duration": recording.duration_seconds,
        "file_size": file.size_bytes,
        "provider": file.provider,
        "expires_at": expires_at,
    }
