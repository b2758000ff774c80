"""Create or update a room."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from recordings.domain.errors import ConcurrentUpdate, MeetingUnknown, ProviderNotFound, RecordingsError, RoomNotFound
from recordings.domain.room import Room
from recordings.ports import Clock, Recorder, Rooms

TRIES: Final = 5
# Longer than the function may run, so that a claim only ends under a call that has died.
CLAIM: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRoom:
    """A room without a meeting gets one made: under a claim, so that calls at the same moment make one and not each."""

    rooms: Rooms
    recorder: Recorder
    clock: Clock
    new_nonce: Callable[[], str]

    def __call__(
        self, *, tenant_id: str, room_id: str, name: str, meeting_id: str | None, record_on_start: bool | None
    ) -> tuple[Room, bool]:
        """Give the room and whether it is new. What is None stays as it is, or takes its default.

        Raises MeetingInUse, MeetingUnknown, Throttled (another call makes it now), ConcurrentUpdate or ProviderFailure.
        """
        for attempt in range(TRIES):
            try:
                before = self.rooms.get(tenant_id, room_id)
            except RoomNotFound:
                before = None
            try:
                if before is None:
                    return self._add(tenant_id, room_id, name, meeting_id, bool(record_on_start), record_on_start), True
                return self._update(before, name, meeting_id, record_on_start), False
            except ConcurrentUpdate:
                if attempt == TRIES - 1:
                    raise
        raise AssertionError("unreachable: the last try returns or raises")

    def _add(
        self, tenant_id: str, room_id: str, name: str, meeting_id: str | None, auto: bool, told: bool | None
    ) -> Room:
        if meeting_id is not None:
            self._set(meeting_id, told)
        now = self.clock()
        room = Room(
            id=room_id,
            tenant_id=tenant_id,
            name=name,
            meeting_id=meeting_id or self._made(tenant_id, room_id, name, auto),
            record_on_start=auto,
            created_at=now,
            updated_at=now,
        )
        self.rooms.add(room, walk=meeting_id is not None)
        return room

    def _made(self, tenant_id: str, room_id: str, title: str, auto: bool) -> str:
        """The meeting made for this room, by this call or by one that died before it could store the room."""
        now, nonce = self.clock(), self.new_nonce()
        kept = self.rooms.claim(tenant_id, room_id, nonce=nonce, now=now, until=now + CLAIM)
        if kept is not None:
            return kept
        try:
            self._see_nobody_made(tenant_id, room_id)
            made = self.recorder.create_meeting(title, record_on_start=auto)
        except RecordingsError:
            self.rooms.release_claim(tenant_id, room_id, nonce=nonce)
            raise
        self.rooms.note_meeting(tenant_id, room_id, nonce=nonce, meeting_id=made)
        return made

    def _see_nobody_made(self, tenant_id: str, room_id: str) -> None:
        """A room ends the claim it was made under: if one was made since we looked, ours came after it."""
        try:
            self.rooms.get(tenant_id, room_id)
        except RoomNotFound:
            return
        raise ConcurrentUpdate(f"room {room_id} was made by somebody else")

    def _update(self, before: Room, name: str, meeting_id: str | None, auto: bool | None) -> Room:
        moved = meeting_id is not None and meeting_id != before.meeting_id
        if moved or auto not in (None, before.record_on_start):
            self._set(meeting_id or before.meeting_id, auto)
        after = replace(
            before,
            name=name,
            meeting_id=meeting_id or before.meeting_id,
            record_on_start=before.record_on_start if auto is None else auto,
            updated_at=self.clock(),
            version=before.version + 1,
        )
        self.rooms.save(before, after)
        return after

    def _set(self, meeting_id: str, auto: bool | None) -> None:
        """Tell Cloudflare what its meeting is to do, or only see that it is there."""
        try:
            self.recorder.set_meeting(meeting_id, record_on_start=auto)
        except ProviderNotFound:
            raise MeetingUnknown("Cloudflare knows no such meeting") from None
