"""Whose a recording of Cloudflare is, and what a meeting is to do by itself."""

from dataclasses import dataclass
from typing import Final

from recordings.domain.capture import Capture
from recordings.domain.errors import ProviderNotFound
from recordings.domain.meeting import RecordingOwner, owner_of
from recordings.domain.room import Room
from recordings.ports import Recorder, Rooms

MAX_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FindOwner:
    """Reads the owner of a meeting anew each time: what was true a moment ago lets nobody into another's recording."""

    rooms: Rooms

    def __call__(self, meeting_id: str, capture: Capture, *, room: Room | None = None) -> RecordingOwner | None:
        """Give the owner of a recording made in this meeting; None when it is nobody's.

        `room` is the room that holds the meeting, where that has just been read. Raises Throttled.
        """
        ownership = self.rooms.meeting_ownership(meeting_id)
        if ownership is None:
            return None
        return owner_of(ownership, capture, holding_room=room or self.rooms.of_meeting(meeting_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleMeeting:
    """Makes a meeting record by itself exactly if the room that holds it says so; one that no room holds does not.

    Meetings that no tenant owns are never touched.
    """

    rooms: Rooms
    recorder: Recorder

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
        if self.rooms.meeting_ownership(meeting_id) is None:
            return None
        room = self.rooms.of_meeting(meeting_id)
        return room is not None and room.record_on_start
