"""What the API returns: a model for each document. Changing a field here changes the API.

The handlers return these models, and docs/openapi.yaml is generated from them. A response never rejects data: a limit
such as `ge=0` would turn a value that an older release stored into a 500. So limits and constants are documented only.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

# Only these names: `pydantic.networks` and RootModel each add 20 to 30 ms to a cold start.
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from recordings.domain import recording as domain
from recordings.domain.lifecycle import Status
from recordings.domain.room import Room as DomainRoom
from recordings.domain.stored_file import StoredFile

INSTANT_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"


class Document(BaseModel):
    """Base of what the API returns. An unknown value is null, never missing, so no field has a default."""

    model_config = ConfigDict(frozen=True, from_attributes=True, defer_build=True)


def to_json(document: Document) -> str:
    """Serialize a document byte for byte as the first release did.

    `model_dump_json` writes no space after `:` and `,` and leaves non-ASCII characters as they are.
    """
    return json.dumps(to_dict(document))


def to_dict(document: Document) -> dict[str, Any]:
    """Return the document as JSON values."""
    return document.model_dump(mode="json", by_alias=True)


def format_instant(at: datetime) -> str:
    """Format a time as RFC 3339 in UTC, in whole seconds, with a Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _documented(**schema: Any) -> WithJsonSchema:
    """Describe a field by this JSON Schema. It checks nothing."""
    return WithJsonSchema(schema, mode="serialization")


def _statuses(*statuses: Status) -> WithJsonSchema:
    return _documented(type="string", enum=[*map(str, statuses)])


Instant = Annotated[
    AwareDatetime,
    PlainSerializer(format_instant, return_type=str, when_used="json"),
    _documented(type="string", format="date-time", pattern=INSTANT_PATTERN),
]
AT_LEAST_0: Final[dict[str, Any]] = {"minimum": 0}
AT_LEAST_1: Final[dict[str, Any]] = {"minimum": 1}
NOT_EMPTY: Final[dict[str, Any]] = {"minLength": 1}

RecordingId = Annotated[
    str,
    Field(
        description="The recording's id. Opaque.",
        examples=["rec_01KE9EDY806S2TGZ7Z3QHSBYMG"],
        json_schema_extra=NOT_EMPTY,
    ),
]
RoomId = Annotated[str, Field(description="The room's id.", examples=["room_abc123"], json_schema_extra=NOT_EMPTY)]
Duration = Annotated[
    int | None,
    Field(description="Length of the file in whole seconds. Null while it is unknown.", json_schema_extra=AT_LEAST_0),
]
Size = Annotated[
    int | None,
    Field(description="Size of the file in bytes. Null while there is no file.", json_schema_extra=AT_LEAST_0),
]
Bytes = Annotated[int | None, Field(json_schema_extra=AT_LEAST_0)]
StartedAt = Annotated[Instant, Field(description="When the recording began.")]
ArchivedAt = Annotated[Instant | None, Field(description="When it was sent to cold storage.")]
Origin = Annotated[
    str,
    Field(description="`api`: started by an API call. `auto`: started by Cloudflare on its own."),
    _documented(type="string", enum=["api", "auto"]),
]
Provider = Annotated[str, _documented(type="string", enum=["r2", "s3"])]
PROVIDER: Final = "Where the file is: `r2`, or `s3` for cold storage and its copies."
NextCursor = Annotated[str | None, Field(description="The `cursor` of the next page. Null on the last page.")]


# ---------------------------------------------------------------- rooms


class Room(Document):
    """A room: your name for a Cloudflare RealtimeKit meeting."""

    id: RoomId
    name: Annotated[str, Field(description="The room's name, for people.")]
    cloudflare_meeting_id: Annotated[str, Field(description="The RealtimeKit meeting of the room.")]
    record_on_start: Annotated[
        bool, Field(description="Whether Cloudflare starts recording when the first participant joins.")
    ]
    active_recording_id: Annotated[str | None, Field(description="The recording that is running, or null.")]
    created_at: Instant
    updated_at: Instant

    @classmethod
    def from_domain(cls, room: DomainRoom) -> Self:
        return cls(
            id=room.id,
            name=room.name,
            cloudflare_meeting_id=room.meeting_id,
            record_on_start=room.record_on_start,
            active_recording_id=room.active_recording_id,
            created_at=room.created_at,
            updated_at=room.updated_at,
        )


class RoomResponse(Document):
    """A room in its envelope."""

    data: Room

    @classmethod
    def from_domain(cls, room: DomainRoom) -> Self:
        return cls(data=Room.from_domain(room))


class RoomPageMeta(Document):
    """Which page of the rooms this is."""

    limit: int
    next_cursor: NextCursor


