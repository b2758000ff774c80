"""Compare the recording that a webhook names with our table, and change what differs."""

from dataclasses import dataclass
from itertools import islice
from typing import Final

from recordings.domain.errors import MeetingReleased, ProviderNotFound
from recordings.domain.lifecycle import Status
from recordings.domain.meeting import RecordingOwner
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.ports.executions import WaitingTasks
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings, Rooms
from recordings.services.rooms.meeting_owner import FindOwner
from recordings.services.sync.reconcile_recording import ReconcileRecording

# A webhook names one of the newest recordings of its meeting. The sync imports the others.
MAX_RECORDINGS_SEARCHED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveWebhook:
    """Only the two ids of a webhook are used, never its other content.

    A signed body may be old, repeated, or another Cloudflare customer's.
    """

    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    tasks: WaitingTasks
    reconcile: ReconcileRecording

    def __call__(self, *, cloudflare_recording_id: str | None, meeting_id: str | None) -> bool:
        """Return whether the webhook named a recording of ours.

        All errors are temporary, and Cloudflare sends the webhook again.

        Raises:
            ConcurrentUpdate, RoomAlreadyRecording: another call changes the recording or starts one in its room
            ProviderFailure: Cloudflare did not do what it was asked for
            Throttled: DynamoDB, Step Functions or R2 is busy or does not respond
        """
        if cloudflare_recording_id is None:
            return False
        recording = self.recordings.find_by_cloudflare_recording_id(cloudflare_recording_id)
        if recording is None:
            return meeting_id is not None and self._import(cloudflare_recording_id, meeting_id)
        if recording.status not in {Status.RECORDING, Status.PROCESSING}:
            return True
        try:
            provider_recording = self.provider.get(cloudflare_recording_id)
        except ProviderNotFound:
            # Processing decides what becomes of a recording that Cloudflare no longer has.
            return True
        self.reconcile(None, recording, provider_recording)
        if provider_recording.status in {ProviderStatus.UPLOADED, ProviderStatus.ERRORED}:
            token = self.recordings.pop_task_token(recording)
            if token is not None:
                self.tasks.check_again(token)
        return True

    def _import(self, cloudflare_recording_id: str, meeting_id: str) -> bool:
        if self.rooms.find_meeting_ownership(meeting_id) is None:
            return False
        try:
            provider_recording = self.provider.get(cloudflare_recording_id)
        except ProviderNotFound:
            # It belongs to another app, or Cloudflare no longer has it.
            return False
        owner = self._owner(provider_recording, meeting_id)
        if owner is None:
            return False
        try:
            self.reconcile(owner, None, provider_recording)
        except MeetingReleased:
            # No room can hold it while it runs. The webhook of its end, or the sync, imports it.
            return True
        return True

    def _owner(self, provider_recording: ProviderRecording, meeting_id: str) -> RecordingOwner | None:
        """Return the owner if Cloudflare confirms the meeting, and the tenant owned it when the recording began."""
        newest = islice(self.provider.list_by_meeting(meeting_id), MAX_RECORDINGS_SEARCHED)
        if provider_recording.cloudflare_recording_id not in {known.cloudflare_recording_id for known in newest}:
            return None
        return FindOwner(rooms=self.rooms)(meeting_id, provider_recording)
