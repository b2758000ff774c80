"""The items of rooms.

room             T#<tenant>#ROOM          <room id>        holds the lock
name of a room   T#<tenant>#ROOMNAME      <room id>        of one that was deleted
creation lock    T#<tenant>#CLAIM         <room id>        while a room's meeting is created
"""

from typing import Self

from pynamodb.attributes import BooleanAttribute, TTLAttribute, UnicodeAttribute

from recordings.adapters.dynamodb.attributes import ActorAttribute, InstantAttribute, IntegerAttribute
from recordings.adapters.dynamodb.connection import Item
from recordings.adapters.dynamodb.keys import partition
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
    # Versions of earlier releases lack it.
    changed_by = ActorAttribute(attr_name="by", null=True)

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
            changed_by=room.changed_by,
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
            changed_by=self.changed_by,
        )


class RoomNameItem(Item, discriminator="room_name"):
    name = UnicodeAttribute()
    # Who deleted the room. Items of earlier releases lack it.
    deleted_by = ActorAttribute(attr_name="by", null=True)


class CreationLockItem(Item, discriminator="creation_lock"):
    nonce = UnicodeAttribute()
    lease_until = InstantAttribute()
    meeting_id = UnicodeAttribute(null=True)
    expires_at = TTLAttribute(null=True)
