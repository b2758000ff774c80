"""The items of rooms and of the meetings that they hold.

room             T#<tenant>#ROOM          <room id>        holds the lock
name of a room   T#<tenant>#ROOMNAME      <room id>        of one that was deleted
creation lock    T#<tenant>#CLAIM         <room id>        while a room's meeting is created
meeting link     MEETING#<meeting id>     LINK             who owns a meeting, for ever, and which room holds it
"""

from typing import Any, Self

from pynamodb.attributes import BooleanAttribute, ListAttribute, TTLAttribute, UnicodeAttribute

from recordings.adapters.dynamodb.attributes import InstantAttribute, IntegerAttribute
from recordings.adapters.dynamodb.connection import Item, NullKeepingMap
from recordings.adapters.dynamodb.keys import LINK, partition
from recordings.domain.meeting import MeetingOwnership, Tenure
from recordings.domain.room import Room


class RoomItem(Item, discriminator="room"):
    tenant_id = UnicodeAttribute()
    name = UnicodeAttribute()
    meeting_id = UnicodeAttribute()
    record_on_start = BooleanAttribute()
    created_at = InstantAttribute()
    updated_at = InstantAttribute()
    active_recording_id = UnicodeAttribute(null=True)
    lease_nonce = UnicodeAttribute(null=True)
    lease_until = InstantAttribute(null=True)
    version = IntegerAttribute()

    @classmethod
    def at(cls, tenant_id: str, room_id: str) -> Self:
        """Return an item with the room's key, for updates."""
        return cls(partition(tenant_id, "ROOM"), room_id)

    @classmethod
    def from_domain(cls, room: Room) -> Self:
        """Return the item of a new room, which nothing holds."""
        return cls(
            partition(room.tenant_id, "ROOM"),
            room.id,
            tenant_id=room.tenant_id,
            name=room.name,
            meeting_id=room.meeting_id,
            record_on_start=room.record_on_start,
            created_at=room.created_at,
            updated_at=room.updated_at,
            version=room.version,
        )

    def to_domain(self) -> Room:
        return Room(
            id=self.sk,
            tenant_id=self.tenant_id,
            name=self.name,
            meeting_id=self.meeting_id,
            record_on_start=self.record_on_start,
            created_at=self.created_at,
            updated_at=self.updated_at,
            active_recording_id=self.active_recording_id,
            lease_nonce=self.lease_nonce,
            lease_until=self.lease_until,
            version=self.version,
        )


class RoomNameItem(Item, discriminator="room_name"):
    name = UnicodeAttribute()


class CreationLockItem(Item, discriminator="creation_lock"):
    nonce = UnicodeAttribute()
    lease_until = InstantAttribute()
    meeting_id = UnicodeAttribute(null=True)
    expires_at = TTLAttribute(null=True)


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
    def from_domain(cls, ownership: MeetingOwnership) -> Self:
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

    def to_domain(self) -> MeetingOwnership:
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
