"""What is stored in the table: rooms, recordings, and what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from recordings.domain.room_range import ALL_ROOMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from recordings.domain.access import Access
    from recordings.domain.lifecycle import Status
    from recordings.domain.listing import ListedRecording
    from recordings.domain.meeting import MeetingOwnership
    from recordings.domain.purge import PurgeRecord
    from recordings.domain.recording import Progress, Recording
    from recordings.domain.room import Room
    from recordings.domain.room_range import RoomRange
    from recordings.domain.stored_file import Store
    from recordings.domain.sync import SyncItem, SyncWindow


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Items in order, and the cursor of the next page (None: this is the last one)."""

    items: Sequence[T]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class CountedPage:
    """Recordings in order, the total of the filter, and the cursor of the next page (None: this is the last one)."""

    items: Sequence[ListedRecording]
    total: int
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which recordings a page has. None and an empty set mean all. Both times are exclusive."""

    room_id: str | None = None
    statuses: frozenset[Status] = frozenset()
    created_after: datetime | None = None
    created_before: datetime | None = None


class RetryQueue(Protocol):
    """The items that the next sync processes, whatever its watermark."""

    def list_all(self) -> Sequence[SyncItem]:
        """Return all items."""

    def add(self, item: SyncItem) -> None:
        """Store an item, for eight days at most: Cloudflare keeps no file longer than seven."""

    def remove(self, item: SyncItem) -> None:
        """Delete an item. Do nothing if the queue does not hold it."""


class SyncLease(Protocol):
    """The lease of the scheduled sync, and its watermark."""

    def acquire(self, *, nonce: str, now: datetime, until: datetime) -> SyncWindow | None:
        """Acquire the lease and return the window of this sync, or return None while another sync holds the lease.

        A repeated call with the same nonce acquires the lease again.
        """

    def renew(self, *, nonce: str, until: datetime) -> None:
        """Extend the lease. Do nothing if another sync holds it."""

    def release(self, *, nonce: str, watermark: datetime | None, full_at: datetime | None) -> None:
        """Release the lease, and store the times that are not None. Do nothing if another sync holds the lease."""


class Rooms(Protocol):
    """The rooms of all tenants, their locks, and the meetings that they hold.

    Every method may raise Throttled (DynamoDB is busy or does not respond; the outcome of a write is unknown) and
    InfrastructureError (a permission, a bug). A meeting has one owner, a tenant, for ever. At most one room holds it.
    """

    def add(self, room: Room, *, adopted: bool = False, sync_meeting: bool = False) -> Room:
        """Store a new room, make it hold its meeting, and end the room's creation lock, in one transaction.

        Return it with its actor, that of the current request or task.

        An `adopted` meeting is older than the room: it must have no owner, or this tenant must own it and no room hold
        it. The next sync processes an adopted meeting, and any meeting if `sync_meeting` is True: it imports what was
        recorded in the meeting since the tenant owns it, and sets whether Cloudflare records it on start.

        Raises:
            ConcurrentUpdate: the room exists
            MeetingInUse: another tenant owns the meeting, or another room holds it
        """

    def get(self, tenant_id: str, room_id: str) -> Room:
        """Read a room, strongly consistent.

        Raises:
            RoomNotFound: the room does not exist
        """

    def find_last_name(self, tenant_id: str, room_id: str) -> str | None:
        """Return the name of a room, or the last name of a deleted one; None if the room never existed."""

    def save(self, before: Room, after: Room, *, lease_nonce: str | None = None) -> Room:
        """Replace the name, the meeting, `record_on_start`, `updated_at` and the version of a room; never its lock.

        Return it with its actor, that of the current request or task.

        A new meeting is adopted as by `add`, and the old one is released; the next sync processes both. It also
        processes the meeting of a changed `record_on_start`. With `lease_nonce` the room must hold that lease, which
        ends.

        Raises:
            ConcurrentUpdate: the room changed since it was read, or lost the lease
            MeetingInUse: another tenant owns the new meeting, or another room holds it
        """

    def remove(self, room: Room, *, lease_nonce: str | None = None) -> None:
        """Delete a room, keep its name, and release its meeting, which the next sync processes once more.

        The room must hold the lease `lease_nonce`. If `lease_nonce` is None, it must hold no unexpired lease.

        Raises:
            RoomNotFound: the room does not exist
            RoomIsRecording: a recording or another lease holds the room
            ConcurrentUpdate: the room or its meeting changed since it was read
        """

    def list(self, tenant_id: str, *, limit: int, cursor: str | None = None) -> Page[Room]:
        """Return a page of a tenant's rooms, ordered by id.

        Raises:
            InvalidCursor: the cursor is not one of this list
        """

    def acquire_creation_lock(
        self, tenant_id: str, room_id: str, *, nonce: str, now: datetime, until: datetime
    ) -> str | None:
        """Acquire the lock under which a room's meeting is created at Cloudflare; `add` ends it.

        Return None, or the meeting that was created under an earlier lock and belongs to no room yet.

        Raises:
            Throttled: another call holds the lock
        """

    def note_meeting(self, tenant_id: str, room_id: str, *, nonce: str, meeting_id: str) -> None:
        """Store the meeting that was created under this lock. Do nothing if another call holds the lock."""

    def release_creation_lock(self, tenant_id: str, room_id: str, *, nonce: str) -> None:
        """Release the lock: no meeting was created. Do nothing if another call holds the lock."""

    def acquire_lock(self, tenant_id: str, room_id: str, *, nonce: str, now: datetime, until: datetime) -> Room:
        """Acquire the lease that a start needs, and return the room as it is now.

        A repeated call with the same nonce acquires the lease again.

        Raises:
            RoomNotFound: the room does not exist
            RoomAlreadyRecording: a recording or an unexpired lease holds the room
        """

    def release_lock(self, tenant_id: str, room_id: str, *, nonce: str) -> None:
        """Release the lease. Do nothing if another call holds it."""

    def find_meeting_ownership(self, meeting_id: str) -> MeetingOwnership | None:
        """Read who owns a meeting, strongly consistent; None if it never had an owner."""

    def find_by_meeting_id(self, meeting_id: str) -> Room | None:
        """Return the room, of any tenant, that holds a meeting; None if no room does."""


class Tenants(Protocol):
    """Every tenant that ever had a room. `Rooms.add` adds them; nothing removes them."""

    def get_all(self) -> Mapping[str, datetime | None]:
        """Return the tenants, each with the time of its last audit (None: never)."""

    def note_audit(self, tenant_id: str, *, at: datetime) -> None:
        """Store the time of a tenant's audit. A tenant that has files only is added."""


