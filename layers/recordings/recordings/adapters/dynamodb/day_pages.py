"""Pages of recordings from day tallies and room lists: for a table whose rows are not complete yet.

The tallies show how many recordings each day has, so a page skips whole days and reads from the first day that it
shows. Not maintained: `row_pages` replaces it when the table is migrated.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Final, NamedTuple, Self

from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.page_reads import ReadPage
from recordings.adapters.dynamodb.queries import get_items, query_items
from recordings.adapters.dynamodb.recording_items import RecordingItem, RoomListItem, room_list_key
from recordings.adapters.dynamodb.tallies import list_days
from recordings.domain.listing import ListedRecording
from recordings.domain.recording import Recording
from recordings.domain.tally import day_of
from recordings.ports.repositories import Filter

# Later times cannot be computed with; no recording is that new.
MAX_TIME: Final = datetime(9999, 1, 1, tzinfo=UTC)
# A query that reads this many recordings too many costs less than another query.
MAX_UNWANTED: Final = 100
ROOM_LIST_BATCH_SIZE: Final = 50
CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Below and above every id.
FIRST_ID: Final = "rec_"
LAST_ID: Final = "rec_~"


def read_day_page(tenant_id: str, only: Filter, *, limit: int, offset: int, after: str | None) -> ReadPage:
    """Read a page: after the recording `after`, or else after `offset` recordings.

    Raises:
        Throttled, InfrastructureError
    """
    selection = _Selection(tenant_id, only, _Bounds.of(only))
    days: Sequence[_Day] = selection.days()
    total = sum(day.wanted for day in days)
    if after is not None:
        days, offset = _days_from(after, days), 0
        selection = _Selection(tenant_id, only, selection.bounds.before(after))
    else:
        days, offset = _skipped(days, offset)
    # One more than asked for shows whether there is a next page.
    most = offset + limit + 1
    found: list[Recording] = []
    for newest, oldest in _spans(days, most, exact=after is None):
        found += selection.within(newest, oldest).recordings(most - len(found))
        if len(found) >= most:
            break
    items = [ListedRecording.of(recording) for recording in found[offset : offset + limit]]
    return ReadPage(items, total, has_more=len(found) >= most)


class _Day(NamedTuple):
    """How many recordings a day has, and how many of them the filter selects."""

    day: str
    total: int
    wanted: int


class _Bounds(NamedTuple):
    """Ids from `low` (included) to `high` (excluded). Both are shorter than an id, unless `high` is a cursor's."""

    low: str
    high: str

    @classmethod
    def of(cls, only: Filter) -> Self:
        """Return the ids of the filter's times."""
        low, high = FIRST_ID, LAST_ID
        if only.created_after is not None:
            whole = only.created_after.replace(microsecond=0)
            low = LAST_ID if whole > MAX_TIME else _lowest_id(whole + timedelta(seconds=1))
        if only.created_before is not None:
            whole = only.created_before.replace(microsecond=0)
            if whole <= MAX_TIME:
                high = _lowest_id(whole + timedelta(seconds=whole != only.created_before))
        return cls(low, max(low, high))

    def before(self, recording_id: str) -> "_Bounds":
        """Return the part that lies before an id."""
        return _Bounds(self.low, max(self.low, min(self.high, recording_id)))

    def within(self, newest: str, oldest: str) -> "_Bounds":
        """Return the part that lies in the days from `oldest` to `newest`, both included."""
        low = max(self.low, _lowest_id(_midnight(oldest)))
        return _Bounds(low, max(low, min(self.high, _lowest_id(_midnight(newest) + timedelta(days=1)))))

    def cuts(self, day: str) -> bool:
        """Return whether only a part of the day lies within."""
        return self.within(day, day) != _Bounds(FIRST_ID, LAST_ID).within(day, day)

    @property
    def is_empty(self) -> bool:
        return self.low >= self.high


