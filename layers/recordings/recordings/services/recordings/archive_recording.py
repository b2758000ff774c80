"""Send a recording to the archive: the response comes at once, an execution moves the bytes."""

from dataclasses import dataclass

from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.ports.executions import ArchivingExecutions
from recordings.ports.repositories import Recordings
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import MAX_ATTEMPTS, start_now_or_by_sync


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRecording:
    """Store the move, then start its execution. If the function dies between the two, the next sync starts it."""

    recordings: Recordings
    executions: ArchivingExecutions
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Return the recording, now `archived`. If an error is raised, nothing moves.

        Raises:
            RecordingNotFound: the recording does not exist
            RecordingNotArchivable: it has no file in R2
            ConcurrentUpdate: others changed the recording each time
        """
        recording = self._store_move(tenant_id, recording_id)
        if recording.moving:
            start_now_or_by_sync(lambda: self.executions.start(recording))
        return recording

    def _store_move(self, tenant_id: str, recording_id: str) -> Recording:
        before = self.recordings.get(tenant_id, recording_id)
        for attempt in range(MAX_ATTEMPTS):
            after = before.archiving(at=self.clock())
            try:
                return self.recordings.save(before, after)
            except ConcurrentUpdate:
                if attempt == MAX_ATTEMPTS - 1:
                    raise
            before = self.recordings.get(tenant_id, recording_id)
            if before.status is Status.ARCHIVED and before.archive_attempt == after.archive_attempt:
                # A simultaneous call stored the same move.
                return before
        raise AssertionError("unreachable: the last attempt returns or raises")
