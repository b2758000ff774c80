"""Take a hint from Cloudflare: look at what it speaks of, and let our records follow."""

from dataclasses import dataclass
from itertools import islice
from typing import Final

from recordings.domain.errors import MeetingReleased, ProviderNotFound
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderStatus
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings, Rooms
from recordings.services.rooms.meeting_owner import FindOwner
from recordings.services.sync.reconcile_recording import ReconcileRecording

# A capture that a webhook tells of is among the newest of its meeting; one that is not comes in by sync.
NEWEST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveWebhook:
    """The body is never believed: a signed one may be old, repeated, or another Cloudflare customer's."""

    rooms: Rooms
    recordings: Recordings
    recorder: RecordingProvider
    workflow: ProcessingExecutions
    reconcile: ReconcileRecording

    def __call__(self, *, capture_id: str | None, meeting_id: str | None) -> bool:
        """Give whether it was about something of ours. What it raises is passing: Cloudflare sends again."""
        if capture_id is None:
            return False
        recording = self.recordings.find_by_cloudflare_recording_id(capture_id)
        if recording is not None and recording.status not in {Status.RECORDING, Status.PROCESSING}:
            return True
        if recording is None and (meeting_id is None or self.rooms.find_meeting_ownership(meeting_id) is None):
            return False
        try:
            capture = self.recorder.get(capture_id)
        except ProviderNotFound:
            # Not of our app, or gone: processing decides about what we hold, and there is nothing to import.
            return recording is not None
        owner = None
        if recording is None:
            assert meeting_id is not None
            newest = islice(self.recorder.captures(meeting_id), NEWEST)
            if capture_id not in {known.id for known in newest}:
                # The body said that this capture is of this meeting; Cloudflare does not.
                return False
            owner = FindOwner(rooms=self.rooms)(meeting_id, capture)
            if owner is None:
                # It began before the meeting was this tenant's.
                return False
        try:
            self.reconcile(owner, recording, capture)
        except MeetingReleased:
            # No room can hold it while it runs; what tells of its end brings it in.
            return True
        if recording is not None and capture.status in {ProviderStatus.UPLOADED, ProviderStatus.ERRORED}:
            token = self.recordings.pop_task_token(recording)
            if token is not None:
                self.workflow.complete_task(token)
        return True
