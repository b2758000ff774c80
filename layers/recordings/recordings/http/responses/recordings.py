"""Recordings, alone and in lists."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field

from recordings.domain import recording as domain
from recordings.domain.lifecycle import Status
from recordings.domain.listing import ListedRecording
from recordings.http.responses.actors import Actor
from recordings.http.responses.archive import Archive
from recordings.http.responses.base import (
    AT_LEAST_0,
    AT_LEAST_1,
    PROVIDER,
    Document,
    Duration,
    Instant,
    NextCursor,
    Origin,
    Provider,
    RecordingId,
    RoomId,
    StartedAt,
)

Size = Annotated[
    int | None,
    Field(description="Size of the file in bytes. Null while there is no file.", json_schema_extra=AT_LEAST_0),
]


Bytes = Annotated[int | None, Field(json_schema_extra=AT_LEAST_0)]


ArchivedAt = Annotated[Instant | None, Field(description="When it was sent to cold storage.")]


class RecordingRow(Document):
    """A recording in a list."""

    id: RecordingId
    room_id: RoomId
    status: Status
    duration_seconds: Duration
    size_bytes: Size
    created_at: Annotated[
        Instant,
        Field(
            description="When the recording began. If Cloudflare started it on its own, when Cloudflare began it."
            " Lists are in this order."
        ),
    ]


class RecordingPageMeta(Document):
    """Which page of the recordings this is."""

    total: Annotated[
        int,
        Field(
            description="Exact number of recordings that match the filters. Deleted ones do not count.",
            json_schema_extra=AT_LEAST_0,
        ),
    ]
    limit: int
    offset: Annotated[int | None, Field(description="The `offset` of the request. Null if it has a cursor.")]
    next_cursor: NextCursor


class RecordingPage(Document):
    """A page of recordings, newest first."""

    data: list[RecordingRow]
    meta: RecordingPageMeta

    @classmethod
    def from_domain(
        cls,
        recordings: Sequence[ListedRecording],
        *,
        total: int,
        limit: int,
        offset: int | None,
        next_cursor: str | None,
    ) -> Self:
        meta = {"total": total, "limit": limit, "offset": offset, "next_cursor": next_cursor}
        return cls.model_validate({"data": recordings, "meta": meta})


class RoomReference(Document):
    """The room with its current name, or with its last name if it was deleted."""

    id: RoomId
    name: str


class Failure(Document):
    """Why something failed permanently: a stable code and a sentence for people."""

    code: Annotated[
        str, Field(description="A stable word in snake_case. New ones may appear.", examples=["capture_failed"])
    ]
    message: str


class Progress(Document):
    """The current work on a recording."""

    step: Annotated[str, Field(description="The current step. New ones may appear.", examples=["copying"])]
    attempt: Annotated[int, Field(description="Starts at 1. Every recovery adds 1.", json_schema_extra=AT_LEAST_1)]
    bytes_done: Bytes
    bytes_total: Bytes
    next_step_due: Annotated[
        Instant | None,
        Field(description="When the next step is expected. If the recording is stalled, when the next attempt begins."),
    ]
    stuck_after: Annotated[
        Instant | None, Field(description="If the work takes longer than this, it is stuck: recover the recording.")
    ]
    stalled: Annotated[
        bool, Field(description="Whether no attempt is at work, because the last one failed or waited in vain.")
    ]


class StatusChange(Document):
    """One status that the recording entered."""

    status: Status
    at: Instant
    cause: Annotated[str, Field(description="Why. New causes may appear.", examples=["api_stop"])]
    actor: Annotated[
        Actor | None, Field(description="Who did it. Null for what happened before the service recorded this.")
    ]


class Recording(RecordingRow):
    """A recording with everything that is known about it."""

    room: RoomReference
    started_at: StartedAt
    stopped_at: Annotated[Instant | None, Field(description="When it ended. Null while it is being recorded.")]
    archived_at: ArchivedAt
    provider: Annotated[Provider | None, Field(description=PROVIDER)]
    failure: Annotated[Failure | None, Field(description="Why there will be no file. Set if the status is `failed`.")]
    origin: Origin
    version: Annotated[
        int,
        Field(description="Grows with every change. The higher version is newer.", json_schema_extra=AT_LEAST_1),
    ]
    partial: Annotated[
        bool, Field(description="Whether Cloudflare reported an error and only a part of the recording was saved.")
    ]
    progress: Annotated[Progress | None, Field(description="The current work on it, or null.")]
    archive: Annotated[Archive | None, Field(description="The recording in cold storage, or null.")]
    archive_error: Annotated[
        Failure | None, Field(description="Why the last move to cold storage failed. The recording is `ready` again.")
    ]
    history: Annotated[list[StatusChange], Field(description="Every status it entered, oldest first.")]


def recording_values(recording: domain.Recording, *, room_name: str) -> dict[str, Any]:
    """Return the fields of a Recording. `room_name` is the room's current name, or its last name if it was deleted."""
    progress = recording.progress
    return {
        "id": recording.id,
        "room_id": recording.room_id,
        "status": recording.status,
        "duration_seconds": recording.duration_seconds,
        "size_bytes": recording.size_bytes,
        "created_at": recording.created_at,
        "room": {"id": recording.room_id, "name": room_name},
        "started_at": recording.started_at,
        "stopped_at": recording.stopped_at,
        "archived_at": recording.archived_at,
        "provider": recording.file.store if recording.file else None,
        "failure": recording.failure,
        "origin": recording.origin,
        "version": recording.version,
        "partial": recording.partial,
        "progress": _progress_values(progress, stalled=recording.stalled) if progress else None,
        "archive": recording.archive,
        "archive_error": recording.archive_error,
        "history": recording.history,
    }


def _progress_values(progress: domain.Progress, *, stalled: bool) -> dict[str, Any]:
    return {
        "step": progress.step,
        "attempt": progress.attempt,
        "bytes_done": progress.bytes_done,
        "bytes_total": progress.bytes_total,
        "next_step_due": progress.next_step_due,
        "stuck_after": progress.stuck_after,
        "stalled": stalled,
    }


class RecordingResponse(Document):
    """A recording in its envelope."""

    data: Recording

    @classmethod
    def from_domain(cls, recording: domain.Recording, *, room_name: str) -> Self:
        return cls.model_validate({"data": recording_values(recording, room_name=room_name)})
