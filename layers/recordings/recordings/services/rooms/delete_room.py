"""Delete a room. Its recordings stay, and its tenant still owns its meeting."""

from dataclasses import dataclass

from recordings.domain.room import Room
from recordings.ports.repositories import Rooms
from recordings.services.rooms.release_meeting import ReleaseMeeting


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRoom:
    rooms: Rooms
    release_meeting: ReleaseMeeting

    def __call__(self, *, tenant_id: str, room_id: str) -> Room:
        """Delete the room and return it as it was.

        Raises:
            RoomNotFound: the room does not exist
            RoomIsRecording: a recording runs in the room
            ConcurrentUpdate: another call changed the room
            ProviderFailure: Cloudflare did not do what it was asked for
            Throttled: there is more to import than one call can, or a service is busy or does not respond
        """
        with self.release_meeting(tenant_id, room_id) as (room, nonce):
            self.rooms.remove(room, lease_nonce=nonce)
        return room
