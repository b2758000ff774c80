"""The items of meetings.

meeting link     MEETING#<meeting id>     LINK             who owns a meeting, for ever, and which room holds it
"""

from typing import TYPE_CHECKING, Any, Self

from pynamodb.attributes import ListAttribute, UnicodeAttribute

from recordings.adapters.dynamodb.attributes import InstantAttribute, IntegerAttribute
from recordings.adapters.dynamodb.connection import Item, NullKeepingMap
from recordings.adapters.dynamodb.keys import LINK

if TYPE_CHECKING:
    from recordings.domain.meeting import MeetingOwnership


class TenureMap(NullKeepingMap):
    room_id = UnicodeAttribute()
    room_name = UnicodeAttribute(null=True)
    since = InstantAttribute(null=True)
    until = InstantAttribute(null=True)


class MeetingLinkItem(Item, discriminator="meeting_link"):
    keeps_nulls = True
    # Named while a room holds the meeting: what reads links of the first release reads these too.
    omitted = frozenset({"room_id"})

    tenant_id = UnicodeAttribute()
    owned_since = InstantAttribute(null=True)
    tenures: ListAttribute[Any] = ListAttribute(of=TenureMap, null=True)
    room_id = UnicodeAttribute(null=True)
    version = IntegerAttribute(null=True)

    @classmethod
    def from_domain(cls, ownership: "MeetingOwnership") -> Self:
        return cls(
            f"MEETING#{ownership.meeting_id}",
            LINK,
            tenant_id=ownership.tenant_id,
            owned_since=ownership.owned_since,
            tenures=[
                TenureMap(room_id=one.room_id, room_name=one.room_name, since=one.since, until=one.until)
                for one in ownership.tenures
            ],
            room_id=ownership.holder.room_id if ownership.holder is not None else None,
            version=ownership.version,
        )

    def to_domain(self) -> "MeetingOwnership":
        # Functions that only read rooms and recordings have no other use of this module.
        from recordings.domain.meeting import MeetingOwnership, Tenure

        # Links of the first release name the room alone, and no time: theirs is whatever was recorded in the meeting.
        tenures = tuple(
            Tenure(room_id=one.room_id, room_name=one.room_name, since=one.since, until=one.until)
            for one in self.tenures or ()
        )
        return MeetingOwnership(
            meeting_id=self.pk.removeprefix("MEETING#"),
            tenant_id=self.tenant_id,
            tenures=tenures or (Tenure(room_id=self.room_id or ""),),
            owned_since=self.owned_since,
            version=self.version or 0,
        )
