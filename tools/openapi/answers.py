"""Every document the API answers with. What is unknown is null and never missing, so no field has a default.

The functions answer with plain dicts (recordings.http.schemas); these models describe them and are what tests hold them
against, strictly: one field too many is an error.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from recordings.domain.lifecycle import Status
from recordings.http.problems import MAX_DETAIL_CHARACTERS, MAX_FIELD_CHARACTERS

INSTANT: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"


def _told(description: str, **more: Any) -> Meta:
    return Meta(description=description, **more)


def _id(description: str, example: str) -> Meta:
    return Meta(min_length=1, description=description, examples=[example])


type Instant = Annotated[str, Meta(pattern=INSTANT, extra_json_schema={"format": "date-time"})]
type Size = Annotated[int, Meta(ge=0)]

RecordingId = Annotated[str, _id("The recording's id; opaque.", "rec_01KE9EDY806S2TGZ7Z3QHSBYMG")]
RoomId = Annotated[str, _id("The room's id.", "room_abc123")]
Duration = Annotated[Size | None, _told("Length of the file in whole seconds; null while it is unknown.")]
Bytes = Annotated[Size | None, _told("Size of the file in bytes; null while there is none.")]
CreatedAt = Annotated[
    Instant, _told("When the recording began; of an imported one, when Cloudflare began it. Lists are in this order.")
]
StartedAt = Annotated[Instant, _told("When the recording began.")]
StoppedAt = Annotated[Instant | None, _told("When it ended; null while it runs.")]
ArchivedAt = Annotated[Instant | None, _told("When it was sent to cold storage.")]
Origin = Annotated[Literal["api", "auto"], _told("`api`: started by a call; `auto`: by Cloudflare on its own.")]
Provider = Annotated[Literal["r2", "s3"], _told("Where the file is: `r2`, or `s3` for cold storage and its copies.")]
Deleted = Annotated[bool, _told("Always true.", extra_json_schema={"type": "boolean", "const": True})]
NextCursor = Annotated[str | None, _told("The `cursor` of the next page; null on the last.")]


class _Document(Struct, forbid_unknown_fields=True, kw_only=True):
    """A JSON object of which every field is known."""


# ---------------------------------------------------------------- Rooms


class Room(_Document):
    """A room: what you call a Cloudflare RealtimeKit meeting."""

    id: RoomId
    name: Annotated[str, _told("What people call the room.")]
    cloudflare_meeting_id: Annotated[str, _told("The RealtimeKit meeting behind the room.")]
    record_on_start: Annotated[bool, _told("Whether Cloudflare records by itself when the first person joins.")]
    active_recording_id: Annotated[str | None, _told("The recording that runs now, or null.")]
    created_at: Instant
    updated_at: Instant


class RoomAnswer(_Document):
    """A room in its envelope."""

    data: Room


class RoomsMeta(_Document):
    """Where a page of rooms stands."""

    limit: int
    next_cursor: NextCursor


class RoomList(_Document):
    """A page of rooms, by id."""

    data: list[Room]
    meta: RoomsMeta


class DeletedRoom(_Document):
    """A room that is no more."""

    id: RoomId
    deleted: Deleted


class DeletedRoomAnswer(_Document):
    """A deleted room in its envelope."""

    data: DeletedRoom


# ---------------------------------------------------------------- Recordings


class Started(_Document):
    """A recording that has just begun."""

    id: RecordingId
    room_id: RoomId
    status: Literal["recording"]
    started_at: StartedAt


class StartedAnswer(_Document):
    """A started recording in its envelope."""

    data: Started


class Stopped(_Document):
    """A recording that has been stopped."""

    id: RecordingId
    room_id: RoomId
    status: Annotated[
        Literal["processing", "ready", "archived", "failed"],
        _told("`processing`; a later one only where news of the recording's end came before this call."),
    ]
    stopped_at: Instant


class StoppedAnswer(_Document):
    """A stopped recording in its envelope."""

    data: Stopped


class SyncedRecording(_Document):
    """A recording that a sync imported or changed, and the status it has now."""

    id: RecordingId
    status: Status


class Synced(_Document):
    """What a sync imported or changed."""

    synced_count: Annotated[int, _told("How many; the length of `recordings`.", ge=0)]
    recordings: list[SyncedRecording]


class SyncedAnswer(_Document):
    """What a sync did, in its envelope."""

    data: Synced


class RecordingRow(_Document):
    """A recording as lists show it."""

    id: RecordingId
    room_id: RoomId
    status: Status
    duration_seconds: Duration
    size_bytes: Bytes
    created_at: CreatedAt


class RecordingsMeta(_Document):
    """Where a page of recordings stands."""

    total: Annotated[int, _told("How many recordings match the filters, exactly; deleted ones do not count.", ge=0)]
    limit: int
    offset: Annotated[int | None, _told("As asked for; null when a cursor was given.")]
    next_cursor: NextCursor


class RecordingList(_Document):
    """A page of recordings, newest first."""

    data: list[RecordingRow]
    meta: RecordingsMeta


class RoomName(_Document):
    """The room under the name it has now, or had last if it has been deleted."""

    id: RoomId
    name: str


class Failure(_Document):
    """Why something failed for good: a stable code, and a sentence for people."""

    code: Annotated[str, _told("A stable word in snake_case; there may be new ones.", examples=["capture_failed"])]
    message: str


class Progress(_Document):
    """Where the work on a recording stands."""

    step: Annotated[str, _told("The running step; there may be new ones.", examples=["copying"])]
    attempt: Annotated[int, _told("1, and one more after each recovery.", ge=1)]
    bytes_done: Size | None
    bytes_total: Size | None
    next_step_due: Annotated[
        Instant | None, _told("When the next step is expected; of a stalled recording, when its next attempt begins.")
    ]
    stuck_after: Annotated[Instant | None, _told("From when on the work counts as stuck: recover the recording.")]
    stalled: Annotated[bool, _told("Whether no attempt at the file is at work: the last one failed or waited in vain.")]


class Archive(_Document):
    """The recording's place in cold storage."""

    state: Annotated[
        Literal["moving", "stored", "restoring", "restored"],
        _told(
            "`moving`: on its way there, still downloadable; `stored`: there; `restoring`: a readable copy is being"
            " made; `restored`: it can be downloaded until `restored_until`."
        ),
    ]
    storage_class: Annotated[str | None, _told("S3's storage class; null while it moves.", examples=["GLACIER"])]
    restored_until: Annotated[Instant | None, _told("When the readable copy ends.")]
    expected_at: Annotated[Instant | None, _told("When a readable copy that was asked for should be there.")]


