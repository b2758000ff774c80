"""Delete everything that is stored of a deleted recording after its retention.

A purge cannot be undone, so this service checks all preconditions itself and relies on no event filter and no caller.
It finds the files of a recording by its folders in both buckets. Each key must name the recording as its owner.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Protocol

from recordings.domain.errors import RecordingNotFound, Throttled
from recordings.domain.purge import (
    ORDER_TO_BEGIN,
    TOO_EARLY,
    PurgeRecord,
    Removal,
    StoreItem,
    may_be_purged,
)
from recordings.domain.room_range import ALL_ROOMS
from recordings.domain.storage_keys import (
    FileKind,
    archive_prefix,
    delivery_folder,
    named_by,
    owner_of,
    quarantine_prefix,
    recording_prefix,
)
from recordings.domain.stored_file import Store
from recordings.ports.events import EventBus
from recordings.ports.repositories import PurgeRecords, Recordings
from recordings.ports.storage import ObjectStore
from recordings.ports.system import Clock

DETAIL_TYPE: Final = "recording.purged"
CAME_BACK: Final = "it is in the table again"


class PurgeEvent(Protocol):
    """Makes the document of the event."""

    def __call__(self, record: PurgeRecord, *, late: bool) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Purged:
    """The result of a removal. `refused` is why nothing was purged; `put_back` is True if the recording stays."""

    record: PurgeRecord | None = None
    refused: str | None = None
    put_back: bool = False

    @property
    def outcome(self) -> str:
        """What happened, as the log says it."""
        if self.put_back:
            return "put back"
        return "purged" if self.refused is None else "purge refused"

    @property
    def facts(self) -> dict[str, Any]:
        """What the log adds to the outcome: why, or how much was removed and which files were not there."""
        if self.record is None:
            return {"reason": self.refused}
        absent = [f"{store}:{key}" for store, key in self.record.absent]
        return {"removed": len(self.record.found), "absent": absent}


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeRecording:
    """`retention` is how long a deleted recording is kept, as configured now. None: forever."""

    recordings: Recordings
    stores: Mapping[Store, ObjectStore]
    records: PurgeRecords
    bus: EventBus
    event: PurgeEvent
    clock: Clock
    retention: timedelta | None

    def __call__(self, removal: Removal | PurgeRecord) -> Purged:
        """Purge the recording whose item was removed; for a purge record that expired, purge once more.

        Checks every precondition itself. Safe to repeat: a repeat removes what is left and announces the same.

        Raises:
            Throttled: a service is busy or does not respond, or the bus refused the event
            InfrastructureError: a service denies a call
        """
        return self._purge(removal) if isinstance(removal, Removal) else self._purge_again(removal)

    def _purge(self, removal: Removal) -> Purged:
        recording, now = removal.recording, self.clock()
        refused = may_be_purged(removal, retention=self.retention, now=now)
        if refused is not None and refused != TOO_EARLY:
            return Purged(refused=refused)
        if self._is_there(recording.tenant_id, recording.id):
            return Purged(refused=CAME_BACK)
        if refused is not None or recording.deleted_at is None:
            self.recordings.put_back(recording)
            return Purged(refused=refused, put_back=True)
        record = PurgeRecord.of(recording, deleted_at=recording.deleted_at, at=now)
        # Stored before anything is deleted: a repeat finds fewer items, and must still announce all of them.
        record = self.records.note(replace(record, found=tuple(self._items_of(record))))
        self._erase(record)
        self._announce(record, late=False)
        return Purged(record)

    def _purge_again(self, record: PurgeRecord) -> Purged:
        """Remove what arrived since the purge: Cloudflare delivers late, or a task ended late."""
        if self._is_there(record.tenant_id, record.id):
            return Purged(refused=CAME_BACK)
        late = replace(record, found=tuple(self._items_of(record)), purged_at=self.clock(), version=record.version + 1)
        self._erase(late)
        if late.found:
            self._announce(late, late=True)
        return Purged(late)

    def _announce(self, record: PurgeRecord, *, late: bool) -> None:
        if self.bus.publish(DETAIL_TYPE, [self.event(record, late=late)]):
            raise Throttled("The event bus refused an event. The stream delivers the removal again.")

    def _erase(self, record: PurgeRecord) -> None:
        for item in record.found:
            self.stores[item.store].erase(item)

    def _is_there(self, tenant_id: str, recording_id: str) -> bool:
        try:
            self.recordings.get_including_deleted(tenant_id, recording_id)
        except RecordingNotFound:
            return False
        return True

    def _items_of(self, record: PurgeRecord) -> Iterator[StoreItem]:
        """Iterate over all items of the recording, each once."""
        seen: set[StoreItem] = set()
        for item in (*self._in_folders(record), *self._known(record), *self._delivered(record)):
            if item not in seen:
                seen.add(item)
                yield item

    def _in_folders(self, record: PurgeRecord) -> Iterator[StoreItem]:
        folders: tuple[tuple[Store, str], ...] = (
            ("r2", recording_prefix(record)),
            ("r2", quarantine_prefix(record)),
            ("s3", archive_prefix(record)),
        )
        for store, folder in folders:
            for item in self.stores[store].list_items(folder):
                owner = owner_of(store, item.key)
                # The folders of a tenant called `quarantine` also hold files of other tenants.
                if owner is not None and (owner.tenant_id, owner.room_id, owner.recording_id) == (
                    record.tenant_id,
                    record.room_id,
                    record.id,
                ):
                    yield item

    def _known(self, record: PurgeRecord) -> Iterator[StoreItem]:
        """Iterate over what the recording named: its file, the source of its move, and the place of its delivery."""
        for store, key in record.known:
            yield from (item for item in self.stores[store].list_items(key) if item.key == key)

    def _delivered(self, record: PurgeRecord) -> Iterator[StoreItem]:
        """Iterate over deliveries to a place that the recording does not know, because a response was lost.

        A file's name contains its meeting and the time when Cloudflare accepted the start. The file belongs to this
        recording if it is the first one of its meeting after that time, and no other recording names the file.
        """
        if record.delivery_key is not None or record.origin != "api":
            return
        folder = f"{delivery_folder(record.tenant_id, record.room_id)}/"
        candidates = [item for item in self.stores["r2"].list_items(folder) if _fits(item, record)]
        if not candidates:
            return
        others = [
            one
            for one in self.recordings.list_all(record.tenant_id, ALL_ROOMS)
            if one.room_id == record.room_id and one.id != record.id
        ]
        for item in candidates:
            named = named_by(item.key.rpartition("/")[2])
            assert named is not None, "_fits has read it"
            belongs_to_other = any(
                one.delivery_key == item.key
                or (one.file is not None and one.file.key == item.key)
                or (one.meeting_id == record.meeting_id and named[1] <= one.created_at <= record.created_at)
                for one in others
            )
            if not belongs_to_other:
                yield item


def _fits(item: StoreItem, record: PurgeRecord) -> bool:
    owner = owner_of("r2", item.key)
    if owner is None or owner.kind is not FileKind.DELIVERY:
        return False
    named = named_by(owner.file_name)
    if named is None or named[0] != record.meeting_id:
        return False
    # The recording's time has whole seconds, the file's time milliseconds.
    return timedelta(seconds=-1) < record.created_at - named[1] <= ORDER_TO_BEGIN
