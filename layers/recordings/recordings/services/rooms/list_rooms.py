"""List a tenant's rooms."""

from dataclasses import dataclass

from recordings.domain.room import Room
from recordings.ports.repositories import Page, Rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRooms:
    rooms: Rooms

    def __call__(self, *, tenant_id: str, limit: int, cursor: str | None) -> Page[Room]:
        """Return one page, by room id. It begins after `cursor`.

        Raises:
            InvalidCursor: `cursor` is not from an earlier page of the same tenant
        """
        return self.rooms.list(tenant_id, limit=limit, cursor=cursor)
