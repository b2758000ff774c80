"""Create or update a room.

The caller's right to a meeting is stored before anything at Cloudflare changes, and what a meeting is to do by itself
is sent whenever the caller names it: what Cloudflare has made of earlier calls is not assumed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

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
from recordings.services.rooms.release_meeting import ReleaseMeeting

TRIES: Final = 5
# Longer than the function may run, so that a claim only ends under a call that has died.
CLAIM: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRequest:
    """What a caller asks a room to be; what is None stays as it is, or takes its default.

    `may_adopt`: whether the caller may name a meeting that the room does not hold.
    """

    name: str
    meeting_id: str | None = None
    record_on_start: bool | None = None
    may_adopt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRoom:
    """A room without a meeting gets one made: under a claim, so that calls at the same moment make one and not each."""

    rooms: Rooms
    recorder: RecordingProvider
    release: ReleaseMeeting
    clock: Clock
    new_nonce: Callable[[], str]

    def __call__(self, *, tenant_id: str, room_id: str, asked: RoomRequest) -> tuple[Room, bool]:
        """Give the room and whether it is new.

        Raises:
            ScopeMissing: the caller names a meeting and may not
            MeetingInUse: another room holds the meeting, or it is another tenant's
            MeetingUnknown: Cloudflare knows no such meeting
            RoomIsRecording: the room changes its meeting, and something is recorded in the old one
            Throttled: another call makes this room now, or there is more to import than one call can
            ConcurrentUpdate, ProviderFailure: the same call can be made again
        """
        for attempt in range(TRIES):
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
                if attempt == TRIES - 1:
                    raise
        raise AssertionError("unreachable: the last try returns or raises")

    def _create(self, tenant_id: str, room_id: str, asked: RoomRequest) -> Room:
        if asked.meeting_id is not None:
            told = self._adoptable(tenant_id, asked.meeting_id, asked)
            # What the caller does not name is left as the meeting has it.
            auto = bool(told) if asked.record_on_start is None else asked.record_on_start
            room = self._new(tenant_id, room_id, asked.name, asked.meeting_id, auto)
            self.rooms.add(room, adopted=True)
            self._settle(room, send=told != auto or asked.record_on_start is not None)
            return room
        auto = bool(asked.record_on_start)
        meeting_id, made_now = self._made(tenant_id, room_id, asked.name, auto)
        room = self._new(tenant_id, room_id, asked.name, meeting_id, auto)
        # A meeting that an earlier call made was made for what that call asked for.
        self.rooms.add(room, sync_meeting=not made_now)
        self._settle(room, send=not made_now)
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

    def _made(self, tenant_id: str, room_id: str, title: str, auto: bool) -> tuple[str, bool]:
        """The meeting made for this room, and whether by this call or by one that died before it stored the room."""
        now, nonce = self.clock(), self.new_nonce()
        kept = self.rooms.acquire_creation_lock(tenant_id, room_id, nonce=nonce, now=now, until=now + CLAIM)
        if kept is not None:
            return kept, False
        try:
            self._see_nobody_made(tenant_id, room_id)
            made = self.recorder.create_meeting(title, record_on_start=auto)
        except RecordingsError:
            self.rooms.release_creation_lock(tenant_id, room_id, nonce=nonce)
            raise
        self.rooms.note_meeting(tenant_id, room_id, nonce=nonce, meeting_id=made)
        return made, True

    def _see_nobody_made(self, tenant_id: str, room_id: str) -> None:
        """A room ends the claim it was made under: if one was made since we looked, ours came after it."""
        try:
            self.rooms.get(tenant_id, room_id)
        except RoomNotFound:
            return
        raise ConcurrentUpdate(f"room {room_id} was made by somebody else")

    def _update(self, before: Room, asked: RoomRequest) -> Room:
        after = self._changed(before, before.meeting_id, asked)
        self.rooms.save(before, after)
        # A repeat of a call that failed after it was stored changes nothing here, and must reach Cloudflare anyway.
        self._settle(after, send=asked.record_on_start is not None or asked.meeting_id is not None)
        return after

    def _move(self, before: Room, meeting_id: str, asked: RoomRequest) -> Room:
        self._adoptable(before.tenant_id, meeting_id, asked)
        with self.release(before.tenant_id, before.id) as (room, nonce):
            if room.version != before.version:
                raise ConcurrentUpdate(f"room {room.id} was changed by somebody else")
            after = self._changed(room, meeting_id, asked)
            self.rooms.save(room, after, lease_nonce=nonce)
        self._settle(after, send=True)
        return replace(after, lease_nonce=None, lease_until=None)

    def _changed(self, before: Room, meeting_id: str, asked: RoomRequest) -> Room:
        return replace(
            before,
            name=asked.name,
            meeting_id=meeting_id,
            record_on_start=before.record_on_start if asked.record_on_start is None else asked.record_on_start,
            updated_at=self.clock(),
            version=before.version + 1,
        )

    def _adoptable(self, tenant_id: str, meeting_id: str, asked: RoomRequest) -> bool | None:
        """Whether the meeting records by itself, if the caller may name it. Nothing is changed by asking."""
        if not asked.may_adopt:
            raise ScopeMissing
        ownership = self.rooms.find_meeting_ownership(meeting_id)
        if ownership is not None and not ownership.may_take(tenant_id):
            raise MeetingInUse
        try:
            return self.recorder.meeting_records_on_start(meeting_id)
        except ProviderNotFound:
            raise MeetingUnknown("Cloudflare knows no such meeting") from None

    def _settle(self, room: Room, *, send: bool) -> None:
        """Have Cloudflare's meeting do what the room says; what fails now, the next sync does."""
        if send:
            SettleMeeting(rooms=self.rooms, recorder=self.recorder)(room.meeting_id)
