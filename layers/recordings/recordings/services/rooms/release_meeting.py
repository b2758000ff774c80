"""Let a meeting go: first look at Cloudflare, so that nothing that was recorded in it is left behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from recordings.domain.errors import (
    ConcurrentUpdate,
    NotOurs,
    ProviderFailure,
    ProviderNotFound,
    RecordingsError,
    RoomAlreadyRecording,
    RoomIsRecording,
    Throttled,
)
from recordings.domain.room import Room
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import RetryQueue, Rooms, at_meeting
from recordings.ports.system import Clock
from recordings.services.recordings.start_recording import LEASE
from recordings.services.rooms.meeting_owner import FindOwner, SettleMeeting
from recordings.services.sync.import_recording import ImportRecording
from recordings.services.sync.sync_room import SyncRoom


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseMeeting:
    """What must be true before a room is stored without the meeting that it holds.

    What runs there refuses the release, and nothing at Cloudflare has changed then. What has ended is imported. Only
    then automatic recording is switched off, and after that only what began in between can still refuse.
    """

    rooms: Rooms
    recorder: RecordingProvider
    kept: RetryQueue
    sync: SyncRoom
    importing: ImportRecording
    clock: Clock
    new_nonce: Callable[[], str]

    @contextmanager
    def __call__(self, tenant_id: str, room_id: str) -> Iterator[tuple[Room, str]]:
        """Give the room, under a lease, and the nonce of the lease; the body stores that the meeting is released.

        If the body fails, the meeting is again what the room says. Raises RoomNotFound; RoomIsRecording, naming what
        runs; Throttled when there is more to import than one call can; or ProviderFailure.
        """
        now, nonce = self.clock(), self.new_nonce()
        try:
            room = self.rooms.acquire_lock(tenant_id, room_id, nonce=nonce, now=now, until=now + LEASE)
        except RoomAlreadyRecording as error:
            raise RoomIsRecording(blocker=error.blocker) from error
        try:
            self._refuse_what_runs(room, nonce)
            self.sync.bring_recent(room)
            self._switched_off(room, nonce)
            try:
                yield room, nonce
            except RecordingsError:
                self._take_back(room)
                raise
        except RecordingsError:
            self.rooms.release_lock(tenant_id, room_id, nonce=nonce)
            raise

    def _refuse_what_runs(self, room: Room, nonce: str) -> None:
        running = self.recorder.active(room.meeting_id)
        if running is None:
            return
        owner = FindOwner(rooms=self.rooms)(room.meeting_id, running, room=room)
        if owner is None:
            # It began before the meeting was this tenant's, and stays nobody's.
            return
        try:
            # `active` does not tell why it began.
            told = running if running.auto_started is not None else self.recorder.get(running.id)
            blocker = self.importing(owner, told, nonce=nonce)
        except (ConcurrentUpdate, NotOurs, ProviderNotFound):
            # It was purged here, is known as another tenant's, or is gone: nothing of this room is left behind.
            return
        raise RoomIsRecording(blocker=blocker)

    def _switched_off(self, room: Room, nonce: str) -> None:
        # First of all: if this function dies after the switch, the next sync makes the meeting what the room says.
        self.kept.keep(at_meeting(room.meeting_id))
        try:
            self.recorder.set_meeting(room.meeting_id, record_on_start=False)
            self._refuse_what_runs(room, nonce)
        except ProviderNotFound:
            # A meeting that is gone records nothing any more.
            return
        except RecordingsError:
            self._take_back(room)
            raise

    def _take_back(self, room: Room) -> None:
        """The room keeps its meeting after all."""
        if not room.record_on_start:
            return
        try:
            SettleMeeting(rooms=self.rooms, recorder=self.recorder)(room.meeting_id)
        except (ProviderFailure, Throttled):
            # The next sync does it: the look is kept.
            return
