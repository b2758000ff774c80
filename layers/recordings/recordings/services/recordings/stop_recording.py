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
    """Store that it is to stop, tell Cloudflare, store the end, start the workflow.

    A stop must not get lost: once it is decided it holds, also when Cloudflare fails or this function dies. The
    recording stays `recording` and keeps its room until Cloudflare has stopped; the same call or the next sync goes on.
    """

    rooms: Rooms
    recordings: Recordings
    recorder: RecordingProvider
    workflow: ProcessingExecutions
    clock: Clock
    new_id: Ids

    def __call__(self, *, tenant_id: str, room_id: str) -> Recording:
        """Raises RoomNotFound, NoActiveRecording, ConcurrentUpdate or a ProviderFailure."""
        recording = self._active(self.rooms.get(tenant_id, room_id))
        decided = self._changed(recording, lambda one: one.stop_requested(at=self.clock()))
        if decided.status is not Status.RECORDING:
            # Its end came in between the reads; the caller's wish is fulfilled.
            return decided
        if decided.cloudflare_recording_id is not None:
            self._stop(decided.cloudflare_recording_id)
        ended = self._changed(decided, lambda one: one.stopped(at=self.clock(), cause="api_stop"))
        if ended.status is Status.PROCESSING:
            start_now_or_by_sync(lambda: self.workflow.start(ended))
        return ended

    def _stop(self, capture_id: str) -> None:
        try:
            self.recorder.stop(capture_id)
        except ProviderNotFound:
            # Cloudflare no longer knows it: it does not run, and processing finds out what is left of it.
            pass

    def _changed(self, known: Recording, change: Callable[[Recording], Recording]) -> Recording:
        """Change it, unless its end was stored meanwhile: by the webhook, a sync, or another stop."""
        return changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(known.tenant_id, known.id),
            lambda one: change(one) if one.status is Status.RECORDING else one,
            known=known,
        )

    def _active(self, room: Room) -> Recording:
        if room.active_recording_id is not None:
            # Ended and even deleted since the room was read, it is still the one that the caller means.
            return self.recordings.get_including_deleted(room.tenant_id, room.active_recording_id)
        running = self.recorder.active(room.meeting_id)
        owner = FindOwner(rooms=self.rooms)(room.meeting_id, running, room=room) if running is not None else None
        if running is None or owner is None:
            # What runs there may be somebody's, but not this tenant's to stop.
            raise NoActiveRecording("the room is not being recorded")
        told = self.recorder.get(running.id)
        try:
            recording = ImportRecording(recordings=self.recordings, new_id=self.new_id)(owner, told, nonce=None)
        except NotOurs:
            raise NoActiveRecording("the room is not being recorded") from None
        except RoomAlreadyRecording as error:
            raise ConcurrentUpdate("a start of this room is under way; make the call again") from error
        if recording.room_id != room.id:
            raise NoActiveRecording("the room is not being recorded")
        if recording.status is not Status.RECORDING:
            # It has ended here and runs there all the same: whoever stops the room must be able to end it.
            self._stop(running.id)
            raise NoActiveRecording("the room is not being recorded")
        return recording
