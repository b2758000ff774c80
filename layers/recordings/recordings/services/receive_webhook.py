"""Take a hint from Cloudflare: look at what it speaks of, and let our records follow."""

from dataclasses import dataclass
from itertools import islice
from typing import Final

from recordings.domain.capture import CaptureStatus
from recordings.domain.errors import ProviderNotFound
from recordings.domain.lifecycle import Status
from recordings.ports import Recorder, Recordings, Rooms, Workflow
from recordings.services.reconcile_recording import ReconcileRecording

# A capture that a webhook tells of is among the newest of its meeting; one that is not comes in by sync.
NEWEST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveWebhook:
    """The body is never believed: a signed one may be old, repeated, or another Cloudflare customer's."""

    rooms: Rooms
    recordings: Recordings
    recorder: Recorder
    workflow: Workflow
    reconcile: ReconcileRecording

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
            newest = islice(self.recorder.captures(room.meeting_id), NEWEST)
            if capture_id not in {known.id for known in newest}:
                # The body said that this capture is of this meeting; Cloudflare does not.
                return False
        self.reconcile(room, recording, capture)
        if recording is not None and capture.status in {CaptureStatus.UPLOADED, CaptureStatus.ERRORED}:
            token = self.recordings.take_token(recording)
            if token is not None:
                self.workflow.wake(token)
        return True
