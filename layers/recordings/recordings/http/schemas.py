"""The documents of the public API. Changing a field here changes the API."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Archive, Failure, Recording, StoredFile
from recordings.domain.room import Room
from recordings.ports import Filter

type Document = dict[str, Any]

RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _decimal(given: object) -> object:
    # Plain digits only: int() would also take " 5", "+5", "5_0" and digits of other scripts.
    if isinstance(given, str) and given.isascii() and given.removeprefix("-").isdigit() and len(given) <= 30:
        return int(given)
    raise ValueError("must be a whole number")


def _instant(given: object) -> object:
    if isinstance(given, str) and RFC_3339.fullmatch(given):
        try:
            return datetime.fromisoformat(given).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError("must be a time like 2026-01-06T10:30:00Z")


type Time = Annotated[datetime, BeforeValidator(_instant)]
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
    offset: Annotated[Whole, Field(ge=0)] | None = None
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = None
    room_id: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    status: list[Annotated[Status, Field(strict=False)]] = []
    created_after: Time | None = None
    created_before: Time | None = None

    @model_validator(mode="after")
    def _one_way_to_page(self) -> Self:
        if self.cursor is not None and self.offset is not None:
            raise PydanticCustomError("paging", "give either cursor or offset, not both")
        return self

    def only(self) -> Filter:
        """The filters among it."""
        return Filter(
            room_id=self.room_id,
            statuses=frozenset(self.status),
            created_after=self.created_after,
            created_before=self.created_before,
        )


class RestoreBody(_Strict):
    days: Annotated[int, Field(ge=1, le=30)] = 7
    tier: Literal["standard", "bulk", "expedited"] = "standard"


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
    """Where the file is; it has no envelope."""
    return {
        "recording_id": recording.id,
        "download_url": url,
        "status": recording.status,
        "duration": recording.duration_seconds,
        "file_size": file.size_bytes,
        "provider": file.provider,
        "expires_at": instant(expires_at),
    }