class Change(_Document):
    """One status that the recording entered."""

    status: Status
    at: Instant
    cause: Annotated[str, _told("What made it enter; there may be new ones.", examples=["api_stop"])]


class Recording(_Document):
    """The whole of a recording."""

    id: RecordingId
    room_id: RoomId
    room: RoomName
    status: Status
    duration_seconds: Duration
    size_bytes: Bytes
    created_at: CreatedAt
    started_at: StartedAt
    stopped_at: StoppedAt
    archived_at: ArchivedAt
    provider: Provider | None
    failure: Annotated[Failure | None, _told("Why there will be no file; set when the status is `failed`.")]
    origin: Origin
    version: Annotated[int, _told("Grows with every change; of two views the higher one is newer.", ge=1)]
    partial: Annotated[bool, _told("Whether Cloudflare called the recording errored and only part of it was saved.")]
    progress: Annotated[Progress | None, _told("The work that runs on it, or null.")]
    archive: Annotated[Archive | None, _told("Its place in cold storage, or null.")]
    archive_error: Annotated[
        Failure | None, _told("Why the last move to cold storage was given up; the recording is `ready` again.")
    ]
    history: Annotated[list[Change], _told("Every status it entered, oldest first.")]


class RecordingAnswer(_Document):
    """A recording in its envelope."""

    data: Recording


class Download(_Document):
    """Where the file is. No envelope."""

    recording_id: RecordingId
    download_url: Annotated[
        str,
        _told("Presigned: needs no token, takes range requests, saves under a readable name."),
        Meta(extra_json_schema={"format": "uri"}),
    ]
    status: Literal["ready", "archived"]
    duration: Duration
    file_size: Annotated[Size, _told("Size of the file in bytes.")]
    provider: Provider
    expires_at: Annotated[Instant, _told("When the URL truly ends; it may be sooner than asked for.")]


