"""Read one room."""

from dataclasses import dataclass

from recordings.domain.room import Room
from recordings.ports.repositories import Rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRoom:
    rooms: Rooms

    def __call__(self, *, tenant_id: str, room_id: str) -> Room:
        """Return the room.

        Raises:
            RoomNotFound: the tenant has no such room
        """
        return self.rooms.get(tenant_id, room_id)
