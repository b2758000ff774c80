"""The items of recordings.

recording        T#<tenant>#REC           rec_<ULID>       newest first is one Query
recording        T#<tenant>#TRASH         rec_<ULID>       a deleted one, so that pages read live ones only
room list        T#<tenant>#LIST#<room>   rec_<ULID>       the ids of a room's recordings
day tally        T#<tenant>#DAY           2026-01-06       counters of a tenant's day
day tally        T#<tenant>#DAY#<room>    2026-01-06       counters of a room's day
unfinished       OPEN                     rec_<ULID>       recordings of all tenants that are not final
Cloudflare link  CLOUDFLARE#<id>          LINK             one Cloudflare recording is imported once
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Self

from pynamodb.attributes import BooleanAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.constants import STRING
from pynamodb.expressions.condition import Condition

from recordings.adapters.dynamodb.attributes import (
    ActorAttribute,
    HistoryAttribute,
    InstantAttribute,
    IntegerAttribute,
    StatusAttribute,
    TextAttribute,
)
from recordings.adapters.dynamodb.connection import Item, NullKeepingMap
from recordings.adapters.dynamodb.keys import LINK, partition
from recordings.adapters.dynamodb.settings import retention
from recordings.domain.archive import Archive, ArchiveState, Tier
from recordings.domain.recording import Failure, Origin, Progress, Recording
from recordings.domain.stored_file import HeldFile, Store, StoredFile

OPEN: Final = "OPEN"


def optional[A, B](convert: Callable[[A], B], value: A | None) -> B | None:
    """Convert a value unless it is None. pynamodb's types do not show that an attribute can be None."""
    return convert(value) if value is not None else None


class FailureMap(NullKeepingMap):
    code = UnicodeAttribute()
    message = UnicodeAttribute()

    @classmethod
    def from_domain(cls, failure: Failure) -> Self:
        return cls(code=failure.code, message=failure.message)

    def to_domain(self) -> Failure:
        return Failure(self.code, self.message)


class FileMap(NullKeepingMap):
    store = TextAttribute[Store](attr_name="provider")
    key = UnicodeAttribute()
    size_bytes = IntegerAttribute()
    content_type = UnicodeAttribute()
    crc32 = UnicodeAttribute(null=True)
    sha256 = UnicodeAttribute(null=True)
    etag = UnicodeAttribute(null=True)

    @classmethod
    def from_domain(cls, file: StoredFile) -> Self:
        return cls(
            store=file.store,
            key=file.key,
            size_bytes=file.size_bytes,
            content_type=file.content_type,
            crc32=file.crc32,
            sha256=file.sha256,
            etag=file.etag,
        )

    def to_domain(self) -> StoredFile:
        return StoredFile(
            store=self.store,
            key=self.key,
            size_bytes=self.size_bytes,
            content_type=self.content_type,
            crc32=self.crc32,
            sha256=self.sha256,
            etag=self.etag,
        )


class HeldFileMap(NullKeepingMap):
    file = FileMap()
    duration_seconds = IntegerAttribute(null=True)

    @classmethod
    def from_domain(cls, held: HeldFile) -> Self:
        return cls(file=FileMap.from_domain(held.file), duration_seconds=held.duration_seconds)

    def to_domain(self) -> HeldFile:
        return HeldFile(self.file.to_domain(), self.duration_seconds)


class ProgressMap(NullKeepingMap):
    step = UnicodeAttribute()
    attempt = IntegerAttribute()
    bytes_done = IntegerAttribute(null=True)
    bytes_total = IntegerAttribute(null=True)
    next_step_due = InstantAttribute(null=True)
    stuck_after = InstantAttribute(null=True)

    @classmethod
    def from_domain(cls, progress: Progress) -> Self:
        return cls(
            step=progress.step,
            attempt=progress.attempt,
            bytes_done=progress.bytes_done,
            bytes_total=progress.bytes_total,
            next_step_due=progress.next_step_due,
            stuck_after=progress.stuck_after,
        )

    def to_domain(self) -> Progress:
        return Progress(
            step=self.step,
            attempt=self.attempt,
            bytes_done=self.bytes_done,
            bytes_total=self.bytes_total,
            next_step_due=self.next_step_due,
            stuck_after=self.stuck_after,
        )


class ArchiveMap(NullKeepingMap):
    state = TextAttribute[ArchiveState]()
    storage_class = UnicodeAttribute(null=True)
    restored_until = InstantAttribute(null=True)
    expected_at = InstantAttribute(null=True)
    tier = TextAttribute[Tier](null=True)
    days = IntegerAttribute(null=True)
    moved_from = UnicodeAttribute(null=True)
    pending_since = InstantAttribute(null=True)
    source_kept_until = InstantAttribute(null=True)

    @classmethod
    def from_domain(cls, archive: Archive) -> Self:
        return cls(
            state=archive.state,
            storage_class=archive.storage_class,
            restored_until=archive.restored_until,
            expected_at=archive.expected_at,
            tier=archive.tier,
            days=archive.days,
            moved_from=archive.moved_from,
            pending_since=archive.pending_since,
            source_kept_until=archive.source_kept_until,
        )

    def to_domain(self) -> Archive:
        return Archive(
            state=self.state,
            storage_class=self.storage_class,
            restored_until=self.restored_until,
            expected_at=self.expected_at,
            tier=self.tier,
            days=self.days,
            moved_from=self.moved_from,
            pending_since=self.pending_since,
            source_kept_until=self.source_kept_until,
        )


