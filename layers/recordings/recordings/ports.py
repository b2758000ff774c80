"""What the services need from the outside world, without saying who provides it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from recordings.domain.recording import Progress, Recording
from recordings.domain.room import Room


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Some items, and the cursor of the page after them (None at the end)."""

    items: Sequence[T]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class CountedPage:
    """Some recordings, and how many there are in all."""

    items: Sequence[Recording]
    total: int


class Rooms(Protocol):
    """The rooms of all tenants."""

    def add(self, room: Room) -> None:
        """Store a new room and its meeting link. Raises ConcurrentUpdate (room exists) or MeetingInUse."""

    def get(self, tenant_id: str, room_id: str) -> Room:
        """Read one, strongly consistent. Raises RoomNotFound."""

    def save(self, before: Room, after: Room) -> None:
        """Replace the version that was read (name, meeting, record_on_start, updated_at; never the lock).

        Moves the meeting link when the meeting changed. Raises ConcurrentUpdate or MeetingInUse.
        """

    def remove(self, room: Room) -> None:
        """Delete a room and its meeting link. Raises RoomIsRecording while a recording or a lease is active."""

    def list(self, tenant_id: str, *, limit: int, cursor: str | None = None) -> Page[Room]:
        """By id. Raises InvalidCursor."""

    def take_lock(self, tenant_id: str, room_id: str, *, nonce: str, now: datetime, until: datetime) -> Room:
        """Take the lease that a start needs; give the room as it is now.

        Raises RoomNotFound, or RoomAlreadyRecording while a recording or an unexpired lease holds the room.
        """

    def release_lock(self, tenant_id: str, room_id: str, *, nonce: str) -> None:
        """Give the lease back, if it is still ours."""

    def of_meeting(self, meeting_id: str) -> Room | None:
        """The room that owns a meeting, whoever its tenant is."""


class Recordings(Protocol):
    """The recordings of all tenants. Every write is one transaction with its tallies, links and lock."""

    def add(self, recording: Recording, *, nonce: str | None) -> None:
        """Store a new recording with its Cloudflare link and day tally.

        One in status `recording` takes the room: its lease must still be `nonce`, or, with None, the room must be free.
        Raises RoomAlreadyRecording (the room is not ours to take) or ConcurrentUpdate (its Cloudflare id is known).
        """

    def get(self, tenant_id: str, recording_id: str) -> Recording:
        """Read one, strongly consistent. Raises RecordingNotFound."""

    def save(self, before: Recording, after: Recording) -> None:
        """Replace what was read, conditional on its version and status; frees the room when it leaves `recording`.

        Raises ConcurrentUpdate.
        """

    def note_progress(self, recording: Recording, progress: Progress | None, *, stalled: bool = False) -> None:
        """Set progress and the stalled flag, unless the recording moved on; neither status nor version changes."""

    def page(self, tenant_id: str, *, limit: int, offset: int) -> CountedPage:
        """Newest first by `created_at`, then id; the price does not grow with `offset`."""

    def of_cloudflare(self, cloudflare_id: str) -> Recording | None:
        """Our recording of a Cloudflare recording, whoever its tenant is."""

    def keep_token(self, recording: Recording, token: str) -> None:
        """Remember the task token of the run that waits for this recording's upload."""

    def take_token(self, recording: Recording) -> str | None:
        """Give the token kept last, once."""


class IdempotencyKeys(Protocol):
    """Answers kept for repeated requests, per tenant."""

    def begin(self, tenant_id: str, key: str, *, fingerprint: str, now: datetime) -> Mapping[str, Any] | None:
        """Reserve the key and give None, or give the answer kept under it.

        Raises IdempotencyKeyReused (another request has it) or RequestInProgress (the first still runs; a reservation
        whose function died frees itself after a minute). Answers are kept 24 hours.
        """

    def finish(self, tenant_id: str, key: str, *, answer: Mapping[str, Any], now: datetime) -> None:
        """Keep the answer."""

    def forget(self, tenant_id: str, key: str) -> None:
        """Free a reservation: nothing came of the request that another try could not change."""


class CaptureStatus(StrEnum):
    """Cloudflare's statuses of a recording (Realtime docs, recording-guide/monitor-status)."""

    INVOKED = "INVOKED"
    RECORDING = "RECORDING"
    PAUSED = "PAUSED"
    UPLOADING = "UPLOADING"
    UPLOADED = "UPLOADED"
    ERRORED = "ERRORED"
    UNKNOWN = "UNKNOWN"

    @property
    def running(self) -> bool:
        return self in {CaptureStatus.INVOKED, CaptureStatus.RECORDING, CaptureStatus.PAUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A recording as Cloudflare tells it. Size in bytes, duration in seconds."""

    id: str
    status: CaptureStatus
    invoked_at: datetime
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    file_name: str | None = None
    size_bytes: int | None = None
    duration_seconds: int | None = None
    download_url: str | None = field(default=None, repr=False)
    url_expires_at: datetime | None = None
    auto_started: bool | None = None
    meeting_id: str | None = None


class Recorder(Protocol):
    """Cloudflare RealtimeKit. Every method may raise ProviderError, ProviderTimeout or ProviderThrottled."""

    def start(self, meeting_id: str, *, max_seconds: int | None) -> Capture:
        """Begin capturing; sent once, never repeated by itself. Raises ProviderRefused on a 4xx."""

    def stop(self, capture_id: str) -> Capture:
        """Ask to stop; an already ended one is given as it is. Raises ProviderNotFound."""

    def get(self, capture_id: str) -> Capture:
        """Read one. Raises ProviderNotFound."""

    def active(self, meeting_id: str) -> Capture | None:
        """The capture now running in a meeting."""

    def newest(self, meeting_id: str) -> Sequence[Capture]:
        """The newest hundred captures of a meeting, running or not."""

    def create_meeting(self, title: str, *, record_on_start: bool) -> str:
        """Make a meeting; gives its id."""


class Workflow(Protocol):
    """The runs of the processing state machine."""

    def start(self, recording: Recording) -> None:
        """Start the run of this recording and attempt, unless there is one."""

    def wake(self, token: str) -> None:
        """Let the run that waits under this token look again; a token that has died is no error."""


class Clock(Protocol):
    def __call__(self) -> datetime:
        """The time now, aware UTC, in whole seconds."""


class Ids(Protocol):
    def __call__(self, at: datetime) -> str:
        """A new recording id that sorts by `at`."""
