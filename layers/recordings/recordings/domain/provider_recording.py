"""A recording as Cloudflare's API reports it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# Cloudflare records for 24 hours at most and keeps the file for seven days (RealtimeKit, recording-guide/stop-recording
# and data-retention). One more day is for a slow upload. Cloudflare holds no file of an older recording.
FILE_RETENTION: Final = timedelta(days=9)
# A listing is sorted, newest first, but single rows may have wrong times. So many old rows in succession end it.
OLD_ROWS_AT_END: Final = 10


class ProviderStatus(StrEnum):
    """The status of a recording at Cloudflare. Source: RealtimeKit, recording-guide/monitor-status."""

    INVOKED = "INVOKED"
    RECORDING = "RECORDING"
    PAUSED = "PAUSED"
    UPLOADING = "UPLOADING"
    UPLOADED = "UPLOADED"
    ERRORED = "ERRORED"
    UNKNOWN = "UNKNOWN"

    @property
    def running(self) -> bool:
        """Whether Cloudflare may still record. True for an unknown status, because it does not say that it ended."""
        return self not in {ProviderStatus.UPLOADING, ProviderStatus.UPLOADED, ProviderStatus.ERRORED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRecording:
    """A recording as Cloudflare's API reports it. A field is None if the response does not contain it."""

    cloudflare_recording_id: str
    status: ProviderStatus
    invoked_at: datetime
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    session_id: str | None = None
    file_name: str | None = None
    size_bytes: int | None = None
    duration_seconds: int | None = None
    download_url: str | None = field(default=None, repr=False)
    # True for a track recording: one file for each participant and none of the whole meeting (RealtimeKit,
    # recording-guide/track-recording).
    tracks: bool = False
    url_expires_at: datetime | None = None
    # Only the responses to `start` and `get` contain it. Listings do not.
    auto_started: bool | None = None
    meeting_id: str | None = None
    # The meeting that the file's name contains, if the row names none. The meeting's own list must confirm it.
    likely_meeting_id: str | None = None
    # Where Cloudflare delivers the file in our bucket. Set by `start` only.
    delivery_key: str | None = None

    @property
    def expires_at(self) -> datetime | None:
        """When the download URL expires. None for a time before the recording began: it was never set."""
        expires_at = self.url_expires_at
        return expires_at if expires_at is not None and expires_at > self.invoked_at else None

    @property
    def ended_at(self) -> datetime:
        """When the recording ended. If the response does not contain that, when it began."""
        return self.stopped_at or self.started_at or self.invoked_at


def started_since(listed: Iterable[ProviderRecording], oldest: datetime) -> Iterator[ProviderRecording]:
    """Yield the recordings of a listing that started since `oldest`. A few rows with wrong times do not end it."""
    older = 0
    for provider_recording in listed:
        older = older + 1 if provider_recording.invoked_at < oldest else 0
        if older == 0:
            yield provider_recording
        elif older == OLD_ROWS_AT_END:
            return


def ends_before(page: Sequence[ProviderRecording], oldest: datetime) -> bool:
    """Return whether the pages after this one contain only recordings that started before `oldest`."""
    # One row of a short page is enough.
    last = page[-max(1, min(OLD_ROWS_AT_END, len(page) // OLD_ROWS_AT_END)) :]
    return bool(last) and all(provider_recording.invoked_at < oldest for provider_recording in last)
