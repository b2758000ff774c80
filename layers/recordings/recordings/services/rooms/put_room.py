"""Create or update a room.

The room's right to a meeting is stored before anything at Cloudflare changes. A record-on-start that the caller names
is always sent to Cloudflare, because the result of earlier calls is not known.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from recordings.domain.errors import (
    ConcurrentUpdate,
    MeetingInUse,
    MeetingUnknown,
    ProviderNotFound,
    RecordingsError,
    RoomNotFound,
    ScopeMissing,
)
from recordings.domain.room import Room
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Rooms
from recordings.ports.system import Clock
from recordings.services.rooms.meeting_owner import SettleMeeting

if TYPE_CHECKING:
    from recordings.services.rooms.release_meeting import ReleaseMeeting

MAX_ATTEMPTS: Final = 5
# Longer than the function's time-out, so that the lock expires only if the call has died.
CREATION_LOCK_DURATION: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _RoomRequest:
    """The arguments of PutRoom."""

    name: str
    meeting_id: str | None
    record_on_start: bool | None
    may_adopt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRoom:
    """A room without a meeting gets a new one. The creation lock lets concurrent calls create one meeting only.

    `release_meeting` returns the service. Few calls change a room's meeting, so it is built by the first that does.
    """

    rooms: Rooms
    provider: RecordingProvider
    release_meeting: "Callable[[], ReleaseMeeting]"
    clock: Clock
    new_nonce: Callable[[], str]

    def __call__(
        self,
        *,
        tenant_id: str,
        room_id: str,
        name: str,
        meeting_id: str | None = None,
        record_on_start: bool | None = None,
        may_adopt: bool = False,
    ) -> tuple[Room, bool]:
        """Return the room, and whether it is new.

        `meeting_id` and `record_on_start` keep the present value if None, or take the default for a new room.
        `may_adopt`: whether the caller may name a meeting that the room does not hold.

        Raises:
            ScopeMissing: the caller names a meeting without the right to
            MeetingInUse: another room or another tenant holds the meeting
            MeetingUnknown: Cloudflare has no such meeting
            RoomIsRecording: the room changes its meeting, and a recording runs in the old one
            ConcurrentUpdate: other calls changed the room at the same time
            ProviderFailure: Cloudflare did not do what it was asked for
            Throttled: another call creates this room, or there is more to import than one call can
        """
        asked = _RoomRequest(name, meeting_id, record_on_start, may_adopt)
        for attempt in range(MAX_ATTEMPTS):
            try:
                before = self.rooms.get(tenant_id, room_id)
            except RoomNotFound:
                before = None
            try:
                if before is None:
                    return self._create(tenant_id, room_id, asked), True
                if asked.meeting_id in (None, before.meeting_id):
                    return self._update(before, asked), False
                return self._move(before, asked.meeting_id or "", asked), False
            except ConcurrentUpdate:
                if attempt == MAX_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _create(self, tenant_id: str, room_id: str, asked: _RoomRequest) -> Room:
        if asked.meeting_id is not None:
            present = self._check_adoptable(tenant_id, asked.meeting_id, asked)
            # Without a value from the caller the meeting keeps its own.
            auto = bool(present) if asked.record_on_start is None else asked.record_on_start
            room = self._new(tenant_id, room_id, asked.name, asked.meeting_id, auto)
            room = self.rooms.add(room, adopted=True)
            self._settle(room, send=present != auto or asked.record_on_start is not None)
            return room
        auto = bool(asked.record_on_start)
        meeting_id, created_now = self._create_meeting(tenant_id, room_id, asked.name, auto)
        room = self._new(tenant_id, room_id, asked.name, meeting_id, auto)
        # A meeting that an earlier call created has the record-on-start of that call.
        room = self.rooms.add(room, sync_meeting=not created_now)
        self._settle(room, send=not created_now)
        return room

    def _new(self, tenant_id: str, room_id: str, name: str, meeting_id: str, auto: bool) -> Room:
        now = self.clock()
        return Room(
            id=room_id,
            tenant_id=tenant_id,
            name=name,
            meeting_id=meeting_id,
            record_on_start=auto,
            created_at=now,
            updated_at=now,
        )

    def _create_meeting(self, tenant_id: str, room_id: str, title: str, auto: bool) -> tuple[str, bool]:
        """Return the meeting for a new room, and whether this call created it.

        An earlier call may have created it and died before it stored the room.
        """
        now, nonce = self.clock(), self.new_nonce()
        meeting_id = self.rooms.acquire_creation_lock(
            tenant_id, room_id, nonce=nonce, now=now, until=now + CREATION_LOCK_DURATION
        )
        if meeting_id is not None:
            return meeting_id, False
        try:
            self._check_room_is_new(tenant_id, room_id)
            meeting_id = self.provider.create_meeting(title, record_on_start=auto)
        except RecordingsError:
            self.rooms.release_creation_lock(tenant_id, room_id, nonce=nonce)
            raise
        self.rooms.note_meeting(tenant_id, room_id, nonce=nonce, meeting_id=meeting_id)
        return meeting_id, True

    def _check_room_is_new(self, tenant_id: str, room_id: str) -> None:
        """Storing a room ends its creation lock, so another call may have stored it before we acquired the lock."""
        try:
            self.rooms.get(tenant_id, room_id)
        except RoomNotFound:
            return
        raise ConcurrentUpdate(f"room {room_id} was created by another call")

    def _update(self, before: Room, asked: _RoomRequest) -> Room:
        after = self.rooms.save(before, self._changed(before, before.meeting_id, asked))
        # The repeat of a call that failed after this write changes nothing here, but must reach Cloudflare.
        self._settle(after, send=asked.record_on_start is not None or asked.meeting_id is not None)
        return after

    def _move(self, before: Room, meeting_id: str, asked: _RoomRequest) -> Room:
        self._check_adoptable(before.tenant_id, meeting_id, asked)
        with self.release_meeting()(before.tenant_id, before.id) as (room, nonce):
            if room.version != before.version:
                raise ConcurrentUpdate(f"room {room.id} was changed by another call")
            after = self.rooms.save(room, self._changed(room, meeting_id, asked), lease_nonce=nonce)
        self._settle(after, send=True)
        return replace(after, lease_nonce=None, lease_until=None)

    def _changed(self, before: Room, meeting_id: str, asked: _RoomRequest) -> Room:
        return replace(
            before,
            name=asked.name,
            meeting_id=meeting_id,
            record_on_start=before.record_on_start if asked.record_on_start is None else asked.record_on_start,
            updated_at=self.clock(),
            version=before.version + 1,
        )

    def _check_adoptable(self, tenant_id: str, meeting_id: str, asked: _RoomRequest) -> bool | None:
        """Return the meeting's record-on-start if the caller may name the meeting. Changes nothing."""
        if not asked.may_adopt:
            raise ScopeMissing
        ownership = self.rooms.find_meeting_ownership(meeting_id)
        if ownership is not None and not ownership.may_take(tenant_id):
            raise MeetingInUse
        try:
            return self.provider.get_record_on_start(meeting_id)
        except ProviderNotFound:
            raise MeetingUnknown("Cloudflare knows no such meeting") from None

    def _settle(self, room: Room, *, send: bool) -> None:
        """Set the meeting's record-on-start as the room has it. If this fails, the next sync does it."""
        if send:
            SettleMeeting(rooms=self.rooms, provider=self.provider)(room.meeting_id)