class _Selection(NamedTuple):
    """The recordings of a tenant that a filter selects, between bounds."""

    tenant_id: str
    only: Filter
    bounds: _Bounds

    def within(self, newest: str, oldest: str) -> "_Selection":
        return _Selection(self.tenant_id, self.only, self.bounds.within(newest, oldest))

    def days(self) -> list[_Day]:
        """Return the days that have selected recordings, newest first, counted exactly."""
        names = [f"status_{status.value}" for status in self.only.statuses] or ["total"]
        days = []
        for tally in list_days(self.tenant_id, self.only.room_id):
            wanted = sum(getattr(tally, name) or 0 for name in names)
            if wanted and self.bounds.cuts(tally.sk):
                # The bounds cut two days at most; those are counted recording by recording.
                wanted = len(self.within(tally.sk, tally.sk).recordings(None))
            if wanted:
                days.append(_Day(tally.sk, tally.total or 0, wanted))
        return days

    def recordings(self, most: int | None) -> list[Recording]:
        """Read the newest `most` of them; None for all."""
        found: list[Recording] = []
        if self.bounds.is_empty:
            return found
        for item in self._of_tenant(most) if self.only.room_id is None else self._of_room(self.only.room_id):
            found.append(item.to_domain())
            if len(found) == most:
                break
        return found

    def _of_tenant(self, most: int | None) -> Iterator[RecordingItem]:
        statuses = self.only.statuses
        # With a filter the number of items that a request reads says nothing about the number that it returns.
        page_size = most + 1 if most is not None and not statuses else None
        items = query_items(
            RecordingItem,
            partition(self.tenant_id, "REC"),
            sort_key=RecordingItem.sk.between(self.bounds.low, self.bounds.high),
            only=RecordingItem.status.is_in(*statuses) if statuses else None,
            page_size=page_size,
            newest_first=True,
        )
        # DynamoDB includes both bounds.
        return (item for item in items if item.sk != self.bounds.high)

    def _of_room(self, room_id: str) -> Iterator[RecordingItem]:
        pk = partition(self.tenant_id, "REC")
        listed = query_items(
            RoomListItem,
            room_list_key(self.tenant_id, room_id),
            sort_key=RoomListItem.sk.between(self.bounds.low, self.bounds.high),
            newest_first=True,
        )
        ids = (item.sk for item in listed if item.sk != self.bounds.high)
        for some in batched(ids, ROOM_LIST_BATCH_SIZE, strict=False):
            items = {item.sk: item for item in get_items(RecordingItem, [(pk, recording_id) for recording_id in some])}
            # One that was deleted between the two reads is missing.
            found = (items[recording_id] for recording_id in some if recording_id in items)
            yield from (item for item in found if not self.only.statuses or item.status in self.only.statuses)


def _days_from(after: str, days: Sequence[_Day]) -> Sequence[_Day]:
    """Return the day of an id and the older ones."""
    first = _day_of_id(after)
    return [day for day in days if day.day <= first]


def _skipped(days: Sequence[_Day], offset: int) -> tuple[Sequence[_Day], int]:
    """Leave out the days that an offset skips whole; return the others, and the offset that is left."""
    for at, day in enumerate(days):
        if offset < day.wanted:
            return days[at:], offset
        offset -= day.wanted
    return [], offset


def _spans(days: Sequence[_Day], wanted: int, *, exact: bool) -> Iterator[tuple[str, str]]:
    """Group days into runs that one query reads, as (newest, oldest), until they have `wanted` recordings.

    A run ends before it reads more than MAX_UNWANTED that the filter does not select. `exact` is False if the first day
    is read from its middle on, so that it has an unknown number.
    """
    held, at = 0, 0
    while at < len(days):
        start, unwanted = at, 0
        while True:
            held += days[at].wanted if exact or at else 0
            unwanted += days[at].total - days[at].wanted
            at += 1
            if at == len(days) or held >= wanted or unwanted > MAX_UNWANTED:
                break
        yield days[start].day, days[at - 1].day


def _lowest_id(at: datetime) -> str:
    """Return the beginning of the lowest id of a time: its 48-bit milliseconds in Crockford's base 32 (ULID spec)."""
    rest = max(0, int(at.timestamp() * 1000))
    text = ""
    for _ in range(10):
        rest, digit = divmod(rest, 32)
        text = CROCKFORD[digit] + text
    return f"rec_{text}"


def _day_of_id(recording_id: str) -> str:
    milliseconds = 0
    for digit in recording_id[4:14]:
        milliseconds = milliseconds * 32 + CROCKFORD.index(digit)
    return day_of(datetime.fromtimestamp(milliseconds / 1000, UTC))


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00+00:00")