class RecordingItem(Item, discriminator="recording"):
    # What is None is absent: NULLs, which earlier releases stored, make most recordings larger than 1 KB, and then each
    # write costs twice. Maps inside keep theirs.

    tenant_id = UnicodeAttribute()
    room_id = UnicodeAttribute()
    room_name = UnicodeAttribute()
    meeting_id = UnicodeAttribute()
    status = StatusAttribute()
    origin = TextAttribute[Origin]()
    created_at = InstantAttribute()
    started_at = InstantAttribute()
    cloudflare_recording_id = UnicodeAttribute(attr_name="cloudflare_id", null=True)
    stop_requested_at = InstantAttribute(null=True)
    stopped_at = InstantAttribute(null=True)
    duration_seconds = IntegerAttribute(null=True)
    archived_at = InstantAttribute(null=True)
    file = FileMap(null=True)
    archive = ArchiveMap(null=True)
    archive_error = FailureMap(null=True)
    # Items of the first release may lack it.
    archive_attempt = IntegerAttribute(null=True)
    deleted_at = InstantAttribute(null=True)
    failure = FailureMap(null=True)
    partial = BooleanAttribute(null=True)
    stalled = BooleanAttribute(null=True)
    attempt = IntegerAttribute()
    automatic_attempts = IntegerAttribute(null=True)
    held = HeldFileMap(null=True)
    recovered_at = InstantAttribute(null=True)
    delivery_key = UnicodeAttribute(null=True)
    missing_since = InstantAttribute(null=True)
    progress = ProgressMap(null=True)
    history = HistoryAttribute()
    version = IntegerAttribute()
    # Versions of earlier releases lack it.
    changed_by = ActorAttribute(attr_name="by", null=True)
    expires_at = TTLAttribute(null=True)
    # The nonce of the plain write that stored this version.
    saved_by = UnicodeAttribute(null=True)

    @classmethod
    def at(cls, recording: Recording) -> Self:
        """Return an item with the recording's key, for updates: the trash has the key of a deleted one."""
        return cls(partition(recording.tenant_id, "TRASH" if recording.deleted_at else "REC"), recording.id)

    @classmethod
    def from_domain(cls, recording: Recording) -> Self:
        item = cls.at(recording)
        item.tenant_id = recording.tenant_id
        item.room_id = recording.room_id
        item.room_name = recording.room_name
        item.meeting_id = recording.meeting_id
        item.status = recording.status
        item.origin = recording.origin
        item.created_at = recording.created_at
        item.started_at = recording.started_at
        item.cloudflare_recording_id = recording.cloudflare_recording_id
        item.stop_requested_at = recording.stop_requested_at
        item.stopped_at = recording.stopped_at
        item.duration_seconds = recording.duration_seconds
        item.archived_at = recording.archived_at
        item.file = optional(FileMap.from_domain, recording.file)
        item.archive = optional(ArchiveMap.from_domain, recording.archive)
        item.archive_error = optional(FailureMap.from_domain, recording.archive_error)
        item.archive_attempt = recording.archive_attempt
        item.deleted_at = recording.deleted_at
        item.failure = optional(FailureMap.from_domain, recording.failure)
        item.partial = recording.partial
        item.stalled = recording.stalled
        item.attempt = recording.attempt
        item.automatic_attempts = recording.automatic_attempts
        item.held = optional(HeldFileMap.from_domain, recording.held)
        item.recovered_at = recording.recovered_at
        item.delivery_key = recording.delivery_key
        item.missing_since = recording.missing_since
        item.progress = optional(ProgressMap.from_domain, recording.progress)
        item.history = recording.history
        item.version = recording.version
        item.changed_by = recording.changed_by
        item.expires_at = _expiry(recording)
        return item

    def to_domain(self) -> Recording:
        return Recording(
            id=self.sk,
            tenant_id=self.tenant_id,
            room_id=self.room_id,
            room_name=self.room_name,
            meeting_id=self.meeting_id,
            status=self.status,
            origin=self.origin,
            created_at=self.created_at,
            started_at=self.started_at,
            cloudflare_recording_id=self.cloudflare_recording_id,
            stop_requested_at=self.stop_requested_at,
            stopped_at=self.stopped_at,
            duration_seconds=self.duration_seconds,
            archived_at=self.archived_at,
            file=optional(FileMap.to_domain, self.file),
            archive=optional(ArchiveMap.to_domain, self.archive),
            archive_error=optional(FailureMap.to_domain, self.archive_error),
            archive_attempt=self.archive_attempt or 0,
            deleted_at=self.deleted_at,
            failure=optional(FailureMap.to_domain, self.failure),
            partial=self.partial or False,
            stalled=self.stalled or False,
            attempt=self.attempt,
            # Recordings of the first release that lack the counter have made one attempt.
            automatic_attempts=self.automatic_attempts or 1,
            held=optional(HeldFileMap.to_domain, self.held),
            recovered_at=self.recovered_at,
            delivery_key=self.delivery_key,
            missing_since=self.missing_since,
            progress=optional(ProgressMap.to_domain, self.progress),
            history=self.history,
            version=self.version,
            changed_by=self.changed_by,
        )


