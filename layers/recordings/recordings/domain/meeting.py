"""Who owns a RealtimeKit meeting, and whose is what Cloudflare records in it.

    first PUT that names the meeting         owned by that tenant from then on, and held by that room
    a meeting that we made for a room        owned and held from its beginning
    the room is deleted, or takes another    owned by the same tenant, held by no room: only this tenant may take it up
    the tenant takes it up again             held by the new room

A meeting has one owner for ever, so nothing that was recorded in it can come to another tenant. Its rooms change, and
each recording belongs to the room that held the meeting when it began:

    began before the owner had the meeting   nobody's: it is never imported
    began while a room held it               that room's
    began while no room held it              the next room's, or the last one's while there is no next
    still runs                               the room's that holds it now, so that somebody can stop it

What runs in a meeting that no room holds is imported when it has ended.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from recordings.domain.errors import MeetingInUse
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.room import Room

# An item of DynamoDB holds 400 KB at most, and whoever moves a room to and fro must not fill one. What began in a
# tenure that is no longer kept counts to the oldest one that is.
MAX_TENURES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """A room's hold of a meeting; `until` is None while it lasts. `room_name`: the name of the room at its end."""

    room_id: str
    since: datetime | None = None
    until: datetime | None = None
    room_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOwner:
    """The room that a recording of Cloudflare belongs to. `holds`: the room holds the meeting now."""

    tenant_id: str
    room_id: str
    room_name: str
    meeting_id: str
    holds: bool

    @classmethod
    def of(cls, room: Room) -> Self:
        """The owner of what was recorded in the meeting that a room holds."""
        return cls(
            tenant_id=room.tenant_id, room_id=room.id, room_name=room.name, meeting_id=room.meeting_id, holds=True
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingOwnership:
    """The tenant that owns a meeting, and the rooms that have held it, oldest first; there is at least one.

    `owned_since` is when the tenant named a meeting that it had not had before; None for one that was made for a room.
    """

    meeting_id: str
    tenant_id: str
    tenures: tuple[Tenure, ...]
    owned_since: datetime | None = None
    version: int = 1

    @classmethod
    def begin(cls, room: Room, *, adopted: bool) -> Self:
        """The ownership of a meeting that nobody has owned; `adopted`: it is older than the room."""
        since = room.updated_at if adopted else None
        return cls(
            meeting_id=room.meeting_id,
            tenant_id=room.tenant_id,
            tenures=(Tenure(room_id=room.id, since=since),),
            owned_since=since,
        )

    @property
    def holder(self) -> Tenure | None:
        """The tenure that lasts."""
        return self.tenures[-1] if self.tenures[-1].until is None else None

    def tenure_of(self, began: datetime, *, running: bool) -> Tenure | None:
        """The tenure that a recording belongs to; None when it began before the tenant owned the meeting."""
        if self.owned_since is not None and began < self.owned_since:
            return None
        if running and self.holder is not None:
            return self.holder
        return next((one for one in self.tenures if one.until is None or began <= one.until), self.tenures[-1])

    def may_take(self, tenant_id: str) -> bool:
        """Whether a room of this tenant may take the meeting up."""
        return tenant_id == self.tenant_id and self.holder is None

    def taken_by(self, room: Room) -> Self:
        """Held by a room of the same tenant from `room.updated_at` on. Raises MeetingInUse."""
        if not self.may_take(room.tenant_id):
            raise MeetingInUse
        tenure = Tenure(room_id=room.id, since=room.updated_at)
        return replace(self, tenures=(*self.tenures, tenure)[-MAX_TENURES:], version=self.version + 1)

    def released_by(self, room: Room, *, at: datetime) -> Self:
        """Held by no room from `at` on; self unchanged when this room does not hold it."""
        held = self.holder
        if held is None or (self.tenant_id, held.room_id) != (room.tenant_id, room.id):
            return self
        ended = replace(held, until=at, room_name=room.name)
        return replace(self, tenures=(*self.tenures[:-1], ended), version=self.version + 1)


def owner_of(
    ownership: MeetingOwnership | None, provider_recording: ProviderRecording, *, holding_room: Room | None
) -> RecordingOwner | None:
    """The owner of a recording that Cloudflare made in this meeting; None when it is nobody's.

    `holding_room` is the room that holds the meeting as it is stored; None when there is none.
    """
    began = provider_recording.started_at or provider_recording.invoked_at
    tenure = ownership.tenure_of(began, running=provider_recording.status.running) if ownership is not None else None
    if ownership is None or tenure is None:
        return None
    holds = tenure is ownership.holder and holding_room is not None and holding_room.id == tenure.room_id
    return RecordingOwner(
        tenant_id=ownership.tenant_id,
        room_id=tenure.room_id,
        room_name=holding_room.name if holds and holding_room is not None else tenure.room_name,
        meeting_id=ownership.meeting_id,
        holds=holds,
    )
