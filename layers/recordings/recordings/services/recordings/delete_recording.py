"""Delete a recording so that it can come back, and bring it back."""

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
        """Raises RecordingNotFound, RecordingInProgress or ConcurrentUpdate."""
        return changed(
            self.recordings,
            lambda: self.recordings.get(tenant_id, recording_id),
            lambda recording: recording.deleted(at=self.clock()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeleteRecording:
    recordings: Recordings

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """One that is not deleted is given as it is. Raises RecordingNotFound or ConcurrentUpdate."""
        return changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(tenant_id, recording_id),
            lambda recording: recording.undeleted(),
        )
