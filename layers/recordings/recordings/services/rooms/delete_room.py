"""Delete a room; its recordings stay, and its meeting stays its tenant's."""

from dataclasses import dataclass

from recordings.domain.room import Room
from recordings.ports.repositories import Rooms
from recordings.services.rooms.release_meeting import ReleaseMeeting


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRoom:
    rooms: Rooms
    release: ReleaseMeeting

    def __call__(self, *, tenant_id: str, room_id: str) -> Room:
        """Give the room as it was.

        Raises RoomNotFound, RoomIsRecording, ConcurrentUpdate, Throttled or ProviderFailure.
        """
        with self.release(tenant_id, room_id) as (room, nonce):
            self.rooms.remove(room, lease_nonce=nonce)
        return room
