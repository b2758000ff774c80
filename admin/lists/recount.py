"""Compare the rows and the tallies of a tenant with its recordings.

The first look reads every partition once and finds suspects: others write meanwhile. Then each suspect is read again: a
recording with its rows at one moment, a counter until two measures agree.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from admin.lists.ledgers import (
    Counters,
    DayTallies,
    Ledger,
    Scope,
    Tallies,
    count_row,
    lifted,
    measure,
)
from admin.lists.pace import Pace
from admin.lists.rows import LEVELS, AnyRow, Rows, created_at, read_rows, scope_of, shown
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.listing_items import RoomRowItem, RowItem, rows_key
from recordings.adapters.dynamodb.recording_items import RecordingItem
from recordings.adapters.dynamodb.room_items import RoomItem, RoomNameItem
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.domain.tally import Level, day_of, difference

# How many rows there are, and a sum that depends on what each of them is but not on their order.
type Digest = tuple[int, int]
type ByBucket = dict[str, Counter[str]]


@dataclass(frozen=True)
class WrongCounter:
    """A counter that is not what it counts. `excess` is what must be taken away once all rows are right."""

    ledger: Ledger
    bucket: str
    name: str
    stored: int
    counted: int
    excess: int


@dataclass
class Comparison:
    """What is wrong in the lists of a tenant. `unsettled` changed too often to be compared."""

    tenant_id: str
    recordings: int = 0
    wrong_rows: list[Rows] = field(default_factory=list)
    wrong_counters: list[WrongCounter] = field(default_factory=list)
    unsettled: list[tuple[Ledger, str]] = field(default_factory=list)

    @property
    def right(self) -> bool:
        return not (self.wrong_rows or self.wrong_counters or self.unsettled)


class Comparing:
    """Compares one tenant: its rows and tallies by calendar (`rows`), its day tallies (`days`), or both."""

    def __init__(self, tenant_id: str, pace: Pace, *, rows: bool, days: bool) -> None:
        self._tenant_id, self._pace, self._rows, self._days = tenant_id, pace, rows, days
        self._found = Comparison(tenant_id)
        # Recordings whose rows may be wrong, with the rooms that have them.
        self._suspects: dict[str, set[str]] = defaultdict(set)
        # What was counted on the way, by room (None: the tenant) and bucket.
        self._row_counters: dict[str | None, ByBucket] = defaultdict(lambda: defaultdict(Counter))
        self._day_counters: dict[str | None, ByBucket] = defaultdict(lambda: defaultdict(Counter))
        self._digests: dict[str, Digest] = defaultdict(lambda: (0, 0))

    def __call__(self) -> Comparison:
        """Compare.

        Raises:
            Throttled, InfrastructureError, Stopped
        """
        self._walk_tenant()
        rooms = sorted(self._rooms())
        if self._rows:
            wrong = [room_id for room_id in rooms if not self._walk_room(room_id)]
            if wrong:
                self._find_suspects_of(set(wrong))
            self._look_at_suspects()
        for room_id in (None, *rooms):
            scope = Scope(self._tenant_id, room_id)
            if self._rows:
                self._compare_tallies(scope)
            if self._days:
                ledger = DayTallies(scope, self._pace)
                suspects = _differences(ledger.all_stored(), self._day_counters[room_id])
                self._note(ledger, {}, *self._measure(ledger, suspects))
        return self._found

    # ------------------------------------------------------------ rows

    def _walk_tenant(self) -> None:
        """Compare the tenant's rows with its recordings, in the order of their ids."""
        recordings = ((item.sk, None, item) for item in self._pace.read(RecordingItem, self._live))
        streams: list[Iterable[tuple[str, Status | None, RecordingItem | AnyRow]]] = [recordings]
        if self._rows:
            streams += [self._tagged(RowItem, status, None) for status in Status]
        for recording_id, group in groupby(heapq.merge(*streams, key=lambda one: one[0]), key=lambda one: one[0]):
            recording: Recording | None = None
            rows: dict[Status, AnyRow] = {}
            for _, status, item in group:
                if status is None:
                    assert isinstance(item, RecordingItem)
                    recording = item.to_domain()
                    self._count(recording)
                elif not isinstance(item, RecordingItem):
                    rows[status] = item
                    count_row(self._row_counters[None][day_of(created_at(item.sk))], Level.DAY, status, item)
            if self._rows and not _fit(recording, rows):
                self._suspects[recording_id] |= {row.room_id for row in rows.values() if isinstance(row, RowItem)}

    def _walk_room(self, room_id: str) -> bool:
        """Count a room's rows. Return whether they are those of its recordings."""
        digest = (0, 0)
        for status in Status:
            for _, _, row in self._tagged(RoomRowItem, status, room_id):
                digest = _with(digest, row.sk, status, row)
                count_row(self._row_counters[room_id][day_of(created_at(row.sk))], Level.DAY, status, row)
        return digest == self._digests[room_id]

    def _find_suspects_of(self, rooms: set[str]) -> None:
        """Find the recordings whose rows in these rooms may be wrong."""
        rows: dict[tuple[str, str], dict[Status, AnyRow]] = defaultdict(dict)
        for room_id in rooms:
            for status in Status:
                for recording_id, _, row in self._tagged(RoomRowItem, status, room_id):
                    rows[recording_id, room_id][status] = row
        for item in self._pace.read(RecordingItem, self._live):
            if item.room_id in rooms and not _fit(item.to_domain(), rows.pop((item.sk, item.room_id), {})):
                self._suspects[item.sk].add(item.room_id)
        for recording_id, room_id in rows:
            self._suspects[recording_id].add(room_id)

    def _look_at_suspects(self) -> None:
        for recording_id, rooms in sorted(self._suspects.items()):
            rows = self._pace.run(lambda id=recording_id, of=rooms: read_rows(self._tenant_id, id, of))  # type: ignore[misc]
            if rows.recording is not None and rows.recording.room_id not in rooms:
                rooms.add(rows.recording.room_id)
                rows = self._pace.run(lambda id=recording_id, of=rooms: read_rows(self._tenant_id, id, of))  # type: ignore[misc]
            if not rows.right:
                self._found.wrong_rows.append(rows)

    def _tagged(
        self, cls: type[AnyRow], status: Status, room_id: str | None
    ) -> Iterator[tuple[str, Status | None, AnyRow]]:
        for row in self._pace.read(cls, rows_key(self._tenant_id, status, room_id)):
            yield row.sk, status, row

    def _count(self, recording: Recording) -> None:
        self._found.recordings += 1
        room_id = recording.room_id
        row = RoomRowItem.from_domain(recording)
        self._digests[room_id] = _with(self._digests[room_id], recording.id, recording.status, row)
        if self._days:
            counters = difference(None, recording)
            for one in (None, room_id):
                self._day_counters[one][day_of(recording.created_at)].update(counters)

    def _rooms(self) -> set[str]:
        """Return the rooms that have recordings, and those that may have had some."""
        rooms = {item.sk for item in self._pace.read(RoomItem, partition(self._tenant_id, "ROOM"))}
        deleted = {item.sk for item in self._pace.read(RoomNameItem, partition(self._tenant_id, "ROOMNAME"))}
        return rooms | deleted | set(self._digests)

    @property
    def _live(self) -> str:
        return partition(self._tenant_id, "REC")

    # ------------------------------------------------------------ tallies

    def _compare_tallies(self, scope: Scope) -> None:
        """Compare each level with the one below, the lowest with the rows."""
        below: Mapping[str, Counters] = self._row_counters.pop(scope.room_id, {})
        excess: ByBucket = {}
        clear = True
        for level in LEVELS:
            ledger = Tallies(scope, level, self._pace)
            stored = ledger.all_stored()
            wanted = below if ledger.below is None else lifted(below)
            measured, settled = self._measure(ledger, _differences(stored, wanted))
            clear = clear and settled
            # What is wrong below is wrong here too, but for what was found here.
            total: ByBucket = {} if ledger.below is None else lifted(excess)
            for bucket, counters in measured.items():
                total.setdefault(bucket, Counter()).update(counters)
            if clear or ledger.below is None:
                self._note(ledger, stored, total, clear)
            below, excess = stored, total

    def _measure(self, ledger: Ledger, suspects: Mapping[str, set[str]]) -> tuple[ByBucket, bool]:
        excess: ByBucket = {}
        settled = True
        for bucket, names in sorted(suspects.items()):
            measured = measure(ledger, bucket, names, self._pace.pause)
            excess[bucket] = Counter(measured.excess)
            if measured.unsettled:
                settled = False
                self._found.unsettled.append((ledger, bucket))
        return excess, settled

    def _note(self, ledger: Ledger, stored: Mapping[str, Counters], excess: ByBucket, settled: bool) -> None:
        """Note the counters that are wrong."""
        off = self._rows_off(ledger)
        for bucket in sorted({*excess, *off}):
            here = ledger.stored(bucket)
            for name in sorted({*excess.get(bucket, ()), *off.get(bucket, ())}):
                wrong = excess.get(bucket, Counter())[name]
                counted = here.get(name, 0) - wrong - off.get(bucket, Counter())[name]
                if wrong or counted != here.get(name, 0):
                    found = WrongCounter(ledger, bucket, name, here.get(name, 0), counted, wrong)
                    self._found.wrong_counters.append(found)

    def _rows_off(self, ledger: Ledger) -> ByBucket:
        """Return how many rows there are in a ledger's scope beyond the right ones, by bucket and counter."""
        off: ByBucket = defaultdict(Counter)
        if not isinstance(ledger, Tallies):
            return off
        for rows in self._found.wrong_rows:
            there = [(row, 1) for row in rows.superfluous] + [(row, -1) for row in rows.missing]
            there += [pair for row, right in rows.different for pair in ((row, 1), (right, -1))]
            for row, sign in there:
                status, room_id = scope_of(row)
                if room_id == ledger.scope.room_id:
                    one = Counter[str]()
                    count_row(one, ledger.level, status, row)
                    bucket = ledger.level.bucket_of(created_at(row.sk))
                    off[bucket].update({name: sign * amount for name, amount in one.items()})
        return off


def _differences(stored: Mapping[str, Counters], wanted: Mapping[str, Counters]) -> dict[str, set[str]]:
    """Return the counters that differ, by bucket."""
    found: dict[str, set[str]] = {}
    for bucket in {*stored, *wanted}:
        have, want = stored.get(bucket, {}), wanted.get(bucket, {})
        names = {name for name in {*have, *want} if have.get(name, 0) != want.get(name, 0)}
        if names:
            found[bucket] = names
    return found


def _fit(recording: Recording | None, rows: Mapping[Status, AnyRow]) -> bool:
    """Return whether a recording has its row, and no other."""
    if recording is None:
        return not rows
    row = rows.get(recording.status)
    if row is None or len(rows) != 1:
        return False
    right = RowItem.from_domain(recording) if isinstance(row, RowItem) else RoomRowItem.from_domain(recording)
    return shown(row) == shown(right)


def _with(digest: Digest, recording_id: str, status: Status, row: AnyRow) -> Digest:
    return digest[0] + 1, digest[1] ^ hash((recording_id, status, row.duration_seconds, row.size_bytes))