class OpenFindings(Protocol):
    """Findings of audits that wait for confirmation by a later audit."""

    def get_all(self, tenant_id: str) -> Mapping[str, datetime]:
        """Return the names of a tenant's findings, each with the time when it was first found."""

    def add(self, tenant_id: str, names: Sequence[str], *, at: datetime) -> None:
        """Store findings."""

    def remove(self, tenant_id: str, names: Sequence[str]) -> None:
        """Delete findings. Ignore those that do not exist."""


class Recordings(Protocol):
    """The recordings of all tenants. Reads are strongly consistent.

    Every method may raise Throttled (DynamoDB is busy or does not respond; the outcome of a write is unknown) and
    InfrastructureError (a permission, a bug).
    """

    def add(self, recording: Recording, *, lease_nonce: str | None) -> Recording:
        """Store a new recording, its Cloudflare link and its tallies in one transaction. Return it as it is stored.

        A recording in status `recording` also locks its room. The room must hold the lease `lease_nonce`. If
        `lease_nonce` is None, it must hold neither an unexpired lease nor a recording.

        Raises:
            RoomNotFound: the room does not exist
            RoomAlreadyRecording: another recording or lease holds the room
            ConcurrentUpdate: a recording with this id or this `cloudflare_recording_id` exists
        """

    def get(self, tenant_id: str, recording_id: str) -> Recording:
        """Read a recording that is not deleted.

        Raises:
            RecordingNotFound: the recording does not exist, or is deleted
        """

    def get_including_deleted(self, tenant_id: str, recording_id: str) -> Recording:
        """Read a recording, deleted or not.

        Raises:
            RecordingNotFound: the recording does not exist
        """

    def save(self, before: Recording, after: Recording) -> Recording:
        """Replace a recording, with its tallies and its place in every list; do nothing if `after` is `before`.

        Return it as it is stored: the change belongs to the actor of the current request or task.

        A recording that leaves the status `recording` frees its room. One that is now deleted leaves every page and
        tally; one that no longer is returns to them.

        Raises:
            ConcurrentUpdate: the recording has another version or status than `before`
        """

    def put_back(self, recording: Recording) -> None:
        """Store a deleted recording again that TTL removed too early. Do nothing if it exists.

        It expires at the end of the retention that is configured now.
        """

    def note_progress(self, recording: Recording, progress: Progress | None, *, stalled: bool = False) -> None:
        """Set progress and the stalled flag, without a new version.

        Do nothing if the recording has another status, attempt or archive attempt by now.
        """

    def note_missing(self, recording: Recording, since: datetime | None) -> None:
        """Set the time since when Cloudflare reports no file (None: it reports one), without a new version.

        Do nothing if the recording changed since it was read, or another call noted something.
        """

    def add_progress(self, tenant_id: str, recording_id: str, *, attempt: int, copied: int) -> None:
        """Add bytes to `bytes_done` of this attempt's copy, up to `bytes_total`. Several calls may add at once.

        Do nothing if the copy has ended or DynamoDB is busy. A call whose response is lost may count twice.
        """

    def page(
        self, tenant_id: str, only: Filter = Filter(), *, limit: int, offset: int = 0, cursor: str | None = None
    ) -> CountedPage:
        """Return a page of recordings that are not deleted, newest first by `created_at`, then by id.

        The cost grows neither with `offset` nor with the total. With a cursor the page begins after it, and `offset`
        must be 0.

        Raises:
            InvalidCursor: the cursor is not one of this list
        """

    def find_by_cloudflare_recording_id(self, cloudflare_recording_id: str) -> Recording | None:
        """Return the recording, of any tenant, deleted or not, of a Cloudflare recording; None if there is none."""

    def find_by_cloudflare_recording_ids(
        self, cloudflare_recording_ids: Sequence[str]
    ) -> Mapping[str, Recording | None]:
        """Return the recordings of those Cloudflare recordings that were imported; None for one that was purged."""

    def list_unfinished(self) -> Iterator[Recording]:
        """Iterate over the recordings of all tenants, deleted or not, that are not final, newest first."""

    def list_all(self, tenant_id: str, rooms: RoomRange = ALL_ROOMS) -> Iterator[Recording]:
        """Iterate over the recordings of a tenant's rooms, newest first, and then over the deleted ones."""

    def store_task_token(self, recording: Recording, token: str) -> None:
        """Store the task token of the execution that waits for this recording's upload.

        Do nothing if the token of a newer attempt is stored.
        """

    def pop_task_token(self, recording: Recording, *, only: str | None = None) -> str | None:
        """Return the stored task token and delete it; None if there is none, or if it is another than `only`."""


