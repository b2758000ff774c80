"""Rooms."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field

from recordings.domain.room import Room as DomainRoom
from recordings.http.responses.base import CursorPageMeta, Document, Instant, RoomId, documented


class Room(Document):
    """A room: your name for a Cloudflare RealtimeKit meeting."""

    id: RoomId
    name: Annotated[str, Field(description="The room's name, for people.")]
    cloudflare_meeting_id: Annotated[str, Field(description="The RealtimeKit meeting of the room.")]
    record_on_start: Annotated[
        bool, Field(description="Whether Cloudflare starts recording when the first participant joins.")
    ]
    active_recording_id: Annotated[str | None, Field(description="The recording that is running, or null.")]
    created_at: Instant
    updated_at: Instant


def room_values(room: DomainRoom) -> dict[str, Any]:
    """Return the fields of a Room."""
    return {
        "id": room.id,
        "name": room.name,
        "cloudflare_meeting_id": room.meeting_id,
        "record_on_start": room.record_on_start,
        "active_recording_id": room.active_recording_id,
        "created_at": room.created_at,
        "updated_at": room.updated_at,
    }


class RoomResponse(Document):
    """A room in its envelope."""

    data: Room

    @classmethod
    def from_domain(cls, room: DomainRoom) -> Self:
        return cls.model_validate({"data": room_values(room)})


class RoomPageMeta(CursorPageMeta):
    """Which page of the rooms this is."""


class RoomPage(Document):
    """A page of rooms, sorted by id."""

    data: list[Room]
    meta: RoomPageMeta

    @classmethod
    def from_domain(cls, rooms: Sequence[DomainRoom], *, limit: int, next_cursor: str | None) -> Self:
        meta = {"limit": limit, "next_cursor": next_cursor}
        return cls.model_validate({"data": [room_values(room) for room in rooms], "meta": meta})


class DeletedRoom(Document):
    """A room that was deleted."""

    id: RoomId
    deleted: Annotated[bool, Field(description="Always true."), documented(type="boolean", const=True)]


class DeletedRoomResponse(Document):
    """A deleted room in its envelope."""

    data: DeletedRoom

    @classmethod
    def from_domain(cls, room: DomainRoom) -> Self:
        return cls.model_validate({"data": {"id": room.id, "deleted": True}})
