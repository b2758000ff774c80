"""List what the buckets hold for one tenant, room by room."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import groupby
from typing import Final
from urllib.parse import quote

from recordings.domain.recording import Recording
from recordings.domain.room_range import RoomRange
from recordings.domain.storage_keys import ROOTS, is_below
from recordings.domain.stored_file import Store
from recordings.ports.storage import ObjectStore
from recordings.ports.system import Clock
from recordings.services.audit.provider_listing import ProviderListing
from recordings.services.audit.report import Confirmation, Report

# One step of an audit holds so many objects in memory, and the rest of the last room. A room makes one file at a time.
MAX_OBJECTS_PER_STEP: Final = 100_000


class OutOfTime(Exception):
    """The time of the audit is over, and the step is not complete. Nothing was concluded from it."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object, or an unfinished upload (`upload_id`), as a listing reports it. `size` is None for an upload."""

    store: Store
    key: str
    size: int | None
    etag: str
    at: datetime
    # The name directly below the tenant's folder, with its slash: the folder of the room.
    folder: str
    upload_id: str = ""

    @property
    def finding(self) -> str:
        """The name of the finding that it has no recording."""
        return orphan_finding(self.store, self.key, self.upload_id)


def orphan_finding(store: str, key: str, upload_id: str) -> str:
    """Return the name under which an orphan waits for its confirmation."""
    return f"{store}:{key}:{upload_id}"


@dataclass(slots=True)
class AuditStep:
    """One step of an audit: some rooms of one tenant. The services of this package fill it in turn."""

    report: Report
    rooms: RoomRange
    listing: ProviderListing
    now: datetime
    until: datetime
    repair: bool
    # The ids of the recordings that were read.
    read: set[str] = field(default_factory=set)
    # The keys that the recordings own.
    owned: set[tuple[Store, str]] = field(default_factory=set)
    # The ids of unfinished recordings: they own everything below their folder.
    unfinished: set[str] = field(default_factory=set)
    # The ids of recordings that own quarantined files.
    quarantined: set[str] = field(default_factory=set)
    # Recordings whose file the listing does not contain as it should be.
    suspicious: list[Recording] = field(default_factory=list)
    # Recordings that differ from Cloudflare's listing.
    differing: list[Recording] = field(default_factory=list)
    # Recordings whose processing is stuck, by id.
    stuck: dict[str, Recording] = field(default_factory=dict)
    # What is absent, by the name of the finding: how to add it to the report.
    absent: dict[str, Callable[[Confirmation], None]] = field(default_factory=dict)

    def check_time(self, clock: Clock) -> None:
        """Raise OutOfTime if the time of the audit is over."""
        check_time(clock, self.until)


def check_time(clock: Clock, until: datetime) -> None:
    """Raise OutOfTime if the time of the audit is over."""
    if clock() >= until:
        raise OutOfTime


def scan_rooms(
    stores: Mapping[Store, ObjectStore], tenant_id: str, *, after: str | None, until: datetime, clock: Clock
) -> Iterator[tuple[str | None, list[StoredObject]]]:
    """Yield the objects of a tenant's rooms in steps, each with the last folder of the step.

    The rooms follow the folder `after`. The folder of the last step is None.

    Raises:
        OutOfTime: the time of the audit is over
    """
    objects: list[StoredObject] = []
    for folder, found in groupby(_objects(stores, tenant_id, after, until, clock), key=lambda one: one.folder):
        objects += found
        if len(objects) >= MAX_OBJECTS_PER_STEP:
            yield folder, objects
            objects = []
    yield None, objects


def _objects(
    stores: Mapping[Store, ObjectStore], tenant_id: str, after: str | None, until: datetime, clock: Clock
) -> Iterator[StoredObject]:
    listings = [
        list_below(store, bucket, root, f"{root}{quote(tenant_id, safe='')}/", after)
        for store, bucket in stores.items()
        for root in ROOTS[store]
        for list_below in (_files, _uploads)
    ]
    for found in merge(*listings, key=lambda one: one.folder):
        check_time(clock, until)
        yield found


def _files(store: Store, bucket: ObjectStore, root: str, prefix: str, after: str | None) -> Iterator[StoredObject]:
    # Keys below the folder of a room have letters, digits and characters that sort before "~". An object that is in no
    # folder has nothing below it, and the folders of rooms with the same beginning follow it.
    last = f"{prefix}{after}{'~' if after.endswith('/') else ''}" if after is not None else None
    for listed in bucket.list_objects(prefix, after=last):
        folder = folder_of(listed.key, prefix)
        if is_below(root, listed.key) and (after is None or folder > after):
            yield StoredObject(store, listed.key, listed.size, listed.etag, listed.modified_at, folder)


def _uploads(store: Store, bucket: ObjectStore, root: str, prefix: str, after: str | None) -> Iterator[StoredObject]:
    # There are few at any time, and not every store documents that it lists them by key.
    for upload in sorted(bucket.list_uploads(prefix), key=lambda found: folder_of(found.key, prefix)):
        folder = folder_of(upload.key, prefix)
        if is_below(root, upload.key) and (after is None or folder > after):
            yield StoredObject(store, upload.key, None, "", upload.initiated_at, folder, upload.upload_id)


def folder_of(key: str, prefix: str) -> str:
    """Return the name directly below a prefix, with its slash if it is a folder."""
    name, slash, _ = key.removeprefix(prefix).partition("/")
    return name + slash
