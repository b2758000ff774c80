"""Stop the recording of a room."""

from collections.abc import Callable
from dataclasses import dataclass

from recordings.domain.errors import (
    ConcurrentUpdate,
    NoActiveRecording,
    NotOurs,
    ProviderNotFound,
    RoomAlreadyRecording,
)
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.domain.room import Room
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings, Rooms
from recordings.ports.system import Clock, Ids
from recordings.services.recordings.change_recording import changed, start_now_or_by_sync
from recordings.services.rooms.meeting_owner import FindOwner
from recordings.services.sync.import_recording import ImportRecording


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecording:
    """Stores that the recording must stop, stops it at Cloudflare, stores its end, starts the execution.

    A stop must not get lost. Once stored it holds, even if Cloudflare fails or this function dies. The recording stays
    `recording` and locks its room until Cloudflare has stopped. The same call or the next sync continues.
    """

    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    executions: ProcessingExecutions
    clock: Clock
    new_id: Ids

    def __call__(self, *, tenant_id: str, room_id: str) -> Recording:
        """Return the stopped recording.

        Raises:
            RoomNotFound: the room does not exist
            NoActiveRecording: nothing of this tenant is recorded in the room
            ConcurrentUpdate: other calls changed the recording at the same time
            ProviderFailure: Cloudflare did not stop it
            Throttled: DynamoDB is busy or does not respond
        """
        recording = self._active(self.rooms.get(tenant_id, room_id))
        decided = self._changed(recording, lambda current: current.stop_requested(at=self.clock()))
        if decided.status is not Status.RECORDING:
            # It ended between the reads, which is what the caller wants.
            return decided
        if decided.cloudflare_recording_id is not None:
            self._stop(decided.cloudflare_recording_id)
        ended = self._changed(decided, lambda current: current.stopped(at=self.clock(), cause="api_stop"))
        if ended.status is Status.PROCESSING:
            start_now_or_by_sync(lambda: self.executions.start(ended))
        return ended

    def _stop(self, cloudflare_recording_id: str) -> None:
        try:
            self.provider.stop(cloudflare_recording_id)
        except ProviderNotFound:
            # Cloudflare no longer has it, so it does not run. Processing finds out whether there is a file.
            pass

    def _changed(self, known: Recording, change: Callable[[Recording], Recording]) -> Recording:
        """Change it, unless the webhook, a sync or another stop has stored its end."""
        return changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(known.tenant_id, known.id),
            lambda current: change(current) if current.status is Status.RECORDING else current,
            known=known,
        )

    def _active(self, room: Room) -> Recording:
        if room.active_recording_id is not None:
            # The caller means this recording, even if it has ended or was deleted since the room was read.
            return self.recordings.get_including_deleted(room.tenant_id, room.active_recording_id)
        active = self.provider.find_active(room.meeting_id)
        owner = FindOwner(rooms=self.rooms)(room.meeting_id, active, room=room) if active is not None else None
        if active is None or owner is None:
            # A recording without this owner is not this tenant's to stop.
            raise NoActiveRecording("the room is not being recorded")
        complete = self.provider.get(active.cloudflare_recording_id)
        import_recording = ImportRecording(recordings=self.recordings, new_id=self.new_id)
        try:
            recording = import_recording(owner, complete, nonce=None)
        except NotOurs:
            raise NoActiveRecording("the room is not being recorded") from None
        except RoomAlreadyRecording as error:
            raise ConcurrentUpdate("a start of this room is under way; make the call again") from error
        if recording.room_id != room.id:
            raise NoActiveRecording("the room is not being recorded")
        if recording.status is not Status.RECORDING:
            # It has ended in our table and still runs at Cloudflare. A stop of the room must end it.
            self._stop(active.cloudflare_recording_id)
            raise NoActiveRecording("the room is not being recorded")
        return recording
