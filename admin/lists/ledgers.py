"""Counters that are stored in buckets, what they should be, and how a difference is measured while others write.

A change writes a row, or the recording itself, and the counters of its buckets in one transaction. So the excess of a
counter over what it counts does not change, however much happens. It need be measured only once, and may be taken away
at any later time by adding to the counter: no value that others write in between is lost.

A measure reads counter, counted things, counter, counted things. It holds for the counters that were the same twice.
Two changes that cancel each other, or a transaction that is half visible, can still hide in these milliseconds. So a
measure counts only if another one, a pause later, has the same result.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from pynamodb.expressions.condition import Condition
from ulid import ULID

from admin.lists.pace import Pace
from admin.lists.rows import AnyRow, created_at
from recordings.adapters.dynamodb.connection import Item
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.listing_items import (
    TALLY_ITEMS,
    RoomRowItem,
    RowItem,
    TallyItem,
    additions,
    rows_key,
    tally_key,
)
from recordings.adapters.dynamodb.recording_items import DayTallyItem, RecordingItem, day_tally_key
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.domain.lifecycle import Status
from recordings.domain.tally import Level, counter_of, difference, parse_counter

MAX_ROUNDS: Final = 20
# Longer than a transaction takes to become visible as a whole.
PAUSE_SECONDS: Final = 1.0

type Counters = Mapping[str, int]


@dataclass(frozen=True)
class Scope:
    """A tenant (`room_id` None) or one of its rooms."""

    tenant_id: str
    room_id: str | None = None


class Ledger(Protocol):
    """The counters of one kind in one scope, by bucket."""

    scope: Scope
    # As the operator reads it.
    name: str

    def stored(self, bucket: str) -> Counters:
        """Return the counters of a bucket."""

    def counted(self, bucket: str) -> Counters:
        """Return what they count, as it is stored one level below."""

    def add(self, transaction: Transaction, bucket: str, amounts: Counters) -> None:
        """Add to the counters of a bucket."""


@dataclass
class Measured:
    """The excess of each counter over what it counts, and the counters that changed in each round."""

    excess: dict[str, int] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)
    unsettled: set[str] = field(default_factory=set)


def measure(ledger: Ledger, bucket: str, names: set[str], pause: Callable[[float], None]) -> Measured:
    """Measure some counters of a bucket until two measures in a row agree."""
    measured, last = Measured(unsettled=set(names)), dict[str, int]()
    for attempt in range(MAX_ROUNDS):
        if attempt:
            pause(PAUSE_SECONDS)
        stored, counted = ledger.stored(bucket), ledger.counted(bucket)
        again, counted_again = ledger.stored(bucket), ledger.counted(bucket)
        this = dict[str, int]()
        for name in list(measured.unsettled):
            values = stored.get(name, 0), counted.get(name, 0)
            if values != (again.get(name, 0), counted_again.get(name, 0)):
                continue
            this[name] = values[0] - values[1]
            if last.get(name) == this[name]:
                measured.excess[name], measured.stored[name] = this[name], values[0]
                measured.unsettled.discard(name)
        if not measured.unsettled:
            break
        last = this
    return measured


class Tallies:
    """A ledger: tallies by calendar. Those of days count rows, the others the level below.

    A bucket's counters are in several items, which add up. A correction goes to the first of them.
    """

    def __init__(self, scope: Scope, level: Level, pace: Pace) -> None:
        self.scope, self.level, self._pace = scope, level, pace
        self.name = level.value
        below = {Level.YEAR: Level.MONTH, Level.MONTH: Level.DAY}
        self.below = Tallies(scope, below[level], pace) if level in below else None

    def stored(self, bucket: str) -> Counters:
        return self._sums(bucket)[bucket]

    def counted(self, bucket: str) -> Counters:
        if self.below is None:
            return counters_of_rows(self.level, self.rows(bucket))
        return lifted(self.below._sums(f"{bucket}-"))[bucket]

    def all_stored(self) -> Mapping[str, Counters]:
        """Return the counters of every bucket."""
        return self._sums("")

    def rows(self, bucket: str) -> Iterator[tuple[Status, AnyRow]]:
        """Read the rows of a day."""
        scope = self.scope
        cls: type[AnyRow] = RowItem if scope.room_id is None else RoomRowItem
        first, last = ids_of(bucket)
        for status in Status:
            key = rows_key(scope.tenant_id, status, scope.room_id)
            for row in self._pace.read(cls, key, sort_key=Item.sk.between(first, last)):
                yield status, row

    def add(self, transaction: Transaction, bucket: str, amounts: Counters) -> None:
        item = TALLY_ITEMS[self.level].at(self.scope.tenant_id, self.scope.room_id, bucket)
        transaction.update(item, additions(amounts))

    def _sums(self, prefix: str) -> dict[str, Counter[str]]:
        checksums: dict[str, Counter[str]] = defaultdict(Counter)
        key = tally_key(self.level, self.scope.tenant_id, self.scope.room_id)
        cls: type[TallyItem] = TALLY_ITEMS[self.level]
        for item in self._pace.read(cls, key, sort_key=Item.sk.startswith(prefix) if prefix else None):
            checksums[item.bucket].update(item.counters)
        return checksums


class DayTallies:
    """A ledger: the day tallies of the earlier layout. They count the recordings themselves."""

    name = "day tally"

    def __init__(self, scope: Scope, pace: Pace) -> None:
        self.scope, self._pace = scope, pace

    def stored(self, bucket: str) -> Counters:
        return self._by_day(Item.sk == bucket).get(bucket, {})

    def counted(self, bucket: str) -> Counters:
        first, last = ids_of(bucket)
        room_id = self.scope.room_id
        recordings = self._pace.read(
            RecordingItem,
            partition(self.scope.tenant_id, "REC"),
            sort_key=Item.sk.between(first, last),
            only=RecordingItem.room_id == room_id if room_id is not None else None,
        )
        total = Counter[str]()
        for item in recordings:
            total.update(difference(None, item.to_domain()))
        return total

    def all_stored(self) -> Mapping[str, Counters]:
        """Return the counters of every day."""
        return self._by_day(None)

    def add(self, transaction: Transaction, bucket: str, amounts: Counters) -> None:
        transaction.update(DayTallyItem.at(self.scope.tenant_id, self.scope.room_id, bucket), additions(amounts))

    def _by_day(self, day: Condition | None) -> Mapping[str, Counters]:
        items = self._pace.read(DayTallyItem, day_tally_key(self.scope.tenant_id, self.scope.room_id), sort_key=day)
        return {item.sk: {name: getattr(item, name) or 0 for name in DAY_COUNTERS} for item in items}


DAY_COUNTERS: Final = ("total", *(f"status_{status}" for status in Status), "seconds", "bytes")


def lifted(below: Mapping[str, Counters]) -> dict[str, Counter[str]]:
    """Return the counters, by bucket, that belong to those of the level below."""
    above: dict[str, Counter[str]] = defaultdict(Counter)
    for bucket, counters in below.items():
        for name, amount in counters.items():
            # A day's seconds and bytes are not counted above it.
            if (parsed := parse_counter(name)) is not None:
                above[bucket[:-3]][counter_of(bucket[-2:], parsed[1])] += amount
    return above


def counters_of_rows(level: Level, rows: Iterable[tuple[Status, AnyRow]]) -> Counters:
    """Return the counters that tallies of a level should have for rows of one bucket."""
    counters = Counter[str]()
    for status, row in rows:
        count_row(counters, level, status, row)
    return counters


def count_row(counters: Counter[str], level: Level, status: Status, row: AnyRow) -> None:
    """Add a row to the counters of its bucket."""
    counters[counter_of(level.child_of(created_at(row.sk)), status)] += 1
    if level is Level.DAY:
        counters["seconds"] += row.duration_seconds or 0
        counters["bytes"] += row.size_bytes or 0


def ids_of(day: str) -> tuple[str, str]:
    """Return the first and the last id that a recording of a day can have."""
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    last = ULID.from_datetime(start + timedelta(days=1) - timedelta(milliseconds=1))
    return f"rec_{str(ULID.from_datetime(start))[:10]}", f"rec_{str(last)[:10]}{'Z' * 16}"
