"""The items that lists of recordings are read from. Only recordings that are not deleted have rows and are counted.

row          T#<tenant>#ROWS#<status>          rec_<ULID>     the fields that a list shows
room row     T#<tenant>#ROWS#<status>#<room>   rec_<ULID>     the same, of one room
year tally   T#<tenant>#YEARS                  2026#00        a tenant's recordings of each month
year tally   T#<tenant>#YEARS#<room>           2026#00        a room's
month tally  T#<tenant>#MONTHS                 2026-01#00     a tenant's recordings of each day
month tally  T#<tenant>#MONTHS#<room>          2026-01#00     a room's
day counts   T#<tenant>#DAYS                   2026-01-06#00  a tenant's recordings of each quarter hour
day counts   T#<tenant>#DAYS#<room>            2026-01-06#00  a room's
layout       LAYOUT                            STATE          which items of lists are written and read

The number after `#` of a tally is its part: the counters of all parts of a bucket add up.
`domain.tally` names the counters.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self

from pynamodb.attributes import UnicodeAttribute
from pynamodb.constants import NUMBER
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from recordings.adapters.dynamodb.attributes import InstantAttribute, IntegerAttribute
from recordings.adapters.dynamodb.connection import Item
from recordings.adapters.dynamodb.keys import partition
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.domain.tally import Level

# A tenant's bucket has this many parts at most.
MAX_PARTS: Final = 64


class RowItem(Item, discriminator="row"):
    """What a list of a tenant shows of a recording. Its id is the sort key, its status is part of the partition key."""

    # Short names: a page pays for bytes.
    room_id = UnicodeAttribute(attr_name="room")
    duration_seconds = IntegerAttribute(attr_name="seconds", null=True)
    size_bytes = IntegerAttribute(attr_name="bytes", null=True)

    @classmethod
    def from_domain(cls, recording: Recording) -> Self:
        item = cls(rows_key(recording.tenant_id, recording.status), recording.id)
        item.room_id = recording.room_id
        item.duration_seconds, item.size_bytes = recording.duration_seconds, recording.size_bytes
        return item


class RoomRowItem(Item, discriminator="room_row"):
    """What a list of a room shows of a recording."""

    duration_seconds = IntegerAttribute(attr_name="seconds", null=True)
    size_bytes = IntegerAttribute(attr_name="bytes", null=True)

    @classmethod
    def from_domain(cls, recording: Recording) -> Self:
        item = cls(rows_key(recording.tenant_id, recording.status, recording.room_id), recording.id)
        item.duration_seconds, item.size_bytes = recording.duration_seconds, recording.size_bytes
        return item


class TallyItem(Item):
    """Base of the tallies: `counters` has every attribute that is not declared. A counter that is missing is zero."""

    level: ClassVar[Level]

    counters: Mapping[str, int] = MappingProxyType({})

    @classmethod
    def at(cls, tenant_id: str, room_id: str | None, bucket: str, part: int = 0) -> Self:
        """Return an item with the key of a part of a tenant's (`room_id` None) or a room's bucket."""
        return cls(tally_key(cls.level, tenant_id, room_id), f"{bucket}#{part:02}")

    @classmethod
    def _instantiate(cls, attribute_values: Mapping[str, dict[str, Any]]) -> Self:
        item = super()._instantiate(attribute_values)
        declared = cls.get_attributes()
        item.counters = {
            name: int(value[NUMBER])
            for name, value in attribute_values.items()
            if name not in declared and NUMBER in value
        }
        return item

    def _container_serialize(self, null_check: bool = True) -> dict[str, dict[str, Any]]:
        return {name: {NUMBER: str(n)} for name, n in self.counters.items()} | super()._container_serialize(null_check)

    @property
    def bucket(self) -> str:
        """The year, month or day that the item counts."""
        return self.sk.partition("#")[0]


class YearTallyItem(TallyItem, discriminator="year_tally"):
    level = Level.YEAR


class MonthTallyItem(TallyItem, discriminator="month_tally"):
    level = Level.MONTH


class DayCountsItem(TallyItem, discriminator="day_counts"):
    level = Level.DAY


class LayoutItem(Item, discriminator="layout"):
    state = UnicodeAttribute()
    since = InstantAttribute()


TALLY_ITEMS: Final[Mapping[Level, type[TallyItem]]] = {
    Level.YEAR: YearTallyItem,
    Level.MONTH: MonthTallyItem,
    Level.DAY: DayCountsItem,
}


def rows_key(tenant_id: str, status: Status, room_id: str | None = None) -> str:
    """Return the partition key of the rows of a tenant (`room_id` None) or a room in a status."""
    return partition(tenant_id, f"ROWS#{status.value}{_room(room_id)}")


def tally_key(level: Level, tenant_id: str, room_id: str | None = None) -> str:
    """Return the partition key of the tallies of a tenant (`room_id` None) or a room."""
    return partition(tenant_id, f"{level.name}S{_room(room_id)}")


def additions(counters: Mapping[str, int]) -> list[Action]:
    """Return the actions that add to counters. One that does not exist yet is zero."""
    return [Path(name).add(amount) for name, amount in counters.items()]


def _room(room_id: str | None) -> str:
    return f"#{room_id}" if room_id is not None else ""
