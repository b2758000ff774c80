# Written by datamodel-code-generator from docs/openapi.yaml (`make client-models`); do not edit.
# ruff: noqa: E501


from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from recordings_client.documents import Document, OpenEnum, PresignedUrl


class Status(OpenEnum):
    """`recording`: being recorded now; `processing`: stopped, the file is being finished, fetched and checked; `ready`: in our storage and downloadable; `archived`: moved to cold storage; `failed`: there will be no file."""

    RECORDING = "recording"
    PROCESSING = "processing"
    READY = "ready"
    ARCHIVED = "archived"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive(Document):
    """The recording's place in cold storage."""

    state: str
    """`moving`: on its way there, still downloadable; `stored`: there; `restoring`: a readable copy is being made; `restored`: it can be downloaded until `restored_until`."""

    storage_class: str | None
    """S3's storage class; null while it moves."""

    restored_until: datetime | None
    """When the readable copy ends."""

    expected_at: datetime | None
    """When a readable copy that was asked for should be there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Archived(Document):
    """A recording on its way to cold storage."""

    id: str
    """The recording's id; opaque."""

    status: Status
    archived_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ActiveRecording(Document):
    """The recording that is in the way."""

    id: str
    """The recording's id; opaque."""

    status: Status
    started_at: datetime
    """When the recording began."""

    origin: str
    """`api`: started by a call; `auto`: by Cloudflare on its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change(Document):
    """One status that the recording entered."""

    status: Status
    at: datetime
    cause: str
    """What made it enter; there may be new ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deleted(Document):
    """A recording that is in no list any more; it can be undeleted."""

    id: str
    """The recording's id; opaque."""

    deleted: bool
    """Always true."""

    deleted_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Download(Document):
    """Where the file is. No envelope."""

    recording_id: str
    """The recording's id; opaque."""

    download_url: PresignedUrl
    """Presigned: needs no token, takes range requests, saves under a readable name."""

    status: Status
    duration: int | None
    """Length of the file in whole seconds; null while it is unknown."""

    file_size: int
    """Size of the file in bytes."""

    provider: str
    """Where the file is: `r2`, or `s3` for cold storage and its copies."""

    expires_at: datetime
    """When the URL truly ends; it may be sooner than asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure(Document):
    """Why something failed for good: a stable code, and a sentence for people."""

    code: str
    """A stable word in snake_case; there may be new ones."""

    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldError(Document):
    """A field of the request that is not as it must be."""

    field: str
    """A query parameter, a body field, a path parameter, a header, or `body`; a longer name is cut."""

    message: str
    """What is wrong with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress(Document):
    """Where the work on a recording stands."""

    step: str
    """The running step; there may be new ones."""

    attempt: int
    """1, and one more after each recovery."""

    bytes_done: int | None
    bytes_total: int | None
    next_step_due: datetime | None
    """When the next step is expected; of a stalled recording, when its next attempt begins."""

    stuck_after: datetime | None
    """From when on the work counts as stuck: recover the recording."""

    stalled: bool
    """Whether no attempt at the file is at work: the last one failed or waited in vain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingSummary(Document):
    """A recording as lists show it."""

    id: str
    """The recording's id; opaque."""

    room_id: str
    """The room's id."""

    status: Status
    duration_seconds: int | None
    """Length of the file in whole seconds; null while it is unknown."""

    size_bytes: int | None
    """Size of the file in bytes; null while there is none."""

    created_at: datetime
    """When the recording began; of an imported one, when Cloudflare began it. Lists are in this order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovering(Document):
    """A recording whose processing begins anew."""

    id: str
    """The recording's id; opaque."""

    status: Status
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Restoring(Document):
    """A recording of which a readable copy has been asked for."""

    id: str
    """The recording's id; opaque."""

    status: Status
    archive: Archive


@dataclass(frozen=True, kw_only=True, slots=True)
class Room(Document):
    """A room: what you call a Cloudflare RealtimeKit meeting."""

    id: str
    """The room's id."""

    name: str
    """What people call the room."""

    cloudflare_meeting_id: str
    """The RealtimeKit meeting behind the room."""

    record_on_start: bool
    """Whether Cloudflare records by itself when the first person joins."""

    active_recording_id: str | None
    """The recording that runs now, or null."""

    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomName(Document):
    """The room under the name it has now, or had last if it has been deleted."""

    id: str
    """The room's id."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Started(Document):
    """A recording that has just begun."""

    id: str
    """The recording's id; opaque."""

    room_id: str
    """The room's id."""

    status: Status
    started_at: datetime
    """When the recording began."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped(Document):
    """A recording that has been stopped."""

    id: str
    """The recording's id; opaque."""

    room_id: str
    """The room's id."""

    status: Status
    """`processing`; a later one only where news of the recording's end came before this call."""

    stopped_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingStatus(Document):
    """A recording that a sync imported or changed, and the status it has now."""

    id: str
    """The recording's id; opaque."""

    status: Status


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording(Document):
    """The whole of a recording."""

    id: str
    """The recording's id; opaque."""

    room_id: str
    """The room's id."""

    room: RoomName
    status: Status
    duration_seconds: int | None
    """Length of the file in whole seconds; null while it is unknown."""

    size_bytes: int | None
    """Size of the file in bytes; null while there is none."""

    created_at: datetime
    """When the recording began; of an imported one, when Cloudflare began it. Lists are in this order."""

    started_at: datetime
    """When the recording began."""

    stopped_at: datetime | None
    """When it ended; null while it runs."""

    archived_at: datetime | None
    """When it was sent to cold storage."""

    provider: str | None
    failure: Failure | None
    """Why there will be no file; set when the status is `failed`."""

    origin: str
    """`api`: started by a call; `auto`: by Cloudflare on its own."""

    version: int
    """Grows with every change; of two views the higher one is newer."""

    partial: bool
    """Whether Cloudflare called the recording errored and only part of it was saved."""

    progress: Progress | None
    """The work that runs on it, or null."""

    archive: Archive | None
    """Its place in cold storage, or null."""

    archive_error: Failure | None
    """Why the last move to cold storage was given up; the recording is `ready` again."""

    history: Sequence[Change]
    """Every status it entered, oldest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Synced(Document):
    """What a sync imported or changed."""

    synced_count: int
    """How many; the length of `recordings`."""

    recordings: Sequence[RecordingStatus]
