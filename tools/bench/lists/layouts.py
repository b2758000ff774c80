"""The items that the recordings have in the table: as their writers leave them, and no larger.

Recordings and rows are made when they are read, because a million items take gigabytes. Tallies have counters at zero:
a recording leaves one in each status that it has been in.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Final

from recordings.adapters.dynamodb.connection import Item
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.layout import LAYOUT_KEY, Layout
from recordings.adapters.dynamodb.listing_items import (
    TALLY_ITEMS,
    LayoutItem,
    RoomRowItem,
    RowItem,
    TallyItem,
    rows_key,
    tally_key,
)
from recordings.adapters.dynamodb.recording_items import (
    DayTallyItem,
    RecordingItem,
    RoomListItem,
    day_tally_key,
    room_list_key,
)
from recordings.domain.lifecycle import Status
from recordings.domain.tally import Level, counter_of, day_of
from tools.bench.dynamodb.expressions import Value
from tools.bench.dynamodb.table import MemoryTable, StoredPartition
from tools.bench.lists.data import NONE, PATHS, STATUSES, TENANT, Dataset
from tools.bench.units import StoredItem, item_size, number_size

# Tallies of a day in which so many recordings begin have been written side by side.
BUSY_DAY: Final = 2000
BUSY_PARTS: Final = 4
SECONDS_OF_DAY: Final = 86_400
QUARTER_SECONDS: Final = 900


class MadePartition:
    """A partition whose items are made from the recordings when they are read.

    `places` are the recordings' places in the dataset, oldest first. Items of one shape have one size: `shape` names
    what a size depends on.
    """

    def __init__(
        self, dataset: Dataset, places: Sequence[int], make: Callable[[int], Item], shape: Callable[[int], object]
    ) -> None:
        ids = dataset.ids
        self.sort_keys: Sequence[str] = ids if isinstance(places, range) else [ids[at] for at in places]
        self._dataset, self._places, self._shape = dataset, places, shape
        self._sizes: dict[object, int] = {}
        # The most that one page has, twice.
        self._made = lru_cache(2048)(lambda place: make(place).serialize())

    def item(self, at: int) -> StoredItem:
        item: StoredItem = self._made(self._places[at])
        return item

    def size(self, at: int) -> int:
        place = self._places[at]
        shape = self._shape(place)
        size = self._sizes.get(shape)
        if size is None:
            size = self._sizes[shape] = item_size(self._made(place))
        return size

    def attribute(self, at: int, name: str) -> Value | None:
        if name == "status":
            return {"S": self._dataset.status(self._places[at]).value}
        if name == "room_id":
            return {"S": self._dataset.room_id(self._places[at])}
        return self.item(at).get(name)


class LazyPartitions(dict[str, Any]):
    """Partitions that are made when they are first read."""

    def __init__(self) -> None:
        super().__init__()
        self.makers: dict[str, Callable[[], Any]] = {}

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self and key in self.makers:
            self[key] = self.makers[key]()
        return super().get(key, default)


def day_table(dataset: Dataset) -> MemoryTable:
    """Return a table in the earlier layout: recordings, lists of rooms, and tallies by day."""
    table, makers = _table(dataset)
    table.put(_layout_item(Layout.DAYS))
    makers[day_tally_key(TENANT, None)] = lambda: _day_tallies(dataset, None)
    for room_id in dataset.room_ids:
        makers[day_tally_key(TENANT, room_id)] = partial(_day_tallies, dataset, room_id)
        makers[room_list_key(TENANT, room_id)] = partial(_room_list, dataset, room_id)
    return table


def row_table(dataset: Dataset, *, parts: int = BUSY_PARTS) -> MemoryTable:
    """Return a table in the layout of now: recordings, rows, and tallies by year, month and day.

    `parts` is how many items the tenant's tallies of a busy time have.
    """
    table, makers = _table(dataset)
    table.put(_layout_item(Layout.ROWS))
    for status in Status:
        makers[rows_key(TENANT, status)] = partial(_rows, dataset, status, None)
        for room_id in dataset.room_ids:
            makers[rows_key(TENANT, status, room_id)] = partial(_rows, dataset, status, room_id)
    for level in Level:
        makers[tally_key(level, TENANT)] = partial(_tallies, dataset, level, None, parts)
        for room_id in dataset.room_ids:
            makers[tally_key(level, TENANT, room_id)] = partial(_tallies, dataset, level, room_id, 1)
    return table


def recordings_partition(dataset: Dataset) -> MadePartition:
    """Return the partition of the tenant's recordings."""

    def shape(at: int) -> object:
        return dataset.statuses[at], dataset.rooms[at], _digits(dataset.durations[at]), _digits(dataset.sizes[at])

    return MadePartition(
        dataset, range(len(dataset)), lambda at: RecordingItem.from_domain(dataset.recording(at)), shape
    )


def _table(dataset: Dataset) -> tuple[MemoryTable, dict[str, Callable[[], Any]]]:
    table, partitions = MemoryTable(), LazyPartitions()
    table.partitions = partitions
    partitions.makers[partition(TENANT, "REC")] = partial(recordings_partition, dataset)
    return table, partitions.makers


