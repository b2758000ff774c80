"""A capture: what Cloudflare calls a recording, as it tells of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# Cloudflare records a day at most and keeps the file for seven (RealtimeKit, recording-guide/stop-recording and
# data-retention); the rest is for an upload that takes long. What is older holds no bytes any more.
KEPT: Final = timedelta(days=9)
# A listing is newest first; so many rows in a row that are older than wanted are its end, fewer may have odd times.
ODD_ROWS: Final = 10


class ProviderStatus(StrEnum):
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
        """Whether it may still record. A status that we do not know is no news that it has ended."""
        return self not in {ProviderStatus.UPLOADING, ProviderStatus.UPLOADED, ProviderStatus.ERRORED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRecording:
    """A recording as Cloudflare tells it. Size in bytes, duration in seconds."""

    id: str
    status: ProviderStatus
    invoked_at: datetime
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    session_id: str | None = None
    file_name: str | None = None
    size_bytes: int | None = None
    duration_seconds: int | None = None
    download_url: str | None = field(default=None, repr=False)
    # It is a track recording: a file of each participant (RealtimeKit, recording-guide/track-recording), none of the
    # whole meeting.
    tracks: bool = False
    url_expires_at: datetime | None = None
    auto_started: bool | None = None
    meeting_id: str | None = None
    # What the file's name hints at, where the row itself names no meeting: to be checked before it is believed.
    likely_meeting_id: str | None = None
    # Where Cloudflare was asked to put the file in our own bucket; told by who started the capture.
    delivery_key: str | None = None

    @property
    def expires_at(self) -> datetime | None:
        """When its URL ends. A time before its own beginning was never set, whatever it says."""
        ends = self.url_expires_at
        return ends if ends is not None and ends > self.invoked_at else None

    @property
    def ended_at(self) -> datetime:
        """When it ended, as far as is told; else when it began."""
        return self.stopped_at or self.started_at or self.invoked_at


def begun_since(listed: Iterable[ProviderRecording], oldest: datetime) -> Iterator[ProviderRecording]:
    """Those of a listing that began since `oldest`. A few rows with odd times do not end it."""
    older = 0
    for capture in listed:
        older = older + 1 if capture.invoked_at < oldest else 0
        if older == 0:
            yield capture
        elif older == ODD_ROWS:
            return


def reaches_beyond(page: Sequence[ProviderRecording], oldest: datetime) -> bool:
    """Whether the pages after this one hold nothing that began since `oldest`."""
    # Of a short page one row must do.
    last = page[-max(1, min(ODD_ROWS, len(page) // ODD_ROWS)) :]
    return bool(last) and all(capture.invoked_at < oldest for capture in last)
