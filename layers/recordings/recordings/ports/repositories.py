"""What is stored: rooms, recordings, idempotency keys, tenants and the retry queue."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypedDict

from recordings.domain.lifecycle import Status
from recordings.domain.meeting import MeetingOwnership
from recordings.domain.recording import Progress, Recording
from recordings.domain.room import Room
from recordings.domain.room_range import EVERY_ROOM, RoomRange


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Some items, and the cursor of the page after them (None at the end)."""

    items: Sequence[T]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class CountedPage:
    """Some recordings, how many there are in all, and the cursor of the page after them (None at the end)."""

    items: Sequence[Recording]
    total: int
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which recordings; None and empty mean all. Both times are exclusive."""

    room_id: str | None = None
    statuses: frozenset[Status] = frozenset()
    created_after: datetime | None = None
    created_before: datetime | None = None


class SyncItem(TypedDict):
    """One thing that a sync looks at: a capture (with its meeting when it is not ours yet), a recording of ours, or
    with its meeting alone all that was ever captured in it. One that is `kept` is looked at until it succeeds."""

    capture_id: str | None
    meeting_id: str | None
    sure: bool
    tenant_id: str | None
    recording_id: str | None
    kept: bool


def at_meeting(meeting_id: str) -> SyncItem:
    """Look at all that was captured in a meeting."""
    return SyncItem(capture_id=None, meeting_id=meeting_id, sure=True, tenant_id=None, recording_id=None, kept=True)


class RetryQueue(Protocol):
    """What the next sync is to look at whatever its watermark."""

    def all(self) -> Sequence[SyncItem]:
        """Every look that is kept."""

    def keep(self, look: SyncItem) -> None:
        """Keep a look for the syncs to come, eight days at most: Cloudflare keeps no file longer."""

    def drop(self, look: SyncItem) -> None:
        """It succeeded; nothing when it is not kept."""


class Rooms(Protocol):
    """The rooms of all tenants."""

    def add(self, room: Room, *, adopted: bool = False, walk: bool = False) -> None:
        """Store a new room and that it holds its meeting. Raises ConcurrentUpdate (room exists) or MeetingInUse.

        An `adopted` meeting is older than the room. Nobody may have owned it before, or this tenant must own it and no
        room hold it. The next sync walks it, as it does with `walk`: it brings in what was recorded in the meeting
        while it was this tenant's, and makes it record by itself as the room says.
        """

    def get(self, tenant_id: str, room_id: str) -> Room:
        """Read one, strongly consistent. Raises RoomNotFound."""

    def last_name(self, tenant_id: str, room_id: str) -> str | None:
        """The name of a room, or the last one that it had before it was deleted; None when neither is known."""

    def save(self, before: Room, after: Room, *, nonce: str | None = None) -> None:
        """Replace the version that was read (name, meeting, record_on_start, updated_at; never the lock).

        A changed meeting is adopted as by `add`, the old one is released, and the next sync walks both; it also walks
        the meeting of a changed record_on_start. With `nonce` the room must still be under that lease, which ends.
        Raises ConcurrentUpdate or MeetingInUse.
        """

    def remove(self, room: Room, *, nonce: str | None = None) -> None:
        """Delete a room, keep its name, and release its meeting, which the next sync walks once more.

        The room must be under the lease `nonce`, or, with None, under none. Raises RoomIsRecording, RoomNotFound or
        ConcurrentUpdate.
        """

    def list(self, tenant_id: str, *, limit: int, cursor: str | None = None) -> Page[Room]:
        """By id. Raises InvalidCursor."""

    def acquire_creation_lock(
        self, tenant_id: str, room_id: str, *, nonce: str, now: datetime, until: datetime
    ) -> str | None:
        """Claim the making of a room's meeting, for a while; give the meeting that a claim before this one made.

        Raises Throttled while somebody else's claim runs. `add` ends the claim.
        """

    def note_meeting(self, tenant_id: str, room_id: str, *, nonce: str, meeting_id: str) -> None:
        """Keep the meeting that was made under this claim; nothing when the claim is over."""

    def release_creation_lock(self, tenant_id: str, room_id: str, *, nonce: str) -> None:
        """Give the claim up: no meeting was made. Nothing when it is over."""

    def acquire_lock(self, tenant_id: str, room_id: str, *, nonce: str, now: datetime, until: datetime) -> Room:
        """Take the lease that a start needs; give the room as it is now.

        Raises RoomNotFound, or RoomAlreadyRecording while a recording or an unexpired lease holds the room.
        """

    def release_lock(self, tenant_id: str, room_id: str, *, nonce: str) -> None:
        """Give the lease back, if it is still ours."""

    def meeting_ownership(self, meeting_id: str) -> MeetingOwnership | None:
        """Who owns a meeting, strongly consistent; None for one that nobody has ever owned."""

    def find_by_meeting_id(self, meeting_id: str) -> Room | None:
        """The room that holds a meeting, whoever its tenant is."""


class Tenants(Protocol):
    """Every tenant that has ever had a room. `Rooms.add` adds to them, and nothing is taken away."""

    def all(self) -> Mapping[str, datetime | None]:
        """Each of them, and when it was audited last."""

    def note_audit(self, tenant_id: str, *, at: datetime) -> None:
        """Remember that it was audited; one that only has files becomes one of them."""


class Recordings(Protocol):
    """The recordings of all tenants. Every write is one transaction with its tallies, links and lock."""

    def add(self, recording: Recording, *, nonce: str | None) -> None:
        """Store a new recording with its Cloudflare link and day tally.

        One in status `recording` takes the room: its lease must still be `nonce`, or, with None, the room must be free.
        Raises RoomAlreadyRecording (the room is not ours to take) or ConcurrentUpdate (its Cloudflare id is known).
        """

    def get(self, tenant_id: str, recording_id: str) -> Recording:
        """Read one that is not deleted, strongly consistent. Raises RecordingNotFound."""

    def get_including_deleted(self, tenant_id: str, recording_id: str) -> Recording:
        """Read one, deleted or not, strongly consistent. Raises RecordingNotFound."""

    def save(self, before: Recording, after: Recording) -> None:
        """Replace what was read, conditional on its version and status; frees the room when it leaves `recording`.

        One that is now deleted leaves every page and tally, one that no longer is comes back, in the same transaction.
        Raises ConcurrentUpdate.
        """

    def note_progress(self, recording: Recording, progress: Progress | None, *, stalled: bool = False) -> None:
        """Set progress and the stalled flag, unless the recording moved on; neither status nor version changes."""

    def note_missing(self, recording: Recording, since: datetime | None) -> None:
        """Set since when Cloudflare says that there is no file, or None; neither status nor version changes.

        Nothing when the recording was changed since it was read, or somebody else noted something.
        """

    def add_progress(self, tenant_id: str, recording_id: str, *, attempt: int, copied: int) -> None:
        """Add to the bytes done of this attempt's copy; nothing when it is over. Several may add at once."""

    def page(
        self, tenant_id: str, only: Filter = Filter(), *, limit: int, offset: int = 0, cursor: str | None = None
    ) -> CountedPage:
        """Newest first by `created_at`, then id; the price grows neither with `offset` nor with the total.

        With a cursor the page begins after it and `offset` is 0. Raises InvalidCursor.
        """

    def find_by_cloudflare_recording_id(self, cloudflare_recording_id: str) -> Recording | None:
        """Our recording of a Cloudflare recording, whoever its tenant is, deleted or not."""

    def list_unfinished(self) -> Iterator[Recording]:
        """The recordings of all tenants, deleted or not, that are still being worked on; oldest last."""

    def list_all(self, tenant_id: str, rooms: RoomRange = EVERY_ROOM) -> Iterator[Recording]:
        """All recordings of a tenant's rooms, the deleted ones too."""

    def find_by_cloudflare_recording_ids(self, cloudflare_ids: Sequence[str]) -> Mapping[str, Recording | None]:
        """Of these captures the ones we know, each with our recording, or None when that has been purged."""

    def store_task_token(self, recording: Recording, token: str) -> None:
        """Remember the task token of the run that waits for this recording's upload, unless a newer attempt waits."""

    def pop_task_token(self, recording: Recording, *, only: str | None = None) -> str | None:
        """Give the token kept last, once; with `only` nothing but that one."""


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


class DownloadLinks(Protocol):
    """Until when the URLs work that were given out of files in R2."""

    def note(self, recording: Recording, *, until: datetime) -> bool:
        """Remember that a URL of the file works until then, before it is given out.

        False when this file is no longer the recording's, or is no longer in R2: then the URL may end at any time.
        """

    def latest(self, recording: Recording) -> datetime | None:
        """When the last of them ends. Complete once the recording's file is no longer in R2."""