def _layout_item(layout: Layout) -> StoredItem:
    item: StoredItem = LayoutItem(
        *LAYOUT_KEY, state=layout.value, since=datetime.fromisoformat("2026-01-06T00:00:00Z")
    ).serialize()
    return item


def _places(dataset: Dataset, room_id: str | None) -> Sequence[int]:
    return range(len(dataset)) if room_id is None else dataset.of_room(room_id)


def _rows(dataset: Dataset, status: Status, room_id: str | None) -> MadePartition:
    cls = RowItem if room_id is None else RoomRowItem
    places = [at for at in _places(dataset, room_id) if dataset.status(at) is status]

    def shape(at: int) -> object:
        return dataset.rooms[at], _digits(dataset.durations[at]), _digits(dataset.sizes[at])

    return MadePartition(dataset, places, lambda at: cls.from_domain(dataset.recording(at)), shape)


def _room_list(dataset: Dataset, room_id: str) -> MadePartition:
    return MadePartition(
        dataset, dataset.of_room(room_id), lambda at: RoomListItem.from_domain(dataset.recording(at)), lambda _: None
    )


def _digits(number: int) -> int:
    return NONE if number == NONE else number_size(str(number))


def _day_tallies(dataset: Dataset, room_id: str | None) -> StoredPartition:
    days: dict[str, dict[str, int]] = {}
    for created_at, status, live, seconds, size in _counted(dataset, room_id):
        counters = days.setdefault(day_of(created_at), {})
        for name, amount in (("total", live), ("seconds", seconds), ("bytes", size)):
            counters[name] = counters.get(name, 0) + amount
        for one in PATHS[status]:
            counters[f"status_{one.value}"] = counters.get(f"status_{one.value}", 0) + (live if one is status else 0)
    found = StoredPartition()
    for day, counters in sorted(days.items()):
        item = DayTallyItem.at(TENANT, room_id, day)
        for name, amount in counters.items():
            setattr(item, name, amount)
        found.put(item.serialize())
    return found


def _tallies(dataset: Dataset, level: Level, room_id: str | None, most_parts: int) -> StoredPartition:
    cls = TALLY_ITEMS[level]
    busy = _busy_buckets(dataset, level) if most_parts > 1 else frozenset()
    items: dict[tuple[str, int], dict[str, int]] = {}
    for number, (created_at, status, live, seconds, size) in enumerate(_counted(dataset, room_id)):
        bucket, child = level.bucket_of(created_at), level.child_of(created_at)
        counters = items.setdefault((bucket, number % (most_parts if bucket in busy else 1)), {})
        for one in PATHS[status]:
            name = counter_of(child, one)
            counters[name] = counters.get(name, 0) + (live if one is status else 0)
        if level is Level.DAY:
            counters["seconds"] = counters.get("seconds", 0) + seconds
            counters["bytes"] = counters.get("bytes", 0) + size
    found = StoredPartition()
    for (bucket, part), counters in sorted(items.items()):
        found.put(_tally(cls, room_id, bucket, part, counters))
    return found


def _tally(
    cls: type[TallyItem], room_id: str | None, bucket: str, part: int, counters: Mapping[str, int]
) -> StoredItem:
    item = cls.at(TENANT, room_id, bucket, part).serialize()
    return item | {name: {"N": str(amount)} for name, amount in counters.items()}


def _busy_buckets(dataset: Dataset, level: Level) -> frozenset[str]:
    """Return the buckets that have a day in which so many recordings began that transactions met."""
    counts = Counter(at // SECONDS_OF_DAY for at in dataset.times)
    days = (datetime.fromtimestamp(day * SECONDS_OF_DAY, UTC) for day, count in counts.items() if count >= BUSY_DAY)
    return frozenset(level.bucket_of(day) for day in days)


def _counted(dataset: Dataset, room_id: str | None) -> Iterator[tuple[datetime, Status, int, int, int]]:
    """Return what the counters count, for each quarter hour and last status: how many, their seconds and bytes.

    Nothing is finer than a quarter hour. A million recordings have a quarter of a million of them.
    """
    groups: dict[int, list[int]] = {}
    times, statuses, durations, sizes = dataset.times, dataset.statuses, dataset.durations, dataset.sizes
    for at in _places(dataset, room_id):
        group = groups.setdefault(times[at] // QUARTER_SECONDS * len(STATUSES) + statuses[at], [0, 0, 0])
        group[0] += 1
        group[1] += max(0, durations[at])
        group[2] += max(0, sizes[at])
    for key, (live, seconds, size) in groups.items():
        quarter, status = divmod(key, len(STATUSES))
        yield datetime.fromtimestamp(quarter * QUARTER_SECONDS, UTC), STATUSES[status], live, seconds, size
    for deleted in dataset.deleted:
        if room_id is None or deleted.room_id == room_id:
            yield deleted.created_at, deleted.status, 0, 0, 0
