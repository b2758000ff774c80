"""Find the owner of a recording at Cloudflare, and set a meeting's record-on-start."""

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
    """Reads the owner of the meeting in each call. An outdated owner could get access to another tenant's recording."""

    rooms: Rooms

    def __call__(
        self, meeting_id: str, provider_recording: ProviderRecording, *, room: Room | None = None
    ) -> RecordingOwner | None:
        """Return the owner of a recording that was made in this meeting, or None if it has no owner.

        `room` is the room that holds the meeting, if the caller has just read it.

        Raises:
            Throttled: DynamoDB is busy or does not respond
        """
        ownership = self.rooms.find_meeting_ownership(meeting_id)
        if ownership is None:
            return None
        return owner_of(ownership, provider_recording, holding_room=room or _holding_room(self.rooms, ownership))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleMeeting:
    """Sets record-on-start of a meeting as its room has it. A meeting that no room holds does not record on start.

    Meetings that no tenant owns are never changed.
    """

    rooms: Rooms
    provider: RecordingProvider

    def __call__(self, meeting_id: str) -> None:
        """Send the stored value, until the value that was sent is the stored one.

        Raises:
            ProviderFailure: Cloudflare did not do what it was asked for
            Throttled: DynamoDB is busy or does not respond
        """
        wanted = self._wanted(meeting_id)
        for _ in range(MAX_ROUNDS):
            if wanted is None:
                return
            try:
                self.provider.set_record_on_start(meeting_id, record_on_start=wanted)
            except ProviderNotFound:
                # A deleted meeting records nothing.
                return
            # This request may have arrived after a newer one that another call sent meanwhile.
            sent, wanted = wanted, self._wanted(meeting_id)
            if wanted == sent:
                return

    def repair(self, meeting_id: str) -> None:
        """Send the stored value only if Cloudflare has another one. Raises as the call does."""
        wanted = self._wanted(meeting_id)
        if wanted is None:
            return
        try:
            if self.provider.get_record_on_start(meeting_id) == wanted:
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
    """Return the room that holds a meeting. `Rooms.find_by_meeting_id` would read the ownership again."""
    if ownership.holder is None:
        return None
    try:
        room = rooms.get(ownership.tenant_id, ownership.holder.room_id)
    except RoomNotFound:
        return None
    return room if room.meeting_id == ownership.meeting_id else None