class IdempotencyKeys(Protocol):
    """The responses to requests with an `Idempotency-Key`, per tenant."""

    def reserve(self, tenant_id: str, key: str, *, fingerprint: str, now: datetime) -> Mapping[str, Any] | None:
        """Reserve a key and return None, or return the response that is stored for it.

        A reservation ends after a minute, so that a function that died does not block the key.

        Raises:
            IdempotencyKeyReused: the key was used for a request with another fingerprint
            RequestInProgress: the first request with this key is still running
        """

    def store_response(self, tenant_id: str, key: str, *, response: Mapping[str, Any], now: datetime) -> None:
        """Store the response to the request that reserved the key, for 24 hours."""

    def release(self, tenant_id: str, key: str) -> None:
        """Delete a reservation: the request had no effect, and its repeat may have another result."""


class DownloadLinks(Protocol):
    """When the URLs end that were given out for files in R2."""

    def note_expiry(self, recording: Recording, *, until: datetime) -> bool:
        """Store, before a URL of the file is given out, that it ends at `until`.

        Return False if this file is no longer the recording's, or no longer in R2: the URL may then end at any time.
        """

    def find_latest_expiry(self, recording: Recording) -> datetime | None:
        """Return when the last URL ends; None if none was given out.

        Once the recording's file is no longer in R2, no later one follows.
        """


class AccessLog(Protocol):
    """Who was given a download URL, for as long as entries are kept."""

    def note(self, recording: Recording, *, at: datetime, until: datetime, store: Store) -> None:
        """Store, before the URL is given out, that the actor of the current request gets one that ends at `until`.

        Raises:
            Throttled: DynamoDB is busy or does not respond: the URL must not be given out
        """

    def list(self, recording: Recording, *, limit: int, cursor: str | None = None) -> Page[Access]:
        """Return a page of a recording's entries, the latest first.

        Raises:
            InvalidCursor: the cursor is not one of an access log
        """


class PurgeRecords(Protocol):
    """What purges removed, until the second purge."""

    def note(self, record: PurgeRecord) -> PurgeRecord:
        """Store a record before anything is removed, and return what is stored now.

        A repeated purge keeps the time of the first one, and adds what it found.

        Raises:
            ConcurrentUpdate: other purges of this recording store records at the same time
        """
