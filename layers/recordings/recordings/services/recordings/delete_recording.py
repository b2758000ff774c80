"""Delete and undelete a recording."""

from dataclasses import dataclass

from recordings.domain.recording import Recording
from recordings.ports.repositories import Recordings
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import changed


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecording:
    recordings: Recordings
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Delete a recording. Its files stay, and UndeleteRecording brings it back.

        Raises:
            RecordingNotFound: it does not exist, or is deleted
            RecordingInProgress: it is being recorded
            ConcurrentUpdate: other calls changed it at the same time
            Throttled: DynamoDB is busy or does not respond
        """
        return changed(
            self.recordings,
            lambda: self.recordings.get(tenant_id, recording_id),
            lambda recording: recording.deleted(at=self.clock()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeleteRecording:
    recordings: Recordings

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Bring a deleted recording back. One that is not deleted is returned unchanged.

        Raises:
            RecordingNotFound: it does not exist, or was purged
            ConcurrentUpdate: other calls changed it at the same time
            Throttled: DynamoDB is busy or does not respond
        """
        return changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(tenant_id, recording_id),
            lambda recording: recording.undeleted(),
        )
