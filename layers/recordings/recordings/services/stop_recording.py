"""Stop the recording of a room."""

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
from recordings.ports import Clock, Ids, Recorder, Recordings, Rooms, Workflow
from recordings.services.import_capture import ImportCapture
from recordings.services.meeting_owner import FindOwner


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecording:
    """Tell Cloudflare, start the workflow, store.

    The workflow is started before the change is stored: if this function dies between the two, the run finds the
    capture ended and stores the change itself; if it dies earlier, Cloudflare's webhook or the next stop goes on.
    """

    rooms: Rooms
    recordings: Recordings
    recorder: Recorder
    workflow: Workflow
    clock: Clock
    new_id: Ids

    def __call__(self, *, tenant_id: str, room_id: str) -> Recording:
        """Raises RoomNotFound, NoActiveRecording or a ProviderFailure."""
        recording = self._active(self.rooms.get(tenant_id, room_id))
        if recording.status is not Status.RECORDING:
            # Its end came in between the two reads; the caller's wish is fulfilled.
            return recording
        if recording.cloudflare_id is not None:
            try:
                self.recorder.stop(recording.cloudflare_id)
            except ProviderNotFound:
                # Cloudflare no longer knows it: it does not run, and processing finds out what is left of it.
                pass
        self.workflow.start(recording)
        after = recording.stopped(at=self.clock(), cause="api_stop")
        try:
            self.recordings.save(recording, after)
        except ConcurrentUpdate:
            # The webhook or the workflow stored the end of this recording first; the caller's wish is fulfilled.
            stored = self.recordings.find(tenant_id, recording.id)
            if stored.status is Status.RECORDING:
                raise
            return stored
        return after

    def _active(self, room: Room) -> Recording:
        if room.active_recording_id is not None:
            # Ended and even deleted since the room was read, it is still the one that the caller means.
            return self.recordings.find(room.tenant_id, room.active_recording_id)
        running = self.recorder.active(room.meeting_id)
        owner = FindOwner(rooms=self.rooms)(room.meeting_id, running, room=room) if running is not None else None
        if running is None or owner is None:
            # What runs there may be somebody's, but not this tenant's to stop.
            raise NoActiveRecording("the room is not being recorded")
        told = self.recorder.get(running.id)
        try:
            recording = ImportCapture(recordings=self.recordings, new_id=self.new_id)(owner, told, nonce=None)
        except NotOurs:
            raise NoActiveRecording("the room is not being recorded") from None
        except RoomAlreadyRecording as error:
            raise ConcurrentUpdate("a start of this room is under way; make the call again") from error
        if recording.status is not Status.RECORDING or recording.room_id != room.id:
            raise NoActiveRecording("the room is not being recorded")
        return recording
