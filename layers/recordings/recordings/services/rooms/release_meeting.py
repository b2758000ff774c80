"""Release a meeting from its room, after everything that was recorded in it has been imported."""

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
from recordings.domain.sync import SyncItem
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import RetryQueue, Rooms
from recordings.ports.system import Clock
from recordings.services.recordings.start_recording import LEASE_DURATION
from recordings.services.rooms.meeting_owner import FindOwner, SettleMeeting
from recordings.services.sync.import_recording import ImportRecording
from recordings.services.sync.sync_recordings import SyncRecordings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseMeeting:
    """What must be done before a room is stored without the meeting that it holds.

    A running recording refuses the release before anything at Cloudflare has changed. Ended recordings are imported.
    Then record-on-start is switched off. After that, only a recording that began in between can refuse the release.
    """

    rooms: Rooms
    provider: RecordingProvider
    retry_queue: RetryQueue
    sync_recordings: SyncRecordings
    import_recording: ImportRecording
    clock: Clock
    new_nonce: Callable[[], str]

    @contextmanager
    def __call__(self, tenant_id: str, room_id: str) -> Iterator[tuple[Room, str]]:
        """Yield the locked room and the nonce of its lease. The body must store that the room releases the meeting.

        If the body fails, the meeting gets the room's record-on-start again.

        Raises:
            RoomNotFound: the room does not exist
            RoomIsRecording: a recording runs in the room; the error has it if it is known
            ProviderFailure: Cloudflare did not do what it was asked for
            Throttled: there is more to import than one call can, or a service is busy or does not respond
        """
        now, nonce = self.clock(), self.new_nonce()
        try:
            room = self.rooms.acquire_lock(tenant_id, room_id, nonce=nonce, now=now, until=now + LEASE_DURATION)
        except RoomAlreadyRecording as error:
            raise RoomIsRecording(blocker=error.blocker) from error
        try:
            self._refuse_if_recording(room, nonce)
            self.sync_recordings.import_recent(room)
            self._switch_off(room, nonce)
            try:
                yield room, nonce
            except RecordingsError:
                self._switch_on_again(room)
                raise
        except RecordingsError:
            self.rooms.release_lock(tenant_id, room_id, nonce=nonce)
            raise

    def _refuse_if_recording(self, room: Room, nonce: str) -> None:
        active = self.provider.find_active(room.meeting_id)
        if active is None:
            return
        owner = FindOwner(rooms=self.rooms)(room.meeting_id, active, room=room)
        if owner is None:
            # It began before the tenant owned the meeting, and is never imported.
            return
        try:
            # `find_active` does not return whether it started automatically.
            if active.auto_started is None:
                active = self.provider.get(active.cloudflare_recording_id)
            blocker = self.import_recording(owner, active, nonce=nonce)
        except (ConcurrentUpdate, NotOurs, ProviderNotFound):
            # It was purged, belongs to another tenant, or no longer exists. The room loses nothing.
            return
        raise RoomIsRecording(blocker=blocker)

    def _switch_off(self, room: Room, nonce: str) -> None:
        # Before the change: if this function dies after it, the next sync sets what the room has.
        self.retry_queue.add(SyncItem.of_meeting(room.meeting_id))
        try:
            self.provider.set_record_on_start(room.meeting_id, record_on_start=False)
            self._refuse_if_recording(room, nonce)
        except ProviderNotFound:
            # A deleted meeting records nothing.
            return
        except RecordingsError:
            self._switch_on_again(room)
            raise

    def _switch_on_again(self, room: Room) -> None:
        """Set record-on-start as the room has it, because the room keeps its meeting."""
        if not room.record_on_start:
            return
        try:
            SettleMeeting(rooms=self.rooms, provider=self.provider)(room.meeting_id)
        except (ProviderFailure, Throttled):
            # The next sync does it: the meeting is in the retry queue.
            return
