# Written by datamodel-code-generator from docs/openapi.yaml (`make client-models`); do not edit.
# ruff: noqa: E501


from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from recordings_client.documents import Document, OpenEnum, PresignedUrl


class Status(OpenEnum):
    """`recording`: being recorded. `processing`: stopped, the file is being finished, copied and verified. `ready`: in our storage and downloadable. `archived`: moved to cold storage. `failed`: there will be no file."""

    RECORDING = "recording"
    PROCESSING = "processing"
    READY = "ready"
    ARCHIVED = "archived"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor(Document):
    """Who did something: a user of the API, or a part of the system."""

    type: str
    """New types may appear."""

    id: str
    """Of a user the claim `sub` of the access token, or the claim that the deployment names. Of the system `sync`, `webhook`, `workflow`, `retention` or `audit`; new ones may appear."""

    client_id: str | None
    """The application that the user works with. Null if unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive(Document):
    """The recording in cold storage."""

    state: str
    """`moving`: on its way to cold storage, and still downloadable. `stored`: in cold storage. `restoring`: a readable copy is being made. `restored`: downloadable until `restored_until`."""

    storage_class: str | None
    """The S3 storage class. Null while the file moves."""

    restored_until: datetime | None
    """When the readable copy expires."""

    expected_at: datetime | None
    """When the requested copy should be readable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Archived(Document):
    """A recording on its way to cold storage."""

    id: str
    """The recording's id. Opaque."""

    status: Status
    archived_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ActiveRecording(Document):
    """The recording that blocks the request."""

    id: str
    """The recording's id. Opaque."""

    status: Status
    started_at: datetime
    """When the recording began."""

    origin: str
    """`api`: started by an API call. `auto`: started by Cloudflare on its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change(Document):
    """One status that the recording entered."""

    status: Status
    at: datetime
    cause: str
    """Why. New causes may appear."""

    actor: Actor | None
    """Who did it. Null for what happened before the service recorded this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deleted(Document):
    """A recording that is in no list. It can be undeleted."""

    id: str
    """The recording's id. Opaque."""

    deleted: bool
    """Always true."""

    deleted_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Download(Document):
    """Where the file is. No envelope."""

    recording_id: str
    """The recording's id. Opaque."""

    download_url: PresignedUrl
    """Presigned. Needs no token, takes range requests, and saves under a readable file name."""

    status: Status
    duration: int | None
    """Length of the file in whole seconds. Null while it is unknown."""

    file_size: int
    """Size of the file in bytes."""

    provider: str
    """Where the file is: `r2`, or `s3` for cold storage and its copies."""

    expires_at: datetime
    """When the URL expires. May be sooner than requested."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure(Document):
    """Why something failed permanently: a stable code and a sentence for people."""

    code: str
    """A stable word in snake_case. New ones may appear."""

    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldError(Document):
    """An invalid field of the request."""

    field: str
    """A query parameter, a body field, a path parameter, a header, or `body`. A longer name is cut."""

    message: str
    """What is wrong with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress(Document):
    """The current work on a recording."""

    step: str
    """The current step. New ones may appear."""

    attempt: int
    """Starts at 1. Every recovery adds 1."""

    bytes_done: int | None
    bytes_total: int | None
    next_step_due: datetime | None
    """When the next step is expected. If the recording is stalled, when the next attempt begins."""

    stuck_after: datetime | None
    """If the work takes longer than this, it is stuck: recover the recording."""

    stalled: bool
    """Whether no attempt is at work, because the last one failed or waited in vain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingSummary(Document):
    """A recording in a list."""

    id: str
    """The recording's id. Opaque."""

    room_id: str
    """The room's id."""

    status: Status
    duration_seconds: int | None
    """Length of the file in whole seconds. Null while it is unknown."""

    size_bytes: int | None
    """Size of the file in bytes. Null while there is no file."""

    created_at: datetime
    """When the recording began. If Cloudflare started it on its own, when Cloudflare began it. Lists are in this order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovering(Document):
    """A recording that is being processed again."""

    id: str
    """The recording's id. Opaque."""

    status: Status
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Restoring(Document):
    """A recording of which a readable copy was requested."""

    id: str
    """The recording's id. Opaque."""

    status: Status
    archive: Archive


@dataclass(frozen=True, kw_only=True, slots=True)
class Room(Document):
    """A room: your name for a Cloudflare RealtimeKit meeting."""

    id: str
    """The room's id."""

    name: str
    """The room's name, for people."""

    cloudflare_meeting_id: str
    """The RealtimeKit meeting of the room."""

    record_on_start: bool
    """Whether Cloudflare starts recording when the first participant joins."""

    active_recording_id: str | None
    """The recording that is running, or null."""

    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomName(Document):
    """The room with its current name, or with its last name if it was deleted."""

    id: str
    """The room's id."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Started(Document):
    """A recording that has just started."""

    id: str
    """The recording's id. Opaque."""

    room_id: str
    """The room's id."""

    status: Status
    started_at: datetime
    """When the recording began."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped(Document):
    """A recording that was stopped."""

    id: str
    """The recording's id. Opaque."""

    room_id: str
    """The room's id."""

    status: Status
    """`processing`. A later status only if Cloudflare reported the end before this call."""

    stopped_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingStatus(Document):
    """A recording that a sync imported or changed, and its new status."""

    id: str
    """The recording's id. Opaque."""

    status: Status


@dataclass(frozen=True, kw_only=True, slots=True)
class Access(Document):
    """A download URL that was given out."""

    at: datetime
    """When it was given out."""

    actor: Actor
    """Who got it."""

    request_id: str | None
    """The request that it answered, as in `X-Request-Id`."""

    expires_at: datetime
    """Until when the URL works."""

    provider: str
    """Where the file is: `r2`, or `s3` for cold storage and its copies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording(Document):
    """A recording with everything that is known about it."""

    id: str
    """The recording's id. Opaque."""

    room_id: str
    """The room's id."""

    status: Status
    duration_seconds: int | None
    """Length of the file in whole seconds. Null while it is unknown."""

    size_bytes: int | None
    """Size of the file in bytes. Null while there is no file."""

    created_at: datetime
    """When the recording began. If Cloudflare started it on its own, when Cloudflare began it. Lists are in this order."""

    room: RoomName
    started_at: datetime
    """When the recording began."""

    stopped_at: datetime | None
    """When it ended. Null while it is being recorded."""

    archived_at: datetime | None
    """When it was sent to cold storage."""

    provider: str | None
    """Where the file is: `r2`, or `s3` for cold storage and its copies."""

    failure: Failure | None
    """Why there will be no file. Set if the status is `failed`."""

    origin: str
    """`api`: started by an API call. `auto`: started by Cloudflare on its own."""

    version: int
    """Grows with every change. The higher version is newer."""

    partial: bool
    """Whether Cloudflare reported an error and only a part of the recording was saved."""

    progress: Progress | None
    """The current work on it, or null."""

    archive: Archive | None
    """The recording in cold storage, or null."""

    archive_error: Failure | None
    """Why the last move to cold storage failed. The recording is `ready` again."""

    history: Sequence[Change]
    """Every status it entered, oldest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Synced(Document):
    """What a sync imported or changed."""

    synced_count: int
    """The length of `recordings`."""

    recordings: Sequence[RecordingStatus]
