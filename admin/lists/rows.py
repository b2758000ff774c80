"""Write the rows of recordings, with the tallies that count them.

Every transaction changes a row and the tallies of its scope (tenant or room) together. So the difference between
tallies and rows stays what it is, whatever else writes at the same time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from ulid import ULID

from recordings.adapters.aws.errors import CANCELED, Refused
from recordings.adapters.dynamodb.connection import Item, call
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.listing_items import TALLY_ITEMS, RoomRowItem, RowItem, additions, rows_key
from recordings.adapters.dynamodb.queries import item_key
from recordings.adapters.dynamodb.recording_items import RecordingItem, is_unchanged
from recordings.adapters.dynamodb.settings import TABLE
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.adapters.dynamodb.writes import MAX_ATTEMPTS, busy, jittered_pause
from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.domain.tally import Level, counter_of

# Of a transaction's 100 actions (API Reference, TransactWriteItems) a recording takes at most nine: a check, two rows,
# three tallies of its tenant and three of its room.
BATCH_SIZE: Final = 11
MAX_MENDS: Final = 8
# Of a tenant and of a room, the lowest first.
LEVELS: Final = (Level.DAY, Level.MONTH, Level.YEAR)

type AnyRow = RowItem | RoomRowItem
# A level, the room or None, a bucket.
type TallyKey = tuple[Level, str | None, str]


def created_at(recording_id: str) -> datetime:
    """Return when a recording was created: its id has the time, in whole seconds."""
    return ULID.from_str(recording_id.removeprefix("rec_")).datetime.astimezone(UTC).replace(microsecond=0)


class Additions:
    """What the rows of a transaction add to the tallies of one tenant."""

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._counters: dict[TallyKey, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def count(self, row: AnyRow, status: Status, room_id: str | None, sign: int) -> None:
        """Count a row of a tenant (`room_id` None) or a room that is put (`sign` 1) or deleted (-1)."""
        at = created_at(row.sk)
        for level in LEVELS:
            counters = self._counters[level, room_id, level.bucket_of(at)]
            counters[counter_of(level.child_of(at), status)] += sign
            if level is Level.DAY:
                counters["seconds"] += sign * (row.duration_seconds or 0)
                counters["bytes"] += sign * (row.size_bytes or 0)

    def add_to(self, transaction: Transaction) -> None:
        for (level, room_id, bucket), counters in self._counters.items():
            amounts = {name: amount for name, amount in counters.items() if amount}
            if amounts:
                transaction.update(TALLY_ITEMS[level].at(self._tenant_id, room_id, bucket), additions(amounts))


def list_recordings(recordings: Sequence[Recording]) -> None:
    """Give up to BATCH_SIZE recordings of one tenant their rows, and count them, in one transaction.

    Raises:
        ConcurrentUpdate: one of them has changed, or has a row
        Throttled, InfrastructureError
    """
    added = Additions(recordings[0].tenant_id)
    with Transaction() as transaction:
        for recording in recordings:
            transaction.require(RecordingItem.at(recording), is_unchanged(recording), otherwise=_changed)
            row, room_row = RowItem.from_domain(recording), RoomRowItem.from_domain(recording)
            transaction.save(row, RowItem.pk.does_not_exist())
            transaction.save(room_row, RoomRowItem.pk.does_not_exist())
            added.count(row, recording.status, None, 1)
            added.count(room_row, recording.status, recording.room_id, 1)
        added.add_to(transaction)


@dataclass(frozen=True)
class Rows:
    """The rows that a recording has at one moment, and the ones that it should have. Keys are partition keys."""

    tenant_id: str
    recording_id: str
    recording: Recording | None
    found: Mapping[str, AnyRow]

    @cached_property
    def wanted(self) -> Mapping[str, AnyRow]:
        """The rows of a recording that is not deleted."""
        if self.recording is None:
            return {}
        rows: tuple[AnyRow, ...] = (RowItem.from_domain(self.recording), RoomRowItem.from_domain(self.recording))
        return {row.pk: row for row in rows}

    @property
    def missing(self) -> list[AnyRow]:
        return [row for pk, row in self.wanted.items() if pk not in self.found]

    @property
    def superfluous(self) -> list[AnyRow]:
        return [row for pk, row in self.found.items() if pk not in self.wanted]

    @property
    def different(self) -> list[tuple[AnyRow, AnyRow]]:
        """The rows that show other values than the recording, each with the right one."""
        both = [(row, self.wanted[pk]) for pk, row in self.found.items() if pk in self.wanted]
        return [(row, right) for row, right in both if shown(row) != shown(right)]

    @property
    def right(self) -> bool:
        return not (self.missing or self.superfluous or self.different)


def shown(row: AnyRow) -> tuple[str | None, int | None, int | None]:
    """Return what a row shows of its recording."""
    return (row.room_id if isinstance(row, RowItem) else None, row.duration_seconds, row.size_bytes)


def read_rows(tenant_id: str, recording_id: str, rooms: Iterable[str]) -> Rows:
    """Read a recording and its rows at one moment: those of the tenant and of these rooms, in every status.

    Raises:
        Throttled, InfrastructureError
    """
    keys: dict[str, type[AnyRow]] = {rows_key(tenant_id, status): RowItem for status in Status}
    keys |= {rows_key(tenant_id, status, room_id): RoomRowItem for room_id in rooms for status in Status}
    live = partition(tenant_id, "REC")
    raw = read_together([(pk, recording_id) for pk in (live, *keys)])
    found = {pk: cls.from_raw_data(dict(item)) for (pk, cls), item in zip(keys.items(), raw[1:], strict=True) if item}
    recording = RecordingItem.from_raw_data(dict(raw[0])).to_domain() if raw[0] else None
    return Rows(tenant_id, recording_id, recording, found)


def mend_rows(tenant_id: str, recording_id: str, rooms: Iterable[str]) -> bool:
    """Give a recording the rows that it should have, and no others. Return whether something was wrong.

    Raises:
        ConcurrentUpdate: others change the recording again and again
        Throttled, InfrastructureError
    """
    rooms = set(rooms)
    for _ in range(MAX_MENDS):
        rows = read_rows(tenant_id, recording_id, rooms)
        if rows.recording is not None and rows.recording.room_id not in rooms:
            rooms.add(rows.recording.room_id)
            continue
        if rows.right:
            return False
        try:
            _set_right(rows)
            return True
        except ConcurrentUpdate:
            # The recording changed meanwhile, or another command mends it too.
            continue
    raise ConcurrentUpdate(f"recording {recording_id} changes too often to mend its rows; repeat the command")


def _set_right(rows: Rows) -> None:
    added = Additions(rows.tenant_id)

    def count(row: AnyRow, sign: int) -> None:
        status, room_id = scope_of(row)
        added.count(row, status, room_id, sign)

    with Transaction() as transaction:
        if rows.recording is not None:
            transaction.require(RecordingItem.at(rows.recording), is_unchanged(rows.recording), otherwise=_changed)
        else:
            absent = RecordingItem(partition(rows.tenant_id, "REC"), rows.recording_id)
            transaction.require(absent, RecordingItem.pk.does_not_exist(), otherwise=_changed)
        for row in rows.superfluous:
            transaction.delete(row, Item.pk.exists())
            count(row, -1)
        for row in rows.missing:
            transaction.save(row, Item.pk.does_not_exist())
            count(row, 1)
        for row, right in rows.different:
            transaction.save(right, Item.pk.exists())
            count(row, -1)
            count(right, 1)
        added.add_to(transaction)


def scope_of(row: AnyRow) -> tuple[Status, str | None]:
    """Return the status of a row and its room; None for a row of a tenant."""
    # A tenant's id has no "#", because it is percent-encoded. A room's may have.
    _, _, _, status, *room = row.pk.split("#", 4)
    return Status(status), room[0] if room else None


def read_together(keys: Sequence[tuple[str, str]]) -> list[Mapping[str, Any] | None]:
    """Read up to 100 items at one moment, in the order of their keys; None where there is none.

    Raises:
        Throttled, InfrastructureError
    """
    gets = [{"Get": {"TableName": TABLE, "Key": item_key(*key)}} for key in keys]
    for attempt in range(MAX_ATTEMPTS):
        try:
            response = call("TransactGetItems", {"TransactItems": gets}, CANCELED)
        except Refused:
            # Another transaction holds one of the items.
            jittered_pause(attempt)
            continue
        return [one.get("Item") for one in response["Responses"]]
    raise busy()


def rooms_of(rows: Iterable[AnyRow]) -> Iterator[str]:
    """Return the rooms that rows belong to."""
    for row in rows:
        room_id = row.room_id if isinstance(row, RowItem) else scope_of(row)[1]
        if room_id is not None:
            yield room_id


def _changed(_: object) -> Exception:
    return ConcurrentUpdate("the recording changed meanwhile")