class Waiting(_Document):
    """The file is still being made, fetched or checked. No envelope."""

    recording_id: RecordingId
    status: Literal["processing"]
    message: str


class Archived(_Document):
    """The file is in cold storage and has to be restored first. No envelope."""

    recording_id: RecordingId
    status: Literal["archived"]
    message: Annotated[str, _told("How to restore it, or when the copy that was asked for will be there.")]


class Archiving(_Document):
    """A recording on its way to cold storage."""

    id: RecordingId
    status: Literal["archived"]
    archived_at: Instant


class ArchivingAnswer(_Document):
    """An archived recording in its envelope."""

    data: Archiving


class Restoring(_Document):
    """A recording of which a readable copy has been asked for."""

    id: RecordingId
    status: Literal["archived"]
    archive: Archive


class RestoringAnswer(_Document):
    """A recording being restored, in its envelope."""

    data: Restoring


class Recovering(_Document):
    """A recording whose processing begins anew."""

    id: RecordingId
    status: Literal["processing"]
    message: str


class RecoveringAnswer(_Document):
    """A recovered recording in its envelope."""

    data: Recovering


class DeletedRecording(_Document):
    """A recording that is in no list any more; it can be undeleted."""

    id: RecordingId
    deleted: Deleted
    deleted_at: Instant


class DeletedAnswer(_Document):
    """A deleted recording in its envelope."""

    data: DeletedRecording


class Undeleted(_Document):
    """A recording that is back."""

    id: RecordingId
    deleted: Annotated[bool, _told("Always false.", extra_json_schema={"type": "boolean", "const": False})]
    status: Status


class UndeletedAnswer(_Document):
    """An undeleted recording in its envelope."""

    data: Undeleted


# ---------------------------------------------------------------- Webhook


class Handled(_Document):
    """What became of a webhook."""

    handled: Annotated[bool, _told("Whether it was about something of ours.")]


class HandledAnswer(_Document):
    """What became of a webhook, in its envelope."""

    data: Handled


# ---------------------------------------------------------------- Errors


class Problem(_Document):
    """What went wrong, as RFC 9457 has it."""

    type: Literal["about:blank"]
    title: Annotated[str, _told("The status in words.")]
    status: Annotated[int, _told("The same as the response's.", ge=400, le=599)]
    code: Annotated[str, _told("The cause; stable. Decide by this.", pattern="^[a-z]+(_[a-z]+)*$")]
    detail: Annotated[
        str, _told("One sentence of ours for people, and what they can do.", max_length=MAX_DETAIL_CHARACTERS)
    ]
    request_id: Annotated[
        str,
        _told(
            "Leads to the cause in our logs. The same as `X-Request-Id`; in a repeat with an `Idempotency-Key`, the"
            " first request's."
        ),
    ]


class FieldError(_Document):
    """A field of the request that is not as it must be."""

    field: Annotated[
        str,
        _told(
            "A query parameter, a body field, a path parameter, a header, or `body`; a longer name is cut.",
            max_length=MAX_FIELD_CHARACTERS,
        ),
    ]
    message: Annotated[str, _told("What is wrong with it.", max_length=MAX_DETAIL_CHARACTERS)]


class InvalidRequest(Problem):
    """The request itself is at fault; the same one will never succeed."""

    code: Literal["invalid_request"]
    errors: Annotated[list[FieldError], Meta(min_length=1)]


class Blocker(_Document):
    """The recording that is in the way."""

    id: RecordingId
    status: Status
    started_at: StartedAt
    origin: Origin


class RoomAlreadyRecording(Problem):
    """The room is being recorded, by a call or by Cloudflare on its own."""

    code: Literal["room_already_recording"]
    recording: Annotated[
        Blocker | None, _told("The recording that runs; null while another call is still starting one.")
    ]


class RoomRecording(Problem):
    """The room is being recorded, so it keeps its meeting."""

    code: Literal["room_recording"]
    recording: Annotated[Blocker | None, _told("The recording that runs; null while a call is still starting one.")]


class GatewayMessage(_Document):
    """An error of the gateway in front of the API: the request did not reach it, or it did not answer in time."""

    message: str
