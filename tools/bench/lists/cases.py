"""Filters, and the pages that are read with them."""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from recordings.domain.lifecycle import Status
from tools.bench.lists.data import Dataset

LIMIT: Final = 20
RANDOM_OFFSETS: Final = 60
# A cursor is followed over this many pages.
WALKED_PAGES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A filter, named as the tables name it. None or empty: no such filter."""

    name: str
    room_id: str | None = None
    statuses: tuple[Status, ...] = ()
    after: datetime | None = None
    before: datetime | None = None

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query parameters of the filter."""
        found = [("status", status.value) for status in self.statuses]
        if self.room_id is not None:
            found.append(("room_id", self.room_id))
        for name, at in (("created_after", self.after), ("created_before", self.before)):
            if at is not None:
                found.append((name, at.strftime("%Y-%m-%dT%H:%M:%SZ")))
        return found

    def span(self, dataset: Dataset) -> range:
        """Return the places of the recordings within the filter's times."""
        begin = 0 if self.after is None else bisect_right(dataset.times, int(self.after.timestamp()))
        end = len(dataset) if self.before is None else bisect_left(dataset.times, int(self.before.timestamp()))
        return range(begin, max(begin, end))

    def selected(self, dataset: Dataset) -> Sequence[int]:
        """Return the places of what the filter selects, newest first."""
        span = self.span(dataset)
        places: Sequence[int] = span
        if self.room_id is not None:
            of_room = dataset.of_room(self.room_id)
            places = of_room[bisect_left(of_room, span.start) : bisect_left(of_room, span.stop)]
        if self.statuses:
            statuses = {tuple(Status).index(status) for status in self.statuses}
            places = [at for at in places if dataset.statuses[at] in statuses]
        return places[::-1]


def all_cases(dataset: Dataset) -> list[Case]:
    """Return every kind of filter, with values that select something in each dataset."""
    busiest, quiet = dataset.room_ids[0], dataset.room_ids[-1]
    oldest = _odd_second(dataset, len(dataset) * 2 // 5)
    newest = _odd_second(dataset, len(dataset) * 4 // 5)
    day = dataset.greatest_day
    morning = _odd_second(dataset, day[len(day) // 4])
    evening = _odd_second(dataset, day[len(day) * 3 // 4]) + timedelta(seconds=2)
    final, failed, processing = (Status.READY, Status.ARCHIVED), (Status.FAILED,), (Status.PROCESSING,)
    return [
        Case(name="no filter"),
        Case(name="busiest room", room_id=busiest),
        Case(name="quiet room", room_id=quiet),
        Case(name="failed", statuses=failed),
        Case(name="processing", statuses=processing),
        Case(name="recording", statuses=(Status.RECORDING,)),
        Case(name="ready", statuses=(Status.READY,)),
        Case(name="archived", statuses=(Status.ARCHIVED,)),
        Case(name="failed or processing", statuses=failed + processing),
        Case(name="ready or archived", statuses=final),
        Case(name="all five statuses", statuses=tuple(Status)),
        Case(name="room + failed", room_id=busiest, statuses=failed),
        Case(name="room + ready or archived", room_id=busiest, statuses=final),
        Case(name="after", after=oldest),
        Case(name="before", before=newest),
        Case(name="after + before", after=oldest, before=newest),
        Case(name="both ends in the greatest day", after=morning, before=evening),
        Case(name="greatest day + ready or archived", after=morning, before=evening, statuses=final),
        Case(name="greatest day + room", after=morning, before=evening, room_id=busiest),
        Case(name="after + failed", after=oldest, statuses=failed),
        Case(name="all combined", room_id=busiest, statuses=(*final, *failed), after=oldest, before=newest),
        Case(name="all combined, greatest day", room_id=busiest, statuses=final, after=morning, before=evening),
    ]


def offsets(total: int, name: str, *, count: int = RANDOM_OFFSETS) -> list[int]:
    """Return the offsets that are read: 0, 1, 50 %, 99 %, the last, one behind it, and some at random."""
    edges = {0, 1, total // 2, total * 99 // 100, max(0, total - 1), total}
    return sorted(edges | _random_offsets(total, name, count))


def few_offsets(total: int, name: str, *, count: int) -> list[int]:
    """Return the offsets that are read where reading is slow: 0, 50 %, 99 %, and some at random."""
    return sorted({0, total // 2, total * 99 // 100} | _random_offsets(total, name, count))


def _random_offsets(total: int, name: str, count: int) -> set[int]:
    chance = random.Random(f"{name}-{total}")
    return {chance.randrange(total) for _ in range(count if total else 0)}


def _odd_second(dataset: Dataset, at: int) -> datetime:
    """Return a time near a recording's that cuts a minute and a quarter hour."""
    return datetime.fromtimestamp(dataset.times[at] // 60 * 60 + 37, UTC)
