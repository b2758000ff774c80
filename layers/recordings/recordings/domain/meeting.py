"""Which tenant owns a RealtimeKit meeting, and which room owns a recording of it.

    the first PUT that names the meeting      its tenant owns it from then on, and the room holds it
    a meeting that was created for a room     the tenant owns it, and the room holds it, from its creation
    the room is deleted or gets another one   the tenant still owns it, and no room holds it
    the tenant names it again                 the new room holds it

A meeting has one owner forever, so its recordings can never get to another tenant. The rooms change. A recording
belongs to the room that held the meeting when it began:

    it began before the tenant owned it       no room: it is never imported
    it began while a room held it             that room
    it began while no room held it            the next room, or the last one if no room follows
    it still runs                             the room that holds the meeting now, so that a caller can stop it

A recording that runs in a meeting that no room holds is imported after its end.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from recordings.domain.errors import MeetingInUse
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.room import Room

# A DynamoDB item holds 400 KB at most, and callers may move a meeting between rooms any number of times. A recording
# of a tenure that was dropped belongs to the oldest one that is stored.
MAX_TENURES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """The time in which a room held a meeting. `until` is None while it does. `room_name` is its name at the end."""

    room_id: str
    since: datetime | None = None
    until: datetime | None = None
    room_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOwner:
    """The room that owns a recording at Cloudflare. `holds`: the room holds the meeting now."""

    tenant_id: str
    room_id: str
    room_name: str
    meeting_id: str
    holds: bool

    @classmethod
    def of(cls, room: Room) -> Self:
        """Return the owner of a recording in the meeting that a room holds."""
        return cls(
            tenant_id=room.tenant_id, room_id=room.id, room_name=room.name, meeting_id=room.meeting_id, holds=True
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingOwnership:
    """The tenant that owns a meeting, and the rooms that held it, oldest first. There is at least one.

    `owned_since` is when the tenant named the meeting first. None for a meeting that was created for a room.
    """

    meeting_id: str
    tenant_id: str
    tenures: tuple[Tenure, ...]
    owned_since: datetime | None = None
    version: int = 1

    @classmethod
    def begin(cls, room: Room, *, adopted: bool) -> Self:
        """Return the ownership of a meeting without an owner. `adopted`: it is older than the room."""
        since = room.updated_at if adopted else None
        return cls(
            meeting_id=room.meeting_id,
            tenant_id=room.tenant_id,
            tenures=(Tenure(room_id=room.id, since=since),),
            owned_since=since,
        )

    @property
    def holder(self) -> Tenure | None:
        """The tenure that has not ended, or None."""
        return self.tenures[-1] if self.tenures[-1].until is None else None

    def tenure_of(self, began: datetime, *, running: bool) -> Tenure | None:
        """Return the tenure of a recording. None if it began before the tenant owned the meeting."""
        if self.owned_since is not None and began < self.owned_since:
            return None
        if running and self.holder is not None:
            return self.holder
        return next((one for one in self.tenures if one.until is None or began <= one.until), self.tenures[-1])

    def may_take(self, tenant_id: str) -> bool:
        """Return whether a room of this tenant may hold the meeting next."""
        return tenant_id == self.tenant_id and self.holder is None

    def taken_by(self, room: Room) -> Self:
        """Return the ownership with a new tenure from `room.updated_at` on.

        Raises:
            MeetingInUse: another tenant owns the meeting, or another room holds it
        """
        if not self.may_take(room.tenant_id):
            raise MeetingInUse
        tenure = Tenure(room_id=room.id, since=room.updated_at)
        return replace(self, tenures=(*self.tenures, tenure)[-MAX_TENURES:], version=self.version + 1)

    def released_by(self, room: Room, *, at: datetime) -> Self:
        """Return the ownership without a holder from `at` on, or self if this room does not hold the meeting."""
        held = self.holder
        if held is None or (self.tenant_id, held.room_id) != (room.tenant_id, room.id):
            return self
        ended = replace(held, until=at, room_name=room.name)
        return replace(self, tenures=(*self.tenures[:-1], ended), version=self.version + 1)


def owner_of(
    ownership: MeetingOwnership | None, provider_recording: ProviderRecording, *, holding_room: Room | None
) -> RecordingOwner | None:
    """Return the owner of a recording in this meeting, or None if it has no owner.

    `holding_room` is the stored room that holds the meeting, or None.
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
