"""The stand-in's data: meetings, sessions, recordings, faults and settings."""

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tools.local.standin.lies import Lies
from tools.local.standin.media import Media

RUNNING = frozenset({"INVOKED", "RECORDING", "PAUSED"})
FINAL = frozenset({"UPLOADED", "ERRORED"})
ORGANIZATION = "00000000-0000-4000-8000-00000000000a"


def now() -> datetime:
    return datetime.now(UTC)


def instant(at: datetime | None) -> str | None:
    """Format a time as Cloudflare does: with milliseconds and a Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z" if at else None


@dataclass
class Settings:
    """Behaviour that Cloudflare does not document, and speeds. `POST /_control/settings` changes them."""

    webhooks: bool = True
    webhook_copies: int = 1
    webhook_delay: float = 0.0
    webhooks_listed_at: str = "webhooks"  # webhooks | all
    webhook_statuses: list[str] = field(default_factory=lambda: ["RECORDING", "UPLOADING", "UPLOADED", "ERRORED"])
    start_seconds: float = 0.2
    upload_seconds: float = 0.3
    stall_in: str | None = None
    page_base: int = 1
    page_size: int = 30
    rows_name_their_meeting: bool = True
    already_recording_status: int = 409
    not_running_status: int = 409
    track_rows: str = "guide"  # guide | reference
    tracks_are_active: bool = False
    empty_seconds: float = 60
    own_bucket: str = "deliver"  # deliver | late | ignore | refuse
    delivery_seconds: float | None = None
    read_lag: float = 0.0
    ranges: bool = True
    etag: str = "parts"  # parts | md5 | opaque | none
    part_mib: int = 16
    url_seconds: int = 7 * 24 * 3600
    duration_known: bool = True
    limit_calls: int | None = None
    limit_seconds: float = 300
    block_seconds: float = 300


@dataclass
class Fault:
    """A fault: `on` which operation, of which `kind`, and how often."""

    on: str
    kind: str
    times: int | None = None
    after: int = 0
    probability: float = 1.0
    status: int = 500
    body: str = "error"
    retry_after: int | None = None
    seconds: float = 0
    every_bytes: int = 0
    bytes_per_second: int = 0
    at: int = 0
    effect: bool = False
    recording_id: str | None = None
    meeting_id: str | None = None


@dataclass
class Meeting:
    id: str
    title: str | None
    record_on_start: bool
    created_at: datetime
    updated_at: datetime | None = None
    status: str = "ACTIVE"
    recording_config: dict[str, Any] | None = None
    # The other settings, as the caller set them.
    options: dict[str, Any] = field(default_factory=dict)
    participants: dict[str, "Participant"] = field(default_factory=dict)


@dataclass
class Participant:
    """A participant, who may join a meeting."""

    custom_id: str
    preset: str
    name: str | None = None
    picture: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)


@dataclass
class Session:
    """A session of a meeting. All participants of the meeting join it; a meeting without any has one guest."""

    meeting_id: str
    started_at: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    ended_at: datetime | None = None
    # Only recordings name it. It ends with them.
    derived: bool = False
    participants: dict[str, Participant] = field(default_factory=dict)
    # When each participant left.
    left: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Tracks:
    """The tracks of a track recording: one file for each of these participants."""

    prefix: str
    participants: tuple[Participant, ...]

    def file_names(self, at: datetime) -> list[str]:
        """Return a file name for each participant (recording-guide/track-recording)."""
        time = int(at.timestamp() * 1000)
        return [f"{self.prefix}_{one.custom_id}_{one.id}_peer_audio_{time}.webm" for one in self.participants]


@dataclass
class Recording:
    id: str
    meeting_id: str
    auto: bool
    invoked_at: datetime
    file_name: str
    status: str = "INVOKED"
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    # When the last participant left, if the recorder missed that and continues.
    session_ended_at: datetime | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_reason: str | None = None
    max_seconds: int = 86_400
    # Since when it is paused, and for how long it was paused before.
    paused_at: datetime | None = None
    paused_seconds: float = 0
    # None for a recording of the whole meeting.
    tracks: Tracks | None = None
    storage_config: dict[str, Any] | None = None
    keeps_url: bool = True
    media: Media | None = None
    media_size: int | None = None
    media_exact: bool = False
    # The duration that Cloudflare reports; None if it reports none.
    duration: int | None = None
    url_until: datetime | None = None
    # URLs that end before this second (Unix time) have expired at any time of the clock.
    run_out: int = 0
    error: str | None = None
    generation: int = 1
    # The bytes that a test set as its file, their type, and how often that happened.
    given: bytes | None = None
    content_type: str = "video/mp4"
    rewritten: int = 0
    # Until then, reads do not return it.
    visible_at: datetime | None = None
    lies: Lies = field(default_factory=Lies)
    timers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def recorded_seconds(self) -> float:
        """The recorded time, without pauses."""
        end = self.paused_at or self.stopped_at or now()
        began = self.started_at or self.invoked_at
        return max(0.0, (end - began).total_seconds() - self.paused_seconds)

    @property
    def expired(self) -> bool:
        """Whether RealtimeKit has deleted its file."""
        return self.url_until is not None and self.url_until <= now()

    def hidden_from(self, read: str) -> bool:
        """Whether this kind of read (`get`, `list`, `active`) does not return it yet."""
        return read in self.lies.hidden or (self.visible_at is not None and now() < self.visible_at)


@dataclass
class Row:
    """A row of the listing without a recording: any JSON."""

    content: Any
    meeting_id: str | None
    invoked_at: datetime
