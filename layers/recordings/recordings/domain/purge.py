"""When a deleted recording may be purged, and the record that remains of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from recordings.domain.provider_recording import FILE_RETENTION
from recordings.domain.recording import Recording
from recordings.domain.stored_file import Store

# A second purge follows the first one. By then Cloudflare has deleted its copy and delivers nothing more.
SWEPT_AGAIN_AFTER: Final = FILE_RETENTION
# Cloudflare's file name contains the time when it accepted the start. A recording begins seconds later (RealtimeKit,
# recording object: invoked_time and started_time).
ORDER_TO_BEGIN: Final = timedelta(minutes=1)


class ItemKind(StrEnum):
    """What a bucket holds under a key."""

    OBJECT = "object"
    VERSION = "version"
    DELETE_MARKER = "delete_marker"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreItem:
    """One item of a bucket. `id` is that of the version or the upload, empty for an object without versions."""

    store: Store
    key: str
    kind: ItemKind
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The removal of a recording's item from the table, as the stream reports it.

    `expires_at` is its TTL, or None if it had none.
    """

    recording: Recording
    by_time_to_live: bool
    expires_at: datetime | None

    @property
    def ids(self) -> dict[str, str | None]:
        """The recording's ids, for the log."""
        return {"tenant_id": self.recording.tenant_id, "recording_id": self.recording.id}


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeRecord:
    """What is stored about a purged recording, for some days: its ids and what was deleted, no content."""

    id: str
    tenant_id: str
    room_id: str
    meeting_id: str
    origin: str
    created_at: datetime
    deleted_at: datetime
    purged_at: datetime
    version: int
    delivery_key: str | None
    # The keys that the recording named.
    known: tuple[tuple[Store, str], ...]
    found: tuple[StoreItem, ...] = ()

    @property
    def ids(self) -> dict[str, str | None]:
        """The recording's ids, for the log."""
        return {"tenant_id": self.tenant_id, "recording_id": self.id}

    @classmethod
    def of(cls, recording: Recording, *, deleted_at: datetime, at: datetime) -> Self:
        known: list[tuple[Store, str]] = []
        if recording.file is not None:
            known.append((recording.file.store, recording.file.key))
        if recording.archive is not None and recording.archive.moved_from is not None:
            known.append(("r2", recording.archive.moved_from))
        if recording.delivery_key is not None:
            known.append(("r2", recording.delivery_key))
        return cls(
            id=recording.id,
            tenant_id=recording.tenant_id,
            room_id=recording.room_id,
            meeting_id=recording.meeting_id,
            origin=recording.origin,
            created_at=recording.created_at,
            deleted_at=deleted_at,
            purged_at=at,
            version=recording.version + 1,
            delivery_key=recording.delivery_key,
            known=tuple(dict.fromkeys(known)),
        )

    @property
    def absent(self) -> tuple[tuple[Store, str], ...]:
        """Store and key of the files that were expected and not found."""
        found = {(item.store, item.key) for item in self.found}
        return tuple(place for place in self.known if place not in found)


def may_be_purged(removal: Removal, *, retention: timedelta | None, now: datetime) -> str | None:
    """Return why a recording must not be purged, or None if it may be.

    DynamoDB removes expired items, but an undelete, a person or a restored table remove items too. `retention` is the
    present configuration, None for no limit. It may be longer than it was when the recording was deleted.
    """
    recording = removal.recording
    if not removal.by_time_to_live:
        return "not removed by its time to live"
    if recording.deleted_at is None:
        return "not deleted"
    if removal.expires_at is None or removal.expires_at > now:
        return "not expired"
    if retention is None or recording.deleted_at + retention > now:
        return TOO_EARLY
    return None


TOO_EARLY: Final = "kept longer than it was when it was deleted"
