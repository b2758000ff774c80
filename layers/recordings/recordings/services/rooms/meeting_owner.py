"""Whose a recording of Cloudflare is, and what a meeting is to do by itself."""

from dataclasses import dataclass
from typing import Final

from recordings.domain.errors import ProviderNotFound, RoomNotFound
from recordings.domain.meeting import MeetingOwnership, RecordingOwner, owner_of
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.room import Room
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Rooms

MAX_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FindOwner:
    """Reads the owner of a meeting anew each time: what was true a moment ago lets nobody into another's recording."""

    rooms: Rooms

    def __call__(
        self, meeting_id: str, capture: ProviderRecording, *, room: Room | None = None
    ) -> RecordingOwner | None:
        """Give the owner of a recording made in this meeting; None when it is nobody's.

        `room` is the room that holds the meeting, where that has just been read. Raises Throttled.
        """
        ownership = self.rooms.find_meeting_ownership(meeting_id)
        if ownership is None:
            return None
        return owner_of(ownership, capture, holding_room=room or _holding_room(self.rooms, ownership))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleMeeting:
    """Makes a meeting record by itself exactly if the room that holds it says so; one that no room holds does not.

    Meetings that no tenant owns are never touched.
    """

    rooms: Rooms
    recorder: RecordingProvider

    def __call__(self, meeting_id: str) -> None:
        """Send what is stored, until what was sent is what is stored. Raises ProviderFailure or Throttled."""
        wanted = self._wanted(meeting_id)
        for _ in range(MAX_ROUNDS):
            if wanted is None:
                return
            try:
                self.recorder.set_meeting(meeting_id, record_on_start=wanted)
            except ProviderNotFound:
                # A meeting that is gone records nothing.
                return
            # A change that was stored and sent meanwhile may have been overtaken by this one on its way.
            sent, wanted = wanted, self._wanted(meeting_id)
            if wanted == sent:
                return

    def repair(self, meeting_id: str) -> None:
        """The same, if Cloudflare says something else than what is stored. Raises ProviderFailure or Throttled."""
        wanted = self._wanted(meeting_id)
        if wanted is None:
            return
        try:
            if self.recorder.meeting_records_on_start(meeting_id) == wanted:
                return
        except ProviderNotFound:
            return
        self(meeting_id)

    def _wanted(self, meeting_id: str) -> bool | None:
        ownership = self.rooms.find_meeting_ownership(meeting_id)
        if ownership is None:
            return None
        room = _holding_room(self.rooms, ownership)
        return room is not None and room.record_on_start


def _holding_room(rooms: Rooms, ownership: MeetingOwnership) -> Room | None:
    """The room that holds a meeting: Rooms.of_meeting would read the ownership once more."""
    if ownership.holder is None:
        return None
    try:
        room = rooms.get(ownership.tenant_id, ownership.holder.room_id)
    except RoomNotFound:
        return None
    return room if room.meeting_id == ownership.meeting_id else None