class RoomPage(Document):
    """A page of rooms, sorted by id."""

    data: list[Room]
    meta: RoomPageMeta

    @classmethod
    def from_domain(cls, rooms: Sequence[DomainRoom], *, limit: int, next_cursor: str | None) -> Self:
        return cls(
            data=[Room.from_domain(room) for room in rooms], meta=RoomPageMeta(limit=limit, next_cursor=next_cursor)
        )


class DeletedRoom(Document):
    """A room that was deleted."""

    id: RoomId
    deleted: Annotated[bool, Field(description="Always true."), _documented(type="boolean", const=True)]


class DeletedRoomResponse(Document):
    """A deleted room in its envelope."""

    data: DeletedRoom

    @classmethod
    def from_domain(cls, room: DomainRoom) -> Self:
        return cls(data=DeletedRoom(id=room.id, deleted=True))


# ---------------------------------------------------------------- recordings


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
        recordings: Sequence[domain.Recording],
        *,
        total: int,
        limit: int,
        offset: int | None,
        next_cursor: str | None,
    ) -> Self:
        return cls(
            data=[RecordingRow.model_validate(recording) for recording in recordings],
            meta=RecordingPageMeta(total=total, limit=limit, offset=offset, next_cursor=next_cursor),
        )


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

    @classmethod
    def from_domain(cls, progress: domain.Progress, *, stalled: bool) -> Self:
        return cls(
            step=progress.step,
            attempt=progress.attempt,
            bytes_done=progress.bytes_done,
            bytes_total=progress.bytes_total,
            next_step_due=progress.next_step_due,
            stuck_after=progress.stuck_after,
            stalled=stalled,
        )


class Archive(Document):
    """The recording in cold storage."""

    state: Annotated[
        str,
        Field(
            description="`moving`: on its way to cold storage, and still downloadable. `stored`: in cold storage."
            " `restoring`: a readable copy is being made. `restored`: downloadable until `restored_until`."
        ),
        _documented(type="string", enum=["moving", "stored", "restoring", "restored"]),
    ]
    storage_class: Annotated[
        str | None, Field(description="The S3 storage class. Null while the file moves.", examples=["GLACIER"])
    ]
    restored_until: Annotated[Instant | None, Field(description="When the readable copy expires.")]
    expected_at: Annotated[Instant | None, Field(description="When the requested copy should be readable.")]


class StatusChange(Document):
    """One status that the recording entered."""

    status: Status
    at: Instant
    cause: Annotated[str, Field(description="Why. New causes may appear.", examples=["api_stop"])]


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

    @classmethod
    def from_domain(cls, recording: domain.Recording, *, room_name: str) -> Self:
        """Build the document. `room_name` is the room's current name, or its last name if it was deleted."""
        progress = recording.progress
        return cls.model_validate(
            {
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
                "progress": Progress.from_domain(progress, stalled=recording.stalled) if progress else None,
                "archive": recording.archive,
                "archive_error": recording.archive_error,
                "history": recording.history,
            }
        )


class RecordingResponse(Document):
    """A recording in its envelope."""

    data: Recording

    @classmethod
    def from_domain(cls, recording: domain.Recording, *, room_name: str) -> Self:
        return cls(data=Recording.from_domain(recording, room_name=room_name))


class StartedRecording(Document):
    """A recording that has just started."""

    id: RecordingId
    room_id: RoomId
    status: Annotated[Status, _statuses(Status.RECORDING)]
    started_at: StartedAt


class StartedRecordingResponse(Document):
    """A started recording in its envelope."""

    data: StartedRecording

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        return cls(data=StartedRecording.model_validate(recording))


class StoppedRecording(Document):
    """A recording that was stopped."""

    id: RecordingId
    room_id: RoomId
    status: Annotated[
        Status,
        Field(description="`processing`. A later status only if Cloudflare reported the end before this call."),
        _statuses(Status.PROCESSING, Status.READY, Status.ARCHIVED, Status.FAILED),
    ]
    stopped_at: Instant


class StoppedRecordingResponse(Document):
    """A stopped recording in its envelope."""

    data: StoppedRecording

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        return cls(data=StoppedRecording.model_validate(recording))


class SyncedRecording(Document):
    """A recording that a sync imported or changed, and its new status."""

    id: RecordingId
    status: Status


class SyncResult(Document):
    """What a sync imported or changed."""

    synced_count: Annotated[int, Field(description="The length of `recordings`.", json_schema_extra=AT_LEAST_0)]
    recordings: list[SyncedRecording]


class SyncResponse(Document):
    """What a sync imported or changed, in its envelope."""

    data: SyncResult

    @classmethod
    def from_domain(cls, recordings: Sequence[domain.Recording]) -> Self:
        rows = [SyncedRecording.model_validate(recording) for recording in recordings]
        return cls(data=SyncResult(synced_count=len(rows), recordings=rows))


