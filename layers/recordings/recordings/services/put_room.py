"""Create or update a room."""

from dataclasses import dataclass, replace

from recordings.domain.errors import ConcurrentUpdate, RoomNotFound
from recordings.domain.room import Room
from recordings.ports import Clock, Recorder, Rooms

TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRoom:
    rooms: Rooms
    recorder: Recorder
    clock: Clock

    def __call__(
        self, *, tenant_id: str, room_id: str, name: str, meeting_id: str | None, record_on_start: bool | None
    ) -> tuple[Room, bool]:
        """Give the room and whether it is new. What is None stays as it is, or takes its default.

        Raises MeetingInUse, ConcurrentUpdate or a ProviderFailure.
        """
        made: str | None = None
        for attempt in range(TRIES):
            now = self.clock()
            try:
                before = self.rooms.get(tenant_id, room_id)
            except RoomNotFound:
                # Kept between tries: a room that another call removes meanwhile must not cost a second meeting.
                made = meeting_id or made or self.recorder.create_meeting(name, record_on_start=bool(record_on_start))
                room = Room(
                    id=room_id,
                    tenant_id=tenant_id,
                    name=name,
                    meeting_id=made,
                    record_on_start=bool(record_on_start),
                    created_at=now,
                    updated_at=now,
                )
                try:
                    self.rooms.add(room)
                except ConcurrentUpdate:
                    if attempt == TRIES - 1:
                        raise
                    continue
                return room, True
            after = replace(
                before,
                name=name,
                meeting_id=meeting_id or before.meeting_id,
                record_on_start=before.record_on_start if record_on_start is None else record_on_start,
                updated_at=now,
                version=before.version + 1,
            )
            try:
                self.rooms.save(before, after)
            except ConcurrentUpdate:
                if attempt == TRIES - 1:
                    raise
                continue
            return after, False
        raise AssertionError("unreachable: the last try returns or raises")
