"""What a plan of a page reads, in memory: rows and tallies of recordings, and what the reads cost."""

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from recordings.adapters.dynamodb.id_times import seconds_of
from recordings.adapters.dynamodb.page_plan import Plan, plan_page
from recordings.adapters.dynamodb.page_reads import (
    Answers,
    CountRead,
    FoundPage,
    PageQuery,
    RowsRead,
    TallyRead,
    Trip,
)
from recordings.adapters.dynamodb.timeline import Counters
from recordings.domain.lifecycle import Status
from recordings.domain.tally import Level, counter_of

# About what items need in the table.
UNIT_BYTES, ROW_BYTES, RECORDING_BYTES, KEY_BYTES, COUNTER_BYTES = 4096, 100, 1035, 70, 6


@dataclass
class Cost:
    trips: int = 0
    units: int = 0
    calls: int = 0


@dataclass
class MemoryListing:
    """The recordings of a tenant that are not deleted, of one of its rooms, or of all.

    `before_read` is called before each read of a trip, and may change the recordings.
    """

    statuses: dict[str, Status] = field(default_factory=dict)
    ids: dict[Status, list[str]] = field(default_factory=lambda: {status: [] for status in Status})
    tallies: dict[tuple[Level, str], Counter[str]] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    before_read: Callable[[], None] = lambda: None

    def add(self, recording_id: str, status: Status) -> None:
        self.statuses[recording_id] = status
        insort(self.ids[status], recording_id)
        self._count(recording_id, status, 1)

    def remove(self, recording_id: str) -> None:
        status = self.statuses.pop(recording_id)
        self.ids[status].remove(recording_id)
        self._count(recording_id, status, -1)

    def change(self, recording_id: str, status: Status) -> None:
        self.remove(recording_id)
        self.add(recording_id, status)

    def page(self, query: PageQuery) -> FoundPage[Status]:
        """Return the page that the planner finds, and add up its cost."""
        plan: Plan[Status, FoundPage[Status]] = plan_page(query)
        trip = next(plan)
        while True:
            self.cost.trips += 1
            try:
                trip = plan.send(self._answers(trip))
            except StopIteration as end:
                page: FoundPage[Status] = end.value
                return page

    def _answers(self, trip: Trip) -> Answers[Status]:
        return Answers(
            tallies={read: self._tallies(read) for read in trip.tallies},
            counts={read: self._counted(read) for read in trip.counts},
            rows={read: self._rows(read) for read in trip.rows},
        )

    def _tallies(self, read: TallyRead) -> Mapping[str, Counters]:
        self.before_read()
        found = {
            bucket: dict(counters)
            for (level, bucket), counters in self.tallies.items()
            if level is read.level and read.first <= bucket <= read.last
        }
        self._spend(sum(KEY_BYTES + COUNTER_BYTES * len(counters) for counters in found.values()))
        return found

    def _counted(self, read: CountRead) -> int:
        self.before_read()
        ids = self.ids[read.status]
        number = bisect_left(ids, read.times.highest_id) - bisect_left(ids, read.times.lowest_id)
        self._spend(ROW_BYTES * number)
        return number

    def _rows(self, read: RowsRead) -> Mapping[str, Status]:
        self.before_read()
        ids = self.ids[read.status] if read.status is not None else sorted(self.statuses)
        found = ids[bisect_left(ids, read.low) : bisect_right(ids, read.high)]
        if read.newest_first:
            found.reverse()
        found = found[: read.limit]
        self._spend((ROW_BYTES if read.status is not None else RECORDING_BYTES) * len(found))
        return {one: self.statuses[one] for one in found}

    def _spend(self, size: int) -> None:
        self.cost.calls += 1
        self.cost.units += max(1, math.ceil(size / UNIT_BYTES))

    def _count(self, recording_id: str, status: Status, amount: int) -> None:
        at = datetime.fromtimestamp(seconds_of(recording_id), UTC)
        for level in Level:
            counters = self.tallies.setdefault((level, level.bucket_of(at)), Counter())
            counters[counter_of(level.child_of(at), status)] += amount
