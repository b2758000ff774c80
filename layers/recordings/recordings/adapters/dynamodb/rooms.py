"""Rooms with their locks, the meetings that they hold, and the locks under which rooms are created."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pynamodb.expressions.condition import Condition

from recordings.adapters.dynamodb.actors import current_actor
from recordings.adapters.dynamodb.audit import tenant_item
from recordings.adapters.dynamodb.idempotency import released_if_unknown
from recordings.adapters.dynamodb.items import TenantItem
from recordings.adapters.dynamodb.keys import LINK, is_sort_key, partition
from recordings.adapters.dynamodb.layout import establish_layout
from recordings.adapters.dynamodb.meeting_items import MeetingLinkItem
from recordings.adapters.dynamodb.queries import get_item, query_page
from recordings.adapters.dynamodb.recording_reads import blocker_of
from recordings.adapters.dynamodb.retry_queue import meeting_retry_item
from recordings.adapters.dynamodb.room_items import CreationLockItem, RoomItem, RoomNameItem
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.adapters.dynamodb.writes import delete_item, update_item
from recordings.domain.errors import (
    ConcurrentUpdate,
    MeetingInUse,
    RoomAlreadyRecording,
    RoomIsRecording,
    RoomNotFound,
    Throttled,
)
from recordings.domain.room import Room
from recordings.ports.repositories import Page
from recordings.request_context import cleanup

if TYPE_CHECKING:
    from recordings.domain.meeting import MeetingOwnership

CREATION_LOCK_TTL: Final = timedelta(hours=24)


class _Held(Exception):
    """Another call holds the creation lock."""

    def __init__(self, lock: CreationLockItem | None) -> None:
        super().__init__()
        self.lock = lock


class DynamoRooms:
    """Implements ports.repositories.Rooms."""

    def add(self, room: Room, *, adopted: bool = False, sync_meeting: bool = False) -> Room:
        room = replace(room, changed_by=current_actor())
        known = self.find_meeting_ownership(room.meeting_id) if adopted else None
        taken = _begin_ownership(room, adopted=adopted) if known is None else known.taken_by(room)
        tenant = tenant_item(room.tenant_id)
        is_first = get_item(TenantItem, tenant.pk, tenant.sk) is None
        if is_first:
            establish_layout()
        with Transaction() as transaction:
            transaction.save(
                RoomItem.from_domain(room),
                RoomItem.pk.does_not_exist(),
                otherwise=lambda _: ConcurrentUpdate(
                    f"another call created room {room.id} first; send the request again"
                ),
            )
            _save_ownership(transaction, known, taken, lambda _: MeetingInUse())
            transaction.delete(_creation_lock(room.tenant_id, room.id))
            if adopted or sync_meeting:
                transaction.save(meeting_retry_item(room.meeting_id))
            if is_first:
                # Rooms of a tenant that are created at the same time must not conflict on this item.
                transaction.update(tenant, [TenantItem.tenant_id.set(room.tenant_id)])
        return room

    def get(self, tenant_id: str, room_id: str) -> Room:
        item = get_item(RoomItem, partition(tenant_id, "ROOM"), room_id)
        if item is None:
            raise RoomNotFound("there is no such room")
        return item.to_domain()

    def find_last_name(self, tenant_id: str, room_id: str) -> str | None:
        room = get_item(RoomItem, partition(tenant_id, "ROOM"), room_id)
        if room is not None:
            return room.name
        deleted = get_item(RoomNameItem, partition(tenant_id, "ROOMNAME"), room_id)
        return deleted.name if deleted is not None else None

    def save(self, before: Room, after: Room, *, lease_nonce: str | None = None) -> Room:
        actor = current_actor()

        def changed(_: object) -> Exception:
            return ConcurrentUpdate(f"another call changed room {before.id} first; send the request again")

        actions = [
            RoomItem.name.set(after.name),
            RoomItem.meeting_id.set(after.meeting_id),
            RoomItem.record_on_start.set(after.record_on_start),
            RoomItem.updated_at.set(after.updated_at),
            RoomItem.version.set(after.version),
            RoomItem.changed_by.set(actor),
        ]
        condition = RoomItem.version == before.version
        if lease_nonce is not None:
            actions += [RoomItem.lease_nonce.remove(), RoomItem.lease_until.remove()]
            condition &= RoomItem.lease_nonce == lease_nonce
        with Transaction() as transaction:
            transaction.update(RoomItem.at(before.tenant_id, before.id), actions, condition, otherwise=changed)
            if before.meeting_id != after.meeting_id:
                known = self.find_meeting_ownership(after.meeting_id)
                taken = _begin_ownership(after, adopted=True) if known is None else known.taken_by(after)
                _save_ownership(transaction, known, taken, lambda _: MeetingInUse())
                self._release_meeting(transaction, before, after.updated_at, changed)
                transaction.save(meeting_retry_item(after.meeting_id))
                transaction.save(meeting_retry_item(before.meeting_id))
            elif before.record_on_start is not after.record_on_start:
                transaction.save(meeting_retry_item(after.meeting_id))
        return replace(after, changed_by=actor)

    def _release_meeting(
        self, transaction: Transaction, room: Room, at: datetime, otherwise: Callable[[object], Exception]
    ) -> None:
        """Release the meeting of a room. Its tenant stays the owner."""
        held = self.find_meeting_ownership(room.meeting_id)
        released = held.released_by(room, at=at) if held is not None else None
        # A link to another room belongs to that room.
        if held is not None and released is not None and released is not held:
            _save_ownership(transaction, held, released, otherwise)

    def remove(self, room: Room, *, lease_nonce: str | None = None) -> None:
        def error(held: RoomItem | None) -> Exception:
            if held is None:
                return RoomNotFound("there is no such room")
            if held.version != room.version:
                return ConcurrentUpdate(f"another call changed room {room.id} first; send the request again")
            return RoomIsRecording(blocker=blocker_of(held))

        def changed(_: object) -> Exception:
            return ConcurrentUpdate(f"another call changed the meeting of room {room.id} first; send the request again")

        now = datetime.now(UTC).replace(microsecond=0)
        if lease_nonce is None:
            free = RoomItem.lease_until.does_not_exist() | (RoomItem.lease_until <= now)
        else:
            free = RoomItem.lease_nonce == lease_nonce
        with Transaction() as transaction:
            transaction.delete(
                RoomItem.at(room.tenant_id, room.id),
                (RoomItem.version == room.version) & RoomItem.active_recording_id.does_not_exist() & free,
                otherwise=error,
            )
            self._release_meeting(transaction, room, now, changed)
            transaction.save(meeting_retry_item(room.meeting_id))
            # The room's recordings still show the name.
            transaction.save(_last_name(room))

    def list(self, tenant_id: str, *, limit: int, cursor: str | None = None) -> Page[Room]:
        # A cursor is a sort key only: it cannot lead to another tenant's rooms.
        items, further = query_page(RoomItem, partition(tenant_id, "ROOM"), of="rooms", limit=limit, cursor=cursor)
        return Page([item.to_domain() for item in items], further)

    def acquire_creation_lock(
        self, tenant_id: str, room_id: str, *, nonce: str, now: datetime, until: datetime
    ) -> str | None:
        lock = CreationLockItem
        expired = (lock.lease_until <= now) & lock.meeting_id.does_not_exist()
        try:
            with released_if_unknown(lambda: self.release_creation_lock(tenant_id, room_id, nonce=nonce)):
                update_item(
                    _creation_lock(tenant_id, room_id),
                    [
                        lock.nonce.set(nonce),
                        lock.lease_until.set(until),
                        lock.expires_at.set(until + CREATION_LOCK_TTL),
                    ],
                    # The nonce is this call's own: botocore repeats a write whose response was lost.
                    lock.lease_until.does_not_exist() | expired | (lock.nonce == nonce),
                    otherwise=_Held,
                )
        except _Held as held:
            if held.lock is not None and held.lock.meeting_id is not None:
                return held.lock.meeting_id
            raise Throttled(
                "another call is creating this room; send the request again in a moment", retry_after=1
            ) from held.__cause__
        return None

    @cleanup
    def note_meeting(self, tenant_id: str, room_id: str, *, nonce: str, meeting_id: str) -> None:
        lock = _creation_lock(tenant_id, room_id)
        try:
            update_item(lock, [CreationLockItem.meeting_id.set(meeting_id)], CreationLockItem.nonce == nonce)
        except ConcurrentUpdate:
            # The lock expired, and another call creates a meeting of its own.
            return

    @cleanup
    def release_creation_lock(self, tenant_id: str, room_id: str, *, nonce: str) -> None:
        try:
            delete_item(_creation_lock(tenant_id, room_id), CreationLockItem.nonce == nonce)
        except ConcurrentUpdate:
            return

    def acquire_lock(self, tenant_id: str, room_id: str, *, nonce: str, now: datetime, until: datetime) -> Room:
        if not is_sort_key(room_id):
            raise RoomNotFound("there is no such room")
        with released_if_unknown(lambda: self.release_lock(tenant_id, room_id, nonce=nonce)):
            self._lease(tenant_id, room_id, nonce, now, until)
            return self.get(tenant_id, room_id)

    def _lease(self, tenant_id: str, room_id: str, nonce: str, now: datetime, until: datetime) -> None:
        def error(held: RoomItem | None) -> Exception:
            if held is None:
                return RoomNotFound("there is no such room")
            return RoomAlreadyRecording(
                "the room is already being recorded; stop that recording first", blocker=blocker_of(held)
            )

        lease = RoomItem.lease_until
        update_item(
            RoomItem.at(tenant_id, room_id),
            [RoomItem.lease_nonce.set(nonce), lease.set(until)],
            RoomItem.pk.exists()
            & RoomItem.active_recording_id.does_not_exist()
            # The nonce is this call's own: botocore repeats a write whose response was lost.
            & (lease.does_not_exist() | (lease <= now) | (RoomItem.lease_nonce == nonce)),
            otherwise=error,
        )

    @cleanup
    def release_lock(self, tenant_id: str, room_id: str, *, nonce: str) -> None:
        try:
            update_item(
                RoomItem.at(tenant_id, room_id),
                [RoomItem.lease_nonce.remove(), RoomItem.lease_until.remove()],
                RoomItem.lease_nonce == nonce,
            )
        except ConcurrentUpdate:
            # The lease expired and another call holds it, or a recording holds the room, or the room is gone.
            return

    def find_meeting_ownership(self, meeting_id: str) -> "MeetingOwnership | None":
        link = get_item(MeetingLinkItem, f"MEETING#{meeting_id}", LINK)
        return link.to_domain() if link is not None else None

    def find_by_meeting_id(self, meeting_id: str) -> Room | None:
        ownership = self.find_meeting_ownership(meeting_id)
        if ownership is None or ownership.holder is None:
            return None
        try:
            room = self.get(ownership.tenant_id, ownership.holder.room_id)
        except RoomNotFound:
            return None
        return room if room.meeting_id == meeting_id else None


def _last_name(room: Room) -> RoomNameItem:
    return RoomNameItem(partition(room.tenant_id, "ROOMNAME"), room.id, name=room.name, deleted_by=current_actor())


def _creation_lock(tenant_id: str, room_id: str) -> CreationLockItem:
    return CreationLockItem(partition(tenant_id, "CLAIM"), room_id)


def _begin_ownership(room: Room, *, adopted: bool) -> "MeetingOwnership":
    # Most functions read rooms and their recordings only, and need no ownership.
    from recordings.domain.meeting import MeetingOwnership

    return MeetingOwnership.begin(room, adopted=adopted)


def _save_ownership(
    transaction: Transaction,
    before: "MeetingOwnership | None",
    after: "MeetingOwnership",
    otherwise: Callable[[object], Exception],
) -> None:
    """Store an ownership if no other call stored one since `before` was read."""
    link = MeetingLinkItem
    if before is None:
        unchanged: Condition = link.pk.does_not_exist()
    elif before.version == 0:
        # A link of the first release has no version.
        unchanged = (
            link.version.does_not_exist()
            & (link.room_id == before.tenures[-1].room_id)
            & (link.tenant_id == before.tenant_id)
        )
    else:
        unchanged = link.version == before.version
    transaction.save(MeetingLinkItem.from_domain(after), unchanged, otherwise=otherwise)
