"""Values of the scheduled sync."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from recordings.domain.recording import Recording

# How often a sync lists as far back as Cloudflare keeps files.
FULL_SYNC_INTERVAL: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncItem:
    """One item that a sync processes.

    An item names one of these:

    * a recording in our table, by `tenant_id` and `recording_id`
    * a recording at Cloudflare that is not in our table, by `cloudflare_recording_id` and `meeting_id`
    * a meeting, by `meeting_id` alone: the sync imports its recordings and sets its record-on-start
    """

    cloudflare_recording_id: str | None = None
    meeting_id: str | None = None
    # False if only the name of the file says which meeting it is. Then the meeting's own list must confirm it.
    meeting_confirmed: bool = True
    tenant_id: str | None = None
    recording_id: str | None = None
    # True if the item is in the retry queue. It stays there until it succeeds.
    queued: bool = False

    @classmethod
    def of_recording(cls, recording: Recording) -> Self:
        """Return the item for a recording in our table."""
        return cls(
            cloudflare_recording_id=recording.cloudflare_recording_id,
            meeting_id=recording.meeting_id,
            tenant_id=recording.tenant_id,
            recording_id=recording.id,
        )

    @classmethod
    def of_meeting(cls, meeting_id: str) -> Self:
        """Return the item for a whole meeting. It is written to the retry queue."""
        return cls(meeting_id=meeting_id, queued=True)


@dataclass(frozen=True, slots=True)
class SyncWindow:
    """How far back one sync lists.

    `watermark` is the start time of the newest recording that an earlier sync has processed. None lists everything.
    A `full` sync goes back as far as Cloudflare keeps files. `previous_started_at` is None if it is not known.
    """

    watermark: datetime | None = None
    full: bool = True
    previous_started_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStart:
    """A sync that has acquired the lease."""

    nonce: str
    started_at: datetime
    window: SyncWindow


@dataclass(slots=True)
class BatchResult:
    """Counts of one batch.

    `changed`: recordings that were imported or changed. `removed`: late deliveries that were deleted. `expiring`: files
    that Cloudflare deletes soon and that are not stored yet. `queued`: items that the next sync processes again.
    """

    changed: int = 0
    removed: int = 0
    expiring: int = 0
    queued: int = 0