class ArchivedRecording(Document):
    """A recording on its way to cold storage."""

    id: RecordingId
    status: Annotated[Status, _statuses(Status.ARCHIVED)]
    archived_at: Instant


class ArchivedRecordingResponse(Document):
    """An archived recording in its envelope."""

    data: ArchivedRecording

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        return cls(data=ArchivedRecording.model_validate(recording))


class RestoringRecording(Document):
    """A recording of which a readable copy was requested."""

    id: RecordingId
    status: Annotated[Status, _statuses(Status.ARCHIVED)]
    archive: Archive


class RestoringRecordingResponse(Document):
    """A recording that is being restored, in its envelope."""

    data: RestoringRecording

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        return cls(data=RestoringRecording.model_validate(recording))


class RecoveringRecording(Document):
    """A recording that is being processed again."""

    id: RecordingId
    status: Annotated[Status, _statuses(Status.PROCESSING)]
    message: str


class RecoveringRecordingResponse(Document):
    """A recording that is being processed again, in its envelope."""

    data: RecoveringRecording

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        message = "Recovery initiated. Recording will be reprocessed."
        return cls(data=RecoveringRecording(id=recording.id, status=recording.status, message=message))


class DeletedRecording(Document):
    """A recording that is in no list. It can be undeleted."""

    id: RecordingId
    deleted: Annotated[bool, Field(description="Always true."), _documented(type="boolean", const=True)]
    deleted_at: Instant


class DeletedRecordingResponse(Document):
    """A deleted recording in its envelope."""

    data: DeletedRecording

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        return cls.model_validate({"data": {"id": recording.id, "deleted": True, "deleted_at": recording.deleted_at}})


class UndeletedRecording(Document):
    """A recording that was deleted and is back."""

    id: RecordingId
    deleted: Annotated[bool, Field(description="Always false."), _documented(type="boolean", const=False)]
    status: Status


class UndeletedRecordingResponse(Document):
    """An undeleted recording in its envelope."""

    data: UndeletedRecording

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        return cls(data=UndeletedRecording(id=recording.id, deleted=False, status=recording.status))


# ---------------------------------------------------------------- downloads, which have no envelope


class Download(Document):
    """Where the file is. No envelope."""

    recording_id: RecordingId
    download_url: Annotated[
        str,
        Field(
            description="Presigned. Needs no token, takes range requests, and saves under a readable file name.",
            json_schema_extra={"format": "uri"},
        ),
    ]
    status: Annotated[Status, _statuses(Status.READY)]
    duration: Duration
    file_size: Annotated[int, Field(description="Size of the file in bytes.", json_schema_extra=AT_LEAST_0)]
    provider: Annotated[Provider, Field(description=PROVIDER)]
    expires_at: Annotated[Instant, Field(description="When the URL expires. May be sooner than requested.")]

    @classmethod
    def from_domain(cls, recording: domain.Recording, *, file: StoredFile, url: str, expires_at: datetime) -> Self:
        """Build the document. `status` is the status of the download, so it is `ready` for a restored copy too."""
        return cls(
            recording_id=recording.id,
            download_url=url,
            status=Status.READY,
            duration=recording.duration_seconds,
            file_size=file.size_bytes,
            provider=file.store,
            expires_at=expires_at,
        )


class DownloadPending(Document):
    """The file is still being made, copied or verified. No envelope."""

    recording_id: RecordingId
    status: Annotated[Status, _statuses(Status.PROCESSING)]
    message: str

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        message = "Recording is still being processed. Please try again later."
        return cls(recording_id=recording.id, status=Status.PROCESSING, message=message)


class DownloadArchived(Document):
    """The file is in cold storage and has to be restored first. No envelope."""

    recording_id: RecordingId
    status: Annotated[Status, _statuses(Status.ARCHIVED)]
    message: Annotated[str, Field(description="How to restore it, or when the requested copy should be readable.")]

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        expected_at = recording.archive.expected_at if recording.archive else None
        how = (
            f"A readable copy is on its way and expected by {format_instant(expected_at)}."
            if expected_at
            else f"Ask for a readable copy with POST /api/v1/recordings/{recording.id}/restore."
        )
        return cls(recording_id=recording.id, status=Status.ARCHIVED, message=f"Recording is archived. {how}")


# ---------------------------------------------------------------- Cloudflare's webhooks


class WebhookResult(Document):
    """What happened to a webhook."""

    handled: Annotated[bool, Field(description="Whether it was about a recording of this service.")]


class WebhookResponse(Document):
    """What happened to a webhook, in its envelope."""

    data: WebhookResult

    @classmethod
    def from_result(cls, *, handled: bool) -> Self:
        return cls(data=WebhookResult(handled=handled))
