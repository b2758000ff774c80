"""Take a hint from Cloudflare: look at what it speaks of, and let our records follow."""

from dataclasses import dataclass

from recordings.domain.errors import ConcurrentUpdate, ProviderNotFound
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.ports import Capture, Clock, Ids, Recorder, Recordings, Rooms, Workflow
from recordings.services.import_capture import ImportCapture


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveWebhook:
    """The body is never believed: a signed one may be old, repeated, or another Cloudflare customer's."""

    rooms: Rooms
    recordings: Recordings
    recorder: Recorder
    workflow: Workflow
    clock: Clock
    new_id: Ids

    def __call__(self, *, capture_id: str | None, meeting_id: str | None) -> bool:
        """Give whether it was about something of ours. What it raises is passing: Cloudflare sends again."""
        if capture_id is None:
            return False
        recording = self.recordings.of_cloudflare(capture_id)
        if recording is not None and recording.status not in {Status.RECORDING, Status.PROCESSING}:
            return True
        room = self.rooms.of_meeting(meeting_id) if recording is None and meeting_id else None
        if recording is None and room is None:
            return False
        try:
            capture = self.recorder.get(capture_id)
        except ProviderNotFound:
            # Not of our app, or gone: processing decides about what we hold, and there is nothing to import.
            return recording is not None
        if recording is None:
            assert room is not None
            if capture_id not in {known.id for known in self.recorder.newest(room.meeting_id)}:
                # The body said that this capture is of this meeting; Cloudflare does not.
                return False
            recording = ImportCapture(recordings=self.recordings, new_id=self.new_id)(
                room, capture, nonce=None, cause="auto_started" if capture.auto_started else "api_start"
            )
        self._follow(recording, capture)
        return True

    def _follow(self, recording: Recording, capture: Capture) -> None:
        if capture.status.running:
            return
        self.workflow.start(recording)
        if recording.status is Status.RECORDING:
            try:
                self.recordings.save(
                    recording, recording.ended(at=capture.stopped_at or self.clock(), cause="capture_ended")
                )
            except ConcurrentUpdate:
                # A stop or another webhook stored the end; the run needs waking all the same.
                pass
        token = self.recordings.take_token(recording)
        if token is not None:
            self.workflow.wake(token)