class RoomListItem(Item, discriminator="room_list"):
    @classmethod
    def from_domain(cls, recording: Recording) -> Self:
        return cls(room_list_key(recording.tenant_id, recording.room_id), recording.id)


class DayTallyItem(Item, discriminator="day_tally"):
    """The counters of a day. `domain.tally` names them."""

    total = IntegerAttribute(null=True)
    status_recording = IntegerAttribute(null=True)
    status_processing = IntegerAttribute(null=True)
    status_ready = IntegerAttribute(null=True)
    status_failed = IntegerAttribute(null=True)
    status_archived = IntegerAttribute(null=True)
    seconds = IntegerAttribute(null=True)
    bytes = IntegerAttribute(null=True)

    @classmethod
    def at(cls, tenant_id: str, room_id: str | None, day: str) -> Self:
        """Return an item with the key of a tenant's (`room_id` None) or a room's day."""
        return cls(day_tally_key(tenant_id, room_id), day)


class UnfinishedItem(Item, discriminator="unfinished"):
    tenant_id = UnicodeAttribute()

    @classmethod
    def from_domain(cls, recording: Recording) -> Self:
        return cls(OPEN, recording.id, tenant_id=recording.tenant_id)


class CloudflareLinkItem(Item, discriminator="cloudflare_link"):
    tenant_id = UnicodeAttribute()
    recording_id = UnicodeAttribute()

    @classmethod
    def at(cls, cloudflare_recording_id: str) -> Self:
        """Return an item with the link's key."""
        return cls(f"{_LINK_PREFIX}{cloudflare_recording_id}", LINK)

    @classmethod
    def from_domain(cls, recording: Recording) -> Self:
        """Return the link to a recording that has a `cloudflare_recording_id`."""
        item = cls.at(recording.cloudflare_recording_id or "")
        item.tenant_id, item.recording_id = recording.tenant_id, recording.id
        return item

    @property
    def cloudflare_recording_id(self) -> str:
        return self.pk.removeprefix(_LINK_PREFIX)


_LINK_PREFIX: Final = "CLOUDFLARE#"


def room_list_key(tenant_id: str, room_id: str) -> str:
    """Return the partition key of the list of a room's recordings."""
    return partition(tenant_id, f"LIST#{room_id}")


def day_tally_key(tenant_id: str, room_id: str | None) -> str:
    """Return the partition key of a tenant's (`room_id` None) or a room's tallies."""
    return partition(tenant_id, "DAY" if room_id is None else f"DAY#{room_id}")


def is_unchanged(recording: Recording) -> Condition:
    """Return the condition that a recording's item has the version and status that were read."""
    unchanged: Condition = (RecordingItem.version == recording.version) & (RecordingItem.status == recording.status)
    return unchanged


def recording_of(image: Mapping[str, Any]) -> Recording | None:
    """Return the recording in a stream's image of an item; None if the item is something else."""
    item = recording_item_of(image)
    return item.to_domain() if item is not None else None


def recording_item_of(image: Mapping[str, Any]) -> RecordingItem | None:
    """Return the item of a recording in a stream's image; None if the item is something else."""
    kind = image.get("kind", {}).get(STRING)
    is_recording = _has_recording_key(image) if kind is None else kind == Item.kind.get_discriminator(RecordingItem)
    return RecordingItem.from_raw_data(dict(image)) if is_recording else None


def _has_recording_key(image: Mapping[str, Any]) -> bool:
    """Return whether an item without `kind` has a recording's key.

    A tenant's id has no "#", because it is percent-encoded. A room may be called REC, but its keys have more parts.
    """
    match image.get("pk", {}).get(STRING, "").split("#"):
        case ["T", _, "REC" | "TRASH"]:
            return True
        case _:
            return False


def _expiry(recording: Recording) -> datetime | None:
    """Return when DynamoDB's TTL deletes a deleted recording, which starts the purge of its files; None for never."""
    kept = retention()
    return recording.deleted_at + kept if recording.deleted_at is not None and kept is not None else None
