"""What the planner of pages asks for, and what it receives. The reads of a trip do not wait for one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from recordings.adapters.dynamodb.id_times import Seconds
from recordings.adapters.dynamodb.timeline import Counters
from recordings.domain.lifecycle import Status
from recordings.domain.listing import ListedRecording
from recordings.domain.tally import Level

ALL_STATUSES: Final = frozenset(Status)


class ReadPage(NamedTuple):
    """Recordings, newest first, the total of the filter, and whether there are older ones."""

    items: Sequence[ListedRecording]
    total: int
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """The page that is wanted: of a tenant, or of one of its rooms.

    It begins after the recording `after`, or else after `offset` recordings. `bounds` are not empty.
    """

    of_room: bool
    statuses: frozenset[Status]
    bounds: Seconds
    limit: int
    offset: int = 0
    after: str | None = None

    @property
    def has_all_statuses(self) -> bool:
        return self.statuses == ALL_STATUSES


class TallyRead(NamedTuple):
    """The tallies of the buckets from `first` to `last`, both included."""

    level: Level
    first: str
    last: str


class CountRead(NamedTuple):
    """The number of rows of a status."""

    status: Status
    times: Seconds


class RowsRead(NamedTuple):
    """The rows of a status whose ids lie between two texts. A status of None reads the tenant's recordings instead."""

    status: Status | None
    low: str
    high: str
    limit: int
    newest_first: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """Reads that are sent at the same time."""

    tallies: Sequence[TallyRead] = ()
    counts: Sequence[CountRead] = ()
    rows: Sequence[RowsRead] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers[R]:
    """The answers to the reads of a trip: counters by bucket, numbers, and rows by id, in the order of the read."""

    tallies: Mapping[TallyRead, Mapping[str, Counters]] = field(default_factory=dict)
    counts: Mapping[CountRead, int] = field(default_factory=dict)
    rows: Mapping[RowsRead, Mapping[str, R]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPage[R]:
    """Rows by id, newest first, and the exact total of the filter."""

    rows: Mapping[str, R] = field(default_factory=dict)
    total: int = 0
    has_more: bool = False
